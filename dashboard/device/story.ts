/**
 * Owns the story of a device: what is known of it, put in the order of time, as spans and marks on a line and as lines of text. Pure.
 *
 * Bound: what the gateway keeps of a device; `LINES_MAX` lines.
 */

import type { DeadLettersOfCode, DeviceRecord, HourOfDevice, JournalEvent, Why } from '../answers.ts'
import { duration } from '../duration.ts'
import { lookOf } from '../states.ts'
import { counted } from '../values.ts'
import type { Span } from './range.ts'

const HOUR_MS = 3_600_000
/** The gateway keeps so many events: what was before the first of them nobody knows. */
const EVENTS_KEPT = 32
const LINES_MAX = 100
/** An hour with fewer of its messages is told. */
const COMPLETE = 0.98

export type Lane = 'connected' | 'refused' | 'dropped' | 'slowed' | 'dead' | 'missing' | 'platform'

export const LANES: Readonly<Record<Lane, { readonly label: string; readonly tone: string }>> = {
  connected: { label: 'Connected', tone: 'good' },
  refused: { label: 'Refused', tone: 'bad' },
  dropped: { label: 'Dropped', tone: 'bad' },
  slowed: { label: 'Slowed', tone: 'warn' },
  dead: { label: lookOf('dead-lettering').label, tone: 'bad' },
  missing: { label: 'Incomplete', tone: 'warn' },
  platform: { label: 'Platform', tone: 'idle' },
}

/** From `from` to `to`; a mark where these are one. */
export interface Piece extends Span {
  readonly lane: Lane
  readonly text: string
  /** Where another took its place. */
  readonly isTakeover?: true
}

export interface Line {
  readonly at: number
  readonly tone: string
  /** A word for the kind. */
  readonly kind: string
  readonly text: string
}

export interface Story {
  readonly pieces: readonly Piece[]
  /** The newest first. */
  readonly lines: readonly Line[]
  /** Of what was before it the connections are not known. */
  readonly knownFrom?: number
}

export function storyOf(record: DeviceRecord, evidence: Why['evidence'], now: number): Story {
  const { events, hours, deadLetters } = record
  const first = events[0]
  const pieces = [
    ...connectionsOf(record, now),
    ...events.flatMap(marksOf),
    ...deadLetters.map(
      (each): Piece => ({
        lane: 'dead',
        from: each.firstAt,
        to: each.lastAt,
        text: lettersText(each),
      }),
    ),
    ...hours.filter(isMissing).map(
      (hour): Piece => ({
        lane: 'missing',
        from: hour.from,
        to: Math.min(now, hour.from + HOUR_MS),
        text: missingText(hour),
      }),
    ),
    ...platformEvents(record, evidence).map(({ at, text }): Piece => ({ lane: 'platform', from: at, to: at, text })),
  ]
  const lines = [
    ...events.map(lineOf),
    ...deadLetters.map(
      (each): Line => ({
        at: each.lastAt,
        tone: each.held > 0 ? 'bad' : 'idle',
        kind: each.held > 0 ? 'Set aside' : 'Was set aside',
        text: lettersText(each),
      }),
    ),
    ...hours
      .filter(isMissing)
      .map((hour): Line => ({ at: hour.from, tone: 'warn', kind: 'Incomplete', text: missingText(hour) })),
    ...platformEvents(record, evidence).map(({ at, text }): Line => ({ at, tone: 'idle', kind: 'Platform', text })),
  ]
  return {
    pieces,
    lines: lines.toSorted((a, b) => b.at - a.at).slice(0, LINES_MAX),
    ...(events.length >= EVENTS_KEPT && first && { knownFrom: first.firstAt }),
  }
}

/** How many were set aside, and of how many that is so still. */
export function amountOf({ count, held }: Pick<DeadLettersOfCode, 'count' | 'held'>): string {
  const all = counted(count, 'message')
  if (held === 0) return `${all}, all replayed or purged since`
  return held === count ? all : `${all} (${held} held)`
}

/** They may be of several streams: only of the newest it is said which. */
export function newestOf({ count, held, stream }: Pick<DeadLettersOfCode, 'count' | 'held' | 'stream'>): string {
  return `the newest${held > 0 && held < count ? ' held' : ''}${stream && ` of ${stream}`}`
}

const lettersText = (letters: DeadLettersOfCode) =>
  `${letters.code}, ${amountOf(letters)}; ${newestOf(letters)}: ${letters.reason}`

/** Of a span, as far as it lies in it. */
export const within = (lines: readonly Line[], { from, to }: Span): Line[] =>
  lines.filter(({ at }) => at >= from && at <= to)

function connectionsOf({ events, online, since }: DeviceRecord, now: number): Piece[] {
  const pieces: Piece[] = []
  let [from, text] = [undefined as number | undefined, '']
  const end = (to: number, why: string) => {
    if (from !== undefined) pieces.push({ lane: 'connected', from, to, text: `${text} ${why}`.trim() })
    from = undefined
  }
  for (const event of events) {
    if (event.kind === 'connected') {
      end(event.firstAt, '')
      from = event.firstAt
      text = `${event.text}${event.from ? `, from ${event.from}` : ''}`
    } else if (event.kind === 'disconnected') {
      end(event.at, `until ${event.text}`)
    }
  }
  if (online && from === undefined) from = since
  end(online ? now : (since ?? now), '')
  return pieces
}

function marksOf({ kind, code, text, firstAt, at, count }: JournalEvent): Piece[] {
  const said = `${text}${often(count, at - firstAt)}`
  if (code === 'taken-over') return [{ lane: 'connected', from: at, to: at, text: said, isTakeover: true }]
  if (kind === 'refused') return [{ lane: 'refused', from: firstAt, to: at, text: said }]
  if (kind === 'dropped' || kind === 'slowed') return [{ lane: kind, from: firstAt, to: at, text: said }]
  if (kind === 'began' || kind === 'ended') return [{ lane: 'platform', from: firstAt, to: at, text: said }]
  return []
}

const KINDS: Readonly<Record<JournalEvent['kind'], Omit<Line, 'at' | 'text'>>> = {
  connected: { tone: 'good', kind: 'Connected' },
  disconnected: { tone: 'idle', kind: 'Disconnected' },
  bridged: { tone: 'idle', kind: 'Bridged' },
  refused: { tone: 'bad', kind: 'Refused' },
  dropped: { tone: 'bad', kind: 'Dropped' },
  slowed: { tone: 'warn', kind: 'Slowed' },
  began: { tone: 'idle', kind: 'Platform' },
  ended: { tone: 'idle', kind: 'Platform' },
}

function lineOf({ kind, code, text, from, firstAt, at, count }: JournalEvent): Line {
  const look = code === 'taken-over' ? { tone: 'warn', kind: 'Taken over' } : KINDS[kind]
  return { ...look, at, text: `${text}${from ? `, from ${from}` : ''}${often(count, at - firstAt)}` }
}

const often = (count: number, ms: number): string =>
  count > 1 ? ` (${counted(count, 'time')} within ${duration(Math.max(1, ms))})` : ''

const isMissing = ({ completeness = 1 }: HourOfDevice) => completeness < COMPLETE

const missingText = ({ received, expected = 0, completeness = 1 }: HourOfDevice): string =>
  `only ${received} of ${Math.round(expected)} messages came in the hour (${Math.floor(completeness * 100)} %)`

/** The answer knows of the platform's troubles; all else that shows it is of the device, and in its record. */
function platformEvents({ events, deadLetters, heardAt, lastStoredAt }: DeviceRecord, evidence: Why['evidence']) {
  const own = new Set([
    ...events.map(({ at }) => at),
    ...deadLetters.map(({ lastAt }) => lastAt),
    heardAt,
    lastStoredAt,
  ])
  return evidence.filter(({ at, text }) => !own.has(at) && !OF_DEVICE.test(text))
}

/** The record is asked for at another moment than the answer. */
const OF_DEVICE =
  /^(its last|the newest message|(was )?set aside|connected|disconnected|not let in|a message was|read from|another )/
