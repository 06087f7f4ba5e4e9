/**
 * Owns what an answer of an InfluxDB server means, or of what takes its line protocol: whether lines are written, refused
 * for good, or to be tried again, and when.
 *
 * Always true: what the server, a proxy, or the way to it does wrong is a `StoreError`; only what a server says of the
 * lines themselves sets any aside.
 */

import { HttpError } from '@influxdata/influxdb-client'
import { messageOf } from '../../platform/errors.ts'
import { StoreError } from '../store.ts'

/** Characters of a store's reason that are kept. */
const STORE_REASON_CHARS_MAX = 500

/** `written`: all of it. `too-large`: halve it. `bad-data`: at least one line is refused; `dropped` says how many if known. */
export type WriteAnswer =
  | { readonly kind: 'written'; readonly isVictoria: boolean }
  | { readonly kind: 'too-large'; readonly reason: string }
  | { readonly kind: 'bad-data'; readonly reason: string; readonly dropped: number | undefined }

/** A status below 300. */
export interface Taken {
  readonly status: number
  readonly text: string
  /** It came from VictoriaMetrics. */
  readonly isVictoria: boolean
}

type Asked = 'writes' | 'queries'

export class AnswerTooLarge extends Error {}

/** Throws a `StoreError` if this is no InfluxDB. `server` is how messages name it. */
export function answerOfWrite(server: string, { status, text, isVictoria }: Taken): WriteAnswer {
  if (status === 204) return { kind: 'written', isVictoria }
  // InfluxDB 3 answers 201 to a partial write. Anything else below 300 is no InfluxDB: a proxy, a login page.
  if (status === 201 && isOfInflux(jsonOf(text))) return badData(text)
  const what = `it answered ${status} to a write, where InfluxDB says 204 (check INFLUX_URL: is that InfluxDB?)`
  throw refused(server, 'writes', what)
}

/** A 400 in plain text, as a `bad-data` answer; of what it speaks nobody knows yet. */
export function answerOfPlainBadRequest(error: unknown): WriteAnswer | undefined {
  return isBadRequest(error) && !aboutData(error) ? badData(`${error.statusCode}: ${serverReason(error)}`) : undefined
}

/**
 * The one place that says what an error of the server, or of the way to it, means: that the data is at fault, or else it
 * throws a `StoreError`.
 */
export function answerOfFailure(
  server: string,
  asked: Asked,
  error: unknown,
): Exclude<WriteAnswer, { kind: 'written' }> {
  if (error instanceof StoreError) throw error
  if (error instanceof AnswerTooLarge) {
    throw new StoreError('store-unavailable', `${server}: ${error.message}`, { retry: 'slowly', cause: error })
  }
  if (!(error instanceof HttpError)) {
    throw new StoreError('store-unavailable', `${server} cannot be reached: ${networkReason(error)}`, {
      retry: 'soon',
      cause: error,
    })
  }
  const { statusCode } = error
  const whole = `${statusCode}: ${serverReason(error)}`
  const reason = whole.slice(0, STORE_REASON_CHARS_MAX)
  if (statusCode === 413) return { kind: 'too-large', reason }
  // InfluxDB 2 may say 500 where a part was refused for good.
  if (statusCode === 500 && PARTIAL.test(reason)) return badData(whole)
  if (isBadRequest(error)) {
    if (aboutData(error)) return badData(whole)
    throw refused(server, asked, `it answered ${reason}`, error)
  }
  if (statusCode === 429 || statusCode === 408 || statusCode === 425 || statusCode >= 500) {
    throw new StoreError(statusCode === 429 ? 'store-busy' : 'store-unavailable', `${server} answered ${reason}`, {
      retry: 'soon',
      retryAfterMs: retryAfterMs(error),
      cause: error,
    })
  }
  const hint =
    statusCode === 401 || statusCode === 403
      ? ' (check INFLUX_TOKEN)'
      : statusCode === 404
        ? ' (check INFLUX_URL, INFLUX_ORG, INFLUX_BUCKET and INFLUX_API)'
        : statusCode < 400
          ? ` to ${header(error, 'location')} (check INFLUX_URL: redirects are not followed)`
          : ''
  throw refused(server, asked, `it answered ${reason}${hint}`, error)
}

/** Whether the server met an error of its own over a request (500): it may be what a line of it does to the server. */
export function isInternalError(error: unknown): error is StoreError {
  return error instanceof StoreError && error.cause instanceof HttpError && error.cause.statusCode === 500
}

function refused(server: string, asked: Asked, what: string, cause?: unknown): StoreError {
  const does = asked === 'writes' ? 'does not take writes' : 'does not answer queries'
  return new StoreError('store-refused', `${server} ${does}: ${what}`, { retry: 'slowly', cause })
}

const PARTIAL = /partial write/i
const DROPPED = /dropped=(\d+)/

/** `dropped=N` stands at the end of what may be long. */
function badData(whole: string): Extract<WriteAnswer, { kind: 'bad-data' }> {
  const dropped = DROPPED.exec(whole)?.[1]
  const reason = whole.slice(0, STORE_REASON_CHARS_MAX)
  return { kind: 'bad-data', reason, dropped: dropped === undefined ? undefined : Number(dropped) }
}

function isBadRequest(error: unknown): error is HttpError {
  return error instanceof HttpError && (error.statusCode === 400 || error.statusCode === 422)
}

/**
 * A 400 of InfluxDB's own is JSON and speaks of the lines. One of a proxy, or of a TLS port that was spoken to in
 * plain text, is not: it must not have good lines set aside.
 */
function aboutData(error: HttpError): boolean {
  return isOfInflux(error.json)
}

function isOfInflux(json: unknown): boolean {
  return typeof json === 'object' && json !== null && ('error' in json || 'code' in json || 'message' in json)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function serverReason(error: HttpError): string {
  const json: unknown = error.json
  if (typeof json === 'object' && json !== null) {
    for (const key of ['message', 'error'] as const) {
      const text = (json as Record<string, unknown>)[key]
      if (typeof text === 'string' && text !== '') return text
    }
  }
  return error.body || error.statusMessage || ''
}

function header(error: HttpError, name: string): string {
  return String(error.headers?.[name] ?? '').slice(0, STORE_REASON_CHARS_MAX)
}

/** RFC 9110 section 10.2.3: whole seconds, or a date. The client takes the seconds for milliseconds. */
function retryAfterMs(error: HttpError): number | undefined {
  const header = error.headers?.['retry-after']
  if (typeof header !== 'string') return undefined
  return /^\d+$/.test(header) ? Number(header) * 1000 : undefined
}

/** Node leaves the message of an AggregateError (both address families refused) empty. */
function networkReason(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ')
  return messageOf(error) || String((error as { code?: unknown }).code)
}
