/**
 * Owns the answer to "what became of this message": its messages by a time, each with its steps, and a sentence first.
 *
 * Always true: what is said of the log is true of a moment after the question; nothing is left out for want of a time. Without a
 * gateway (a command beside a platform that is down) nothing is known of apps. Bound: that of the search.
 */

import type { DeadLetterPlace } from '../../log/dead-letter-place.ts'
import { SET_ASIDE } from '../../log/entry.ts'
import { type DeadLetter, type DeadLetterBox, type EntryTime, INGEST_READER, type Shard } from '../../log/log.ts'
import type { Offset } from '../../log/position.ts'
import type { Decoder } from '../../schemas/decoder.ts'
import { type Reading, Rejection } from '../../schemas/reading.ts'
import type { LiveFate } from '../live-sends.ts'
import type { Facts } from './facts.ts'
import { type Found, type Match, searchLog, TRACE_AROUND_MS } from './trace-search.ts'
import {
  committedStep,
  type LiveStep,
  liveStep,
  type Outcome,
  pendingStep,
  type Received,
  receivedStep,
  type Step,
  setAsideStep,
  storedStep,
} from './trace-steps.ts'
import { count, duration } from './words.ts'

/** Of 1,000 letters each: 5 ms. */
const LETTER_LOOKS_MAX = 10
/** Received in one millisecond. */
const LETTERS_MAX = 100

export interface TracedMessage {
  readonly stream: string
  /** Its place in the log. */
  readonly shard: number
  readonly offset: number
  /** What of it is the time, or nearest to it. */
  readonly matched: readonly Match[]
  /** How much later than the time that is, milliseconds; absent of an exact one. */
  readonly offMs?: number
  readonly received: Received
  readonly committed: Step
  readonly outcome: Outcome
  readonly live: LiveStep
}

/** Times in milliseconds since 1970-01-01T00:00Z. */
export interface Trace {
  readonly device: string
  readonly at: number
  readonly sentence: string
  /** In the order they were received. */
  readonly messages: readonly TracedMessage[]
  /** So many more are exact. */
  readonly more?: number
}

type TracedShard = Pick<Shard, 'first' | 'read' | 'at' | 'timesOf' | 'checkpoint' | 'undecoded'>

export interface TraceDependencies {
  readonly log: Pick<DeadLetterBox, 'lookBack' | 'deadLetterCounts'> & { readonly shards: readonly TracedShard[] }
  readonly decoder: Pick<Decoder, 'decode' | 'show'>
  /** Equal for two readings exactly when they are of one series. */
  readonly seriesOf: (reading: Reading) => string
  /** What the store is and where, for a person. */
  readonly store: string
  /** What apps have had of an entry; undefined where no gateway is to be asked. */
  readonly fateOf: ((shard: number, offset: Offset) => LiveFate) | undefined
}

export interface TraceQuery {
  readonly at: number
  readonly maySee: (stream: string) => boolean
}

export async function traceOf(
  facts: Facts,
  { at, maySee }: TraceQuery,
  dependencies: TraceDependencies,
): Promise<Trace> {
  const { device, now, clockOffsetMs } = facts
  const { log, decoder, seriesOf } = dependencies
  const search = await searchLog({ device, at, now, maySee, clockOffsetMs }, { shards: log.shards, decoder, seriesOf })
  const messages: TracedMessage[] = []
  for (const found of search.messages) {
    messages.push(await tracedOf(found, facts, await letterOf(found, log), dependencies))
  }
  const { more, logFrom, lookedUntil } = search
  const bounds = boundsOf(at, messages, { logFrom, lookedUntil })
  return {
    device,
    at,
    sentence: [headOf(device, at, messages, more), ...bounds].join('; '),
    messages,
    ...(more > 0 && { more }),
  }
}

/** Its dead letter, if that is held, and among the newest of its device that `LETTER_LOOKS_MAX` looks go through. */
async function letterOf({ entry }: Found, log: Pick<DeadLetterBox, 'lookBack'>): Promise<DeadLetter | undefined> {
  const { device, stream, offset, receivedAt } = entry
  // Offsets alone may be those of a log that is no more.
  const filter = { device, stream, since: receivedAt, until: receivedAt + 1 }
  let before: DeadLetterPlace | undefined
  for (let looks = 0; looks < LETTER_LOOKS_MAX; looks++) {
    const { found, next } = await log.lookBack({
      ...filter,
      ...(before !== undefined && { before }),
      limit: LETTERS_MAX,
    })
    const letter = found.find((each) => each.offset === offset)
    if (letter !== undefined || next === undefined) return letter
    before = next
  }
  return undefined
}

async function tracedOf(
  found: Found,
  facts: Facts,
  letter: DeadLetter | undefined,
  dependencies: TraceDependencies,
): Promise<TracedMessage> {
  const { shard: index, entry, readings, matched, offMs } = found
  const { log, decoder, fateOf } = dependencies
  const shard = log.shards[index] as TracedShard
  const { committed, accounted } = await shard.timesOf(entry.offset)
  return {
    stream: entry.stream,
    shard: index,
    offset: entry.offset,
    matched,
    ...(offMs !== undefined && { offMs }),
    received: receivedStep(found, facts, decoder.show(entry)),
    committed: committedStep(committed, entry.receivedAt),
    outcome: await outcomeOf(found, { facts, letter, accounted, shard }, dependencies),
    live: liveStep(fateOf?.(index, entry.offset), readings),
  }
}

interface Known {
  readonly facts: Facts
  readonly letter: DeadLetter | undefined
  readonly accounted: EntryTime | undefined
  readonly shard: TracedShard
}

const WITH_ITS_LETTER: EntryTime = { unknown: 'its dead letter has the time, and is held no more' }

async function outcomeOf(
  found: Found,
  { facts, letter, accounted, shard }: Known,
  { log, store }: TraceDependencies,
): Promise<Outcome> {
  const { entry, readings } = found
  const { offset, flags } = entry
  const isEarly = (flags & SET_ASIDE) !== 0
  if (letter !== undefined || isEarly) return setAsideStep(found, letter, WITH_ITS_LETTER)
  if (accounted === undefined) {
    const checkpoint = (await shard.checkpoint(INGEST_READER)) ?? (await shard.first())
    return pendingStep(facts, Math.max(0, offset - checkpoint))
  }
  const isUndecoded = (await shard.undecoded(offset, (offset + 1) as Offset)).has(offset)
  if (isUndecoded || readings instanceof Rejection) return setAsideStep(found, undefined, accounted)
  const refused = facts.receipts?.deadLetters.find(({ code }) => code === 'store-rejected')
  const { expired } = refused === undefined ? { expired: 0 } : await log.deadLetterCounts()
  const isDoubtful = refused !== undefined && (refused.held < refused.count || expired > 0)
  return storedStep(found, { time: accounted, store, isDoubtful })
}

const iso = (time: number) => new Date(time).toISOString()

function headOf(device: string, at: number, messages: readonly TracedMessage[], more: number): string {
  const [first] = messages
  if (first === undefined) {
    const around = duration(TRACE_AROUND_MS)
    return `nothing of ${device} was received within ${around} of ${iso(at)}, nor is there a reading of that time`
  }
  if (first.offMs !== undefined) {
    const nearest = messages.map(
      ({ offMs = 0, matched, ...message }) => `${distanceOf(offMs, matched)}: it ${endOf(message)}`,
    )
    return `no message of ${device} is exactly of ${iso(at)}; the nearest ${nearest.join('; ')}`
  }
  if (messages.length === 1) {
    return `the message of ${device} (${first.stream}) ${matchOf(first, at)} ${endOf(first)}`
  }
  const listed = more > 0 ? `, of which ${messages.length} are listed` : ''
  return `${count(messages.length + more, 'message')} of ${device} are of ${askedOf(at)}${listed}: ${statesOf(messages)}`
}

/** Its own time: who names a second means all of it. */
function matchOf({ matched, received }: TracedMessage, at: number): string {
  if (matched.includes('received')) return `received at ${iso(received.at ?? at)}`
  const { count: readings, first = at } = received.readings ?? { count: 0 }
  return `with a reading of ${readings === 1 ? iso(first) : askedOf(at)}`
}

/** A whole second without its milliseconds. */
const askedOf = (at: number) => iso(at).replace('.000Z', 'Z')

function distanceOf(offMs: number, matched: readonly Match[]): string {
  const away = `${duration(Math.abs(offMs))} ${offMs > 0 ? 'later' : 'before'}`
  return matched.includes('received') ? `was received ${away}` : `has a reading ${away}`
}

const ENDS = {
  stored: 'is stored',
  superseded: 'was stored, and then replaced',
  'set-aside': 'was set aside',
  pending: 'is not stored yet',
} as const

function endOf({ outcome, live }: Pick<TracedMessage, 'outcome' | 'live'>): string {
  const { state, afterMs, code } = outcome
  const when = afterMs === undefined || state === 'pending' ? '' : `, ${duration(afterMs)} after it was received`
  const { subscriptions, reduced = 0 } = live
  const apps = subscriptions === undefined ? '' : `, and went live to ${count(subscriptions + reduced, 'subscription')}`
  return `${ENDS[state]}${code === undefined ? '' : ` (${code})`}${when}${apps}`
}

function statesOf(messages: readonly TracedMessage[]): string {
  const counts = new Map<string, number>()
  for (const { outcome } of messages) counts.set(outcome.state, (counts.get(outcome.state) ?? 0) + 1)
  return [...counts].map(([state, number]) => `${number} ${state}`).join(', ')
}

/** What the search did not reach, where that may be why nothing exact was found. */
function boundsOf(
  at: number,
  messages: readonly TracedMessage[],
  { logFrom, lookedUntil }: { readonly logFrom: number | undefined; readonly lookedUntil: number | undefined },
): string[] {
  if (messages.some(({ offMs }) => offMs === undefined)) return []
  return [
    ...(logFrom === undefined ? ['the log is empty'] : []),
    ...(logFrom !== undefined && at < logFrom
      ? [
          `the log reaches back to ${iso(logFrom)} (TELLTALE_LOG_RETENTION): of what may have come before it has nothing`,
        ]
      : []),
    ...(lookedUntil !== undefined
      ? [`a message received after ${iso(lookedUntil)} may have a reading of that time: so far was looked`]
      : []),
  ]
}
