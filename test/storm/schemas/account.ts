/** Owns what became of the schema storm's readings: in the store, live, and in which order in the log. */

import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { connect } from '../../../client/client.ts'
import { eachEntry, REPLAYED, readEntry } from '../../../log/entry.ts'
import { LocalLog } from '../../../log/local/local-log.ts'
import { systemClock } from '../../../platform/clock.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import { Decoder } from '../../../schemas/decoder.ts'
import { Rejection } from '../../../schemas/reading.ts'
import type { Registry } from '../../../schemas/registry.ts'
import type { RunningPlatform } from '../../e2e/platform.ts'
import { until } from '../../until.ts'
import type { Device } from './device.ts'
import { meantBy, VERSIONS } from './versions.ts'

/** The one that is added when all send by it already. */
const LATE_VERSION = VERSIONS.length
const PAGE = 10_000
/** What of the log is read in one go while the platform runs. */
const LOG_BYTES = 2 ** 30
const DAY_MS = 86_400_000

/** Asks the store for each device's readings. */
export async function storedOf(platform: RunningPlatform, devices: readonly Device[], from: number) {
  const count = { lost: 0, wrong: 0, invented: 0 }
  for (const { id, versions } of devices) {
    const seen = new Set<number>()
    for (let first = 0; first < versions.length; first += PAGE) {
      const span = `from=${from + first}&to=${from + first + PAGE}&limit=${PAGE}`
      for (const { ts, values } of await platform.readings(`filter=devices/${id}/telemetry/probe&${span}`)) {
        const number = ts - from
        const version = versions[number]
        if (version === undefined || seen.has(number)) count.invented++
        else if (!isDeepStrictEqual({ ...values }, meantBy(version, number))) count.wrong++
        seen.add(number)
      }
    }
    for (const number of versions.keys()) if (!seen.has(number)) count.lost++
  }
  return count
}

export interface Order {
  /** Of each device the numbers of the readings that were put through again. */
  readonly again: ReadonlyMap<string, ReadonlySet<number>>
  readonly outOfOrder: number
}

/** What came must be in the order in which it was sent, and so must what was put through again. */
export async function orderInLog(directory: string, registry: Registry, from: number): Promise<Order> {
  const options = { directory, writer: false, maxBytes: LOG_BYTES, retentionMs: DAY_MS }
  const log = new LocalLog(options, { clock: systemClock, logger: silentLogger(), metrics: createMetrics() })
  await log.start()
  const decoder = new Decoder(registry)
  const again = new Map<string, Set<number>>()
  const highest = new Map<string, number>()
  let outOfOrder = 0
  const [shard] = log.shards
  assert(shard)
  for (let batch = await shard.read(await shard.first()); batch !== undefined; batch = await shard.read(batch.next)) {
    const { bytes, firstOffset } = batch
    eachEntry(bytes, firstOffset, (at, offset) => {
      const entry = readEntry(bytes, at, offset)
      if (entry.stream !== 'probe') return
      const readings = decoder.decode(entry)
      assert(!(readings instanceof Rejection))
      const isAgain = (entry.flags & REPLAYED) !== 0
      const key = `${entry.device} ${isAgain}`
      const numbersAgain = again.get(entry.device) ?? new Set()
      if (isAgain) again.set(entry.device, numbersAgain)
      for (const { ts } of readings) {
        const number = ts - from
        const before = highest.get(key) ?? -1
        // One that was sent again, for its PUBACK was lost, has been there before.
        const isNew = isAgain ? !numbersAgain.has(number) : number > before
        if (isAgain) numbersAgain.add(number)
        if (!isNew) continue
        if (isAgain ? number < before : number !== before + 1) outOfOrder++
        highest.set(key, number)
      }
    })
  }
  await log.stop()
  return { again, outOfOrder }
}

/** An app that sees all, from before the first is sent, and comes back after each kill. */
export class LiveAccount {
  readonly #numbers = new Map<string, number[]>()
  readonly #values = new Map<string, Map<number, object>>()
  readonly #from: number
  readonly #close: () => void
  #gaps = 0

  static async open(platform: RunningPlatform, from: number): Promise<LiveAccount> {
    const app = connect(platform.url, { token: await platform.appToken() })
    const account = new LiveAccount(from, () => app.close())
    let isLive = false
    const read = async () => {
      for await (const event of app.subscribe('devices/+/telemetry/probe').events()) {
        if (event.type === 'live') isLive = true
        if (event.type === 'gap') account.#gaps++
        if (event.type !== 'readings') continue
        for (const { device, ts, values } of event.readings) account.#take(device, ts, values)
      }
    }
    // It ends by being closed.
    read().catch(() => undefined)
    await until(() => isLive)
    return account
  }

  private constructor(from: number, close: () => void) {
    this.#from = from
    this.#close = close
  }

  #take(device: string, ts: number, values: object): void {
    const number = ts - this.#from
    const list = this.#numbers.get(device) ?? []
    if (list.push(number) === 1) this.#numbers.set(device, list)
    const known = this.#values.get(device) ?? new Map<number, object>()
    this.#values.set(device, known.set(number, values))
  }

  /**
   * Waits for all readings of these devices, but not for ever. Of a killed gateway those are not waited for that may be in the store only
   * (`gateway/live/awaited.ts`).
   */
  async has(devices: readonly Device[], order: Order, isKilled: boolean, withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs
    const hasAll = () =>
      devices.every(({ id, versions }) => {
        const values = this.#values.get(id)
        if (values?.size === versions.length) return true
        return versions.every(
          (version, number) => values?.has(number) || (isKilled && isInStoreOnly(id, version, number, order)),
        )
      })
    await until(() => hasAll() || performance.now() > deadline)
  }

  close(devices: readonly Device[], order: Order, isKilled: boolean) {
    this.#close()
    const count = { lostLive: 0, inStoreOnly: 0, wrongLive: 0, gapsLive: this.#gaps, outOfOrderLive: 0 }
    for (const { id, versions } of devices) {
      const values = this.#values.get(id)
      for (const [number, version] of versions.entries()) {
        const seen = values?.get(number)
        if (seen === undefined && isKilled && isInStoreOnly(id, version, number, order)) count.inStoreOnly++
        else if (seen === undefined) count.lostLive++
        else if (!isDeepStrictEqual({ ...seen }, meantBy(version, number))) count.wrongLive++
      }
      count.outOfOrderLive += outOfOrder(this.#numbers.get(id) ?? [], versions, order.again.get(id) ?? new Set())
    }
    return count
  }
}

/** It came before its version did, and was not put through again: ingest had not come to it, and a gateway that was killed knew of it alone. */
const isInStoreOnly = (id: string, version: number, number: number, { again }: Order) =>
  version === LATE_VERSION && again.get(id)?.has(number) !== true

/**
 * Each reading comes behind the one before it. Only those of a version that came late may come behind later ones, and then in their
 * order: when they were put through again, or when the gateway has learnt that they will not be.
 */
function outOfOrder(numbers: readonly number[], versions: readonly number[], again: ReadonlySet<number>): number {
  const last = { onTime: -1, again: -1, late: -1 }
  let count = 0
  for (const number of new Set(numbers)) {
    const isOnTime = number > last.onTime
    const way = isOnTime ? 'onTime' : again.has(number) ? 'again' : 'late'
    if (!isOnTime && (versions[number] !== LATE_VERSION || number < last[way])) count++
    last[way] = number
  }
  return count
}
