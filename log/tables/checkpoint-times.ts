/**
 * Owns when the checkpoint of ingest passed the newest entries of a local log, and so by when each was stored or set aside. Whichever process
 * has ingest, all that share the log can ask.
 *
 *   number, from 1 -> f64 checkpoint before · f64 checkpoint after · f64 when it was moved (ms)        (little-endian)
 *
 * Always true: a row is written in the transaction that moves the checkpoint; of two rows the later begins where the earlier ends, or
 * after it, where a version that keeps no rows was here.
 * Bound: `MOVES_KEPT` rows; the oldest go.
 */

import type { EntryTime } from '../log.ts'
import type { Environment } from './environment.ts'

/** 2 MiB: of a fleet that sends all the time, for which a store is written to four times a second at most, three hours and more. */
const MOVES_KEPT = 50_000
const AFTER_AT = 8
const TIME_AT = 16
const ROW_BYTES = 24

export class CheckpointTimes {
  readonly #rows: Environment['checkpointTimes']
  readonly #row = Buffer.alloc(ROW_BYTES)

  constructor({ checkpointTimes }: Pick<Environment, 'checkpointTimes'>) {
    this.#rows = checkpointTimes
  }

  /** Only within a transaction. */
  add(before: number, after: number, now: number): void {
    if (after === before) return
    const number = this.#last() + 1
    this.#row.writeDoubleLE(before, 0)
    this.#row.writeDoubleLE(after, AFTER_AT)
    this.#row.writeDoubleLE(now, TIME_AT)
    this.#rows.put(number, this.#row)
    this.#rows.remove(number - MOVES_KEPT)
  }

  /** Of an entry before the checkpoint. */
  of(offset: number): EntryTime {
    const unknown = { unknown: `the log keeps it of the last ${MOVES_KEPT} moves of ingest's checkpoint` }
    const last = this.#last()
    let [from, to] = [this.#first(), last]
    while (from <= to) {
      const middle = Math.floor((from + to) / 2)
      const row = this.#rows.get(middle)
      if (row === undefined) return unknown
      if (row.readDoubleLE(AFTER_AT) <= offset) from = middle + 1
      else if (row.readDoubleLE(0) > offset) to = middle - 1
      else return { at: row.readDoubleLE(TIME_AT) }
    }
    return unknown
  }

  #first(): number {
    for (const key of this.#rows.getKeys({ limit: 1 })) return key
    return 1
  }

  #last(): number {
    for (const key of this.#rows.getKeys({ reverse: true, limit: 1 })) return key
    return 0
  }
}
