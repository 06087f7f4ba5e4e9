import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Coordinator, type CoordinatorOptions, INGEST_WORKER_DEATHS_MAX } from '../../ingest/coordinator.ts'
import { IngestMetrics, StoreState } from '../../ingest/ingest-metrics.ts'
import type { StoreWrites } from '../../ingest/store.ts'
import type { StoreOptions } from '../../ingest/stores.ts'
import { WorkerThread } from '../../ingest/worker-thread.ts'
import type { Shards } from '../../log/log.ts'
import { LogError } from '../../log/log-error.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { readSchemaFiles } from '../../schemas/schema-files.ts'
import { ShardedLog } from '../log/sharded.ts'
import { until } from '../until.ts'
import { startFaultServer } from './influx/fault-server.ts'
import { append, environment, openLog, settled, temporaryDirectory } from './log-fixture.ts'

/** So that there are many groups. */
const SMALL: StoreWrites = { entriesMax: 5_000, intervalMs: 25 }

const T0 = Date.now() - 600_000

/** A worker that is killed by what it is given, every time `mayDie` says so: a damaged run of entries ends the thread. */
class MortalThread extends WorkerThread {
  mayDie: () => boolean = () => false

  override take(group: Parameters<WorkerThread['take']>[0]): void {
    super.take(this.mayDie() ? { ...group, bytes: new SharedArrayBuffer(3) } : group)
  }
}

async function serverOf(t: TestContext) {
  const server = await startFaultServer(t)
  return { server, store: { kind: 'influx', url: server.url, token: '', org: 'o', bucket: 'b', api: 'v2' } as const }
}

async function open(t: TestContext, workers: number, mayDie: () => boolean, writes = SMALL) {
  const { server, store } = await serverOf(t)
  return { server, ...(await openWith(t, await temporaryDirectory(t), store, workers, mayDie, writes)) }
}

async function openWith(
  t: TestContext,
  directory: string,
  store: StoreOptions,
  workers: number,
  mayDie: () => boolean,
  writes = SMALL,
) {
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  return { log, coordinator: coordinatorOf(t, log, store, workers, mayDie, writes) }
}

function coordinatorOf(
  t: TestContext,
  log: Shards,
  store: StoreOptions,
  workers: number,
  mayDie: () => boolean,
  writes = SMALL,
): Coordinator {
  const { length: shards } = log.shards
  const metrics = new IngestMetrics(createMetrics(), async () => 0)
  const coordinator = new Coordinator(
    {
      workers,
      writes,
      makeThread: (index, events) => {
        const thread = new MortalThread(
          { index, workers, shards, store, schemas: readSchemaFiles(SHIPPED_SCHEMAS_DIR) },
          events,
        )
        thread.mayDie = mayDie
        return thread
      },
    },
    {
      log,
      clock: systemClock,
      logger: silentLogger(),
      metrics,
      storeState: new StoreState(silentLogger(), metrics, systemClock),
    },
  )
  t.after(() => coordinator.stop())
  return coordinator
}

test('when a worker cannot start, one that is still starting is ended too', async (t) => {
  const directory = await temporaryDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const store = { kind: 'influx', url: 'http://127.0.0.1:9', token: '', org: 'o', bucket: 'b', api: 'v2' } as const
  const ended = new Set<number>()
  let first = Promise.resolve()
  const makeThread: CoordinatorOptions['makeThread'] = (index, events) => {
    const good = readSchemaFiles(SHIPPED_SCHEMAS_DIR)
    const schemas = index === 0 ? { ...good, lock: 'no lock' } : good
    const thread = new WorkerThread({ index, workers: 2, shards: 1, store, schemas }, events)
    const [start, stop] = [thread.start.bind(thread), thread.stop.bind(thread)]
    thread.start = async () => {
      const started = start()
      if (index === 0) first = started
      await started
      await first.catch(() => nextTurn())
    }
    thread.stop = () => stop().then(() => void ended.add(index))
    return thread
  }
  const metrics = new IngestMetrics(createMetrics(), async () => 0)
  const coordinator = new Coordinator(
    {
      workers: 2,
      writes: SMALL,
      makeThread,
    },
    {
      log,
      clock: systemClock,
      logger: silentLogger(),
      metrics,
      storeState: new StoreState(silentLogger(), metrics, systemClock),
    },
  )
  await assert.rejects(coordinator.start())
  assert.deepEqual([...ended], [1])
})

/** Counts what ingest takes of a log from now on. */
function countTaken({ shards }: Shards): () => number {
  let taken = 0
  for (const shard of shards) {
    const follow = shard.follow.bind(shard)
    shard.follow = async function* (...args) {
      for await (const batch of follow(...args)) {
        yield batch
        taken += batch.count
      }
    }
  }
  return () => taken
}

test('entries wait for others while few come; not the first, not when they are many, not when ingest stops', async (t) => {
  const { log, server, coordinator } = await open(t, 1, () => false, { entriesMax: 5_000, intervalMs: 3_600_000 })
  const taken = countTaken(log)
  await coordinator.start()
  void coordinator.begin([...log.shards.keys()])
  await append(log, 'a', environment(T0, 0))
  assert.equal((await settled(log)).stored, 1)
  for (let n = 1; n <= 10; n++) await append(log, 'a', environment(T0 + n, n))
  await until(() => taken() === 11)
  assert.deepEqual([(await log.ledger('ingest')).pending, server.requests.length], [10, 1])
  await Promise.all(Array.from({ length: 2_490 }, (_, n) => append(log, 'a', environment(T0 + 11 + n, n))))
  assert.equal((await settled(log)).stored, 2_501)
  assert.equal(server.requests.length, 2)
  await append(log, 'a', environment(T0 + 5_000, 0))
  await until(() => taken() === 2_502)
  await coordinator.stop()
  assert.deepEqual([(await log.ledger('ingest')).stored, server.requests.length], [2_502, 3])
})

test('entries of a shard wait for others of it, whatever comes in the other shards between', async (t) => {
  const log = await ShardedLog.open(t, join(await temporaryDirectory(t), 'log'), 4)
  const { server, store } = await serverOf(t)
  const taken = countTaken(log)
  const coordinator = coordinatorOf(t, log, store, 1, () => false, { entriesMax: 5_000, intervalMs: 3_600_000 })
  await coordinator.start()
  void coordinator.begin([...log.shards.keys()])
  // One of each shard.
  const devices = ['a', 'b', 'c', 'd']
  for (const device of devices) await append(log, device, environment(T0, 0))
  assert.equal((await settled(log)).stored, 4)
  for (let n = 1; n <= 10; n++) for (const device of devices) await append(log, device, environment(T0 + n, n))
  await until(() => taken() === 44)
  assert.deepEqual([(await log.ledger('ingest')).pending, server.requests.length], [40, 4])
  await Promise.all(Array.from({ length: 2_490 }, (_, n) => append(log, 'b', environment(T0 + 11 + n, n))))
  await until(async () => (await log.ledger('ingest')).pending === 30)
  assert.equal(server.requests.length, 5, 'what is much in one shard goes, and takes nothing of others with it')
  await coordinator.stop()
  assert.deepEqual([(await log.ledger('ingest')).pending, server.requests.length], [0, 8])
})

test('a shard without room for its dead letters keeps no other from being stored', async (t) => {
  const log = await ShardedLog.open(t, join(await temporaryDirectory(t), 'log'), 4)
  const { store } = await serverOf(t)
  const [full, other] = log.shards
  assert(full && other)
  const advance = full.advance.bind(full)
  let isFull = true
  full.advance = (...args) => (isFull ? Promise.reject(new LogError('log-full', 'a test')) : advance(...args))
  const coordinator = coordinatorOf(t, log, store, 2, () => false)
  await coordinator.start()
  void coordinator.begin([...log.shards.keys()])
  for (let n = 0; n < 20; n++) {
    // One of each of these shards.
    await Promise.all([append(log, 'a', environment(T0 + n, n)), append(log, 'b', environment(T0 + n, n))])
    await until(async () => (await other.ledger('ingest')).stored === n + 1)
  }
  assert.equal((await full.ledger('ingest')).stored, 0)
  isFull = false
  assert.equal((await settled(log)).stored, 40)
})

test('a worker that dies is replaced, and what it had is stored by its successor', async (t) => {
  let groups = 0
  // The first group of all, then every tenth, as often as it is forgiven.
  const { log, server, coordinator } = await open(t, 2, () => {
    const taken = groups++
    return taken % 10 === 0 && taken < 10 * (INGEST_WORKER_DEATHS_MAX - 1)
  })
  await coordinator.start()
  void coordinator.begin([...log.shards.keys()])
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 100 }, (_, n) => append(log, `d${n}`, environment(T0 + round, n))))
  }
  const ledger = await settled(log)
  assert.deepEqual([ledger.stored, ledger.deadLettered, ledger.balanced], [2000, 0, true])
  assert.equal(server.lines.size, 2000)
})

test('a worker that dies while its embedded store is at work takes nothing else with it', async (t) => {
  const directory = await temporaryDirectory(t)
  const store = { kind: 'duckdb', path: join(directory, 'telemetry.duckdb') } as const
  let groups = 0
  const mayDie = () => [5, 10].includes(++groups)
  const { log, coordinator } = await openWith(t, directory, store, 1, mayDie)
  await coordinator.start()
  void coordinator.begin([...log.shards.keys()])
  for (let round = 0; round < 40; round++) {
    await Promise.all(Array.from({ length: 1000 }, (_, n) => append(log, `d${n}`, environment(T0 + round, n))))
  }
  const ledger = await settled(log)
  assert(groups > 10, `${groups} groups`)
  assert.deepEqual([ledger.stored, ledger.deadLettered, ledger.balanced], [40_000, 0, true])
})

test('workers that die again and again end ingest with an error, and lose nothing', async (t) => {
  const { log, coordinator } = await open(t, 1, () => true)
  await coordinator.start()
  void coordinator.begin([...log.shards.keys()])
  await append(log, 'a', environment(T0, 1))
  await assert.rejects(coordinator.failed, { code: 'ingest-failed', message: /ended 6 times/ })
  await coordinator.stop()
  assert.equal((await log.ledger('ingest')).pending, 1)
})

test('a stuck store holds the checkpoint and not the log; memory is bounded; all is stored when it is back', async (t) => {
  const { log, server, coordinator } = await open(t, 2, () => false)
  let away = true
  server.decide = () => (away ? { status: 503, headers: { 'retry-after': '0' } } : undefined)
  await coordinator.start()
  void coordinator.begin([...log.shards.keys()])
  const appended: Promise<void>[] = []
  for (let n = 0; n < 60_000; n++) appended.push(append(log, `d${n % 100}`, environment(T0 + n, 1)))
  await Promise.all(appended)
  await until(() => server.requests.length > 3)
  const before = await log.ledger('ingest')
  assert.deepEqual([before.stored, before.pending, before.balanced], [0, 60_000, true])
  away = false
  assert.equal((await settled(log)).stored, 60_000)
  assert.equal(server.lines.size, 60_000)
})
