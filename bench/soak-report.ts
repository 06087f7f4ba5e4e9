/**
 * Owns what a soak says: which series it takes, whether each stayed flat, and the series as CSV and as a plot.
 *
 * Flat: the median of the last third of the time is above that of the middle third by no more than the series' `slack`.
 * The first third warms up: compiled code, caches, a log that fills to its retention.
 */

export interface Sample {
  readonly seconds: number
  readonly ownMiB: number
  readonly mappedMiB: number
  readonly openFiles: number
  /** Messages accepted and not yet stored. */
  readonly pending: number
  readonly p99Ms: number
  /** CPU of the platform, in percent of one core. */
  readonly cpuPercent: number
  readonly perSecond: number
}

export interface Series {
  readonly name: Exclude<keyof Sample, 'seconds'>
  readonly title: string
  /** How much the last third may be above the middle one; a series without is only shown. */
  readonly slack?: number
}

/** Messages that are pending for no more than a batch's time and its write, at `rate`. */
const lagSlack = (rate: number) => rate / 2

export const seriesAt = (rate: number): Series[] => [
  { name: 'ownMiB', title: 'memory of its own, MiB', slack: 16 },
  { name: 'mappedMiB', title: 'mapped files in memory, MiB', slack: 16 },
  { name: 'openFiles', title: 'open file descriptors', slack: 4 },
  { name: 'pending', title: 'accepted and not yet stored, messages', slack: lagSlack(rate) },
  { name: 'p99Ms', title: 'live latency p99, ms' },
  { name: 'cpuPercent', title: 'CPU, % of a core' },
]

export interface Verdict {
  readonly series: Series
  readonly middle: number
  readonly last: number
  readonly flat: boolean
}

/** Of each series that has a slack. Throws for fewer than 6 samples, of which nothing can be said. */
export function judge(samples: readonly Sample[], all: readonly Series[]): Verdict[] {
  if (samples.length < 6) throw new Error(`${samples.length} samples are too few to call a series flat: it takes 6`)
  const third = Math.floor(samples.length / 3)
  return all.flatMap((series) => {
    if (series.slack === undefined) return []
    const of = (from: number, to?: number) => median(samples.slice(from, to).map((sample) => sample[series.name]))
    const [middle, last] = [of(-2 * third, -third), of(-third)]
    return [{ series, middle, last, flat: last - middle <= series.slack }]
  })
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

export function csv(samples: readonly Sample[]): string {
  const names = Object.keys(samples[0] ?? {}) as (keyof Sample)[]
  const rows = samples.map((sample) => names.map((name) => Number(sample[name].toFixed(2))).join(','))
  return `${[names.join(','), ...rows].join('\n')}\n`
}

const WIDTH = 720
const HEIGHT = 90
const ROOM = { left: 60, top: 24, right: 12, bottom: 8 }
const ROW = ROOM.top + HEIGHT + ROOM.bottom
const AXIS = 24

/** An SVG: one plot a series, one above the other, from 0, over the same minutes. */
export function plot(samples: readonly Sample[], all: readonly Series[], title: string): string {
  const seconds = samples.at(-1)?.seconds ?? 0
  const x = (at: number) => (ROOM.left + (at / seconds) * (WIDTH - ROOM.left - ROOM.right)).toFixed(1)
  const rows = all.map((series, index) => {
    const top = AXIS + index * ROW + ROOM.top
    const highest = Math.max(1, ...samples.map((sample) => sample[series.name])) * 1.1
    const y = (value: number) => (top + HEIGHT * (1 - value / highest)).toFixed(1)
    const points = samples.map((sample) => `${x(sample.seconds)},${y(sample[series.name])}`).join(' ')
    const [from, to] = [x(0), x(seconds)]
    return [
      `<text x="${from}" y="${top - 8}">${series.title}</text>`,
      ...[0, highest / 1.1].map(
        (value) =>
          `<text x="${ROOM.left - 6}" y="${y(value)}" text-anchor="end">${Number(value.toPrecision(3))}</text>` +
          `<path d="M${from} ${y(value)}H${to}" stroke="#ccc"/>`,
      ),
      `<polyline points="${points}" fill="none" stroke="#2457a6" stroke-width="1.2"/>`,
    ].join('\n')
  })
  const height = AXIS + all.length * ROW + AXIS
  const minutes = `0 to ${(seconds / 60).toFixed(0)} minutes`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<text x="${ROOM.left}" y="16" font-weight="bold">${title}</text>`,
    ...rows,
    `<text x="${WIDTH - ROOM.right}" y="${height - 8}" text-anchor="end">${minutes}</text>`,
    '</svg>\n',
  ].join('\n')
}
