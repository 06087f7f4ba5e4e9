import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { copyFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import fc from 'fast-check'
import { DUCKDB_WAL_BYTES_MAX, DuckdbStore } from '../../../ingest/duckdb/store.ts'
import type { StoreBatch } from '../../../ingest/store.ts'
import type { Column, Reading, Stream } from '../../../schemas/reading.ts'
import { fileSizeLimit } from '../../file-size-limit.ts'
import { historyContract } from '../history-contract.ts'
import { pageFrom, storeContract, write } from '../store-contract.ts'
import { entryOf, reading, STREAMS, T0, weather } from '../streams.ts'

async function file(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'telltale-duckdb-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return join(directory, 'store.duckdb')
}

async function open(path: string, streams: readonly Stream[] = STREAMS): Promise<DuckdbStore> {
  const store = new DuckdbStore({ kind: 'duckdb', path }, { streams })
  await store.start()
  return store
}

const all = { selections: [{}], from: T0 - 1000, to: T0 + 86_400_000, limit: 100_000 }

for (const contract of [storeContract, historyContract]) {
  contract('duckdb', async (t, streams) => new DuckdbStore({ kind: 'duckdb', path: await file(t) }, { streams }))
}

test('a run that is written again after a restart, in smaller and larger pieces, changes nothing', async (t) => {
  const path = await file(t)
  const run = Array.from({ length: 6000 }, (_, n) =>
    reading(weather, `d${n % 7}`, T0 + n, { site: `s${n % 3}`, count: n }),
  )
  for (const piece of [6000, 1000, 1, 4999, 6000]) {
    const store = await open(path)
    for (let from = 0; from < (piece === 1 ? 5 : run.length); from += piece) {
      await write(store, ...run.slice(from, from + piece))
    }
    assert.deepEqual((await pageFrom(store, all)).readings, run)
    await store.stop()
  }
})

test('an entry with a value that no column takes is named, and its neighbours are written', async (t) => {
  const store = await open(await file(t))
  t.after(() => store.stop())
  const good = Array.from({ length: 100 }, (_, n) => reading(weather, 'd', T0 + n, { count: n }))
  const wrong: Reading['values'][] = [
    { count: 'seven' },
    { count: 1.5 },
    { count: 2 ** 70 },
    { temperature: 'warm' },
    { note: 7 },
    { on: 'yes' },
  ]
  const bad = wrong.map((values, n) => reading(weather, 'd', T0 + 1000 + n, values))
  const mixed = [...good.slice(0, 30), ...bad, ...good.slice(30)]
  const rejected = await write(store, ...mixed)
  const held = (await pageFrom(store, all)).readings
  assert.deepEqual(
    held.filter(({ ts }) => ts < T0 + 1000),
    good,
  )
  // DuckDB takes some values for what they could mean; nothing is both stored and refused, or neither.
  const taken = held.filter(({ ts }) => ts >= T0 + 1000).map(({ ts }) => ts - T0 - 1000 + 30)
  assert.deepEqual(
    [...rejected, ...taken].sort((a, b) => a - b),
    bad.map((_, n) => 30 + n),
  )
  assert(rejected.includes(30))
  t.diagnostic(`refused: ${rejected}`)
})

test('behind a link to a file that is not there yet, what is written is found again after a kill', async (t) => {
  const path = await file(t)
  const target = await file(t)
  await symlink(target, path)
  const first = await open(path)
  t.after(() => first.stop())
  await write(first, reading(weather, 'a', T0, { count: 1 }))
  // A stop would move the write-ahead log into the file: what a kill leaves is what is on disk now.
  const left = await file(t)
  await symlink(left, `${left}.link`)
  await copyFile(target, left)
  await copyFile(`${target}.wal`, `${left}.wal`)
  const again = await open(`${left}.link`)
  t.after(() => again.stop())
  assert.equal((await pageFrom(again, all)).readings.length, 1)
})

test('a file without a byte, as a first start on a full disk leaves it, is begun anew; any other that is none is left', async (t) => {
  const path = await file(t)
  await writeFile(path, '')
  const store = await open(path)
  t.after(() => store.stop())
  await write(store, reading(weather, 'a', T0, { count: 1 }))
  const other = await file(t)
  await writeFile(other, 'a')
  await assert.rejects(open(other), { code: 'store-failed', message: /cannot be opened.*deploy.md/ })
  assert.equal(await readFile(other, 'utf8'), 'a')
})

test('the checkpoint is kept with the rows of its batch', async (t) => {
  const path = await file(t)
  const first = await open(path)
  assert.equal(await first.checkpoint(), undefined)
  const entries = [entryOf(reading(weather, 'a', T0, { count: 1 }))]
  for (const checkpoint of ['x-1', 'x-2']) {
    const source = { shard: 0, first: 0, next: 1, checkpoint }
    await first.write({ entries, source }, new AbortController().signal)
  }
  await first.stop()
  const again = await open(path)
  t.after(() => again.stop())
  assert.equal(await again.checkpoint(), 'x-2')
})

test('whatever the order and the restarts, each series and time is held once with its last value', async (t) => {
  const step = fc.record({
    device: fc.constantFrom('a', 'b'),
    site: fc.constantFrom('', 'x'),
    at: fc.integer({ min: 0, max: 8 }),
  })
  const batches = fc.array(fc.record({ steps: fc.array(step, { maxLength: 12 }), restart: fc.boolean() }), {
    maxLength: 6,
  })
  await fc.assert(
    fc.asyncProperty(batches, async (plan) => {
      const path = await file(t)
      let store = await open(path)
      const model = new Map<string, number>()
      let value = 0
      for (const { steps, restart } of plan) {
        const readings: Reading[] = steps.map(({ device, site, at }) => {
          value++
          model.set(`${device} ${site} ${at}`, value)
          return reading(weather, device, T0 + at, { site, count: value })
        })
        await write(store, ...readings)
        if (restart) {
          await store.stop()
          store = await open(path)
        }
      }
      const { readings } = await pageFrom(store, all)
      await store.stop()
      const held = readings.map(({ device, ts, values }) => [`${device} ${values.site ?? ''} ${ts - T0}`, values.count])
      assert.deepEqual(held.sort(), [...model].sort())
    }),
    { numRuns: 15 },
  )
})

test('columns are added as a schema grows; what it no longer has stays in the table', async (t) => {
  const path = await file(t)
  const column = (name: string, kind: Column['kind']): Column => ({ name, kind, tag: false })
  const grown = (...columns: Column[]): Stream => ({ ...weather, columns })
  const first = await open(path, [grown(column('a', 'integer'), column('b', 'float'))])
  await write(first, reading(weather, 'd', T0, { a: 1, b: 1.5 }))
  await first.stop()
  const second = await open(path, [grown(column('c', 'string'), column('a', 'float'))])
  await write(second, reading(weather, 'd', T0 + 1, { c: 'new', a: 2.5 }))
  assert.deepEqual(
    (await pageFrom(second, all)).readings.map(({ values }) => values),
    [{ a: 1 }, { c: 'new', a: 2.5 }],
  )
  await second.stop()
  await assert.rejects(open(path, [grown(column('c', 'boolean'))]), {
    code: 'store-failed',
    message: /column c .* VARCHAR/,
  })
})

test('an abort interrupts a write, which leaves nothing of it; written again, it is there once', async (t) => {
  const store = await open(await file(t))
  t.after(() => store.stop())
  const readings = Array.from({ length: 100_000 }, (_, n) => reading(weather, `d${n % 7}`, T0 + n, { count: n }))
  const batch = { entries: readings.map((one) => entryOf(one)) }
  const stop = new AbortController()
  const writing = store.write(batch, stop.signal)
  setImmediate(() => stop.abort())
  const outcome = await writing.then(
    () => 'written',
    (error) => error.code,
  )
  const { readings: held } = await pageFrom(store, all)
  assert.equal(held.length, outcome === 'written' ? 100_000 : 0)
  await store.write(batch, new AbortController().signal)
  assert.equal((await pageFrom(store, all)).readings.length, 100_000)
})

const FULL_DISKS = [
  { when: 'while it appends to its write-ahead log', bytes: DUCKDB_WAL_BYTES_MAX / 4, message: /failed to commit/i },
  {
    when: 'while it moves that log into its file, which makes DuckDB refuse everything',
    bytes: (DUCKDB_WAL_BYTES_MAX * 9) / 8,
    message: /failed to create checkpoint/i,
  },
]
for (const { when, bytes, message } of FULL_DISKS) {
  test(`a disk that is full ${when}: the write fails, and succeeds when there is room`, async (t) => {
    const limit = fileSizeLimit(t)
    if (limit === undefined) return
    const store = await open(await file(t))
    t.after(() => store.stop())
    limit.set(bytes)
    const batches = bigBatches()
    let count = 0
    let refused: { batch: StoreBatch; error: { message: string } } | undefined
    for (const batch of batches) {
      const error = await writeOnce(store, batch)
      count += batch.entries.length
      if (error === undefined) continue
      refused = { batch, error }
      break
    }
    assert.match(refused?.error.message ?? '', message)
    assert.match((await writeOnce(store, refused?.batch ?? { entries: [] }))?.message ?? '', message)
    limit.lift()
    assert.equal(await writeOnce(store, refused?.batch ?? { entries: [] }), undefined)
    const held = (await pageFrom(store, all)).readings.map(({ ts }) => ts - T0)
    assert.deepEqual(held, [...Array(count).keys()])
  })
}

test('a column that the full disk has no room for is no fault of its readings: they are written when there is room', async (t) => {
  const limit = fileSizeLimit(t)
  if (limit === undefined) return
  const store = await open(await file(t))
  t.after(() => store.stop())
  const grown: Stream = { ...weather, columns: [...weather.columns, { name: 'later', kind: 'float', tag: false }] }
  const contrary: Stream = { ...weather, name: 'contrary', columns: [{ name: 'x', kind: 'float', tag: false }] }
  const changed: Stream = { ...contrary, columns: [{ name: 'x', kind: 'string', tag: false }] }
  await store.useStreams([...STREAMS, contrary])
  limit.set(1)
  await assert.rejects(store.useStreams([grown, changed]))
  const of = (stream: Stream, values: Reading['values']) => ({
    stream,
    receivedAt: T0,
    offset: 0,
    readings: [{ device: 'd', stream: stream.name, ts: T0, values }],
  })
  const batch = { entries: [of(grown, { later: 1 }), of(changed, { x: 'y' })] }
  assert.notEqual(await writeOnce(store, batch), undefined)
  limit.lift()
  const { rejected } = await store.write(batch, new AbortController().signal)
  assert.deepEqual(
    rejected.map(({ index }) => index),
    [1],
  )
  assert.match(rejected[0]?.reason ?? '', /column x of stream contrary is DOUBLE in the store/)
  assert.deepEqual(
    (await pageFrom(store, all)).readings.map(({ values }) => values),
    [{ later: 1 }],
  )
})

/** Of values that do not compress, 256 KiB a batch and a hundred times the write-ahead log's limit in all. */
function* bigBatches(): Generator<StoreBatch> {
  for (let at = 0; at < (100 * DUCKDB_WAL_BYTES_MAX) / 1024; at += 256) {
    const entries = Array.from({ length: 256 }, (_, n) => {
      const note = randomBytes(768).toString('base64')
      return entryOf(reading(weather, 'd', T0 + at + n, { note }))
    })
    yield { entries }
  }
}

async function writeOnce(store: DuckdbStore, batch: StoreBatch): Promise<Error | undefined> {
  try {
    await store.write(batch, new AbortController().signal)
    return undefined
  } catch (error) {
    return error as Error
  }
}
