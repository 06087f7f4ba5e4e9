/**
 * Owns the causes that lie in a device's times: its clock is off, several readings have the same time, or messages come faster than they
 * may. Always true: what such a device sends comes and is taken, so these are looked at last.
 */

import type { Facts } from '../facts.ts'
import { mendOf } from '../mends.ts'
import { count, duration, since } from '../words.ts'
import { beforeEnd } from './absence.ts'
import type { Found } from './cause.ts'
import { isOver, RECENT_MS, recentMs } from './faults.ts'

/** A clock that is off by less is not told. */
export const CLOCK_OFFSET_MS_MIN = 60_000

/** The parameter of history with which its readings of the last minutes are found. */
function wideEnough(now: number, clockOffsetMs: number): string {
  const time = (ms: number) => new Date(ms).toISOString().replace(/:\d\d\.\d+Z$/, 'Z')
  const readingsAt = now - clockOffsetMs
  return clockOffsetMs < 0 ? `to=${time(readingsAt + RECENT_MS)}` : `from=${time(readingsAt - RECENT_MS)}`
}

export function clock({ device, now, clockOffsetMs = 0 }: Facts): Found | undefined {
  if (Math.abs(clockOffsetMs) <= CLOCK_OFFSET_MS_MIN) return undefined
  const isAhead = clockOffsetMs < 0
  const off = duration(Math.abs(clockOffsetMs))
  return {
    cause: isAhead ? 'clock-ahead' : 'clock-behind',
    sentence: `the clock of ${device} is ${off} ${isAhead ? 'ahead' : 'behind'}: its readings are stored with times that are ${off} too ${isAhead ? 'late' : 'early'}`,
    mend: `${mendOf(isAhead ? 'clock-ahead' : 'clock-behind')}, such as ${wideEnough(now, clockOffsetMs)}`,
  }
}

export function repeats(facts: Facts): Found | undefined {
  const { device, now, receipts } = facts
  if (receipts?.supersededAt === undefined || isOver(facts, receipts.supersededAt)) return undefined
  const { superseded, supersededAt, readings, lastStoredAt = 0 } = receipts
  // It goes on, and well.
  if (supersededAt < lastStoredAt && now - supersededAt > recentMs(facts)) return undefined
  const before = beforeEnd(facts)
  const gives =
    before === undefined ? 'gives several readings the same time' : `gave several readings the same time ${before}`
  return {
    cause: 'repeats-times',
    sentence: `${device} ${gives}; only the last of each time is kept: ${superseded} of ${count(readings, 'reading')} were replaced, the newest ${since(supersededAt, now, '')}`,
    mend: mendOf('repeats-times'),
  }
}

export function tooFast(facts: Facts): Found | undefined {
  const { device, now, events } = facts
  const slowed = events.findLast(({ kind }) => kind === 'slowed')
  if (slowed === undefined || now - slowed.at > recentMs(facts) || isOver(facts, slowed.at)) return undefined
  const before = beforeEnd(facts)
  const may = slowed.text.replace(/^this device may publish | \(TELLTALE_\w+\)/g, '')
  const what =
    before === undefined
      ? `sends more than it may (${may}), and is read from more slowly`
      : `sent more than it may (${may}) ${before}, and was read from more slowly`
  // What waited with QoS 0 when its connection ended.
  const lost = events.findLast(
    ({ kind, code, at }) => kind === 'dropped' && code === 'rate-limited' && at >= slowed.firstAt,
  )
  const losing = lost === undefined ? 'nothing is lost' : 'what waited with QoS 0 when its connection ended is lost'
  return { cause: 'too-fast', sentence: `${device} ${what}; ${losing}`, mend: mendOf('too-fast') }
}
