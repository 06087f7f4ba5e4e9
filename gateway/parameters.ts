/** Owns how query parameters are read: each into its value, or a `Refusal` that names it, its value and what is allowed. */

import { selectionOf } from '../identity/topics.ts'
import { parseDuration, parseTimeMicros } from '../platform/units.ts'
import type { Selection } from '../schemas/history.ts'
import type { Access } from './access.ts'
import { FILTER_RULE, REQUEST_FILTERS_MAX } from './live/commands.ts'
import { badParameter } from './refusal.ts'
import type { Query } from './request.ts'

const EPOCH_MS = /^\d{1,15}(\.\d{1,3})?$/
/** Since when a number of seconds is taken for a slip of the pen. */
const SECONDS_MIN_MS = Date.UTC(2000, 0, 1)
const SECONDS_AHEAD_MS = 10 * 365 * 86_400_000
const RELATIVE = /^-(.+)$/
const TIME_RULE =
  'ISO 8601 (2025-11-23T12:00:00Z), milliseconds since 1970, either to the microsecond, a time ago (-15m), or now'

/** Milliseconds since 1970-01-01T00:00Z, with up to three decimals. */
export function readTime(name: string, text: string, now: number): number {
  if (text === 'now') return now
  if (EPOCH_MS.test(text)) {
    const meant = secondsIn(Number(text), now)
    if (meant === undefined) return Number(text)
    const hint = `${meant} if ${text} is in seconds, which is ${new Date(meant).toISOString()}`
    throw badParameter(name, text, `${TIME_RULE}: ${hint}`)
  }
  const ago = parseDuration(RELATIVE.exec(text)?.[1] ?? '')
  if (ago !== undefined) return Math.max(0, Math.round((now - ago) * 1000) / 1000)
  const micros = parseTimeMicros(text)
  if (micros === undefined) throw badParameter(name, text, TIME_RULE)
  return micros / 1000
}

/** The milliseconds of a number that is a time of these decades in seconds, and of January 1970 in milliseconds. */
function secondsIn(time: number, now: number): number | undefined {
  const meant = time * 1_000
  return meant > SECONDS_MIN_MS && meant < now + SECONDS_AHEAD_MS ? meant : undefined
}

export function readLimit(query: Query, byDefault: number, max: number): number {
  const text = query.one('limit')
  if (text === undefined) return byDefault
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (limit < 1 || limit > max) throw badParameter('limit', text, `a number from 1 to ${max}`)
  return limit
}

export function readSwitch(query: Query, name: string, byDefault: boolean): boolean {
  const text = query.one(name)
  if (text === undefined) return byDefault
  if (text !== 'true' && text !== 'false') throw badParameter(name, text, 'true or false')
  return text === 'true'
}

/** What the request's filters select: all that the token's do if there is none. Each must lie within the token's. */
export function readSelections(query: Query, access: Access): readonly Selection[] {
  const filters = query.all('filter').filter((filter) => filter !== '')
  if (filters.length === 0) return access.selections
  if (filters.length > REQUEST_FILTERS_MAX) {
    throw badParameter('filter', `${filters.length} filters`, `at most ${REQUEST_FILTERS_MAX}`)
  }
  return filters.map((filter) => {
    const selection = selectionOf(filter)
    // A `#` that was not percent-encoded starts the URL's fragment, which no server gets to see.
    const hint = filter.endsWith('/') ? ' (in a URL, # is written %23)' : ''
    if (selection === undefined) throw badParameter('filter', filter, `${FILTER_RULE}${hint}`)
    access.require(selection, filter)
    return selection
  })
}
