/**
 * Owns the place of a row: the column that says where in the log its message stood, `shard * 2^47 + offset`, and the conditions on it.
 *
 * Always true: within a shard the order of places is the log's. Rows are appended in that order, nearly, so DuckDB packs the
 * column into few bits, and passes over the row groups that a range cannot be in: of 5 million rows the first 2,000 of any range
 * take 8 to 30 ms. Of several shards the rows are mixed, so it reads the whole column: 30 to 150 ms. It also does so for a `LIMIT`
 * above 5,000, which DuckDB 1.5.6 answers by sorting: 260 ms for 10,000.
 * Bounds: `SHARDS_MAX`, `OFFSETS_MAX`. A place beyond them is never written; asked for one, there is nothing.
 */

import assert from 'node:assert/strict'
import type { Place } from '../../schemas/history.ts'

/** At 100,000 messages a second it lasts for 44 years. */
const OFFSETS_MAX = 2 ** 47
/** So that a place is a positive BIGINT. */
const SHARDS_MAX = 2 ** 15

const SHARD_BITS = 47n

/** Of the shards before it all is before, and of those after it nothing. */
export function placeOf(shard: number, offset: number): bigint {
  assert(
    shard >= 0 && shard < SHARDS_MAX && offset >= 0 && offset < OFFSETS_MAX,
    `no row has place ${shard}, ${offset}`,
  )
  return (BigInt(shard) << SHARD_BITS) + BigInt(offset)
}

export function ofPlace(place: bigint): { readonly shard: number; readonly offset: number } {
  return { shard: Number(place >> SHARD_BITS), offset: Number(BigInt.asUintN(47, place)) }
}

/** Of a row without a place nobody knows any more where it stood: before everything that has one. */
export function isBefore(position: readonly number[]): string {
  return `(_place IS NULL OR ${anyOf(position.map((next, shard) => range(shard, 0, next)))})`
}

export function isBetween({ position, part }: Place, before: readonly number[]): string {
  const between = anyOf(position.map((first, shard) => range(shard, first, before[shard] ?? 0)))
  if (part.readings === 0) return between
  const { [part.shard]: first = 0 } = position
  return `${between} AND NOT (_place = ${bound(part.shard, first)} AND _index < ${part.readings})`
}

/** The order of a page that begins at this place. */
export function inOrder({ position, part }: Place): string {
  // Of one shard the plain order is the same, and DuckDB passes over row groups by it.
  const isLater = position.length === 1 ? [] : [`NOT ${range(part.shard, 0, OFFSETS_MAX)}`]
  return [...isLater, '_place', '_index'].join(', ')
}

function range(shard: number, first: number, next: number): string {
  return first < next ? `(_place >= ${bound(shard, first)} AND _place < ${bound(shard, next)})` : 'false'
}

const anyOf = (conditions: readonly string[]): string => `(${conditions.join(' OR ') || 'false'})`

/** Of an offset that no row can have, the end of its shard. */
const bound = (shard: number, offset: number): bigint =>
  (BigInt(shard) << SHARD_BITS) + BigInt(Math.min(offset, OFFSETS_MAX))
