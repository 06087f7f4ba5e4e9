/**
 * Owns one connection to an InfluxDB server: requests by @influxdata/influxdb-client's transport, one attempt each (its
 * `WriteApi` loses data when it retries or closes: pitfalls), and what each answer means.
 *
 * Always true: a request ends within `INFLUX_REQUEST_MS_MAX`, by abort if need be (a timed-out request of the client
 * is not destroyed by itself); sockets are kept alive and closed by `close()`. Bounds: `INFLUX_ANSWER_BYTES_MAX`,
 * `INFLUX_ERROR_BYTES_MAX`.
 */

import http, { Agent as HttpAgent, type IncomingMessage, type RequestOptions } from 'node:http'
import https, { Agent as HttpsAgent } from 'node:https'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { HttpError, InfluxDB, type Transport } from '@influxdata/influxdb-client'
import { messageOf } from '../../platform/errors.ts'
import {
  INFLUX_ANSWER_BYTES_MAX,
  INFLUX_ERROR_BYTES_MAX,
  INFLUX_GZIP_BYTES_MIN,
  INFLUX_REQUEST_MS_MAX,
  STORE_REASON_CHARS_MAX,
} from '../../platform/limits.ts'
import { maskPassword } from '../../platform/setting-kinds.ts'
import { isLoopback } from '../../platform/settings.ts'
import { type InfluxOptions, StoreError } from '../store.ts'

/** `written`: all of it. `too-large`: halve it. `bad-data`: at least one line is refused; `dropped` says how many if known. */
export type WriteAnswer =
  | { readonly kind: 'written' }
  | { readonly kind: 'too-large'; readonly reason: string }
  | { readonly kind: 'bad-data'; readonly reason: string; readonly dropped: number | undefined }

type Asked = 'writes' | 'queries'

const compress = promisify(gzip)

export class InfluxConnection {
  readonly #options: InfluxOptions
  readonly #transport: Transport
  readonly #agent: HttpAgent
  readonly #writePath: string
  /** Not within one machine: it would cost both ends 0.7 us a line to spare a network that is not there. */
  readonly #compresses: boolean

  constructor(options: InfluxOptions) {
    this.#options = options
    this.#compresses = !isLoopback(new URL(options.url).hostname)
    this.#agent = options.url.startsWith('https:')
      ? new HttpsAgent({ keepAlive: true })
      : new HttpAgent({ keepAlive: true })
    this.#transport = new InfluxDB({
      url: options.url,
      ...(options.token !== '' && { token: options.token }),
      timeout: INFLUX_REQUEST_MS_MAX,
      transportOptions: { agent: this.#agent, 'follow-redirects': { http: bounded(http), https: bounded(https) } },
    }).transport
    const { org, bucket } = options
    this.#writePath =
      options.api === 'v1'
        ? `/write?${new URLSearchParams({ db: bucket, precision: 'ns' })}`
        : `/api/v2/write?${new URLSearchParams({ org, bucket, precision: 'ns' })}`
  }

  /** Rejects with a `StoreError` when the server, not the data, is the reason. */
  async write(lines: Buffer, signal: AbortSignal): Promise<WriteAnswer> {
    const zipped = this.#compresses && lines.length > INFLUX_GZIP_BYTES_MIN
    // Level 1: a third of the CPU of the client's own level 6, for a body a tenth larger.
    const body = zipped ? await compress(lines, { level: 1 }) : lines
    const headers = {
      'content-type': 'text/plain; charset=utf-8',
      ...(zipped && { 'content-encoding': 'gzip' }),
    }
    try {
      const { status, text } = await this.#send('POST', this.#writePath, body, headers, signal)
      if (status === 204) return { kind: 'written' }
      // InfluxDB 3 answers 201 to a partial write. Anything else below 300 is no InfluxDB: a proxy, a login page.
      if (status === 201 && isOfInflux(jsonOf(text))) return badData(text)
      throw this.#refused(
        'writes',
        `it answered ${status} to a write, where InfluxDB says 204 (check INFLUX_URL: is that InfluxDB?)`,
      )
    } catch (error) {
      // VictoriaMetrics says in plain text that a line is too long. A proxy's 400 is plain text too, but to no lines as well.
      if (isBadRequest(error) && !aboutData(error) && (await this.#takesNone(signal))) {
        return badData(`${error.statusCode}: ${serverReason(error)}`)
      }
      return this.#classify('writes', error)
    }
  }

  /** Whether a write without lines is taken: then what was said of one with lines was said of the lines. */
  async #takesNone(signal: AbortSignal): Promise<boolean> {
    const headers = { 'content-type': 'text/plain; charset=utf-8' }
    const none = this.#send('POST', this.#writePath, Buffer.alloc(0), headers, signal)
    return await none.then(
      ({ status }) => status === 204,
      () => false,
    )
  }

  /** The text of an InfluxQL answer, JSON (`GET /query`, times in microseconds: `epoch=u`, for `us` is not known and gives nanoseconds). */
  async query(statements: string, signal: AbortSignal): Promise<string> {
    const path = `/query?${new URLSearchParams({ db: this.#options.bucket, epoch: 'u', q: statements })}`
    try {
      return (await this.#send('GET', path, Buffer.alloc(0), { accept: 'application/json' }, signal)).text
    } catch (error) {
      const answer = this.#classify('queries', error)
      throw new StoreError('store-unavailable', `${this.#where()} refused a query: ${answer.reason}`, {
        retry: 'slowly',
        cause: error,
      })
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  #send(
    method: string,
    path: string,
    body: Buffer,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const abort = new AbortController()
      const onStop = () => abort.abort()
      const timer = setTimeout(() => {
        reject(new Error(`no answer within ${INFLUX_REQUEST_MS_MAX} ms`))
        abort.abort()
      }, INFLUX_REQUEST_MS_MAX)
      signal.addEventListener('abort', onStop, { once: true })
      if (signal.aborted) onStop()
      const settled = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', onStop)
      }
      const chunks: Uint8Array[] = []
      let bytes = 0
      let status = 0
      // The declared type is a string, but what it does with it is `Buffer.from(body, 'utf-8')`, which copies a buffer.
      this.#transport.send(
        path,
        body as unknown as string,
        { method, headers, signal: abort.signal },
        {
          responseStarted: (_headers, statusCode) => {
            status = statusCode ?? 0
          },
          next: (chunk) => {
            bytes += chunk.byteLength
            if (bytes <= INFLUX_ANSWER_BYTES_MAX) chunks.push(chunk)
            else {
              settled()
              reject(
                new AnswerTooLarge(
                  `the answer is larger than ${INFLUX_ANSWER_BYTES_MAX} bytes: ask for a shorter time, fewer devices, or windows`,
                ),
              )
              abort.abort()
            }
          },
          error: (error) => {
            settled()
            abort.abort()
            reject(error)
          },
          complete: () => {
            settled()
            resolve({ status, text: Buffer.concat(chunks).toString('utf8') })
          },
        },
      )
    })
  }

  /** The one place that says what an error of the server, or of the way to it, means. Throws or says the data is at fault. */
  #classify(asked: Asked, error: unknown): Exclude<WriteAnswer, { kind: 'written' }> {
    if (error instanceof StoreError) throw error
    if (error instanceof AnswerTooLarge) {
      throw new StoreError('store-unavailable', `${this.#where()}: ${error.message}`, { retry: 'slowly' })
    }
    if (!(error instanceof HttpError)) {
      throw new StoreError('store-unavailable', `${this.#where()} cannot be reached: ${networkReason(error)}`, {
        retry: 'soon',
        cause: error,
      })
    }
    const { statusCode } = error
    const whole = `${statusCode}: ${serverReason(error)}`
    const reason = whole.slice(0, STORE_REASON_CHARS_MAX)
    if (statusCode === 413) return { kind: 'too-large', reason }
    // InfluxDB 2 may say 500 where a part was refused for good (pitfalls).
    if (statusCode === 500 && PARTIAL.test(reason)) return badData(whole)
    if (isBadRequest(error)) {
      if (aboutData(error)) return badData(whole)
      throw this.#refused(asked, `it answered ${reason}`, error)
    }
    if (statusCode === 429 || statusCode === 408 || statusCode === 425 || statusCode >= 500) {
      throw new StoreError(
        statusCode === 429 ? 'store-busy' : 'store-unavailable',
        `${this.#where()} answered ${reason}`,
        { retry: 'soon', retryAfterMs: retryAfterMs(error), cause: error },
      )
    }
    const hint =
      statusCode === 401 || statusCode === 403
        ? ' (check INFLUX_TOKEN)'
        : statusCode === 404
          ? ' (check INFLUX_URL, INFLUX_ORG, INFLUX_BUCKET and INFLUX_API)'
          : statusCode < 400
            ? ` to ${header(error, 'location')} (check INFLUX_URL: redirects are not followed)`
            : ''
    throw this.#refused(asked, `it answered ${reason}${hint}`, error)
  }

  #refused(asked: Asked, what: string, cause?: unknown): StoreError {
    const does = asked === 'writes' ? 'does not take writes' : 'does not answer queries'
    return new StoreError('store-refused', `${this.#where()} ${does}: ${what}`, { retry: 'slowly', cause })
  }

  #where(): string {
    return `InfluxDB at ${maskPassword(this.#options.url)}`
  }
}

class AnswerTooLarge extends Error {}

/** The most that deflate can make of a byte. */
const INFLATION_MAX = 1_032

/**
 * Node's `http` or `https` with a bound on the body of an error. The client (1.35) collects that of a JSON error as long as it
 * comes, until a string cannot be longer: a throw in an event of a stream, which ends the thread. It offers no place to stop it;
 * but it takes its request function from the module that shall follow redirects, so it gets one that follows none.
 */
function bounded({ request }: Pick<typeof http, 'request'>) {
  const watch = (response: IncomingMessage) => {
    if ((response.statusCode ?? 0) < 300) return
    const bytesMax = INFLUX_ERROR_BYTES_MAX / (response.headers['content-encoding'] === undefined ? 1 : INFLATION_MAX)
    let bytes = 0
    response.on('data', (chunk: Uint8Array) => {
      bytes += chunk.byteLength
      if (bytes <= bytesMax) return
      response.removeAllListeners('data')
      const what = `it answered ${response.statusCode} with more than ${INFLUX_ERROR_BYTES_MAX} bytes`
      // Not `destroy`, which would first say "aborted"; the request is aborted by whoever hears of this.
      response.emit('error', new AnswerTooLarge(what))
    })
  }
  return {
    request: (options: RequestOptions, take: (response: IncomingMessage) => void) =>
      request(options, (response) => {
        watch(response)
        take(response)
      }),
  }
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
