/**
 * Owns counting what of one device is pending in a shard: from the reader's place to the end, read from the engine.
 * Bound: one is counted at a time, `WAITING_MAX` wait, one more is refused.
 */

import { countOfDevice } from '../entry.ts'
import type { DeviceLedger } from '../log.ts'
import { LogError } from '../log-error.ts'
import type { Offset } from '../position.ts'
import type { Replica } from './replica.ts'
import type { StreamsShard } from './streams-shard.ts'

const WAITING_MAX = 64

export class DeviceCounts {
  #waiting = 0
  #last: Promise<unknown> = Promise.resolve()

  async ledger(shard: StreamsShard, replica: Replica, reader: string, device: string): Promise<DeviceLedger> {
    if (this.#waiting >= WAITING_MAX)
      throw new LogError(
        'log-busy',
        `${this.#waiting} questions for the ledger of a device wait already: ask again later`,
      )
    this.#waiting++
    const answer = this.#last.then(() => count(shard, replica, reader, device))
    this.#last = answer.catch(() => undefined)
    try {
      return await answer
    } finally {
      this.#waiting--
    }
  }
}

async function count(shard: StreamsShard, replica: Replica, reader: string, device: string): Promise<DeviceLedger> {
  replica.environment.root.resetReadTxn()
  // Of one instant; what lies between the two places does not change any more.
  const next = replica.ledgers.next(reader)
  const { stored, deadLettered, readings, superseded } = replica.ledgers.records.counts(reader, device)
  const end = await shard.end()
  const id = Buffer.from(device, 'latin1')
  let pending = 0
  let pendingSince: number | undefined
  for (let at = next as Offset; at < end; ) {
    const batch = await shard.read(at)
    if (batch === undefined) break
    const found = countOfDevice(batch.bytes, 0, id)
    pending += found.count
    if (found.count > 0) pendingSince ??= firstReceived(batch.bytes)
    at = batch.next
  }
  const accepted = stored + deadLettered + pending
  const since = pendingSince !== undefined && { pendingSince }
  return { device, accepted, stored, deadLettered, pending, balanced: true, readings, superseded, ...since }
}

/** Of a batch, about. */
const firstReceived = (bytes: Buffer): number => bytes.readDoubleLE(8)
