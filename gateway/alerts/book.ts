/**
 * Owns which alerts are firing, which are over since, and what is still to be posted of them.
 *
 *   (nothing) --begin--> firing --end--> over
 *
 * Always true: of a rule there is one alert a device, and of a field one a series; beginning and ending put one message each for every target,
 * in this order, and who was told of the beginning is told of the end. What is noted here is on disk before a message of it is sent
 * (state-file.ts). Bounds: `ALERTS_FIRING_MAX`: one more does not begin, is counted, and begins when there is room, if it is still so;
 * `ALERTS_OVER_KEPT`; `POSTS_MAX`: the oldest of the target that has most is dropped and counted.
 */

import { randomUUID } from 'node:crypto'
import type { Clock } from '../../platform/clock.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Rule } from './rule.ts'
import { type Message, originOf, type Target } from './target.ts'

const ALERTS_FIRING_MAX = 10_000
const ALERTS_OVER_KEPT = 200
const POSTS_MAX = 10_000

/** Times in milliseconds. */
export interface Alert {
  readonly id: string
  readonly rule: string
  readonly kind: Rule['condition']['kind']
  readonly device?: string
  readonly stream?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly since: number
  /** When it was over. */
  readonly until?: number
  readonly sentence: string
  /** Who was told that it began. */
  readonly to: readonly Target[]
}

/** One message to one target. */
export interface Post {
  readonly target: Target
  readonly message: Message
  /** When it was put here, milliseconds. */
  readonly at: number
}

/** What of an alert says that it is one of its own. */
export type Subject = Pick<Alert, 'device' | 'stream' | 'tags'>

export interface BookText {
  readonly firing: readonly Alert[]
  readonly over: readonly Alert[]
  readonly posts: readonly Post[]
  readonly untold: number
  readonly dropped: number
}

export class AlertBook {
  readonly #clock: Clock
  readonly #logger: Logger
  /** By `keyOf`. */
  readonly #firing = new Map<string, Alert>()
  #over: Alert[] = []
  /** By `lineOf` their target, oldest first. */
  readonly #posts = new Map<string, Post[]>()
  #postCount = 0
  #untold = 0
  #dropped = 0
  #isFull = false
  /** There is more to be posted, or less. */
  onPosts: () => void = () => undefined

  constructor(dependencies: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = dependencies.clock
    this.#logger = dependencies.logger
  }

  /** What there is to be saved. */
  get text(): BookText {
    const posts = [...this.#posts.values()].flat()
    return { firing: [...this.#firing.values()], over: this.#over, posts, untold: this.#untold, dropped: this.#dropped }
  }

  /** Puts in place what was saved. */
  restore({ firing, over, posts, untold, dropped }: BookText): void {
    this.#firing.clear()
    this.#posts.clear()
    for (const alert of firing) this.#firing.set(keyOf(alert.rule, alert), alert)
    for (const post of posts) this.#lineOf(post).push(post)
    this.#over = [...over]
    this.#postCount = posts.length
    this.#untold = untold
    this.#dropped = dropped
  }

  get firing(): Iterable<Alert> & { readonly size: number } {
    return { size: this.#firing.size, [Symbol.iterator]: () => this.#firing.values() }
  }

  /** The last that are over, oldest first. */
  get over(): readonly Alert[] {
    return this.#over
  }

  /** Alerts that did not begin, for too many were firing; messages that were dropped, for too many waited or for too long. */
  get lost(): { readonly untold: number; readonly dropped: number } {
    return { untold: this.#untold, dropped: this.#dropped }
  }

  get postsWaiting(): number {
    return this.#postCount
  }

  /** What is to be posted to whom, in its order. */
  get lines(): ReadonlyMap<string, readonly Post[]> {
    return this.#posts
  }

  of(rule: string, subject: Subject): Alert | undefined {
    return this.#firing.get(keyOf(rule, subject))
  }

  /** Whether it is firing now: not if too many are. */
  begin({ name, condition, to }: Rule, subject: Subject, since: number, sentence: string): boolean {
    const key = keyOf(name, subject)
    if (this.#firing.has(key)) return true
    if (this.#firing.size >= ALERTS_FIRING_MAX) {
      if (!this.#isFull) this.#logger.error(`${ALERTS_FIRING_MAX} alerts are firing: no other begins until one is over`)
      this.#isFull = true
      this.#untold++
      return false
    }
    const alert: Alert = { id: randomUUID(), rule: name, kind: condition.kind, ...subject, since, sentence, to }
    this.#firing.set(key, alert)
    this.#logger.warn({ rule: name, ...subject }, `alert: ${sentence}`)
    this.#post(alert, 'firing', sentence)
    return true
  }

  end(alert: Alert, until: number, sentence: string): void {
    if (!this.#firing.delete(keyOf(alert.rule, alert))) return
    this.#isFull = false
    const over = { ...alert, until, sentence }
    this.#over = [...this.#over, over].slice(-ALERTS_OVER_KEPT)
    this.#logger.info({ rule: alert.rule, device: alert.device }, `alert over: ${sentence}`)
    this.#post(over, 'resolved', sentence)
  }

  /** It was posted, or is given up. */
  remove(line: string, post: Post, isLost: boolean): void {
    const posts = this.#posts.get(line)
    if (posts?.[0] !== post) return
    posts.shift()
    this.#postCount--
    if (posts.length === 0) this.#posts.delete(line)
    if (isLost) this.#dropped++
    this.onPosts()
  }

  #post({ to, kind: _, id, until, ...alert }: Alert, state: Message['state'], sentence: string): void {
    for (const target of to) {
      const end = until !== undefined && { until }
      const message: Message = { id: randomUUID(), alert: id, ...alert, ...end, state, sentence }
      const post = { target, message, at: this.#clock.now() }
      this.#lineOf(post).push(post)
      this.#postCount++
      if (this.#postCount > POSTS_MAX) this.#dropOldest()
    }
    this.onPosts()
  }

  #dropOldest(): void {
    let most: Post[] = []
    for (const posts of this.#posts.values()) if (posts.length > most.length) most = posts
    // The first is being sent just now, maybe.
    const [post] = most.splice(1, 1)
    if (post === undefined) return
    this.#postCount--
    this.#dropped++
    const { rule, state } = post.message
    this.#logger.error(
      { to: originOf(post.target), rule, state },
      'too many messages of alerts wait: the oldest is dropped',
    )
  }

  #lineOf({ target }: Post): Post[] {
    const key = lineOf(target)
    const line = this.#posts.get(key) ?? []
    this.#posts.set(key, line)
    return line
  }
}

/** Messages to one target are sent one after the other. */
export const lineOf = ({ kind, url, token = '' }: Target): string => `${kind} ${url} ${token}`

/** No part of it has a line feed in it. */
function keyOf(rule: string, { device = '', tags = {} }: Subject): string {
  return [rule, device, ...Object.entries(tags).flat()].join('\n')
}
