/**
 * Owns how many messages of each device were ever set aside, by code, when the first and the newest of each was, and why the newest; and how
 * many of them are still not mended: neither replayed nor purged.
 *
 * Always true: it changes in the transaction that sets aside, or that removes. What was ever set aside stays, whatever becomes of the dead
 * letters later. A letter that had to go for room is mended by nobody: the last of a code stays counted as held, and as gone, so that what is
 * kept is known, too. A row of an earlier version has no count of them: all are held. Bound: one record for each device of which something was
 * set aside, with a row for each of the codes, a closed list of ours; beyond `CODES_PER_DEVICE_MAX` no other begins.
 */

import type { DeadLetter, DeadLettersOfCode, KeptByCode, KeptOfCode, NewDeadLetter } from '../log.ts'
import type { Environment } from './environment.ts'

const CODES_PER_DEVICE_MAX = 64
const REASON_CHARS_MAX = 500
/** Devices of which one look counts what is kept. */
const DEVICES_PER_LOOK_MAX = 1_000

/** Of the newest its stream, the beginning of its reason, and its framing, 0 if nothing was said. */
type Row = [
  count: number,
  firstAt: number,
  lastAt: number,
  stream: string,
  reason: string,
  held?: number,
  framing?: number,
  /** Of `held`, those that are not kept: 1 where all had to go for room. */
  gone?: 0 | 1,
]
type Rows = Record<string, Row>

export class DeadLetterCodes {
  readonly #codes: Environment['deadLetterCodes']

  constructor({ deadLetterCodes }: Pick<Environment, 'deadLetterCodes'>) {
    this.#codes = deadLetterCodes
  }

  /** Only within a transaction. */
  add(letters: readonly NewDeadLetter[], setAsideAt: number): void {
    const changed = new Map<string, Rows>()
    for (const { device, code, stream, reason: whole, framing = 0 } of letters) {
      const reason = whole.slice(0, REASON_CHARS_MAX)
      // What is damaged may not say whose it was.
      if (device === '') continue
      const rows = changed.get(device) ?? this.#rows(device)
      changed.set(device, rows)
      const row = Object.hasOwn(rows, code) ? rows[code] : undefined
      if (row === undefined) {
        if (Object.keys(rows).length < CODES_PER_DEVICE_MAX)
          rows[code] = [1, setAsideAt, setAsideAt, stream, reason, 1, framing]
        continue
      }
      row[5] = heldOf(row) + 1
      row[0]++
      row[2] = setAsideAt
      row[3] = stream
      row[4] = reason
      row[6] = framing
    }
    for (const [device, rows] of changed) this.#codes.put(device, rows)
  }

  /** Only within a transaction. `isMended`: a person has replayed or purged them; else they had to go for room. */
  remove(letters: readonly DeadLetter[], isMended: boolean): void {
    const changed = new Map<string, Rows>()
    for (const { device, code } of letters) {
      const rows = changed.get(device) ?? this.#rows(device)
      const row = Object.hasOwn(rows, code) ? rows[code] : undefined
      if (row === undefined) continue
      changed.set(device, rows)
      const held = heldOf(row) - 1
      if (held < 1 && !isMended) [row[6], row[7]] = [row[6] ?? 0, 1]
      row[5] = Math.max(isMended ? 0 : 1, held)
    }
    for (const [device, rows] of changed) this.#codes.put(device, rows)
  }

  /** The newest last. */
  of(device: string): DeadLettersOfCode[] {
    return Object.entries(this.#rows(device))
      .map(([code, row]) => {
        const [count, firstAt, lastAt, stream, reason, , framing = 0] = row
        const framed = framing !== 0 && { framing }
        return { code, count, held: heldOf(row), firstAt, lastAt, stream, reason, ...framed }
      })
      .sort((a, b) => a.lastAt - b.lastAt)
  }

  /** In order of device, after this one: of `DEVICES_PER_LOOK_MAX` devices. */
  kept(after: string): KeptByCode {
    const kept: KeptOfCode[] = []
    let looked = 0
    let last = after
    for (const { key: device, value } of this.#codes.getRange({ start: after })) {
      if (device === after) continue
      if (looked++ === DEVICES_PER_LOOK_MAX) return { kept, next: last }
      last = device
      for (const [code, row] of Object.entries(value as Rows)) {
        const count = heldOf(row) - (row[7] ?? 0)
        if (count > 0) kept.push({ device, code, count, lastAt: row[2] })
      }
    }
    return { kept }
  }

  #rows(device: string): Rows {
    return (this.#codes.get(device) as Rows | undefined) ?? {}
  }
}

const heldOf = ([count, , , , , held = count]: Row) => held
