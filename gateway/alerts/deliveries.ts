/**
 * Owns sending what the book has for each target: one message after the other, so that an end never overtakes its beginning.
 *
 *   idle --a message waits--> sending --answered 2xx--> idle
 *                               |  ^
 *                     any other |  | after a back-off, which doubles
 *                               v  |
 *                             waiting --POST_AGE_MS_MAX--> given up
 *
 * Always true: a message is sent when it is on disk, and is taken from there when it was answered: a kill between has it sent again, with
 * the same id. What the target says is wrong with the message itself (`REFUSED`) is given up at once. A redirect is not followed, for it may lead anywhere: it counts
 * as a failure. Bounds: `POSTS_AT_ONCE_MAX` requests, `POST_MS_MAX` each; of the answer nothing is read.
 */

import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/logger.ts'
import type { AlertBook, Post } from './book.ts'
import type { Request } from './target.ts'
import { originOf, requestOf } from './target.ts'

const POSTS_AT_ONCE_MAX = 8
const POST_MS_MAX = 10_000
const RETRY_FIRST_MS = 1_000
const RETRY_MS_MAX = 5 * 60_000
const POST_AGE_MS_MAX = 24 * 3_600_000
/** Bad Request, Content Too Large, Unsupported Media Type, Unprocessable Content: the same again would be answered the same. */
const REFUSED = [400, 413, 415, 422]

export interface DeliveryTimes {
  /** A request may take so long. */
  readonly postMsMax: number
  /** Before the first retry; doubles up to the next, jittered down to a half. */
  readonly retryFirstMs: number
  readonly retryMsMax: number
}

const TIMES: DeliveryTimes = { postMsMax: POST_MS_MAX, retryFirstMs: RETRY_FIRST_MS, retryMsMax: RETRY_MS_MAX }

interface Line {
  failures: number
  /** Why the last try failed. */
  error: string | undefined
  isSending: boolean
  timer: NodeJS.Timeout | undefined
}

export type PostOutcome = 'sent' | 'failed' | 'refused' | 'expired'

export interface DeliveriesDependencies {
  readonly book: AlertBook
  /** Resolves when what the book has now is on disk. */
  readonly save: () => Promise<void>
  readonly count: (outcome: PostOutcome) => void
  /** 0 <= random() < 1. */
  readonly random: () => number
  readonly clock: Clock
  readonly logger: Logger
}

export class Deliveries {
  readonly #dependencies: DeliveriesDependencies
  readonly #times: DeliveryTimes
  readonly #lines = new Map<string, Line>()
  readonly #stopping = new AbortController()
  #underWay = 0
  #whenIdle: (() => void) | undefined

  constructor(dependencies: DeliveriesDependencies, times = TIMES) {
    this.#dependencies = dependencies
    this.#times = times
  }

  /** Sends what waits and may be sent. */
  readonly look = (): void => {
    if (this.#stopping.signal.aborted) return
    const { lines } = this.#dependencies.book
    for (const key of this.#lines.keys())
      if (!lines.has(key) && this.#lines.get(key)?.isSending === false) this.#forget(key)
    for (const [key, [post]] of lines) {
      const line = this.#lineOf(key)
      if (this.#underWay >= POSTS_AT_ONCE_MAX) return
      if (post !== undefined && !line.isSending && line.timer === undefined) void this.#send(key, line, post)
    }
  }

  /** Why the last message to a target was not taken; undefined if it was. */
  problemOf(key: string): string | undefined {
    return this.#lines.get(key)?.error
  }

  /** Resolves when no request is under way; what was not answered is sent again by the next process. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const key of this.#lines.keys()) this.#forget(key)
    if (this.#underWay === 0) return
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve
    })
  }

  /** Posts once; throws what went wrong. */
  async post(request: Request): Promise<void> {
    const status = await this.#request(request)
    if (status < 200 || status > 299) throw new Error(answered(status))
  }

  async #send(key: string, line: Line, post: Post): Promise<void> {
    const { book, save, count, clock } = this.#dependencies
    line.isSending = true
    this.#underWay++
    try {
      await save()
      if (this.#stopping.signal.aborted) return
      const status = await this.#request(requestOf(post.target, post.message, clock.now()))
      if (status >= 200 && status <= 299) {
        if (line.failures > 0) this.#dependencies.logger.info({ to: originOf(post.target) }, 'alerts are taken again')
        line.failures = 0
        line.error = undefined
        count('sent')
        book.remove(key, post, false)
        void save()
      } else this.#failed(key, line, post, answered(status), REFUSED.includes(status))
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#failed(key, line, post, reasonOf(error), false)
    } finally {
      line.isSending = false
      this.#underWay--
      if (this.#underWay === 0) this.#whenIdle?.()
      this.look()
    }
  }

  #failed(key: string, line: Line, post: Post, reason: string, isRefused: boolean): void {
    const { book, save, count, clock, random, logger } = this.#dependencies
    const isOld = clock.now() - post.at > POST_AGE_MS_MAX
    const { rule, state, device } = post.message
    const about = { to: originOf(post.target), rule, state, device, reason }
    line.error = reason
    if (isRefused || isOld) {
      logger.error(
        about,
        isRefused
          ? 'a message of an alert was refused, and is given up'
          : 'a message of an alert was not taken for a day, and is given up',
      )
      count(isRefused ? 'refused' : 'expired')
      line.failures = 0
      book.remove(key, post, true)
      void save()
      return
    }
    if (line.failures === 0) logger.warn(about, 'a message of an alert was not taken: it is sent again')
    count('failed')
    const full = Math.min(this.#times.retryMsMax, this.#times.retryFirstMs * 2 ** Math.min(line.failures++, 20))
    const again = () => {
      line.timer = undefined
      this.look()
    }
    line.timer = setTimeout(again, full * (0.5 + random() / 2)).unref()
  }

  /** The status of the answer. (`AbortSignal.any` loses the signal of a timeout to the garbage collector in Node 20.) */
  async #request({ url, headers, body }: Request): Promise<number> {
    const ending = new AbortController()
    const { postMsMax } = this.#times
    const timeout = setTimeout(
      () => ending.abort(new Error(`it did not answer within ${postMsMax / 1_000} s`)),
      postMsMax,
    )
    const stop = () => ending.abort()
    this.#stopping.signal.addEventListener('abort', stop)
    try {
      const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal: ending.signal })
      await response.body?.cancel()
      return response.status
    } finally {
      clearTimeout(timeout)
      this.#stopping.signal.removeEventListener('abort', stop)
    }
  }

  #lineOf(key: string): Line {
    const line = this.#lines.get(key) ?? { failures: 0, error: undefined, isSending: false, timer: undefined }
    this.#lines.set(key, line)
    return line
  }

  #forget(key: string): void {
    clearTimeout(this.#lines.get(key)?.timer)
    this.#lines.delete(key)
  }
}

const answered = (status: number): string =>
  status >= 300 && status <= 399 ? `it answered ${status}, and redirects are not followed` : `it answered ${status}`

/** What fetch throws says what it is about in its cause. */
function reasonOf(error: unknown): string {
  return messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error)
}
