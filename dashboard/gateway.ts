/**
 * Owns how the page asks its gateway: once, again and again while somebody looks, and live by the SDK (`client/`).
 *
 * Always true: an answer that is late does not overwrite a later one. What is shown stays when the gateway is away, and `trouble` says since
 * when. Bound: one request at a time for each thing that is asked again and again; nothing while the page is hidden.
 */

import { computed, signal } from '@preact/signals'
import { useEffect, useState } from 'preact/hooks'
import { connect } from '../client/client.ts'
import { now } from './time.ts'
import { token } from './token.ts'

/** The pause after an answer that failed. */
const RETRY_MS = 2_000
/** A gateway that is silent for so long is away. */
const ANSWER_MS = 20_000

export class AnswerError extends Error {
  /** As docs/contract.md lists them; `unreachable` if there was no answer. */
  readonly code: string
  /** 0 if there was no answer. */
  readonly status: number

  constructor(code: string, status: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.status = status
  }
}

/** Why the gateway did not answer last, and since when it does not; undefined while it does. */
export const trouble = signal<{ readonly since: number; readonly error: AnswerError } | undefined>(undefined)

/** The token that the gateway does not take, and why; undefined while it takes it. */
export const refused = signal<{ readonly token: string; readonly why: string } | undefined>(undefined)

/** Where the gateway is: where the page came from, with the path of a proxy before it. */
const BASE = new URL('.', location.href)

/** Anew for each token. */
export const live = computed(() => connect(BASE, { token: token.value === '' ? undefined : token.value }))

export interface Asked {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly body?: object
  readonly signal?: AbortSignal
}

/** `path` without a leading slash: `v1/ledger`. Rejects with an `AnswerError`, or the signal's reason. */
export async function ask<T>(path: string, { method = 'GET', body, signal }: Asked = {}): Promise<T> {
  const given = token.value
  const deadline = AbortSignal.timeout(ANSWER_MS)
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (given !== '') headers.Authorization = `Bearer ${given}`
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  let response: Response
  let text: string
  let answer: T | undefined
  try {
    response = await fetch(new URL(path, BASE), {
      method,
      headers,
      signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    text = await response.text()
    // That of a gateway that was killed meanwhile may be cut short.
    if (response.ok) answer = JSON.parse(text) as T
  } catch (error) {
    signal?.throwIfAborted()
    const failure = new AnswerError('unreachable', 0, 'the gateway does not answer', { cause: error })
    trouble.value = { since: trouble.value?.since ?? now.value, error: failure }
    throw failure
  }
  trouble.value = undefined
  if (answer !== undefined) return answer
  const error = errorOf(response.status, text)
  if (error.status === 401) refused.value = { token: given, why: error.message }
  throw error
}

function errorOf(status: number, text: string): AnswerError {
  try {
    const { code, message } = JSON.parse(text).error
    return new AnswerError(code, status, message)
  } catch {
    // Of a proxy, not of the gateway.
    return new AnswerError('unknown', status, `the answer is ${status}: ${text.slice(0, 200)}`)
  }
}

export interface Answer<T> {
  /** The last that came. */
  readonly value?: T
  /** Why the last try failed. */
  readonly error?: AnswerError
  /** Asks now, and not when it is time. */
  readonly again: () => void
}

/** What `path` answers, asked again `everyMs` after each answer; once if that is undefined. Nothing is asked without a path. */
export function useAnswer<T>(path: string | undefined, everyMs?: number): Answer<T> {
  const [answer, setAnswer] = useState<{ path?: string; value?: T; error?: AnswerError }>({})
  const [asked, setAsked] = useState(0)
  const given = token.value
  useEffect(() => {
    if (path === undefined) return
    const left = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const next = (afterMs: number) => {
      clearTimeout(timer)
      if (!left.signal.aborted && !document.hidden) timer = setTimeout(once, afterMs)
    }
    const once = async () => {
      try {
        const value = await ask<T>(path, { signal: left.signal })
        setAnswer({ path, value })
        if (everyMs !== undefined) next(everyMs)
      } catch (error) {
        if (!(error instanceof AnswerError)) return
        setAnswer((last) => ({ ...(last.path === path ? last : { path }), error }))
        if (everyMs !== undefined || error.status === 0) next(Math.max(RETRY_MS, everyMs ?? 0))
      }
    }
    const shown = () => {
      if (document.hidden) clearTimeout(timer)
      else if (everyMs !== undefined) once()
    }
    document.addEventListener('visibilitychange', shown)
    once()
    return () => {
      left.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', shown)
    }
  }, [path, everyMs, given, asked])
  const { value, error } = answer.path === path ? answer : {}
  return {
    ...(value !== undefined && { value }),
    ...(error !== undefined && { error }),
    again: () => setAsked((count) => count + 1),
  }
}
