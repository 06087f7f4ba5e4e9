/** Owns which dead letters are meant: what the address says, as the gateway is asked for them, and as it is told to take them out. Pure. */

import type { DeadLetter, DeadLetterCount } from '../answers.ts'

/** Times as the API takes them: `-1h`, `2026-11-30T12:00Z`. */
export interface Choice {
  readonly device?: string
  readonly code?: string
  readonly stream?: string
  readonly from?: string
  readonly to?: string
}

const NAMES = ['device', 'code', 'stream', 'from', 'to'] as const

export function choiceOf(query: URLSearchParams): Choice {
  return Object.fromEntries(NAMES.flatMap((name) => (query.get(name) ? [[name, query.get(name) as string]] : [])))
}

/** As the query of `v1/deadletters`. */
export const queryOf = (choice: Choice): string => new URLSearchParams(Object.entries(choice)).toString()

/** Those of the choice, by count; for a code and a device each by itself. */
export function countsOf(counts: readonly DeadLetterCount[], { device, code }: Choice): readonly DeadLetterCount[] {
  return counts.filter(
    (each) => (device === undefined || each.device === device) && (code === undefined || each.code === code),
  )
}

export const sumOf = (counts: readonly DeadLetterCount[]): number => counts.reduce((sum, { count }) => sum + count, 0)

/** Of the devices or codes that a question is about. */
const NAMED_MAX = 3

export interface CodeCount {
  readonly code: string
  readonly count: number
}

/** The most frequent first. */
export function byCode(counts: readonly DeadLetterCount[]): readonly CodeCount[] {
  const codes = new Map<string, number>()
  for (const { code, count } of counts) codes.set(code, (codes.get(code) ?? 0) + count)
  return [...codes].map(([code, count]) => ({ code, count })).sort((a, b) => b.count - a.count)
}

export const COLUMNS = { device: 'Device', code: 'Why', count: 'Count', lastAt: 'Last' } as const
export type Column = keyof typeof COLUMNS

/** `count`, or `-count` the other way round. */
export interface Order {
  readonly column: Column
  readonly isReversed: boolean
}

export function orderOf(text: string | null): Order {
  const column = (text ?? '').replace(/^-/, '')
  return column in COLUMNS
    ? { column: column as Column, isReversed: text?.startsWith('-') === true }
    : { column: 'count', isReversed: false }
}

const compare = new Intl.Collator('en', { numeric: true }).compare

/** Names from A on, and numbers and times from the greatest on. */
const ORDERS: Readonly<Record<Column, (a: DeadLetterCount, b: DeadLetterCount) => number>> = {
  device: (a, b) => compare(a.device, b.device) || b.count - a.count,
  code: (a, b) => compare(a.code, b.code) || b.count - a.count,
  count: (a, b) => b.count - a.count || compare(a.device, b.device),
  lastAt: (a, b) => b.lastAt - a.lastAt || compare(a.device, b.device),
}

export function ordered(counts: readonly DeadLetterCount[], { column, isReversed }: Order): readonly DeadLetterCount[] {
  const sorted = counts.toSorted(ORDERS[column])
  return isReversed ? sorted.reverse() : sorted
}

/** What is to be replayed or purged, how many they are, and of whom, in words. */
export interface Meant {
  readonly count: number
  readonly of: string
  readonly body: object
}

export function meantByIds(ids: readonly string[], of: string): Meant {
  return { count: ids.length, of, body: { ids } }
}

/** Of the letters with these ids: `truck-7, truck-8 and 3 more; unknown-schema`. */
export function whose(letters: readonly DeadLetter[], ids: ReadonlySet<string>): string {
  const own = letters.filter(({ id }) => ids.has(id))
  const names = (all: readonly string[]) => {
    const each = [...new Set(all)]
    const more = each.length - NAMED_MAX
    return each.slice(0, NAMED_MAX).join(', ') + (more > 0 ? ` and ${more} more` : '')
  }
  return [names(own.map(({ device }) => device)), names(own.map(({ code }) => code))].filter(Boolean).join('; ')
}

/**
 * All of the choice that were received before what the reader has seen; undefined where nobody can say how many those are. `letters` are
 * those that are listed, the newest first, and `areAll` if there are no others.
 */
export function meantByChoice(
  choice: Choice,
  counts: readonly DeadLetterCount[],
  letters: readonly DeadLetter[],
  areAll: boolean,
): Meant | undefined {
  const { device, code, stream, from, to } = choice
  if (letters.length === 0) return undefined
  if (stream !== undefined || from !== undefined || to !== undefined) {
    return areAll
      ? meantByIds(
          letters.map(({ id }) => id),
          wordsOf(choice),
        )
      : undefined
  }
  const before = Math.max(...letters.map(({ at }) => at)) + 1
  const own = { ...(device !== undefined && { device }), ...(code !== undefined && { code }) }
  return { count: sumOf(countsOf(counts, choice)), of: wordsOf(choice), body: { ...own, before } }
}

/** `truck-7, unknown-schema`; `all devices`. */
export const wordsOf = ({ device, code, stream }: Choice): string =>
  [device ?? 'all devices', code, stream && `the stream ${stream}`].filter(Boolean).join(', ')
