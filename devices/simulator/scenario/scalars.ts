/**
 * Owns the values of a scenario file as people write them: durations, shares, counts, names; and maps of them.
 *
 * Always true: what is wrong with a value is told as `is <what stands there>; allowed is <what may>`, and an unknown key with the one
 * that is nearest to it.
 */

import { z } from 'zod'
import { nearestTo } from '../../../platform/names.ts'
import { formatDuration, parseDuration, parseTime } from '../../../platform/units.ts'

/** Of a value so much is shown. */
const SHOWN_CHARS_MAX = 60
/** Longer than any timer of Node's: refused. */
export const DURATION_MS_MAX = 24 * 86_400_000

/** As `parseDuration` reads it. */
const DURATION = /^\d+(\.\d+)? ?(ms|s|m|h|d)$/
const SIGNED_DURATION = /^[+-]?\d+(\.\d+)? ?(ms|s|m|h|d)$/
const PERCENT = /^\d+(\.\d+)? ?%$/
const IDS = /^[A-Za-z0-9._:*-]+$/
const OF_DAY = /^([01]\d|2[0-3]):[0-5]\d$/

/** How a value of a file is shown to who wrote it. */
export function shown(value: unknown): string {
  if (value === null) return 'empty'
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object') return 'a map'
  const text = JSON.stringify(value) ?? String(value)
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}...` : text
}

/** The sentence of whatever is wrong with a value. */
export const allowing = (allowed: string) => ({
  error: ({ input }: { readonly input?: unknown }) =>
    input === undefined ? `is missing; allowed is ${allowed}` : `is ${shown(input)}; allowed is ${allowed}`,
})

/** A map with these keys and no others. Of several unknown keys there is a line each, in their order. */
export function map<Shape extends z.core.$ZodShape>(shape: Shape) {
  const keys = Object.keys(shape)
  const { error } = allowing(`a map with ${keys.join(', ')}`)
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? issue.keys.map((key) => unknownKey(key, keys)).join('\n') : error(issue),
  })
}

/** What a key is told that is none. */
export function unknownKey(key: string, allowed: readonly string[]): string {
  const [nearest] = nearestTo(key, allowed)
  const hint = nearest === undefined ? '' : `, and nearest is ${nearest}`
  return `${shown(key)} is no key${hint}; allowed are ${allowed.join(', ')}`
}

export const list = <Item extends z.ZodType>(item: Item, min: number, max: number, of: string) => {
  const allowed = allowing(`a list of ${min === 0 ? 'at most' : `${min} to`} ${max} ${of}`)
  return z.array(item, allowed).min(min, allowed).max(max, allowed)
}

/** One word of a few; a number that is none of them is shown as one. */
export const oneOf = <const Words extends readonly (string | number)[]>(words: Words) =>
  z.literal(words, allowing([...new Set(words.map(String))].join(', ')))

export const whole = (min: number, max: number) => {
  const allowed = allowing(`a whole number from ${min} to ${max}`)
  return z.int(allowed).min(min, allowed).max(max, allowed)
}

export const number = (min: number, max: number) => {
  const allowed = allowing(`a number from ${min} to ${max}`)
  return z.number(allowed).min(min, allowed).max(max, allowed)
}

/** Any that is finite. */
export const anyNumber = () => z.number(allowing('a number'))

export const text = (chars: number) => {
  const allowed = allowing(`text of 1 to ${chars} characters, in quotes where it is a number`)
  return z.string(allowed).min(1, allowed).max(chars, allowed)
}

export const matching = (pattern: RegExp, allowed: string) =>
  z.string(allowing(allowed)).regex(pattern, allowing(allowed))

/** Milliseconds; `0` needs no unit. */
export function duration(minMs: number, maxMs = DURATION_MS_MAX) {
  const allowed = allowing(
    `a duration such as 500ms, 30s, 5m, from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`,
  )
  const written = z
    .string(allowed)
    .regex(DURATION, { ...allowed, abort: true })
    .refine((given) => isWithin(parseDuration(given), minMs, maxMs), allowed)
  if (minMs > 0) return written.transform(msOf)
  return z.union([z.literal(0), written], allowed).transform(msOf)
}

/** Milliseconds, before with a minus: `-5m`. */
export function signedDuration(maxMs = DURATION_MS_MAX) {
  const allowed = allowing(`a duration such as 30s, 5m or -2h, at most ${formatDuration(maxMs)}`)
  return z
    .string(allowed)
    .regex(SIGNED_DURATION, { ...allowed, abort: true })
    .refine((given) => isWithin(Math.abs(msOf(given)), 0, maxMs), allowed)
    .transform(msOf)
}

const isWithin = (value: number | undefined, min: number, max: number) =>
  value !== undefined && value >= min && value <= max

const msOf = (given: string | 0): number => {
  if (given === 0) return 0
  const ms = parseDuration(given.replace(/^[+-]/, '')) ?? 0
  return given.startsWith('-') ? -ms : ms
}

/** 0 to 1, written as `10%` or `0.1`. */
export function share() {
  const allowed = allowing('a share such as 10% or 0.1, from 0 to 1')
  const percent = z
    .string(allowed)
    .regex(PERCENT, { ...allowed, abort: true })
    .refine((given) => ratioOf(given) <= 1, allowed)
  const ratio = z.number(allowed).min(0, allowed).max(1, allowed)
  return z.union([percent, ratio], allowed).transform(ratioOf)
}

const ratioOf = (given: string | number): number =>
  typeof given === 'number' ? given : Number(given.slice(0, -1).trim()) / 100

/** Which devices: `10%` or `0.1` of them, so many, or those whose id matches. */
export function befallen(devicesMax: number) {
  const allowed = allowing('a share such as 10% or 0.1, a whole number of devices, or ids such as truck-1*')
  const percent = z
    .string(allowed)
    .regex(PERCENT, { ...allowed, abort: true })
    .refine((given) => ratioOf(given) > 0 && ratioOf(given) <= 1, allowed)
  const ratio = z.number(allowed).gt(0, allowed).lt(1, allowed)
  const ids = z.string(allowed).regex(IDS, allowed)
  return z.union([percent, ids, whole(1, devicesMax), ratio], allowed).transform((given) => {
    if (typeof given === 'number') return given < 1 ? { share: given } : { count: given }
    return PERCENT.test(given) ? { share: ratioOf(given) } : { ids: given }
  })
}

/** Milliseconds since 1970. */
export function time() {
  const allowed = allowing('a time such as 2026-01-31T12:00:00Z; without a zone it is UTC')
  return z
    .string(allowed)
    .refine((given) => parseTime(given) !== undefined, allowed)
    .transform((given) => parseTime(given) ?? 0)
}

/** An hour and minute of the day, UTC. */
export const timeOfDay = () => matching(OF_DAY, 'a time of day such as 14:00')
