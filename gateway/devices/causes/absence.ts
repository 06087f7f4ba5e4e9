/**
 * Owns whether a device has gone or fallen silent, and how that is said of what it did before. Always true: one that is connected has not
 * gone, however long it is silent.
 */

import { type Facts, silentAfterMs } from '../facts.ts'
import { recentMs } from './faults.ts'

export const endOf = ({ events }: Facts) => events.findLast(({ kind }) => kind === 'disconnected')

export const isQuiet = (facts: Facts) => facts.heardAt === undefined || facts.now - facts.heardAt > silentAfterMs(facts)

/** Who says goodbye may come and go for each message. */
export function hasGone(facts: Facts): boolean {
  const end = endOf(facts)
  const isCutOff = end !== undefined && end.code !== 'left'
  return !facts.online && (isCutOff || facts.edgeNode !== undefined || isQuiet(facts))
}

/** It was here, and is not. */
const hasEnded = (facts: Facts) => !facts.online && (facts.since !== undefined || endOf(facts) !== undefined)

/** Undefined while it sends. `at`: when it last sent something that was not taken. */
export function beforeEnd(facts: Facts, at = 0): string | undefined {
  if (!hasEnded(facts)) return isLongSilent(facts, at) ? 'before it fell silent' : undefined
  if (facts.edgeNode !== undefined) return 'before it was offline'
  return endOf(facts)?.code === 'left' ? 'before it left' : 'before its connection ended'
}

export const isLongSilent = (facts: Facts, at = 0) => facts.now - Math.max(at, facts.heardAt ?? 0) > recentMs(facts)
