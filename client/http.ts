/**
 * Owns requests to the gateway's HTTP API: with the app's token, and with another one when that has expired or was revoked.
 *
 * What may succeed later (no connection, 429, 502, 503, 504) is tried `ATTEMPTS_MAX` times, each after a pause, the one that
 * `Retry-After` asks for if it is longer. What changes something is tried again only if the gateway itself has said that it was not done.
 */

import { Backoff } from './backoff.ts'
import { errorOf, over, TelltaleError } from './error.ts'
import type { TokenSource } from './token.ts'

export const ATTEMPTS_MAX = 5
const RETRIED: ReadonlySet<number> = new Set([429, 502, 503, 504])
/** Said by a gateway, and by no proxy that had no answer of one. */
const NOT_DONE: ReadonlySet<number | undefined> = new Set([429, 503])
const DONE: ReadonlySet<number> = new Set([200, 202])
/** A longer `Retry-After` is cut to this. */
const RETRY_AFTER_MS_MAX = 30_000

/** For an answer to why a WebSocket was refused. */
const WHY_MS = 10_000

interface Asked {
  readonly method?: string
  readonly body?: string
}

/** Parameters by name; one that is undefined is left out. */
export type Parameters = Readonly<Record<string, string | number | readonly string[] | undefined>>

export class Http {
  readonly #base: string
  readonly #tokens: TokenSource
  readonly #random: () => number
  #isOver = false

  /** `base` ends without a slash. */
  constructor(base: string, tokens: TokenSource, random: () => number) {
    this.#base = base
    this.#tokens = tokens
    this.#random = random
  }

  /** From here on nothing is asked for. */
  close(): void {
    this.#isOver = true
  }

  /** The answer's JSON. Rejects with a `TelltaleError`, or the signal's reason. */
  get<T>(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<T> {
    return this.#ask<T>(`${path}${queryOf(parameters)}`, {}, () => true, signal)
  }

  /** Likewise, of a request that changes something. */
  change<T>(method: 'POST' | 'DELETE', path: string, body?: string, signal?: AbortSignal): Promise<T> {
    const asked = { method, ...(body !== undefined && { body }) }
    return this.#ask<T>(path, asked, ({ status }) => NOT_DONE.has(status), signal)
  }

  async #ask<T>(
    target: string,
    asked: Asked,
    mayRepeat: (error: TelltaleError) => boolean,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const backoff = new Backoff(this.#random)
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted()
      if (this.#isOver) throw over()
      const token = await this.#tokens.get()
      const answer = await this.#try<T>(target, asked, token, signal)
      if (!('error' in answer)) {
        this.#tokens.accepted()
        return answer.value
      }
      const { error, retryAfterMs } = answer
      if (error.status === 401) this.#tokens.refuse(token, error)
      else if (!error.retry || !mayRepeat(error) || attempt >= ATTEMPTS_MAX) throw error
      await pause(Math.max(retryAfterMs, backoff.next()), signal)
    }
  }

  /**
   * Why a WebSocket was refused, which nobody tells a browser: `/v1/live` says it, asked without an upgrade. Undefined if
   * there is nothing wrong with the token.
   */
  async whyRefused(token: string | undefined): Promise<TelltaleError | undefined> {
    const answer = await this.#try('/v1/live', {}, token, AbortSignal.timeout(WHY_MS))
    if (!('error' in answer) || answer.error.status === 426) return undefined
    return answer.error
  }

  async #try<T>(
    target: string,
    asked: Asked,
    token: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly value: T } | { readonly error: TelltaleError; readonly retryAfterMs: number }> {
    let response: Response
    let text: string
    try {
      const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` }
      const type = asked.body === undefined ? {} : { 'Content-Type': 'application/json' }
      const headers = { Accept: 'application/json', ...authorization, ...type }
      response = await fetch(`${this.#base}${target}`, { ...asked, headers, ...(signal && { signal }) })
      text = await response.text()
      // By a gateway that was killed before it had sent the rest; a browser does not say so.
      if (text === '' && DONE.has(response.status)) throw new Error('the answer is empty')
    } catch (cause) {
      if (signal?.aborted && signal.reason?.name !== 'TimeoutError') throw signal.reason
      const { cause: below } = cause as { readonly cause?: unknown }
      const why = below instanceof Error ? below.message : errorOf(cause, '').message
      const message = `${this.#base} cannot be reached: ${why}`
      return { error: new TelltaleError('unreachable', message, { cause, retry: true }), retryAfterMs: 0 }
    }
    const { status } = response
    if (DONE.has(status)) {
      const value = parse(text)
      if (value !== undefined) return { value: value as T }
    }
    const { error } = (parse(text) ?? {}) as { readonly error?: { readonly code: string; readonly message: string } }
    const code = error?.code ?? 'bad-answer'
    const message = error?.message ?? `${target} was answered with ${status}, and not by a gateway of Telltale`
    const retryAfterMs = Math.min(RETRY_AFTER_MS_MAX, 1_000 * (Number(response.headers.get('Retry-After')) || 0))
    return { error: new TelltaleError(code, message, { status, retry: RETRIED.has(status) }), retryAfterMs }
  }
}

function queryOf(parameters: Parameters): string {
  const query = new URLSearchParams()
  for (const [name, given] of Object.entries(parameters)) {
    if (given === undefined) continue
    for (const value of Array.isArray(given) ? given : [given]) query.append(name, String(value))
  }
  // A gateway takes a `+` for one, which is a wildcard, and here is a space.
  const text = query.toString().replaceAll('+', '%20')
  return text === '' ? '' : `?${text}`
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Rejects with the signal's reason if that comes first. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}
