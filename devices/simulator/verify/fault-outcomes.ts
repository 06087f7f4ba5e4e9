/**
 * Owns what became of the messages of each fault: how many of them became what they were to become, stored with what they say, superseded, set
 * aside with their code, or dropped. Always true: one that was not acknowledged may have become nothing, and is wrong only if it became
 * something else. Bound: a number for each message that is wrong.
 */

import type { FaultOutcome } from '../report/summary.ts'
import type { Matched } from './letters.ts'
import type { Reconciled } from './reconcile.ts'
import type { Sent } from './sent.ts'

interface Compared {
  readonly sent: Sent
  readonly matched: Pick<Matched, 'setAside' | 'amiss' | 'unheld'>
  readonly reconciled: Pick<Reconciled, 'missing' | 'altered' | 'stale' | 'twice' | 'forbidden'>
}

/** Of the faults that made messages what they are, by their number. */
export function outcomesOf(compared: Compared): FaultOutcome[] {
  const { sent } = compared
  const wrong = wrongMessages(compared)
  const outcomes = new Map<number, { number: number; messages: number; asExpected: number }>()
  for (let message = 0; message < sent.messages; message++) {
    const number = sent.faultNumber(message)
    if (number === undefined) continue
    const outcome = outcomes.get(number) ?? { number, messages: 0, asExpected: 0 }
    outcomes.set(number, outcome)
    outcome.messages++
    if (!wrong.has(message)) outcome.asExpected++
  }
  return [...outcomes.values()].sort((one, other) => one.number - other.number)
}

function wrongMessages({ sent, matched, reconciled }: Compared): ReadonlySet<number> {
  const wrong = new Set<number>()
  for (const messages of [matched.setAside, matched.amiss, matched.unheld]) {
    for (const message of messages) wrong.add(message)
  }
  const { missing, altered, stale, twice, forbidden } = reconciled
  for (const rows of [missing, altered, stale, twice, forbidden]) {
    for (const row of rows) wrong.add(sent.messageOf(row))
  }
  return wrong
}
