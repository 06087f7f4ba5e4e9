/** Readings with one series and time: the ledger says how many were replaced, and the store itself is asked. */

import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import fc from 'fast-check'
import { Ingest } from '../../ingest/ingest.ts'
import { createStore, type StoreOptions } from '../../ingest/stores.ts'
import type { LocalLog } from '../../log/local/local-log.ts'
import type { Notice } from '../../log/log.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { CurrentSchemas } from '../../schemas/current-schemas.ts'
import { SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { pageOf } from '../history.ts'
import { startInfluxdb1 } from '../servers/influxdb1.ts'
import { startInfluxdb2 } from '../servers/influxdb2.ts'
import { requireServer } from '../servers/server.ts'
import { append, environment, openLog, registry, settled, temporaryDirectory } from './log-fixture.ts'

const T0 = Date.now() - 600_000
const DEVICES = ['a', 'b']

interface Given {
  readonly device: string
  /** Of each reading of the message the time and the value. */
  readonly readings: readonly (readonly [number, number])[]
}

const message: fc.Arbitrary<Given> = fc.record({
  device: fc.constantFrom(...DEVICES),
  readings: fc.array(fc.tuple(fc.nat(30), fc.nat(2)), { minLength: 1, maxLength: 8 }),
})

/** What becomes of the messages, in order: rows, readings replaced by others, and those that only repeat. */
class Model {
  readonly #rows = new Map<string, number>()
  readings = 0
  superseded = 0
  repeated = 0

  take({ device, readings }: Given): void {
    for (const [ts, value] of readings) {
      const key = `${device} ${ts}`
      const before = this.#rows.get(key)
      if (before === value) this.repeated++
      else if (before !== undefined) this.superseded++
      this.#rows.set(key, value)
      this.readings++
    }
  }

  get rows(): number {
    return this.#rows.size
  }
}

function payloadOf({ readings }: Given): Buffer {
  const others = { humidity: 40, pressure: 1013.25, battery: 50, rssi: -70 }
  return registry.encode(
    'environment',
    readings.map(([ts, temperature]) => ({ ts: T0 + ts, temperature, ...others })),
  )
}

const ingestOf = (log: LocalLog, store: StoreOptions, workers: number) =>
  new Ingest(
    { workers, store, schemas: new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR }) },
    { log, clock: systemClock, logger: silentLogger(), metrics: createMetrics() },
  )

/** Messages in two runs of ingest: the ledger is the model's, and so are the store's rows. */
async function balances(t: TestContext, store: StoreOptions, workers: number, isAcrossRuns: boolean) {
  const directory = await temporaryDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  let rounds = 0
  const arbitrary = fc.tuple(fc.array(message, { minLength: 1, maxLength: 30 }), fc.array(message, { maxLength: 10 }))
  const property = fc.asyncProperty(arbitrary, async (runs) => {
    // Each round has devices of its own.
    const round = rounds++
    const model = new Model()
    const before = await log.ledger('ingest')
    for (const given of isAcrossRuns ? runs : [runs.flat()]) {
      const ingest = ingestOf(log, store, workers)
      t.after(() => ingest.stop())
      await ingest.start()
      for (const one of given) {
        await append(log, `${one.device}${round}`, payloadOf(one))
        model.take(one)
      }
      await settled(log)
      await ingest.stop()
    }
    const after = await log.ledger('ingest')
    const superseded = after.superseded - before.superseded
    assert.deepEqual([after.readings - before.readings, superseded], [model.readings, model.superseded])
    const asked = await createStore(store, { streams: registry.streams })
    await asked.start()
    const selections = DEVICES.map((device) => ({ device: `${device}${round}` }))
    const { readings } = await pageOf(asked.history, { selections, from: T0, to: T0 + 100, limit: 1_000 })
    await asked.stop()
    assert.equal(readings.length, model.rows)
    assert.equal(readings.length, model.readings - superseded - model.repeated)
    const ledgers = await Promise.all(selections.map(({ device }) => log.deviceLedger('ingest', device)))
    assert.equal(
      ledgers.reduce((sum, ledger) => sum + ledger.superseded, 0),
      superseded,
    )
  })
  await fc.assert(property, { numRuns: 6 })
}

test('duckdb: rows in the store are readings stored less those superseded, and less repeats', async (t) => {
  const path = join(await temporaryDirectory(t), 'store.duckdb')
  await balances(t, { kind: 'duckdb', path }, 1, true)
})

for (const start of [startInfluxdb1, startInfluxdb2]) {
  test(`${start.name}: rows in the store are readings stored less those superseded, and less repeats`, async (t) => {
    const server = await requireServer(t, start as typeof startInfluxdb1)
    if (server === undefined) return
    await balances(t, server.store, 2, false)
  })
}

test('a message that is written again after a crash supersedes nothing', async (t) => {
  const directory = await temporaryDirectory(t)
  const store: StoreOptions = { kind: 'duckdb', path: join(directory, 'store.duckdb') }
  const log = await openLog(join(directory, 'log'))
  await append(log, 'a', environment(T0, 1))
  await append(log, 'a', environment(T0, 2))
  await append(log, 'a', environment(T0 + 1, 1))
  await log.stop()
  await cp(join(directory, 'log'), join(directory, 'log before'), { recursive: true })
  for (const name of ['log', 'log before']) {
    // The second is as if the process had ended between the store's commit and the ledger's.
    const again = await openLog(join(directory, name))
    t.after(() => again.stop())
    const ingest = ingestOf(again, store, 1)
    t.after(() => ingest.stop())
    await ingest.start()
    const { superseded, readings } = await settled(again)
    assert.deepEqual([superseded, readings], [1, 3], name)
    if (name === 'log before') {
      await append(again, 'a', environment(T0, 1))
      assert.equal((await settled(again)).superseded, 2)
      await append(again, 'a', environment(T0, 1))
      assert.equal((await settled(again)).superseded, 2)
    }
    await ingest.stop()
    await again.stop()
  }
})

test('a device is told once in a while that its readings replace one another', async (t) => {
  const directory = await temporaryDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const ingest = ingestOf(log, { kind: 'duckdb', path: join(directory, 'store.duckdb') }, 1)
  await ingest.start()
  t.after(() => ingest.stop())
  const stop = new AbortController()
  const told: Notice[] = []
  const following = (async () => {
    for await (const notice of log.followNotices(stop.signal)) {
      told.push(notice)
      if (notice.device === 'last') stop.abort()
    }
  })()
  await append(log, 'same', environment(T0, 1))
  await append(log, 'same', environment(T0, 1))
  for (const device of ['hasty', 'other', 'last']) {
    for (let value = 1; value <= 3; value++) {
      await append(log, device, environment(T0, value))
      await settled(log)
    }
  }
  await following
  assert.deepEqual(
    told.map(({ device, stream, code }) => [device, stream, code]),
    ['hasty', 'other', 'last'].map((device) => [device, 'environment', 'superseded']),
  )
  const time = new Date(T0).toISOString()
  assert.equal(
    told[0]?.message,
    `a reading of ${time} was replaced by later ones with the same time and other values: give each a time of its own`,
  )
})
