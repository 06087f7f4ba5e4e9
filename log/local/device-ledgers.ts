/**
 * Owns the ledger of one device: what is kept of it, and what of it is pending, or was set aside when it was appended, counted in the log.
 *
 * Always true: an answer is of one snapshot, what is kept and the log's end as they were together; entries between the two
 * do not change any more, so they may be counted at leisure. Counting costs about 0.1 us an entry, in slices of
 * `LOG_READ_BYTES_MAX` with other work in between. A device's accepted count is the sum of the others: nothing is written
 * for it when a message is accepted.
 * Bound: one is counted at a time, `DEVICE_LEDGERS_WAITING_MAX` wait, one more is refused.
 */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { LOG_READ_BYTES_MAX } from '../../platform/limits.ts'
import { countOfDevice, skipEntries } from '../entry.ts'
import type { DeviceLedger } from '../log.ts'
import { LogError } from '../log-error.ts'
import type { Environment } from '../tables/environment.ts'
import type { Ledgers } from '../tables/ledgers.ts'
import { commitAt } from './commits.ts'
import type { Reader } from './reader.ts'

/** Questions for the ledger of a device that wait while one is answered; one more is refused. */
const DEVICE_LEDGERS_WAITING_MAX = 64

export class DeviceLedgers {
  readonly #environment: Environment
  readonly #ledgers: Ledgers
  readonly #reader: Reader
  #waiting = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(environment: Environment, ledgers: Ledgers, reader: Reader) {
    this.#environment = environment
    this.#ledgers = ledgers
    this.#reader = reader
  }

  async ledger(reader: string, device: string): Promise<DeviceLedger> {
    if (this.#waiting >= DEVICE_LEDGERS_WAITING_MAX) {
      throw new LogError(
        'log-busy',
        `${this.#waiting} questions for the ledger of a device wait already: ask again later`,
      )
    }
    this.#waiting++
    const answer = this.#last.then(() => this.#count(reader, device))
    this.#last = answer.catch(() => undefined)
    try {
      return await answer
    } finally {
      this.#waiting--
    }
  }

  async #count(reader: string, device: string): Promise<DeviceLedger> {
    for (let tried = -1; ; ) {
      this.#environment.root.resetReadTxn()
      const next = this.#ledgers.checkpoint(reader) ?? 0
      if (next === tried) throw new LogError('log-corrupt', `the log lacks entries past offset ${next}, not stored yet`)
      tried = next
      const end = this.#reader.end()
      const { stored, deadLettered, readings, superseded } = this.#ledgers.records.counts(reader, device)
      const ahead = await this.#countAhead(Buffer.from(device, 'latin1'), next, end)
      if (ahead === undefined) continue
      const accepted = stored + deadLettered + ahead.count
      const counts = { accepted, stored, deadLettered: deadLettered + ahead.setAside, readings, superseded }
      const since = ahead.since !== undefined && { pendingSince: ahead.since }
      return { device, ...counts, pending: ahead.count - ahead.setAside, ...since, balanced: true }
    }
  }

  /** Undefined if retention overtook the count: the reader has moved on meanwhile, so there is less to count now. */
  async #countAhead(
    device: Buffer,
    next: number,
    end: number,
  ): Promise<{ readonly count: number; readonly setAside: number; readonly since: number | undefined } | undefined> {
    const { commits, root } = this.#environment
    let count = 0
    let setAside = 0
    let since: number | undefined
    let at = next
    while (at < end) {
      let bytes = 0
      const start = this.#reader.commitOf(at)
      for (const offset of commits.getKeys({ start })) {
        const commit = commitAt(this.#environment, offset)
        if (commit === undefined || offset > at) return undefined
        if (offset + commit.count > at) {
          const found = countOfDevice(commit.entries, skipEntries(commit.entries, at - offset), device)
          count += found.count
          setAside += found.setAside
          if (found.count > found.setAside && !commit.isDamaged) since ??= commit.newestAt
          at = offset + commit.count
        }
        bytes += commit.entries.length
        if (at >= end || bytes >= LOG_READ_BYTES_MAX) break
      }
      if (bytes === 0) return undefined
      await nextTurn()
      root.resetReadTxn()
    }
    return { count, setAside, since }
  }
}
