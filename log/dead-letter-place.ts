/**
 * Owns places among the dead letters of a log: of each shard, in their order, the number of one of its dead letters; 0 lies before all.
 * Dead letters of two shards are in no order but by when they were set aside, so one number is no place where there are several.
 *
 * Always true: a number is given once in a log, rises within its shard, and says which that is. Of a log with one shard a place is a number,
 * and its text that number's.
 */

export type DeadLetterPlace = readonly number[]

const TEXT = /^(0|[1-9]\d{0,14})(\.(0|[1-9]\d{0,14}))*$/

/** The number of the `count`th dead letter of a shard, from 1. */
export const numberOf = (count: number, shard: number, shards: number): number => count * shards + shard

/** The shard of a dead letter, and which it is there, from 1. */
export function letterOf(number: number, shards: number): { readonly shard: number; readonly count: number } {
  return { shard: number % shards, count: Math.floor(number / shards) }
}

/** Before all. */
export const firstPlace = (shards: number): DeadLetterPlace => new Array<number>(shards).fill(0)

/** The place behind this dead letter of its shard, where the others stay. */
export const placeBehind = (place: DeadLetterPlace, number: number): DeadLetterPlace =>
  place.with(number % place.length, number)

export const formatPlace = (place: DeadLetterPlace): string => place.join('.')

/** Undefined if the text is no place in a log with so many shards. */
export function parsePlace(text: string, shards: number): DeadLetterPlace | undefined {
  const place = TEXT.test(text) ? text.split('.').map(Number) : []
  return place.length === shards && place.some((number) => number > 0) ? place : undefined
}
