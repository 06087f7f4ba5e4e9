/**
 * Owns how many messages of each device were ever set aside, by code, when the first and the newest of each was, and why the newest; how
 * many of them are still not mended: neither replayed nor purged; and of these the newest, where the newest of all is mended.
 *
 * Always true: it changes in the transaction that sets aside, or that removes. What was ever set aside stays, whatever becomes of the dead
 * letters later. Of those that are held nothing is told that is true of a mended one only. A letter that had to go for room is mended by
 * nobody: the last of a code stays counted as held, and as gone, so that what is kept is known, too. A row of an earlier version has no count
 * of them: all are held; where it does not say which is the newest held, that is found when something of the code is removed.
 *
 * Bound: one record for each device of which something was set aside, with a row for each of the codes, a closed list of ours; beyond
 * `CODES_PER_DEVICE_MAX` no other begins. Who asks reads the record only: the newest held is looked for, by one look, when the one before
 * is removed, which takes 20 us where the one found is the newest letter of its device.
 */

import type { DeadLetter, DeadLettersOfCode, KeptByCode, KeptOfCode, NewDeadLetter, NewestOfCode } from '../log.ts'
import type { Environment } from './environment.ts'

const CODES_PER_DEVICE_MAX = 64
const REASON_CHARS_MAX = 500
/** Devices of which one look counts what is kept. */
const DEVICES_PER_LOOK_MAX = 1_000

type Held = [setAsideAt: number, stream: string, reason: string, framing: number]

/** Finds the newest letter of a device and a code that is kept, in the same transaction; undefined if there is none, or it lies too deep. */
export type FindNewest = (device: string, code: string) => DeadLetter | undefined

/** Where none is found: the others lie deeper than one look goes, or had to go for room. */
const UNKNOWN = 'of the older ones that are left it is not known here why: look with `telltale deadletters list`'

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
  /** The newest of `held`; 0 where that is the newest of all. An earlier version left it out. */
  newestHeld?: Held | 0,
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
          rows[code] = [1, setAsideAt, setAsideAt, stream, reason, 1, framing, 0, 0]
        continue
      }
      row[5] = heldOf(row) + 1
      row[0]++
      row[2] = setAsideAt
      row[3] = stream
      row[4] = reason
      row[6] = framing
      row[7] ??= 0
      row[8] = 0
    }
    for (const [device, rows] of changed) this.#codes.put(device, rows)
  }

  /**
   * Only within a transaction, in which they are gone already. `isMended`: a person has replayed or purged them; else they had to go for room,
   * the oldest first.
   */
  remove(letters: readonly DeadLetter[], isMended: boolean, newest: FindNewest): void {
    const changed = new Map<string, Rows>()
    const stale = new Map<Row, () => DeadLetter | undefined>()
    for (const { device, code, setAsideAt } of letters) {
      const rows = changed.get(device) ?? this.#rows(device)
      const row = Object.hasOwn(rows, code) ? rows[code] : undefined
      if (row === undefined) continue
      changed.set(device, rows)
      const held = heldOf(row) - 1
      if (held < 1 && !isMended) [row[6], row[7]] = [row[6] ?? 0, 1]
      row[5] = Math.max(isMended ? 0 : 1, held)
      const isOther = row[8] !== undefined && setAsideAt < (row[8] || [row[2]])[0]
      if (isMended && !isOther) stale.set(row, () => newest(device, code))
    }
    for (const [row, find] of stale) if (heldOf(row) > 0) hold(row, find())
    for (const [device, rows] of changed) this.#codes.put(device, rows)
  }

  /** The newest last. */
  of(device: string): DeadLettersOfCode[] {
    return Object.entries(this.#rows(device))
      .map(([code, row]) => {
        const [count, firstAt, lastAt, stream, reason, , framing = 0, , newest = 0] = row
        const [held, ofAll] = [heldOf(row), newestOf(lastAt, stream, reason, framing)]
        if (held === 0 || newest === 0) return { code, count, held, firstAt, ...ofAll }
        return { code, count, held, firstAt, ...newestOf(...newest), mended: ofAll }
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
        if (count > 0) kept.push({ device, code, count, lastAt: (row[8] || [row[2]])[0] })
      }
    }
    return { kept }
  }

  #rows(device: string): Rows {
    return (this.#codes.get(device) as Rows | undefined) ?? {}
  }
}

function newestOf(lastAt: number, stream: string, reason: string, framing: number): NewestOfCode {
  return { lastAt, stream, reason, ...(framing !== 0 && { framing }) }
}

/** The row has been about one that is mended. */
function hold(row: Row, letter: DeadLetter | undefined): void {
  row[6] ??= 0
  row[7] ??= 0
  if (letter === undefined) {
    row[8] = [row[1], '', UNKNOWN, 0]
    return
  }
  const { setAsideAt, stream, reason, framing = 0 } = letter
  const held: Held = [setAsideAt, stream, reason.slice(0, REASON_CHARS_MAX), framing]
  const ofAll = [row[2], row[3], row[4], row[6]]
  row[8] = held.every((each, index) => each === ofAll[index]) ? 0 : held
}

const heldOf = ([count, , , , , held = count]: Row) => held
