/** Owns what shows why a device's data is missing: what happened to it, a line each. Bound: `EVIDENCE_MAX` lines. */

import type { JournalEvent } from '../../log/journal.ts'
import type { DeadLettersOfCode } from '../../log/log.ts'
import type { Facts } from './facts.ts'
import { count, duration } from './words.ts'

const EVIDENCE_MAX = 8
/** Codes of dead letters. */
const LETTERS_MAX = 3

export interface Evidence {
  /** Milliseconds since 1970-01-01T00:00Z. */
  readonly at: number
  readonly text: string
}

/** What happened to it last, whatever the cause. What came last is left out where only its hour is known. */
export function storyOf({ events, receipts, heardAt, now, inHour = [] }: Facts): Evidence[] {
  const lines = events.map((event) => ({ at: event.at, text: lineOf(event) }))
  // What is held is told rather than what is mended.
  for (const letters of receipts?.deadLetters.toSorted(byHeld).slice(-LETTERS_MAX) ?? [])
    lines.push({ at: letters.lastAt, text: lineOfLetters(letters) })
  if (heardAt !== undefined && heardAt <= now && !inHour.includes('heardAt'))
    lines.push({ at: heardAt, text: 'its last message was received' })
  const isStoredKnown = receipts?.lastStoredAt !== undefined && !inHour.includes('lastStoredAt')
  if (isStoredKnown && receipts.lastStoredAt !== heardAt) {
    lines.push({ at: receipts.lastStoredAt, text: 'the newest message that is stored was received' })
  }
  return lines
}

const VERBS: Readonly<Record<string, string>> = {
  connected: 'connected',
  disconnected: 'disconnected',
  refused: 'not let in',
  dropped: 'a message was dropped',
  slowed: 'read from more slowly',
  'sent-by-another': 'another sent in its name',
  'used-by-another': 'another used its token',
}

function lineOf({ kind, code, text, from, count: times, firstAt, at }: JournalEvent): string {
  const verb = VERBS[code] ?? VERBS[kind] ?? kind
  const where = from ? ` from ${from}` : ''
  const often = times > 1 ? ` (${times} times within ${duration(at - firstAt)})` : ''
  return `${verb}${where}: ${text}${often}`
}

function lineOfLetters({ code, count: messages, held, firstAt, reason, stream }: DeadLettersOfCode): string {
  const first = new Date(firstAt).toISOString()
  const isPast = held === 0
  const some = !isPast && held < messages
  const verb = isPast ? 'was set aside' : 'set aside'
  const amount = `${count(messages, 'message')}${some ? ` (${held} held)` : ''} since ${first}`
  const mended = isPast ? ', all replayed or purged meanwhile' : ''
  const newest = `the newest${some ? ' held' : ''}${stream && ` of ${stream}`}`
  return `${verb} (${code}), ${newest}: ${reason}; ${amount}${mended}`
}

const byHeld = (one: DeadLettersOfCode, other: DeadLettersOfCode) => Math.sign(one.held) - Math.sign(other.held)

/** The newest of them, oldest first. */
export function sorted(evidence: readonly Evidence[]): Evidence[] {
  return evidence.toSorted((a, b) => a.at - b.at).slice(-EVIDENCE_MAX)
}
