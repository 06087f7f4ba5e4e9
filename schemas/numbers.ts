/**
 * Owns lists of numbers: an array of Avro, a `repeated` field of Protobuf, an array of JSON. A burst of samples is one value of one
 * reading: one column, live and in history the same array.
 *
 * Always true: each number is what a column of one such number would have, finite and exact, and a float32 the shortest; there is no null
 * among them. An empty list is a value. Bound: `LIST_NUMBERS_MAX`.
 */

import { shortestFloat } from './shortest-float.ts'
import { quote } from './values.ts'

/** Numbers of one list, which a store has in one value: as text they take at most 100 kB. */
export const LIST_NUMBERS_MAX = 4_096

export const NUMBER_TYPES = ['int', 'long', 'float', 'double'] as const
export type NumberType = (typeof NUMBER_TYPES)[number]

export interface ListLeaf {
  readonly kind: 'array'
  readonly items: NumberType
}

/** What is wrong with a list, as the rest of a sentence. */
export class ListFault {
  readonly what: string

  constructor(what: string) {
    this.what = what
  }
}

export const tooLong = (length: number) =>
  new ListFault(`has ${length} numbers; at most ${LIST_NUMBERS_MAX} are possible in one list`)

/** Of numbers that were read; `isFloat32`: they were written as such. */
export function listOf(given: readonly number[], isFloat32: boolean): readonly number[] | ListFault {
  if (given.length > LIST_NUMBERS_MAX) return tooLong(given.length)
  const list = new Array<number>(given.length)
  for (let at = 0; at < list.length; at++) {
    const number = given[at] as number
    if (!Number.isFinite(number)) return new ListFault(`has ${number} at index ${at}; a finite number is right`)
    list[at] = (isFloat32 ? shortestFloat(number) : number) + 0
  }
  return list
}

/** Of a text format; `fits` says of each whether it is of the list's type, and `wanted` what would be. */
export function givenList(
  given: unknown,
  fits: (item: unknown) => boolean,
  wanted: string,
): readonly number[] | ListFault {
  if (!Array.isArray(given)) return new ListFault(`is ${quote(given)}; an array of numbers is right`)
  if (given.length > LIST_NUMBERS_MAX) return tooLong(given.length)
  const wrong = given.findIndex((item) => !fits(item))
  if (wrong >= 0) return new ListFault(`has ${quote(given[wrong])} at index ${wrong}; ${wanted} is right`)
  return listOf(given as number[], false)
}
