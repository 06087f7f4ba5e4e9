/**
 * Owns questions to a gateway whose platform may be killed meanwhile: a question is asked again until it is answered whole, or
 * `patienceMs` are over. Always true: what is answered came with status 200; the token is in no error; that an answer is waited for is told.
 * Bound: one request at a time, `patienceMs` and an answer's `ANSWER_MS_MAX`.
 */

import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../../../platform/clock.ts'
import { messageOf } from '../../../platform/errors.ts'
import { SimulatorError } from '../simulator-error.ts'

const PAUSE_MS_MIN = 100
const PAUSE_MS_MAX = 2_000
/** A gateway that takes the request and answers nothing is asked anew. */
const ANSWER_MS_MAX = 30_000
/** Who is not patient waits for an answer so long all the same. */
const ANSWER_MS_MIN = 5_000
/** An answer that is not there by then is told to be waited for. */
const TOLD_MS = 3_000
const AGAIN: ReadonlySet<number> = new Set([429, 500, 502, 503, 504])

export type Parameters = Readonly<Record<string, string | number | readonly string[] | undefined>>

export interface GatewayOptions {
  /** Such as `http://127.0.0.1:8080`. */
  readonly url: string
  /** How long no answer is borne with. */
  readonly patienceMs: number
}

export interface GatewayDeps {
  readonly token: () => Promise<string>
  readonly clock: Clock
  readonly signal?: AbortSignal | undefined
  /** What is waited for, in a sentence; undefined when it has come. */
  readonly onWaiting?: ((what: string | undefined) => void) | undefined
}

export class GatewayApi {
  readonly #options: GatewayOptions
  readonly #deps: GatewayDeps
  #token: string | undefined

  constructor(options: GatewayOptions, deps: GatewayDeps) {
    this.#options = options
    this.#deps = deps
  }

  get url(): string {
    return this.#options.url
  }

  /**
   * Undefined if there is no such thing (404). Rejects with a `SimulatorError`: `unreachable`, `no-history`
   * (501), or `refused` with the gateway's words.
   */
  async get<T>(path: string, parameters: Parameters = {}): Promise<T | undefined> {
    const target = `${path}${queryOf(parameters)}`
    const { clock, signal, onWaiting } = this.#deps
    const deadline = clock.now() + this.#options.patienceMs
    let why = 'no answer yet'
    let isTold = false
    const tell = () => {
      isTold = true
      onWaiting?.(this.#waitingFor(path, why, deadline))
    }
    const telling = onWaiting && setInterval(tell, TOLD_MS)
    try {
      for (let waitMs = PAUSE_MS_MIN; ; waitMs = Math.min(waitMs * 2, PAUSE_MS_MAX)) {
        const answer = await this.#try<T>(target)
        if ('value' in answer) return answer.value
        why = answer.why
        if (clock.now() + waitMs > deadline) throw this.#unreachable(path, why)
        await pause(waitMs, undefined, signal && { signal })
      }
    } finally {
      clearInterval(telling)
      if (isTold) onWaiting?.(undefined)
    }
  }

  #waitingFor(path: string, why: string, deadline: number): string {
    const left = Math.max(0, Math.ceil((deadline - this.#deps.clock.now()) / 1000))
    return `${this.#options.url} does not answer ${path} (${why}): it is asked for ${left} s more`
  }

  #unreachable(path: string, why: string): SimulatorError {
    const { url, patienceMs } = this.#options
    return new SimulatorError('unreachable', `${url} did not answer ${path} in ${patienceMs / 1000} s: ${why}`)
  }

  async #try<T>(target: string): Promise<{ readonly value: T | undefined } | { readonly why: string }> {
    const { signal, token } = this.#deps
    this.#token ??= await token()
    const headers = {
      accept: 'application/json',
      ...(this.#token !== '' && { authorization: `Bearer ${this.#token}` }),
    }
    const late = AbortSignal.timeout(Math.min(ANSWER_MS_MAX, Math.max(ANSWER_MS_MIN, this.#options.patienceMs)))
    let status: number
    let text: string
    try {
      const response = await fetch(`${this.#options.url}${target}`, {
        headers,
        signal: signal ? AbortSignal.any([signal, late]) : late,
      })
      status = response.status
      text = await response.text()
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      return { why: messageOf((error as { cause?: unknown }).cause ?? error) }
    }
    if (status === 404) return { value: undefined }
    if (status === 200) {
      try {
        return { value: JSON.parse(text) as T }
      } catch {
        return { why: 'the answer was cut off' }
      }
    }
    if (AGAIN.has(status)) return { why: text }
    if (status === 501) throw new SimulatorError('no-history', `${this.#options.url} has no such answers: ${text}`)
    throw new SimulatorError('refused', `${this.#options.url} refused ${target.split('?')[0]} with ${status}: ${text}`)
  }
}

function queryOf(parameters: Parameters): string {
  const query = new URLSearchParams()
  for (const [name, given] of Object.entries(parameters)) {
    if (given === undefined) continue
    for (const value of Array.isArray(given) ? given : [given]) query.append(name, String(value))
  }
  // A gateway takes a `+` for one, which is a wildcard.
  const text = query.toString().replaceAll('+', '%20')
  return text === '' ? '' : `?${text}`
}
