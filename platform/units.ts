/** Owns sizes, durations and times as people write them: `512MiB`, `90s`, `24h`, `2025-11-23T12:00Z`. */

const BYTE_UNITS = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const
const BYTES = /^(\d+) ?(|KiB|MiB|GiB|TiB)$/
const DURATION_UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const DURATION = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d)$/
/** A date, or a date and time; without a zone it is UTC. */
const ISO_8601 = /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/

/** Milliseconds since 1970-01-01T00:00Z of a time in ISO 8601, without what is finer; undefined if it is none. */
export function parseTime(text: string): number | undefined {
  const micros = parseTimeMicros(text)
  return micros === undefined ? undefined : Math.floor(micros / 1000)
}

/** As `parseTime`, in microseconds. */
export function parseTimeMicros(text: string): number | undefined {
  const [, date, ofDay, , fraction = '', zone] = ISO_8601.exec(text) ?? []
  const day = Date.parse(date ?? '')
  // `Date` takes 30 February for 2 March.
  if (date === undefined || Number.isNaN(day) || !new Date(day).toISOString().startsWith(date)) return undefined
  const time = Date.parse(ofDay !== undefined && zone === undefined ? `${text}Z` : text)
  // `Date` leaves out what is finer than milliseconds: of `.123456789` the 456 is for us, the rest for nobody.
  return Number.isNaN(time) ? undefined : time * 1000 + Number(fraction.slice(4, 7).padEnd(3, '0'))
}

/** Milliseconds of a duration such as `500ms`, `90s`, `15m`, `24h`, `365d`; undefined if it is none. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text)
  if (!match) return undefined
  return Number(match[1]) * DURATION_UNITS[match[2] as keyof typeof DURATION_UNITS]
}

/** Bytes of a size such as `4096` or `512MiB`; undefined if it is none. */
export function parseBytes(text: string): number | undefined {
  const match = BYTES.exec(text)
  if (!match) return undefined
  return Number(match[1]) * BYTE_UNITS[match[2] as keyof typeof BYTE_UNITS]
}

/** Exact: in the largest unit that divides it. */
export const formatDuration = (ms: number): string => inUnits(ms, DURATION_UNITS)
export const formatBytes = (bytes: number): string => inUnits(bytes, BYTE_UNITS)

function inUnits(value: number, units: Readonly<Record<string, number>>): string {
  const [unit, size] = Object.entries(units).reduce((best, each) =>
    value !== 0 && value % each[1] === 0 ? each : best,
  )
  return `${value / size}${unit}`
}
