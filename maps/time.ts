/**
 * Owns a reading's time as other people's devices write it: ISO 8601, with or without a zone, or a number of seconds, milliseconds,
 * microseconds or nanoseconds since 1970, told apart by its size. All in microseconds since 1970-01-01T00:00Z.
 *
 * Always true: between 1973 and 5138 the size of a number says its unit. Of a local time that comes twice, when clocks are put back,
 * the first is meant.
 */

import { parseTimeMicros } from '../platform/units.ts'

const NUMBER = /^-?\d+(\.\d+)?$/
/** As many digits as a time may have, and a few. */
const WHOLE = /^-?\d{1,32}$/
const EXACT_MAX = BigInt(Number.MAX_SAFE_INTEGER)
const ZONED = /(Z|[+-]\d\d:?\d\d)$/i
const OFFSET = /^([+-])(\d\d):?(\d\d)$/

/** A zone: `+02:00`, or a name such as `Europe/Berlin`. */
export class Zone {
  readonly #offsetMs: number | undefined
  readonly #format: Intl.DateTimeFormat | undefined

  private constructor(offsetMs: number | undefined, format: Intl.DateTimeFormat | undefined) {
    this.#offsetMs = offsetMs
    this.#format = format
  }

  /** Undefined if there is no such zone. */
  static parse(text: string): Zone | undefined {
    const [, sign, hours, minutes] = OFFSET.exec(text) ?? []
    if (sign !== undefined) {
      const ms = (Number(hours) * 60 + Number(minutes)) * 60_000
      return new Zone(sign === '-' ? -ms : ms, undefined)
    }
    try {
      const parts = { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' } as const
      const format = new Intl.DateTimeFormat('en-US', {
        timeZone: text,
        hourCycle: 'h23',
        ...parts,
        second: '2-digit',
      })
      return new Zone(undefined, format)
    } catch {
      return undefined
    }
  }

  /** The instant at which a clock of this zone shows what one of UTC shows at `micros`. */
  instant(micros: number): number {
    const local = Math.floor(micros / 1000)
    // The offset a day before is the one in force unless clocks were changed between.
    const before = local - this.#offset(local - 86_400_000)
    const offset = this.#offset(before) === local - before ? local - before : this.#offset(local - this.#offset(local))
    return micros - offset * 1000
  }

  /** By how much its clocks are ahead of UTC's at an instant, milliseconds. */
  #offset(ms: number): number {
    if (this.#format === undefined) return this.#offsetMs ?? 0
    const shown = new Map(this.#format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]))
    const part = (type: Intl.DateTimeFormatPartTypes) => shown.get(type) ?? 0
    const local = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'))
    return local - Math.floor(ms / 1000) * 1000
  }
}

/** Microseconds; undefined of what is no time. `zone` is for a local time without one, which else is UTC. */
export function readTime(value: unknown, zone: Zone | undefined): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? bySize(value) : undefined
  if (typeof value === 'bigint') return byExactSize(value)
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  if (WHOLE.test(text)) return byExactSize(BigInt(text))
  if (NUMBER.test(text)) return bySize(Number(text))
  // More than nine digits of a second are nobody's.
  const iso = text.replace(' ', 'T').replace(/(\.\d{9})\d+/, '$1')
  const micros = parseTimeMicros(iso)
  if (micros === undefined || zone === undefined || ZONED.test(iso)) return micros
  return zone.instant(micros)
}

/** Nanoseconds are no double. */
function byExactSize(number: bigint): number {
  return number > EXACT_MAX || number < -EXACT_MAX ? Number(number / 1000n) : bySize(Number(number))
}

function bySize(number: number): number {
  const size = Math.abs(number)
  if (size < 1e11) return Math.round(number * 1e6)
  if (size < 1e14) return Math.round(number * 1e3)
  if (size < 1e17) return Math.round(number)
  return Math.round(number / 1e3)
}
