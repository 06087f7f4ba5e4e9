/**
 * Owns which entries of a local log ingest has set aside without decoding them, whatever became of their dead letters since. What was set
 * aside when it was appended is not among them: its entry says so itself (`SET_ASIDE`).
 *
 * Always true: it changes in the transaction that sets aside and moves the checkpoint; the offsets of a row lie between the checkpoint
 * it is kept under and that of the next row. It begins with the version that keeps it.
 * Bound: four bytes for each such entry that the log still has; rows go with the commits that retention removes.
 */

import assert from 'node:assert/strict'
import type { NewDeadLetter } from '../log.ts'
import type { Offset } from '../position.ts'
import type { Environment } from './environment.ts'

const OFFSET_BYTES = 4
const NONE: ReadonlySet<Offset> = new Set()

export class Undecoded {
  readonly #rows: Environment['undecoded']

  constructor({ undecoded }: Pick<Environment, 'undecoded'>) {
    this.#rows = undecoded
  }

  /** Only within a transaction, of a progress of ingest from `from` to `next`. */
  add(from: number, next: number, letters: readonly NewDeadLetter[]): void {
    const undecoded = letters.filter(({ decoded }) => decoded !== true)
    if (undecoded.length === 0) return
    const row = Buffer.alloc(OFFSET_BYTES * undecoded.length)
    for (const [index, { offset }] of undecoded.entries()) {
      assert(offset >= from && offset < next, `entry ${offset} is set aside by a progress from ${from} to ${next}`)
      row.writeUInt32LE(offset - from, OFFSET_BYTES * index)
    }
    this.#rows.put(from, row)
  }

  /** Of the entries from `from` on and before `before`. */
  within(from: number, before: number): ReadonlySet<Offset> {
    let found: Set<Offset> | undefined
    for (const { key, value } of this.#rows.getRange({ start: before - 1, reverse: true })) {
      for (let at = 0; at < value.length; at += OFFSET_BYTES) {
        const offset = key + value.readUInt32LE(at)
        if (offset < from || offset >= before) continue
        found ??= new Set()
        found.add(offset as Offset)
      }
      if (key <= from) break
    }
    return found ?? NONE
  }

  /** Only within a batch that removes the entries before `end`. A row that reaches beyond stays for now. */
  removeBefore(end: number): void {
    let last: number | undefined
    for (const key of this.#rows.getKeys({ end: end + 1 })) {
      if (last !== undefined) this.#rows.remove(last)
      last = key
    }
  }
}
