/** Several processes ingest one log: each is an `Ingest` on a log of its own, on one engine in memory, and all write to one store. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Coordinator } from '../../ingest/coordinator.ts'
import { Ingest } from '../../ingest/ingest.ts'
import { IngestMetrics, StoreState } from '../../ingest/ingest-metrics.ts'
import { STORES, type StoreOptions } from '../../ingest/stores.ts'
import { WorkerThread } from '../../ingest/worker-thread.ts'
import { shardOf } from '../../log/entry.ts'
import type { StreamsLog } from '../../log/streams/streams-log.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { CurrentSchemas } from '../../schemas/current-schemas.ts'
import { SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { MemoryEngine, MemoryStreams } from '../log/streams/memory-streams.ts'
import { openOn } from '../log/streams/open-streams.ts'
import { scratchDirectory } from '../scratch.ts'
import { until } from '../until.ts'
import { startFaultServer } from './influx/fault-server.ts'
import { append, environment, settled } from './log-fixture.ts'

const SHARDS = 5
const DEVICES = Array.from({ length: 20 }, (_, number) => `truck-${number}`)
const T0 = Date.now() - 600_000

interface Process {
  readonly streams: MemoryStreams
  readonly log: StreamsLog
  readonly ingest: Ingest
  /** Shards that were followed by ingest here when last looked. */
  readonly follows: Set<number>
  end(): Promise<void>
}

async function start(t: TestContext, engine: MemoryEngine, store: StoreOptions): Promise<Process> {
  const streams = new MemoryStreams(engine)
  const started: { ingest?: Ingest } = {}
  // Before the log is closed, which happens in the order of these.
  t.after(() => started.ingest?.stop())
  const log = await openOn(t, streams, { directory: scratchDirectory(t) })
  const follows = new Set<number>()
  for (const [index, shard] of log.shards.entries()) {
    const follow = shard.follow.bind(shard)
    shard.follow = async function* (...args) {
      follows.add(index)
      try {
        yield* follow(...args)
      } finally {
        follows.delete(index)
      }
    }
  }
  const schemas = new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR })
  const dependencies = { log, clock: systemClock, logger: silentLogger(), metrics: createMetrics() }
  const ingest = new Ingest({ workers: 1, store, schemas }, dependencies)
  started.ingest = ingest
  await log.roles.begin('ingest')
  await ingest.start()
  const end = async () => {
    await ingest.stop()
    await log.roles.end('ingest')
    await log.stop()
  }
  return { streams, log, ingest, follows, end }
}

async function begin(t: TestContext) {
  const server = await startFaultServer(t)
  const store = { kind: 'influx', url: server.url, token: '', org: 'o', bucket: 'b', api: 'v2' } as const
  return { server, store, engine: new MemoryEngine(SHARDS) }
}

let sent = 0
async function send(log: StreamsLog, count: number): Promise<void> {
  const each = Array.from({ length: count }, () => {
    const number = sent++
    return append(log, DEVICES[number % DEVICES.length] ?? '', environment(T0 + number, number))
  })
  await Promise.all(each)
}

const all = (...processes: readonly Process[]) => processes.flatMap(({ follows }) => [...follows]).sort()
const sizes = (...processes: readonly Process[]) => processes.map(({ follows }) => follows.size)
const EVERY = [...Array(SHARDS).keys()]
const isDivided = (...processes: readonly Process[]) => String(all(...processes)) === String(EVERY)

test('shards are divided evenly among those who ingest; who comes gets a part, and what one had who ends the others have', async (t) => {
  const { server, store, engine } = await begin(t)
  const one = await start(t, engine, store)
  await until(() => one.follows.size === SHARDS)
  await send(one.log, 100)
  const other = await start(t, engine, store)
  await until(() => isDivided(one, other))
  assert.deepEqual(sizes(one, other), [3, 2])
  const third = await start(t, engine, store)
  await until(() => isDivided(one, other, third) && third.follows.size > 0)
  assert.deepEqual(sizes(one, other, third), [2, 2, 1])
  await send(other.log, 200)
  await settled(other.log)
  await one.end()
  await until(() => isDivided(other, third))
  assert.deepEqual(sizes(other, third), [3, 2])
  await send(third.log, 100)
  const { accepted, stored, deadLettered, balanced } = await settled(third.log)
  assert.deepEqual([accepted, stored, deadLettered, balanced], [400, 400, 0, true])
  assert.equal(server.lines.size, 400)
})

test('one that is stalled is replaced, and what it goes on with later changes nothing; then it has a part again', async (t) => {
  const { server, store, engine } = await begin(t)
  const [one, other] = [await start(t, engine, store), await start(t, engine, store)]
  await until(() => isDivided(one, other))
  await send(other.log, 100)
  await settled(other.log)
  let release = () => {}
  one.streams.held = new Promise((resolve) => {
    release = () => resolve()
  })
  await send(other.log, 200)
  await until(() => other.follows.size === SHARDS)
  await settled(other.log)
  const before = server.requests.length
  const { self } = one.log.members
  release()
  await until(() => one.log.members.self !== self && isDivided(one, other))
  // What it had in hand it has not written over what came later.
  assert.equal(server.requests.length, before)
  await send(one.log, 100)
  const { accepted, stored, balanced } = await settled(one.log)
  assert.deepEqual([accepted, stored, balanced], [400, 400, true])
  assert.equal(server.lines.size, 400)
})

test('two that ingest the same shards by accident change nothing in the books', async (t) => {
  const { server, store, engine } = await begin(t)
  const one = await start(t, engine, store)
  await until(() => one.follows.size === SHARDS)
  // This one asks nobody for a shard.
  const log = await openOn(t, new MemoryStreams(engine), { directory: scratchDirectory(t) })
  const metrics = new IngestMetrics(createMetrics(), async () => 0)
  const passed = new Set<number>()
  const schemas = new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR }).files
  const greedy = new Coordinator(
    {
      workers: 1,
      writes: STORES.influx.writes,
      makeThread: (index, events) => new WorkerThread({ index, workers: 1, shards: SHARDS, store, schemas }, events),
    },
    {
      log,
      others: {
        areSure: () => true,
        passed: (shard) => {
          passed.add(shard)
          void greedy.begin([shard])
        },
      },
      clock: systemClock,
      logger: silentLogger(),
      metrics,
      storeState: new StoreState(silentLogger(), metrics, systemClock),
    },
  )
  t.after(() => greedy.stop())
  await greedy.start()
  await greedy.begin(EVERY)
  const shards = new Set(DEVICES.map((device) => shardOf(device, SHARDS)))
  for (let round = 0; round < 100 && passed.size === 0; round++) {
    await send(one.log, 50)
    await settled(one.log)
  }
  assert(passed.size > 0 && passed.size <= shards.size)
  const { accepted, stored, deadLettered, balanced } = await settled(one.log)
  assert.deepEqual([stored, deadLettered, balanced], [accepted, 0, true])
  assert.equal(server.lines.size, accepted)
})

test('an embedded store is of one process, which has all shards; another stands by, and follows when that is gone', async (t) => {
  const engine = new MemoryEngine(SHARDS)
  const directory = scratchDirectory(t)
  const one = await start(t, engine, { kind: 'duckdb', path: `${directory}/one.duckdb` })
  await until(() => one.follows.size === SHARDS)
  const other = await start(t, engine, { kind: 'duckdb', path: `${directory}/other.duckdb` })
  await send(other.log, 100)
  await settled(other.log)
  assert.deepEqual(sizes(one, other), [SHARDS, 0])
  await one.end()
  await until(() => other.follows.size === SHARDS)
})
