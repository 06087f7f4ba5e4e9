/** What the embedded store knows of each row: when its message was received, and where in the log that stood. */

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import fc from 'fast-check'
import { DuckdbStore } from '../../../ingest/duckdb/store.ts'
import type { StoreBatch } from '../../../ingest/store.ts'
import { type LogStretch, type Place, type PlacedReading, placeAfter } from '../../../schemas/history.ts'
import type { Reading } from '../../../schemas/reading.ts'
import { pageOf } from '../../history.ts'
import { pulses, RECEIVED, reading, STREAMS, T0, weather } from '../streams.ts'

const signal = new AbortController().signal
const LOG = 'log1'
const all = { selections: [{}], from: T0 - 1000, to: T0 + 86_400_000, limit: 1000 }

async function file(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'telltale-duckdb-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return join(directory, 'store.duckdb')
}

async function open(t: TestContext, path: string): Promise<DuckdbStore> {
  const store = new DuckdbStore({ kind: 'duckdb', path }, { streams: STREAMS })
  t.after(() => store.stop())
  await store.start()
  return store
}

const positionText = (log: string, position: readonly number[]) =>
  `${log}-${position.map((offset) => offset.toString(36)).join('.')}`

/** Messages of the only shard of a log, from the offset `first` on; an empty one is of those that were set aside. */
function batchAt(first: number, messages: readonly (readonly Reading[])[], log = LOG): StoreBatch {
  const entries = messages.flatMap((readings, index) => {
    const stream = STREAMS.find(({ name }) => name === readings[0]?.stream)
    return stream === undefined
      ? []
      : [{ stream, readings, receivedAt: RECEIVED + first + index, offset: first + index }]
  })
  const next = first + messages.length
  return { entries, source: { shard: 0, first, next, checkpoint: positionText(log, [next]) } }
}

const count = (device: string, at: number, value: number) => reading(weather, device, T0 + at, { count: value })

interface Asked {
  readonly log?: string
  readonly from?: Place
  readonly limit?: number
  readonly selections?: readonly object[]
}

const START: Place = { position: [0], part: { shard: 0, readings: 0 } }

const received = (store: DuckdbStore, before: readonly number[], asked: Asked = {}) =>
  store.received({ selections: [{}], log: LOG, from: START, limit: 100, ...asked, before }, signal)

const placesOf = (readings: readonly PlacedReading[]) =>
  readings.map(({ reading, offset, index }) => [offset, index, reading.device, reading.values.count])

test('history tells when each reading was received, but for windows, which are of many', async (t) => {
  const store = await open(t, await file(t))
  const level = reading(pulses, 'p', T0 + 0.25, { level: 2.5 })
  await store.write(batchAt(7, [[count('a', 0, 1), count('a', 1, 2)], [level], [count('a', 1, 3)]]), signal)
  const told = (readings: readonly Reading[]) =>
    readings.map(({ device, ts, received }) => [device, ts - T0, (received ?? 0) - RECEIVED])
  assert.deepEqual(told((await pageOf(store, all)).readings), [
    ['a', 0, 7],
    ['p', 0.25, 8],
    ['a', 1, 9],
  ])
  assert.deepEqual(told(await store.latest([{}], 10)), [
    ['p', 0.25, 8],
    ['a', 1, 9],
  ])
  const window = { everyMs: 60_000, aggregate: 'count' } as const
  const { readings } = await pageOf(store, { ...all, window })
  assert.equal(readings.length, 2)
  for (const one of readings) assert(!('received' in one))
})

test('a page of what was received ends anywhere in a message, and goes on there', async (t) => {
  const store = await open(t, await file(t))
  const level = (at: number) => reading(pulses, 'p', T0 + at, { level: at })
  const messages = [
    [count('a', 2, 0), count('a', 1, 1), count('b', 0, 2)],
    [],
    [level(1), level(0)],
    [count('a', 3, 3)],
  ]
  await store.write(batchAt(5, messages), signal)
  const whole = await received(store, [9], { from: { ...START, position: [5] } })
  assert.deepEqual([whole.truncated, whole.lacking], [false, []])
  const expected = messages.flatMap((readings, message) =>
    readings.map((one, index) => ({
      reading: { ...one, received: RECEIVED + 5 + message },
      shard: 0,
      offset: 5 + message,
      index,
    })),
  )
  assert.deepEqual(whole.readings, expected)
  for (let limit = 1; limit <= expected.length; limit++) {
    const query = { selections: [{}], log: LOG, before: [9], limit }
    let from: Place = { ...START, position: [5] }
    const readings: PlacedReading[] = []
    for (;;) {
      const page = await store.received({ ...query, from }, signal)
      readings.push(...page.readings)
      const last = page.readings.at(-1)
      if (!page.truncated || last === undefined) break
      assert.equal(page.readings.length, limit)
      from = placeAfter({ ...query, from }, last)
    }
    assert.deepEqual(readings, expected)
  }
  const one = await received(store, [9], { from: { ...START, position: [5] }, selections: [{ device: 'b' }] })
  assert.deepEqual(placesOf(one.readings), [[5, 2, 'b', 2]])
})

test('a store that was never given a stretch of the log says so, also after a restart', async (t) => {
  const path = await file(t)
  const first = await open(t, path)
  assert.deepEqual((await received(first, [3])).lacking, [{ shard: 0, first: 0, next: 3 }])
  await first.write(batchAt(10, [[count('a', 0, 10)], []]), signal)
  await first.write(batchAt(12, [[count('a', 1, 12)]]), signal)
  await first.write(batchAt(20, [[count('a', 2, 20)]]), signal)
  // What is read again after a crash fills nothing and opens nothing.
  await first.write({ ...batchAt(11, [[], [count('a', 1, 12)]]), isRepeat: true }, signal)
  await first.stop()
  const again = await open(t, path)
  const { readings, lacking } = await received(again, [25])
  assert.deepEqual(
    placesOf(readings).map(([offset]) => offset),
    [10, 12, 20],
  )
  const stretches = [
    { shard: 0, first: 0, next: 10 },
    { shard: 0, first: 13, next: 20 },
    { shard: 0, first: 21, next: 25 },
  ]
  assert.deepEqual(lacking, stretches)
  const within = await received(again, [15], { from: { ...START, position: [11] } })
  assert.deepEqual(within.lacking, [{ shard: 0, first: 13, next: 15 }])
  assert.deepEqual((await received(again, [13], { from: { ...START, position: [10] } })).lacking, [])
})

test('a directory of before places were kept goes on: its rows are history, and what is written now has places', async (t) => {
  const path = await file(t)
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  await connection.run('CREATE TABLE weather (time TIMESTAMP NOT NULL, device VARCHAR NOT NULL, count BIGINT)')
  await connection.run(
    `INSERT INTO weather VALUES (make_timestamp(${T0}000), 'a', 1), (make_timestamp(${T0}000), 'b', 2)`,
  )
  await connection.run('CREATE TABLE "log checkpoint" (position VARCHAR NOT NULL)')
  await connection.run(`INSERT INTO "log checkpoint" VALUES ('${positionText(LOG, [2])}')`)
  connection.closeSync()
  instance.closeSync()

  const store = await open(t, path)
  assert.equal(await store.checkpoint(), positionText(LOG, [2]))
  const { readings } = await pageOf(store, all)
  assert.deepEqual(readings, [count('a', 0, 1), count('b', 0, 2)])
  assert.deepEqual(await received(store, [2]), {
    readings: [],
    truncated: false,
    lacking: [{ shard: 0, first: 0, next: 2 }],
  })
  const { superseded } = await store.write(batchAt(2, [[count('b', 0, 3)], [count('b', 1, 4)]]), signal)
  assert.equal(superseded.length, 1)
  const page = await received(store, [4])
  assert.deepEqual(placesOf(page.readings), [
    [2, 0, 'b', 3],
    [3, 0, 'b', 4],
  ])
  assert.deepEqual(page.lacking, [{ shard: 0, first: 0, next: 2 }])
  const past = await store.readings({ ...all, upTo: { log: LOG, position: [3] } }, signal)
  assert.deepEqual(past.upTo, [3])
  assert.deepEqual(await countsOf(past.pieces), [1, 3])
})

async function countsOf(pieces: AsyncIterable<readonly Reading[]>) {
  const counts: unknown[] = []
  for await (const piece of pieces) counts.push(...piece.map(({ values }) => values.count))
  return counts
}

test('history up to a position ends there, or where the store has come to', async (t) => {
  const store = await open(t, await file(t))
  const messages = [[count('a', 5, 0)], [count('a', 4, 1)], [count('a', 3, 2)], [count('b', 0, 3), count('b', 9, 3)]]
  await store.write(batchAt(0, messages), signal)
  const upTo = async (offset: number, log = LOG) => {
    const page = await store.readings({ ...all, upTo: { log, position: [offset] } }, signal)
    return [page.upTo, await countsOf(page.pieces)]
  }
  assert.deepEqual(await upTo(0), [[0], []])
  assert.deepEqual(await upTo(2), [[2], [1, 0]])
  assert.deepEqual(await upTo(4), [[4], [3, 2, 1, 0, 3]])
  assert.deepEqual(await upTo(9), [[4], [3, 2, 1, 0, 3]])
  assert.deepEqual(await upTo(9, 'another'), [[0], []])
  const window = { everyMs: 86_400_000, aggregate: 'count' } as const
  const page = await store.readings({ ...all, window, upTo: { log: LOG, position: [2] } }, signal)
  assert.deepEqual(await countsOf(page.pieces), [2])
})

test('when the log is another its first batch takes the places of older rows, and leaves the rows and their receipts', async (t) => {
  const path = await file(t)
  const store = await open(t, path)
  await store.write(
    batchAt(0, [[count('a', 0, 0)], [count('a', 1, 1)], [reading(pulses, 'p', T0, { level: 1 })]]),
    signal,
  )
  const before = (await pageOf(store, all)).readings
  assert.deepEqual(await received(store, [3], { log: 'log2' }), {
    readings: [],
    truncated: false,
    lacking: [{ shard: 0, first: 0, next: 3 }],
  })
  const other = { ...batchAt(1, [[count('b', 2, 2)]], 'log2'), isOtherLog: true }
  await store.write(other, signal)
  // It may have been written, and yet nobody have heard of it.
  await store.write(other, signal)
  await store.write(batchAt(2, [[count('a', 1, 3)]], 'log2'), signal)
  for (const isRestarted of [false, true]) {
    if (isRestarted) await store.stop()
    const one = isRestarted ? await open(t, path) : store
    const { readings } = await pageOf(one, all)
    assert.deepEqual(readings.slice(0, 2), before.slice(0, 2))
    const page = await received(one, [3], { log: 'log2' })
    assert.deepEqual(placesOf(page.readings), [
      [1, 0, 'b', 2],
      [2, 0, 'a', 3],
    ])
    assert.deepEqual(page.lacking, [{ shard: 0, first: 0, next: 1 }])
    assert.deepEqual((await received(one, [3])).lacking, [{ shard: 0, first: 0, next: 3 }])
  }
})

test('a place far beyond the log is no row, whatever an app has made its cursor of', async (t) => {
  const store = await open(t, await file(t))
  await store.write(batchAt(0, [[count('a', 0, 0)]]), signal)
  const far = 36 ** 11 - 1
  const page = await received(store, [far], { from: { position: [far - 2 ** 20], part: { shard: 0, readings: 7 } } })
  assert.deepEqual(page.readings, [])
  assert.equal((await received(store, [far])).readings.length, 1)
  assert.deepEqual((await received(store, [far, far], { from: { ...START, position: [0, 0] } })).readings, [])
})

test('of several shards that one comes first of whose message a part was had: no later page would know of it', async (t) => {
  const store = await open(t, await file(t))
  for (const shard of [0, 1, 2]) {
    const { entries } = batchAt(0, [[count(`d${shard}`, 0, 0), count(`d${shard}`, 1, 1), count(`d${shard}`, 2, 2)]])
    const checkpoint = positionText(LOG, [1, 1, 1])
    await store.write({ entries, source: { shard, first: 0, next: 1, checkpoint } }, signal)
  }
  const query = { selections: [{}], log: LOG, before: [1, 1, 2], limit: 2 }
  let from: Place = { position: [0, 0, 0], part: { shard: 1, readings: 2 } }
  const had: unknown[] = []
  for (let pages = 0; pages < 4; pages++) {
    const page = await store.received({ ...query, from }, signal)
    had.push(...page.readings.map(({ shard, index }) => [shard, index]))
    assert.deepEqual(page.lacking, [{ shard: 2, first: 1, next: 2 }])
    const last = page.readings.at(-1)
    assert.equal(page.truncated, pages < 3)
    if (last !== undefined) from = placeAfter({ ...query, from }, last)
  }
  assert.deepEqual(had, [
    [1, 2],
    [0, 0],
    [0, 1],
    [0, 2],
    [2, 0],
    [2, 1],
    [2, 2],
  ])
})

const message = fc.record({
  device: fc.constantFrom('a', 'b'),
  readings: fc.array(fc.record({ at: fc.nat(6), site: fc.constantFrom('', 'x') }), { maxLength: 4 }),
})
const given = fc.record({
  shard: fc.nat(1),
  /** Entries that left the log before they were stored. */
  hole: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 3 })),
  messages: fc.array(message, { minLength: 1, maxLength: 6 }),
  /** A crash behind it: so many batches are written again. */
  again: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 3 })),
})
const asked = fc.record({
  position: fc.tuple(fc.nat(20), fc.nat(20)),
  part: fc.record({ shard: fc.nat(1), readings: fc.nat(3) }),
  before: fc.tuple(fc.nat(30), fc.nat(30)),
  limit: fc.integer({ min: 1, max: 8 }),
})

test('between any two places are the readings that were written there, less those that others have replaced', async (t) => {
  const property = fc.asyncProperty(
    fc.array(given, { maxLength: 8 }),
    fc.array(asked, { maxLength: 4 }),
    async (runs, queries) => {
      const path = await file(t)
      let store = await open(t, path)
      const next = [0, 0]
      const batches: StoreBatch[] = []
      const rows = new Map<string, readonly unknown[]>()
      const given = new Set<string>()
      let value = 0
      for (const { shard, hole, messages, again } of runs) {
        const first = (next[shard] ?? 0) + hole
        const entries = messages.map(({ device, readings }, index) => ({
          stream: weather,
          readings: readings.map(({ at, site }) =>
            reading(weather, `${device}${shard}`, T0 + at, { site, count: value++ }),
          ),
          receivedAt: RECEIVED,
          offset: first + index,
        }))
        for (const { offset, readings } of entries) {
          given.add(`${shard} ${offset}`)
          for (const [index, { device, ts, values }] of readings.entries()) {
            rows.set(`${device} ${values.site} ${ts}`, [shard, offset, index, values.count])
          }
        }
        next[shard] = first + messages.length
        const source = { shard, first, next: first + messages.length, checkpoint: positionText(LOG, next) }
        batches.push({ entries, source })
        await store.write(batches.at(-1) as StoreBatch, signal)
        if (again === 0) continue
        await store.stop()
        store = await open(t, path)
        for (const batch of batches.slice(-again)) await store.write({ ...batch, isRepeat: true }, signal)
      }
      for (const { position, part, before, limit } of queries) {
        const isAsked = ([shard, offset, index]: readonly number[] | readonly unknown[]) => {
          const [s, o, i] = [Number(shard), Number(offset), Number(index)]
          if (o < (position[s] ?? 0) || o >= (before[s] ?? 0)) return false
          return s !== part.shard || o !== position[s] || i >= part.readings
        }
        const query = { selections: [{}], log: LOG, before, limit }
        let from: Place = { position, part }
        const found: unknown[] = []
        const lacking: LogStretch[] = []
        for (;;) {
          const page = await store.received({ ...query, from }, signal)
          found.push(
            ...page.readings.map(({ shard, offset, index, reading }) => [shard, offset, index, reading.values.count]),
          )
          if (found.length <= limit) lacking.push(...page.lacking)
          const last = page.readings.at(-1)
          if (!page.truncated || last === undefined) break
          from = placeAfter({ ...query, from }, last)
        }
        const expected = [...rows.values()].filter(isAsked) as number[][]
        const turn = (shard: number) => (shard === part.shard ? -1 : shard)
        expected.sort(([s1 = 0, o1 = 0, i1 = 0], [s2 = 0, o2 = 0, i2 = 0]) => turn(s1) - turn(s2) || o1 - o2 || i1 - i2)
        assert.deepEqual(found, expected)
        const lacks = (shard: number, offset: number) =>
          lacking.some((stretch) => stretch.shard === shard && offset >= stretch.first && offset < stretch.next)
        for (const shard of [0, 1]) {
          for (let offset = 0; offset < 40; offset++) {
            const isMissing = isAsked([shard, offset, 100]) && !given.has(`${shard} ${offset}`)
            // A store that was never written to knows of no log.
            assert.equal(lacks(shard, offset), isMissing, `shard ${shard}, offset ${offset}`)
          }
        }
      }
      await store.stop()
    },
  )
  await fc.assert(property, { numRuns: 15, interruptAfterTimeLimit: 60_000 })
})
