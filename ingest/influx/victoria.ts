/**
 * Owns what VictoriaMetrics does with line protocol that InfluxDB does not, each with 204: a string becomes 0, and a point older
 * than its retention is dropped. A reading that would not be what is stored is refused here, and so set aside.
 *
 * It is known by a header of its answers, so it may have taken readings of the first batch that are refused afterwards. Of its
 * retention it tells at `/metrics`; where that is not to be read (a proxy, a cluster), points too old for it are lost untold.
 */

import type { Reading, Stream } from '../../schemas/reading.ts'
import { isList, valueIn } from '../../schemas/reading.ts'

/** Every program of VictoriaMetrics names its host in each answer (tried with 1.79). */
export const VICTORIA_HEADER = 'x-server-hostname'

const DAY_MS = 86_400_000
/** A number by itself counts months. */
const UNITS_MS: Readonly<Record<string, number>> = {
  '': 31 * DAY_MS,
  h: DAY_MS / 24,
  d: DAY_MS,
  w: 7 * DAY_MS,
  y: 365 * DAY_MS,
}
const RETENTION = /^flag\{name="retentionPeriod", value="([\d.]+)([hdwy]?)"/m

export class Victoria {
  readonly #retentionMs: number

  /** `metrics`: the text of its `/metrics`; undefined if it cannot be read. */
  constructor(metrics: string | undefined) {
    const [, count, unit] = RETENTION.exec(metrics ?? '') ?? []
    this.#retentionMs = count === undefined ? Number.POSITIVE_INFINITY : Number(count) * (UNITS_MS[unit ?? ''] ?? 0)
  }

  /** Why it would not store the reading as it is; undefined if it would. */
  fault(reading: Reading, stream: Stream, now: number): string | undefined {
    if (reading.ts < now - this.#retentionMs) {
      return `${new Date(reading.ts).toISOString()} is before its retention (${this.#retentionMs / DAY_MS} days), and VictoriaMetrics would drop it`
    }
    for (const { name, kind, tag } of stream.columns) {
      if (!(kind === 'string' || isList(kind)) || tag || valueIn(reading.values, name) === undefined) continue
      const what = isList(kind) ? 'a list' : 'a string'
      return `${name} is ${what}, of which VictoriaMetrics would make 0: a tag may be one, or another store`
    }
    return undefined
  }
}
