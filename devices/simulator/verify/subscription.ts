/**
 * Owns what a subscriber got of a run at a broker of whatever make (`live.tsv`), message by message: how often, in which order, how late. Messages
 * are compared by their bytes, so that it needs no schema, and knows what cannot be read as well.
 *
 * Always true: what is promised is counted before what is not, where two messages of one topic are of the same bytes; a message that says of
 * itself that it may have come before (DUP) is no double. Bound: some 100 bytes a message.
 */

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { FORGOTTEN } from '../run/live-log.ts'
import { endsWhole } from './live-look.ts'
import { Numbers } from './numbers.ts'
import type { Sent } from './sent.ts'

const MESSAGE_FIELDS = 5
const QOS_COUNT = 3
const NONE = -1

/** Messages by their numbers. */
export interface SubscriptionAccount {
  /** Promised, and came with the bytes that were sent. */
  came: number
  /** Not promised, and came all the same: of QoS 0, and of those that nobody acknowledged. */
  readonly cameQos0: number
  readonly cameUnacknowledged: number
  readonly lost: readonly number[]
  readonly altered: readonly number[]
  readonly duplicated: readonly number[]
  /** They are on the fleet's topics, and were never sent. */
  readonly invented: number
}

export class Subscription {
  readonly #sent: Sent
  readonly #lateMs: number
  /** Of topic and bytes, the first message that has them. */
  readonly #firsts = new Map<string, number>()
  /** Of each message, the first with the same topic and bytes. */
  readonly #firstOf = new Numbers(Uint32Array)
  /** At the first: how many messages have these bytes, how many came, and of these how many said DUP. */
  readonly #same: Uint32Array
  readonly #came: Uint32Array
  readonly #again: Uint32Array
  /** By topic: came with bytes that were never sent. */
  readonly #strange = new Map<number, number>()
  /** By topic and QoS: the last message that came. */
  readonly #last = new Map<number, number>()
  /** Of two, the one that was sent first came last. */
  readonly swapped: { readonly earlier: number; readonly later: number }[] = []
  readonly late: number[] = []
  lateMsMax = 0
  /** When the subscriber was cut off, and how often the broker had forgotten it when it came back. */
  readonly #gapsAt: number[] = []
  forgotten = 0
  endedAt = 0

  constructor({ sent, lateMs }: { readonly sent: Sent; readonly lateMs: number }) {
    this.#sent = sent
    this.#lateMs = lateMs
    this.#same = new Uint32Array(sent.messages)
    this.#came = new Uint32Array(sent.messages)
    this.#again = new Uint32Array(sent.messages)
    for (let message = 0; message < sent.messages; message++) {
      const key = keyOf(sent.topic(message), sent.payloadHash(message))
      const first = this.#firsts.get(key) ?? message
      if (first === message) this.#firsts.set(key, message)
      this.#firstOf.push(first)
      increment(this.#same, first)
    }
  }

  static async read(path: string, about: { readonly sent: Sent; readonly lateMs: number }): Promise<Subscription> {
    const subscription = new Subscription(about)
    const isWhole = endsWhole(path)
    let line: string | undefined
    for await (const next of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line !== undefined) subscription.#takeText(line)
      line = next
    }
    if (line !== undefined && isWhole) subscription.#takeText(line)
    return subscription
  }

  get gaps(): number {
    return this.#gapsAt.length
  }

  #takeText(line: string): void {
    const fields = line.split('\t')
    const [kind = '', at = '', third = '', fourth = '', fifth = ''] = fields
    if (kind === 'gap') this.#gap(Number(at), fourth)
    else if (kind === 'message' && fields.length === MESSAGE_FIELDS)
      this.take({ at: Number(at), topic: third, hash: fourth, isAgain: fifth === 'dup' })
  }

  #gap(at: number, reason: string): void {
    this.endedAt = Math.max(this.endedAt, at)
    if (reason === FORGOTTEN) this.forgotten++
    else this.#gapsAt.push(at)
  }

  take({ at, topic: topicName, hash, isAgain }: Came): void {
    this.endedAt = Math.max(this.endedAt, at)
    const topic = this.#sent.topics.find(topicName)
    if (topic === undefined) return
    const first = this.#firsts.get(keyOf(topic, hash))
    if (first === undefined) {
      this.#strange.set(topic, (this.#strange.get(topic) ?? 0) + 1)
      return
    }
    increment(this.#came, first)
    if (isAgain) increment(this.#again, first)
    const isOnce = this.#same[first] === 1 && this.#came[first] === 1 && this.#sent.times(first) === 1
    if (isAgain || !isOnce) return
    this.#noteOrder(first)
    this.#noteLateness(first, at)
  }

  /** MQTT promises order to messages of one topic and QoS that are sent once (MQTT 3.1.1, section 4.6). */
  #noteOrder(message: number): void {
    const key = this.#sent.topic(message) * QOS_COUNT + this.#sent.qos(message)
    const last = this.#last.get(key) ?? NONE
    if (message < last) this.swapped.push({ earlier: message, later: last })
    else this.#last.set(key, message)
  }

  #noteLateness(message: number, at: number): void {
    const { acknowledgedAt, sentAt, isAcknowledged, outages } = this.#sent
    const since = isAcknowledged(message) ? acknowledgedAt(message) : sentAt(message)
    if (at - since <= this.#lateMs || outages.overlap(sentAt(message), at)) return
    if (this.#gapsAt.some((gapAt) => gapAt <= at && gapAt >= sentAt(message) - this.#lateMs)) return
    this.late.push(message)
    this.lateMsMax = Math.max(this.lateMsMax, at - since)
  }

  /** `isDue`: whether the broker had promised the message, and it is to have come; `isCounted`: of QoS 0, whether anybody was subscribed. */
  account(
    isDue: (message: number) => boolean,
    isCounted: (message: number) => boolean = () => true,
  ): SubscriptionAccount {
    const sent = this.#sent
    const left = this.#came.slice()
    const takes = (message: number): boolean => {
      const first = this.#firstOf.at(message)
      const count = left[first] as number
      if (count > 0) left[first] = count - 1
      return count > 0
    }
    const missing: number[] = []
    let came = 0
    for (let message = 0; message < sent.messages; message++) {
      if (!isDue(message)) continue
      if (takes(message)) came++
      else missing.push(message)
    }
    const strange = new Map(this.#strange)
    const isAltered = (message: number): boolean => {
      const count = strange.get(sent.topic(message)) ?? 0
      if (count > 0) strange.set(sent.topic(message), count - 1)
      return count > 0
    }
    const altered = missing.filter(isAltered)
    const isNot = new Set(altered)
    const unpromised = { qos0: 0, unacknowledged: 0 }
    for (let message = 0; message < sent.messages; message++) {
      if (isDue(message)) continue
      if (!takes(message)) isAltered(message)
      else if (sent.qos(message) === 0) unpromised.qos0 += isCounted(message) ? 1 : 0
      else unpromised.unacknowledged++
    }
    return {
      came,
      cameQos0: unpromised.qos0,
      cameUnacknowledged: unpromised.unacknowledged,
      lost: missing.filter((message) => !isNot.has(message)),
      altered,
      duplicated: this.#duplicated(),
      invented: [...strange.values()].reduce((sum, count) => sum + count, 0),
    }
  }

  /** A message may come as often as it was sent; one of QoS 2 once, but by a broker that was away. */
  #duplicated(): number[] {
    const most = new Uint32Array(this.#sent.messages)
    for (let message = 0; message < most.length; message++) {
      const first = this.#firstOf.at(message)
      most[first] = (most[first] as number) + timesAtMost(this.#sent, message)
    }
    const duplicated: number[] = []
    for (let first = 0; first < most.length; first++) {
      for (let more = (this.#came[first] ?? 0) - (this.#again[first] ?? 0) - (most[first] ?? 0); more > 0; more--)
        duplicated.push(first)
    }
    return duplicated
  }
}

export interface Came {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly topic: string
  readonly hash: string
  /** With DUP. */
  readonly isAgain: boolean
}

const EXACTLY_ONCE = 2

function timesAtMost(sent: Sent, message: number): number {
  if (sent.qos(message) !== EXACTLY_ONCE) return sent.times(message)
  const until = sent.isAcknowledged(message) ? sent.acknowledgedAt(message) : Number.POSITIVE_INFINITY
  return sent.outages.overlap(sent.sentAt(message), until) ? sent.times(message) : 1
}

const keyOf = (topic: number, hash: string): string => `${topic} ${hash}`

function increment(column: Uint32Array, index: number): void {
  column[index] = (column[index] as number) + 1
}
