/** Owns what a recording is made of: readings, gaps, and what is told where it cannot be read. */

import { TelltaleError } from '../../../platform/errors.ts'
import { parseTimeMicros } from '../../../platform/units.ts'
import type { Reading, Stream } from '../../../schemas/reading.ts'

/** Of a line that cannot be read so much is shown. */
const SHOWN_CHARS_MAX = 80

/** `bad-recording`: file, line, what is wrong. */
export class RecordingError extends TelltaleError {
  constructor(file: string, line: number | undefined, what: string) {
    super('bad-recording', `${file}${line === undefined ? '' : `:${line}`}: ${what}`)
  }
}

export interface RecordedReading extends Reading {
  readonly kind: 'reading'
  readonly line: number
}

/** Messages that are not in the recording. */
export interface RecordedGap {
  readonly kind: 'gap'
  readonly line: number
  readonly reason: string
  readonly missed: number
}

/** The last line, which was cut off. */
export interface RecordedCut {
  readonly kind: 'cut'
  readonly line: number
}

export type Recorded = RecordedReading | RecordedGap | RecordedCut

export interface RecordingOptions {
  readonly file: string
  /** Of all readings of a CSV without such a column. */
  readonly device?: string | undefined
  readonly stream?: string | undefined
}

export interface RecordingDeps {
  /** What the columns of a CSV are. */
  readonly streams: { stream(name: string): Stream | undefined }
}

export const shown = (text: string) => (text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}...` : text)
export const show = (value: unknown): string => (value === undefined ? 'missing' : shown(JSON.stringify(value)))

/** As JSON and CSV have numbers. */
export const NUMBER = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i

/** Milliseconds since 1970, with up to three decimals. */
export function timeOf(given: unknown): number | undefined {
  const number = typeof given === 'string' && NUMBER.test(given) ? Number(given) : given
  if (typeof number === 'number') return Number.isFinite(number) ? number : undefined
  const micros = typeof given === 'string' ? parseTimeMicros(given) : undefined
  return micros === undefined ? undefined : micros / 1000
}
