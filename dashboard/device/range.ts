/** Owns which time the page of a device is about, as its address says: a range up to now, or a span that was zoomed to. Pure. */

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

export const RANGES = {
  '15m': { ms: 15 * MINUTE, label: '15 min' },
  '1h': { ms: HOUR, label: '1 h' },
  '6h': { ms: 6 * HOUR, label: '6 h' },
  '24h': { ms: DAY, label: '24 h' },
  '7d': { ms: 7 * DAY, label: '7 d' },
  '30d': { ms: 30 * DAY, label: '30 d' },
} as const
export type Range = keyof typeof RANGES
const DEFAULT: Range = '1h'

/** Less is not zoomed to. */
const SPAN_MS_MIN = 1_000

export interface Span {
  readonly from: number
  readonly to: number
}

export interface Shown {
  readonly range: Range
  readonly rangeMs: number
  /** The past that is asked about; undefined for now. */
  readonly at?: number
  /** Does not move; undefined if it ends now. */
  readonly fixed?: Span
}

export function shownOf(query: URLSearchParams, now: number): Shown {
  const [chosen, at, from, to] = [
    query.get('range') ?? '',
    timeIn(query, 'at'),
    timeIn(query, 'from'),
    timeIn(query, 'to'),
  ]
  const range = chosen in RANGES ? (chosen as Range) : DEFAULT
  const { ms } = RANGES[range]
  const fixed =
    from !== undefined && to !== undefined && to - from >= SPAN_MS_MIN
      ? { from, to }
      : at !== undefined && at < now - ms
        ? { from: at - ms / 2, to: Math.min(now, at + ms / 2) }
        : undefined
  return { range, rangeMs: ms, ...(at !== undefined && { at }), ...(fixed && { fixed }) }
}

export const spanOf = ({ fixed, rangeMs }: Shown, now: number): Span => fixed ?? { from: now - rangeMs, to: now }

function timeIn(query: URLSearchParams, name: string): number | undefined {
  const time = Date.parse(query.get(name) ?? '')
  return Number.isNaN(time) ? undefined : time
}

/** As the address has it. */
export const timeText = (ms: number): string => new Date(ms).toISOString()
