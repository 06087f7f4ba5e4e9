/**
 * Owns what is said of each step of one message: received, committed, accounted for, sent live; with its time, and where that is not known
 * any more, with who kept it and for how long. Pure: the same facts, the same words.
 */

import { REPLAYED } from '../../log/entry.ts'
import type { DeadLetter, EntryTime } from '../../log/log.ts'
import { readContext } from '../../maps/sparkplug/context.ts'
import { isForeign, SPARKPLUG } from '../../schemas/content-type.ts'
import { readForeign } from '../../schemas/foreign.ts'
import type { Contents } from '../../schemas/framing.ts'
import { Rejection } from '../../schemas/reading.ts'
import { LIVE_SENDS_KEPT, type LiveFate } from '../live-sends.ts'
import type { Facts } from './facts.ts'
import { mendOfCode } from './mends.ts'
import type { Found } from './trace-search.ts'
import { count, duration, since } from './words.ts'

/** Times in milliseconds since 1970-01-01T00:00Z. */
export interface Step {
  readonly at?: number
  /** After it was received. */
  readonly afterMs?: number
  /** Why the time is not known, or not any more. */
  readonly unknown?: string
  /** All of it in words. */
  readonly text: string
}

export interface Received extends Step {
  readonly topic: string
  /** Another device, that spoke for it. */
  readonly sender?: string
  readonly bytes: number
  readonly framing: string
  readonly schema?: string
  /** The address that the device had connected from by then. */
  readonly from?: string
  /** How many, and the times of the first and the last; absent of what cannot be decoded. */
  readonly readings?: { readonly count: number; readonly first: number; readonly last: number }
}

/** `superseded`: all its readings are stored, and then replaced by others of the same series and time. */
export type OutcomeState = 'stored' | 'superseded' | 'set-aside' | 'pending'

export interface Outcome extends Step {
  readonly state: OutcomeState
  /** What has it, for a person. */
  readonly store?: string
  /** Of what is set aside: the code and the reason, what mends it, and the number of its dead letter while that is held. */
  readonly code?: string
  readonly message?: string
  readonly mend?: string
  readonly letter?: number
  /** Of its readings, those that others have replaced since. */
  readonly replaced?: number
}

export interface LiveStep extends Step {
  /** As `LiveSend`. */
  readonly subscriptions?: number
  readonly reduced?: number
}

const iso = (time: number) => new Date(time).toISOString()

export function committedStep(time: EntryTime, receivedAt: number): Step {
  return timed(time, receivedAt, 'committed to disk', 'committed to disk, for it is in the log')
}

function timed(time: EntryTime, receivedAt: number, what: string, otherwise = what): Step {
  if ('unknown' in time) {
    return { unknown: time.unknown, text: `${otherwise}; when is not known: ${time.unknown}` }
  }
  // Clocks are set back.
  const afterMs = Math.max(0, time.at - receivedAt)
  const after = afterMs < 1 ? 'within a millisecond' : `${duration(afterMs)} after it was received`
  return { at: time.at, afterMs, text: `${what} ${after}` }
}

export function receivedStep(
  { entry, readings }: Found,
  { events }: Pick<Facts, 'events'>,
  contents: Contents,
): Received {
  const { device, stream, receivedAt, payload, framing: number = 0, flags } = entry
  const foreign = isForeign(number) ? readForeign(payload) : undefined
  const published = number === SPARKPLUG && foreign ? readContext(foreign.published)?.published : foreign?.published
  const bytes = (published ?? payload).length
  const framing = String(contents.json.framing)
  const schema = typeof contents.json.schema === 'string' ? contents.json.schema : undefined
  const topic = foreign?.topic ?? `devices/${device}/telemetry/${stream}`
  const sender = foreign?.sender || undefined
  const from = events.findLast(({ kind, firstAt }) => kind === 'connected' && firstAt <= receivedAt)?.from
  const times = readings instanceof Rejection ? [] : readings.map(({ ts }) => ts)
  const span = times.length > 0 && { count: times.length, first: Math.min(...times), last: Math.max(...times) }
  const parts = [
    `received on ${topic}${sender ? `, sent by ${sender}` : ''}${from ? `, from ${from}` : ''}`,
    `${count(bytes, 'byte')} of ${framing}${schema ? ` (${schema})` : ''}`,
    ...(span ? [`${count(span.count, 'reading')} ${spanOf(span)}`] : []),
    ...((flags & REPLAYED) !== 0 ? ['appended again by a replay later'] : []),
  ]
  return {
    at: receivedAt,
    topic,
    ...(sender !== undefined && { sender }),
    bytes,
    framing,
    ...(schema !== undefined && { schema }),
    ...(from !== undefined && { from }),
    ...(span && { readings: span }),
    text: parts.join('; '),
  }
}

const spanOf = ({ first, last }: { readonly first: number; readonly last: number }) =>
  first === last ? `of ${iso(first)}` : `from ${iso(first)} to ${iso(last)}`

/** `letter`: while it is held. `time`: when it was set aside. */
export function setAsideStep({ entry, readings }: Found, letter: DeadLetter | undefined, time: EntryTime): Outcome {
  const step = timed(letter ? { at: letter.setAsideAt } : time, entry.receivedAt, 'set aside')
  const now = readings instanceof Rejection ? readings : undefined
  const { code, reason } = letter ?? now ?? {}
  const mend = code === undefined ? undefined : mendOfCode(code, entry.framing)
  const why = code === undefined ? '' : ` (${code}): ${reason}`
  const where = letter
    ? `it is dead letter ${letter.sequence}`
    : 'its dead letter is held no more: it was replayed, purged, or dropped for room'
  return {
    ...step,
    state: 'set-aside',
    ...(code !== undefined && { code }),
    ...(reason !== undefined && { message: reason }),
    ...(mend !== undefined && { mend }),
    ...(letter && { letter: letter.sequence }),
    text: `${step.text}${why}; ${where}`,
  }
}

/** `isDoubtful`: the device had messages refused by the store whose dead letters are held no more. */
export function storedStep(
  { entry, readings, replaced }: Found,
  { time, store, isDoubtful }: { readonly time: EntryTime; readonly store: string; readonly isDoubtful: boolean },
): Outcome {
  const step = timed(time, entry.receivedAt, `stored (${store})`)
  const all = readings instanceof Rejection ? 0 : readings.length
  const { by } = replaced
  const which =
    replaced.readings < all ? `${replaced.readings} of its readings were` : all === 1 ? 'it was' : 'all were'
  const parts = [
    step.text,
    ...(by
      ? [`${which} replaced by what was received at ${iso(by.receivedAt)}, of the same time with other values`]
      : []),
    ...(isDoubtful
      ? ['unless it is one of those that the store refused, and whose dead letters are held no more']
      : []),
  ]
  return {
    ...step,
    state: by && replaced.readings === all ? 'superseded' : 'stored',
    store,
    ...(replaced.readings > 0 && { replaced: replaced.readings }),
    text: parts.join('; '),
  }
}

/** `before`: entries that ingest has to pass before it. */
export function pendingStep({ platform, now }: Pick<Facts, 'platform' | 'now'>, before: number): Outcome {
  const { storeAway, down } = platform
  const ingest = down.find(({ role }) => role === 'ingest')
  const broker = down.find(({ role }) => role === 'broker')
  const why = ingest
    ? `ingest does not run${ingest.since === undefined ? '' : `, ${since(ingest.since, now)}`}`
    : storeAway
      ? `the store is away ${since(storeAway.since, now)}: ${storeAway.text}`
      : broker
        ? "the platform's broker does not run, nor does ingest, if it is in one process with it"
        : before === 0
          ? 'ingest has it, or takes it next when it runs'
          : `${count(before, 'message')} of the log ${before === 1 ? 'is' : 'are'} before it`
  return { state: 'pending', text: `not stored yet, and not set aside: ${why}; it is kept in the log until then` }
}

export function liveStep(fate: LiveFate | undefined, readings: Found['readings']): LiveStep {
  const unknown = (why: string) => ({
    unknown: why,
    text: `whether it went live to apps is not known: ${why}`,
  })
  if (fate === undefined) return unknown('only a gateway knows, and none was asked')
  if (fate === 'forgotten')
    return unknown(`the gateway keeps it of the last ${LIVE_SENDS_KEPT} messages since its start`)
  if (fate === 'to-come') return { subscriptions: 0, text: 'not sent live yet: the gateway has not come to it' }
  if (fate === 'unsent') {
    const why =
      readings instanceof Rejection
        ? 'there was nothing in it to send'
        : 'it could not be read then, or had been sent before'
    return { subscriptions: 0, text: `not sent live: ${why}` }
  }
  const { at, subscriptions, reduced } = fate
  const rates =
    reduced > 0
      ? `, and became part of what ${count(reduced, 'subscription')} with a rate ${reduced === 1 ? 'is' : 'are'} sent`
      : ''
  const text =
    subscriptions === 0 && reduced === 0
      ? 'sent live to no app: no live subscription selected it then'
      : `sent live to ${count(subscriptions, 'subscription')} of apps${rates}`
  return { at, subscriptions, reduced, text }
}
