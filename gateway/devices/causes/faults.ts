/**
 * Owns the faults of a device that several causes look at: the newest of a kind, whether it is all that came, whether it goes on or is over.
 * Always true: none is a cause by itself; a cause says when it is.
 */

import { type Facts, silentAfterMs } from '../facts.ts'

/** What happened so lately is going on, where a device sends and its interval does not say more. */
export const RECENT_MS = 10 * 60_000

/** Takeovers so many within `RECENT_MS` are no reconnects. */
export const TAKEOVERS_MIN = 3

export function takeoversSince(events: Facts['events'], from: number): number {
  const takeovers = events.filter(({ code, at }) => code === 'taken-over' && at >= from)
  return takeovers.reduce((sum, { firstAt, count: times }) => sum + (firstAt < from ? 1 : times), 0)
}

/** What waited for its device's rate when the connection ended is told of the rate. */
const DROPS: ReadonlySet<string> = new Set(['publish-forbidden', 'payload-too-large'])

export const newestDrop = ({ events }: Facts) =>
  events.findLast(({ kind, code }) => kind === 'dropped' && DROPS.has(code))

/** Nothing that is stored came after it. Of the past no more may be known than what came in the same hour. */
export function isAll({ receipts, hours, isPast }: Facts, at: number): boolean {
  const { lastStoredAt = 0 } = receipts ?? {}
  if (isPast && at === lastStoredAt) return hours.findLast(({ setAside }) => setAside > 0)?.stored === 0
  return at >= lastStoredAt
}

/** What was replayed or purged is mended. */
export const newestHeld = ({ receipts }: Facts) => receipts?.deadLetters.findLast(({ held }) => held > 0)

/** It was so on a connection before the one that it has: whatever was mended was so then. */
export function isOver({ online, events, receipts }: Facts, at: number): boolean {
  const connected = events.findLast(({ kind }) => kind === 'connected')
  if (connected === undefined || at >= connected.at) return false
  return online || (receipts?.lastStoredAt ?? 0) >= connected.at
}

export const recentMs = (facts: Facts) => Math.max(RECENT_MS, silentAfterMs(facts))
