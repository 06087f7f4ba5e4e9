/**
 * Owns how long things took in one process of a run, as HDR histograms: `hdr-histogram-js` encodes them so that those of several processes
 * add up. Always true: a latency counts from when a message was due, so that a slow platform cannot slow down its own measurement
 * (coordinated omission). Bound: three digits of precision, from a microsecond to an hour; what is longer counts as an hour.
 */

import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js'

const MICROSECONDS_PER_MS = 1000
const LATENCY_US_MAX = 3_600_000_000

/** Milliseconds. */
export interface Percentiles {
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

export class Timing {
  #histogram: Histogram

  constructor(encoded?: string) {
    this.#histogram = encoded === undefined ? newHistogram() : (decodeFromCompressedBase64(encoded) as Histogram)
  }

  record(ms: number): void {
    const us = Math.round(ms * MICROSECONDS_PER_MS)
    this.#histogram.recordValue(Math.min(Math.max(us, 1), LATENCY_US_MAX))
  }

  get count(): number {
    return this.#histogram.totalCount
  }

  /** Milliseconds. A histogram gives the end of the bucket, which may be beyond the largest. */
  at(percentile: number): number {
    return Math.min(this.#histogram.getValueAtPercentile(percentile) / MICROSECONDS_PER_MS, this.max)
  }

  get max(): number {
    return this.#histogram.maxValue / MICROSECONDS_PER_MS
  }

  add(other: Timing): void {
    this.#histogram.add(other.#histogram)
  }

  /** What was recorded since the last time, which begins anew. */
  take(): Timing {
    const taken = new Timing()
    const histogram = this.#histogram
    this.#histogram = taken.#histogram
    taken.#histogram = histogram
    return taken
  }

  encode(): string {
    return encodeIntoCompressedBase64(this.#histogram)
  }

  /** In microseconds. */
  get histogram(): Histogram {
    return this.#histogram
  }

  /** Undefined of none. */
  percentiles(): Percentiles | undefined {
    if (this.count === 0) return undefined
    const [p50, p90, p99, p999] = [this.at(50), this.at(90), this.at(99), this.at(99.9)]
    return { count: this.count, p50, p90, p99, p999, max: this.max }
  }
}

const newHistogram = () =>
  build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 2,
    numberOfSignificantValueDigits: 3,
    autoResize: true,
    bitBucketSize: 64,
  })
