/**
 * Owns how options are refused that there are not, or that the gateway would refuse: at once, since a misspelt one must not run as if
 * it were not there. Which there are stands beside each interface; what only the gateway can judge (filters, times, columns) is left
 * to it.
 */

import { TelltaleError } from './error.ts'

/** All names of `T`. */
export type Names<T> = Readonly<Record<keyof T, true>>

/** Throws `bad-option` for a name that `of` does not have. */
export function checkNames(of: string, known: Names<object>, options: object): void {
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(known, name))
  if (unknown === undefined) return
  const allowed = Object.keys(known).join(', ')
  throw new TelltaleError('bad-option', `${of} has no option ${unknown}: allowed are ${allowed}`)
}

export function checkCount(name: string, count: unknown): void {
  if (count === undefined || (typeof count === 'number' && count >= 1)) return
  throw new TelltaleError('bad-option', `${name} is ${count}: allowed is a number from 1`)
}
