import assert from 'node:assert/strict'
import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import { Ingest } from '../../ingest/ingest.ts'
import { createStore, type StoreOptions } from '../../ingest/stores.ts'
import { INGEST_READER, type Log } from '../../log/log.ts'
import { systemClock } from '../../platform/clock.ts'
import { INGEST_DRAIN_MS } from '../../platform/limits.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { CurrentSchemas } from '../../schemas/current-schemas.ts'
import { SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { pageOf } from '../history.ts'
import { startInfluxdb1 } from '../servers/influxdb1.ts'
import { requireServer } from '../servers/server.ts'
import { until } from '../until.ts'
import { startFaultServer } from './influx/fault-server.ts'
import { append, environment, openLog, registry, settled, temporaryDirectory } from './log-fixture.ts'

const T0 = Date.now() - 600_000

function openIngest(log: Log, store: StoreOptions, workers = 1, metrics = createMetrics()) {
  const deps = { log, clock: systemClock, logger: silentLogger(), metrics }
  return new Ingest({ workers, store, schemas: new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR }) }, deps)
}

test('good messages are stored, bad ones set aside with a code, and the books balance', async (t) => {
  const directory = await temporaryDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const metrics = createMetrics()
  const ingest = openIngest(log, { kind: 'duckdb', path: join(directory, 'store.duckdb') }, 1, metrics)
  await ingest.start()
  t.after(() => ingest.stop())
  const appended: Promise<void>[] = []
  for (let n = 0; n < 200; n++) appended.push(append(log, `d${n % 5}`, environment(T0 + n, n / 10)))
  appended.push(append(log, 'd0', Buffer.alloc(0)))
  appended.push(append(log, 'd0', Buffer.from('zzzz')))
  appended.push(append(log, 'd0', Buffer.from('{"ts":1}')))
  const batch = [0, 1, 2].map((n) => ({
    ts: T0 + 1000 + n,
    temperature: 21.3,
    humidity: 40,
    pressure: 1,
    battery: 1,
    rssi: 1,
  }))
  appended.push(append(log, 'batch', registry.encode('environment', batch)))
  appended.push(append(log, 'd0', environment(T0 + 5000, 1), 'nosuch'))
  await Promise.all(appended)
  const ledger = await settled(log)
  assert.deepEqual(ledger, {
    accepted: 205,
    stored: 201,
    deadLettered: 4,
    pending: 0,
    balanced: true,
    readings: 203,
    superseded: 0,
  })
  const codes = (await log.deadLetters({ limit: 10 })).map(({ code, offset }) => [code, offset])
  assert.deepEqual(codes, [
    ['empty', 200],
    ['unknown-framing', 201],
    ['invalid-reading', 202],
    ['unknown-schema', 204],
  ])
  const books = { pending: 0, balanced: true, superseded: 0 }
  const first = { device: 'd0', accepted: 44, stored: 40, deadLettered: 4, readings: 40, ...books }
  assert.deepEqual(await log.deviceLedger('ingest', 'd0'), first)
  const batched = { device: 'batch', accepted: 1, stored: 1, deadLettered: 0, readings: 3, ...books }
  assert.deepEqual(await log.deviceLedger('ingest', 'batch'), batched)
  const query = { selections: [{}], from: T0, to: T0 + 10_000, limit: 1000 }
  const { readings } = await pageOf(ingest.history, query)
  assert.equal(readings.length, 203)
  assert.equal(readings[0]?.ts, T0)
  assert.equal(readings.at(-1)?.values.temperature, 21.3)
  assert.equal((await ingest.history.latest([{ device: 'batch' }], 10))[0]?.ts, T0 + 1002)
  const text = await metrics.metrics()
  assert.match(text, /telltale_ingest_entries_stored_total 201/)
  assert.match(text, /telltale_ingest_pending_entries 0/)
})

test('what was set aside when it was appended is counted as that, not decoded, and set aside by nobody else', async (t) => {
  const directory = await temporaryDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const ingest = openIngest(log, { kind: 'duckdb', path: join(directory, 'store.duckdb') }, 1)
  await append(log, 'a', environment(T0, 1))
  // It can be decoded; whoever took it did not find it so. Of a schema that is not known it would be replayed.
  const entry = { device: 'b', stream: 'environment', receivedAt: T0, flags: 0, payload: environment(T0, 2) }
  const why = { code: 'invalid-reading', reason: 'so' }
  await Promise.all([1, 2].map(() => new Promise<void>((resolve) => log.appendSetAside(entry, why, () => resolve()))))
  await append(log, 'b', Buffer.from('zzzz'))
  await append(log, 'b', environment(T0, 3))
  const counts = { accepted: 5, balanced: true, superseded: 0 }
  assert.deepEqual(await log.ledger(INGEST_READER), { ...counts, stored: 0, deadLettered: 2, pending: 3, readings: 0 })
  const of = { ...counts, device: 'b', accepted: 4 }
  const ahead = { ...of, stored: 0, deadLettered: 2, pending: 2, readings: 0 }
  const { pendingSince = 0, ...waiting } = await log.deviceLedger(INGEST_READER, 'b')
  assert.deepEqual(waiting, ahead)
  assert(pendingSince > T0, 'the oldest of those that wait is none of those that were set aside')
  await ingest.start()
  t.after(() => ingest.stop())
  await until(async () => (await log.ledger(INGEST_READER)).pending === 0)
  assert.deepEqual(await log.ledger(INGEST_READER), { ...counts, stored: 2, deadLettered: 3, pending: 0, readings: 2 })
  assert.deepEqual(await log.deviceLedger(INGEST_READER, 'b'), {
    ...of,
    stored: 1,
    deadLettered: 3,
    pending: 0,
    readings: 1,
  })
  const letters = await log.deadLetters({ limit: 10 })
  assert.deepEqual(
    letters.map(({ offset, code }) => [offset, code]),
    [
      [1, 'invalid-reading'],
      [2, 'invalid-reading'],
      [3, 'unknown-framing'],
    ],
  )
  // Once it is appended again it is as any other.
  assert.equal(await log.replay({ code: 'invalid-reading' }), 2)
  assert.deepEqual((await settled(log)).stored, 4)
})

test('a message with the fingerprint that another library computes is stored, and its device is told which', async (t) => {
  const directory = await temporaryDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const ingest = openIngest(log, { kind: 'duckdb', path: join(directory, 'store.duckdb') })
  await ingest.start()
  t.after(() => ingest.stop())
  const stop = new AbortController()
  const notices = log.followNotices(stop.signal)[Symbol.asyncIterator]()
  const first = notices.next()
  const foreign = Buffer.from(environment(T0, 1))
  // As hamba/avro 2.28.0 computes it of environment 1.
  foreign.writeBigUInt64LE(0xd647e81e6f8f8df6n, 2)
  await append(log, 'right', environment(T0, 1))
  await append(log, 'go', foreign)
  const { value } = await first
  stop.abort()
  assert.deepEqual([value?.device, value?.stream, value?.code], ['go', 'environment', 'foreign-fingerprint'])
  assert.match(value?.message ?? '', /d647e81e6f8f8df6.*1cbbb95fb5d067f9.*hamba\/avro/)
  const ledger = await settled(log)
  assert.deepEqual([ledger.stored, ledger.deadLettered], [2, 0])
})

test('a reading by itself does not wait for others to fill its batch', async (t) => {
  const directory = await temporaryDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const ingest = openIngest(log, { kind: 'duckdb', path: join(directory, 'store.duckdb') })
  await ingest.start()
  t.after(() => ingest.stop())
  await append(log, 'warm', environment(T0, 1))
  await settled(log)
  for (let n = 1; n <= 10; n++) {
    const started = performance.now()
    await append(log, 'a', environment(T0 + n, 1))
    await settled(log)
    t.diagnostic(`appended to stored: ${(performance.now() - started).toFixed(0)} ms`)
  }
})

test('a store that was written from a later state of the log is told of at the start, and goes on', async (t) => {
  const directory = await temporaryDirectory(t)
  const options: StoreOptions = { kind: 'duckdb', path: join(directory, 'store.duckdb') }
  const first = await openLog(join(directory, 'log'))
  const before = openIngest(first, options)
  await before.start()
  await append(first, 'a', environment(T0, 1))
  await settled(first)
  await before.stop()
  await first.stop()

  const replaced = await openLog(join(directory, 'another log'))
  t.after(() => replaced.stop())
  const lines: string[] = []
  const logger = pino({ level: 'warn' }, { write: (line: string) => lines.push(JSON.parse(line).msg) })
  const deps = { log: replaced, clock: systemClock, logger, metrics: createMetrics() }
  const ingest = new Ingest(
    { workers: 1, store: options, schemas: new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR }) },
    deps,
  )
  await ingest.start()
  t.after(() => ingest.stop())
  await append(replaced, 'a', environment(T0 + 1, 2))
  await settled(replaced)
  assert.match(lines.join('; '), /^the store was written from another log/)
  const { readings } = await pageOf(ingest.history, { selections: [{}], from: T0, to: T0 + 10, limit: 10 })
  assert.equal(readings.length, 2)
})

for (const [what, putBack] of Object.entries({
  'an older copy was put back': (path: string) => copyFile(`${path}.copy`, path),
  'its file was removed': (path: string) => rm(path),
})) {
  test(`a store of which ${what} has again what the log holds, and the books stay`, async (t) => {
    const directory = await temporaryDirectory(t)
    const log = await openLog(join(directory, 'log'))
    t.after(() => log.stop())
    const path = join(directory, 'store.duckdb')
    /** What the store holds after it was given the messages with these numbers, of which each tenth is bad. */
    const run = async (from: number, to: number) => {
      const ingest = openIngest(log, { kind: 'duckdb', path })
      await ingest.start()
      const appended: Promise<void>[] = []
      for (let n = from; n < to; n++) {
        const payload = n % 10 === 0 ? Buffer.from('bad') : environment(T0 + n, n)
        appended.push(append(log, `d${n % 3}`, payload))
      }
      await Promise.all(appended)
      await settled(log)
      const query = { selections: [{}], from: T0, to: T0 + 100_000, limit: 100_000 }
      const { readings } = await pageOf(ingest.history, query)
      await ingest.stop()
      return readings.length
    }
    assert.equal(await run(0, 7_000), 6_300)
    await copyFile(path, `${path}.copy`)
    assert.equal(await run(7_000, 20_000), 18_000)
    await putBack(path)
    // What is new is stored after what is restored.
    assert.equal(await run(20_000, 20_010), 18_009)
    const { accepted, stored, deadLettered, balanced } = await log.ledger('ingest')
    assert.deepEqual([accepted, stored, deadLettered, balanced], [20_010, 18_009, 2_001, true])
    assert.equal((await log.deadLetterCounts()).held, 2_001)
    const device = await log.deviceLedger('ingest', 'd1')
    assert.deepEqual([device.accepted, device.balanced], [6_670, true])
  })
}

test('a store whose file is removed while it is in use ends ingest, which says so', async (t) => {
  const directory = await temporaryDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const path = join(directory, 'store.duckdb')
  const ingest = openIngest(log, { kind: 'duckdb', path })
  await ingest.start()
  t.after(() => ingest.stop())
  await append(log, 'a', environment(T0, 1))
  await settled(log)
  await rm(path)
  await append(log, 'a', environment(T0 + 1, 2))
  await assert.rejects(ingest.failed, { code: 'store-lost', message: /store\.duckdb was removed or replaced/ })
  assert.equal((await log.ledger('ingest')).pending, 1)
})

test('with several workers the newer of two values of a series and time stays', async (t) => {
  const server = await requireServer(t, startInfluxdb1)
  if (server === undefined) return
  const directory = await temporaryDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const options = server.store
  const ingest = openIngest(log, options, 3)
  await ingest.start()
  t.after(() => ingest.stop())
  const rounds = 400
  const appended: Promise<void>[] = []
  for (let round = 1; round <= rounds; round++) {
    for (let device = 0; device < 20; device++)
      appended.push(append(log, `d${device}`, environment(T0 + device, round)))
    if (round % 40 === 0) await Promise.all(appended)
  }
  await Promise.all(appended)
  const ledger = await settled(log)
  assert.equal(ledger.stored, rounds * 20)
  assert(ledger.balanced)
  for (let device = 0; device < 20; device++) {
    const { accepted, stored, readings } = await log.deviceLedger('ingest', `d${device}`)
    assert.deepEqual([accepted, stored, readings], [rounds, rounds, rounds])
  }
  const store = await createStore(options, { streams: registry.streams })
  t.after(() => store.stop())
  const { readings } = await pageOf(store.history, { selections: [{}], from: T0, to: T0 + 1000, limit: 100 })
  assert.deepEqual(
    readings.map(({ values }) => values.temperature),
    Array.from({ length: 20 }, () => rounds),
  )
})

test('what was appended while ingest was down is stored when it comes up, and once', async (t) => {
  const directory = await temporaryDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const options: StoreOptions = { kind: 'duckdb', path: join(directory, 'store.duckdb') }
  for (let run = 0; run < 3; run++) {
    const appended = Array.from({ length: 3000 }, (_, n) =>
      append(log, `d${n % 7}`, environment(T0 + run * 3000 + n, n)),
    )
    await Promise.all(appended)
    const ingest = openIngest(log, options)
    await ingest.start()
    if (run > 0) await settled(log)
    await ingest.stop()
  }
  assert.deepEqual((await settled(log)).stored, 9000)
  const ingest = openIngest(log, options)
  await ingest.start()
  t.after(() => ingest.stop())
  const { readings } = await pageOf(ingest.history, { selections: [{}], from: T0, to: T0 + 10_000, limit: 10_000 })
  assert.equal(readings.length, 9000)
})

test('a store that cannot be opened fails the start and names the file', async (t) => {
  const directory = await temporaryDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const ingest = openIngest(log, { kind: 'duckdb', path: join(directory, 'no', 'such', 'folder', 'x.duckdb') })
  await assert.rejects(ingest.start(), { code: 'store-failed', message: /no.such.folder/ })
  await ingest.stop()
})

test('stop does not wait for a store that is away', async (t) => {
  const directory = await temporaryDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const options: StoreOptions = {
    kind: 'influx',
    url: 'http://127.0.0.1:1',
    token: '',
    org: 'o',
    bucket: 'b',
    api: 'v2',
  }
  const ingest = openIngest(log, options, 2)
  await ingest.start()
  await append(log, 'a', environment(T0, 1))
  // A stop that waited for the store would last as long as it may drain.
  const drained = delay(INGEST_DRAIN_MS, 'drained', { ref: false })
  assert.equal(await Promise.race([ingest.stop().then(() => 'stopped'), drained]), 'stopped')
  const { pending, balanced } = await log.ledger('ingest')
  assert.deepEqual([pending, balanced], [1, true])
})

test('stop while the embedded store answers history and writes leaves neither a thread nor a crash', async (t) => {
  const directory = await temporaryDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const ingest = openIngest(log, { kind: 'duckdb', path: join(directory, 'store.duckdb') })
  await ingest.start()
  await Promise.all(Array.from({ length: 20_000 }, (_, n) => append(log, `d${n % 7}`, environment(T0 + n, n))))
  const query = { selections: [{}], from: T0, to: T0 + 100_000, limit: 100_000 }
  const ask = () =>
    pageOf(ingest.history, query).then(
      () => 'answered',
      (error) => error.code,
    )
  const answers = Array.from({ length: 20 }, ask)
  await answers[0]
  await ingest.stop()
  for (const answer of await Promise.all(answers)) assert.match(answer, /^(answered|store-unavailable)$/)
  await assert.rejects(pageOf(ingest.history, query), { code: 'store-unavailable' })
  assert((await log.ledger('ingest')).balanced)
})

test('the store going bad and good again is one log line each', async (t) => {
  const directory = await temporaryDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const server = await startFaultServer(t)
  const faults = [503, 503, 503, 503]
  server.decide = () => {
    const status = faults.pop()
    return status === undefined ? undefined : { status, headers: { 'retry-after': '0' } }
  }
  const lines: string[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line).msg) })
  const metrics = createMetrics()
  const store: StoreOptions = { kind: 'influx', url: server.url, token: '', org: 'o', bucket: 'b', api: 'v2' }
  const deps = { log, clock: systemClock, logger, metrics }
  const ingest = new Ingest(
    { workers: 1, store, schemas: new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR }) },
    deps,
  )
  await ingest.start()
  t.after(() => ingest.stop())
  await append(log, 'a', environment(T0, 1))
  await settled(log)
  assert.equal(lines.length, 2, lines.join('; '))
  assert.match(lines[0] ?? '', /does not take writes, trying again: InfluxDB at http.* answered 503/)
  assert.match(lines[1] ?? '', /takes writes again/)
  assert.match(await metrics.metrics(), /write_retries_total\{code="store-unavailable"\} 4/)
})
