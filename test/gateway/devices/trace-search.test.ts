/** Which messages are found by a time, in a log of several shards. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  type SearchDependencies,
  searchLog,
  TRACE_AROUND_MS,
  type Wanted,
} from '../../../gateway/devices/trace-search.ts'
import type { NewEntry } from '../../../log/entry.ts'
import { INGEST_READER } from '../../../log/log.ts'
import { Decoder } from '../../../schemas/decoder.ts'
import { seriesIn } from '../../../schemas/point.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../../schemas/registry.ts'
import { openLocal } from '../../log/local/open-local.ts'
import { ShardedLog } from '../../log/sharded.ts'
import { scratchDirectory } from '../../scratch.ts'
import { environment, NOW } from '../platform.ts'

const HOUR = 3_600_000
const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
const decoder = new Decoder(registry)
const seriesOf = (reading: Parameters<typeof seriesIn>[1]) => seriesIn(registry, reading)

const messageOf = (device: string, receivedAt: number, ...readings: object[]): NewEntry => ({
  device,
  stream: 'environment',
  receivedAt,
  flags: 0,
  payload: Buffer.from(JSON.stringify(readings)),
})

async function searchIn(
  log: Pick<SearchDependencies, 'shards'>,
  device: string,
  at: number,
  more: Partial<Wanted> = {},
) {
  const wanted = { device, at, now: NOW, maySee: () => true, ...more }
  const { messages, ...rest } = await searchLog(wanted, { shards: log.shards, decoder, seriesOf })
  const found = messages.map(({ shard, entry, matched, offMs }) => ({ shard, offset: entry.offset, matched, offMs }))
  return { found, messages, ...rest }
}

async function sharded(t: TestContext, entries: readonly NewEntry[]): Promise<ShardedLog> {
  const log = await ShardedLog.open(t, join(scratchDirectory(t), 'log'), 2)
  // One commit each.
  for (const entry of entries)
    await new Promise<void>((resolve, reject) => log.append(entry, (error) => (error ? reject(error) : resolve())))
  return log
}

test('a message is found by its receipt and by the times of its readings, whenever it came, in whichever shard', async (t) => {
  const log = await sharded(t, [
    messageOf('a', NOW - 3 * HOUR, environment(NOW - 3 * HOUR - 100)),
    messageOf('b', NOW - 3 * HOUR, environment(NOW - 3 * HOUR - 100)),
    messageOf('a', NOW - 3 * HOUR + 4_000, environment(NOW - 3 * HOUR + 3_000)),
    messageOf('b', NOW - 2 * HOUR, environment(NOW - 2 * HOUR)),
    // What it had kept meanwhile.
    messageOf('a', NOW - HOUR, environment(NOW - 3 * HOUR + 1_000), environment(NOW - 3 * HOUR + 2_000)),
    messageOf('b', NOW - HOUR, environment(NOW - 3 * HOUR + 1_000)),
  ])
  const shardOf = async (device: string, at: number) => (await searchIn(log, device, at)).found[0]?.shard
  assert.deepEqual([await shardOf('a', NOW - HOUR), await shardOf('b', NOW - HOUR)].sort(), [0, 1])
  const found = async (device: string, at: number) =>
    (await searchIn(log, device, at)).found.map(({ offset, matched, offMs }) => [offset, matched.join('+'), offMs])
  assert.deepEqual(await found('a', NOW - HOUR), [[2, 'received', undefined]])
  assert.deepEqual(await found('a', NOW - 3 * HOUR + 1_000), [[2, 'reading', undefined]])
  assert.deepEqual(await found('a', NOW - 3 * HOUR + 2_000), [[2, 'reading', undefined]])
  assert.deepEqual(await found('b', NOW - 2 * HOUR), [[1, 'received+reading', undefined]])
  assert.deepEqual(await found('a', NOW - 3 * HOUR), [[0, 'received', undefined]])
  // A whole second is all of it, and another time is exact.
  assert.deepEqual(await found('a', NOW - 3 * HOUR - 1_000), [[0, 'reading', undefined]])
  assert.deepEqual(await found('a', NOW - 3 * HOUR - 99), [[0, 'received+reading', -1]])
  assert.deepEqual(await found('a', NOW - 3 * HOUR + 3_999), [[1, 'received+reading', 1]])
  assert.deepEqual(await found('a', NOW - 2 * HOUR), [])
  assert.deepEqual(await found('a', NOW - HOUR + TRACE_AROUND_MS + 1), [])
  assert.equal((await searchIn(log, 'a', NOW)).logFrom, NOW - 3 * HOUR)
  assert.deepEqual((await searchIn(log, 'a', NOW - HOUR, { maySee: (stream) => stream === 'vehicle' })).found, [])
})

test('how far back the log reaches, and how far it was looked, is said of the shard that has the device', async (t) => {
  const log = await sharded(t, [
    messageOf('b', NOW - 5 * HOUR, environment(NOW - 5 * HOUR)),
    messageOf('a', NOW - HOUR, environment(NOW - HOUR)),
  ])
  const looked: number[] = []
  const shards = log.shards.map((shard, index) => ({
    first: () => shard.first(),
    at: (time: number) => shard.at(time),
    checkpoint: (reader: string) => shard.checkpoint(reader),
    read: (...args: Parameters<typeof shard.read>) => {
      looked.push(index)
      return shard.read(...args)
    },
  }))
  assert.equal((await searchIn({ shards }, 'a', NOW - 4 * HOUR)).logFrom, NOW - HOUR)
  assert.equal((await searchIn({ shards }, 'b', NOW - 4 * HOUR)).logFrom, NOW - 5 * HOUR)
  assert.deepEqual((await searchIn({ shards }, 'a', NOW - HOUR)).found[0]?.matched, ['received', 'reading'])
  looked.length = 0
  await searchIn({ shards }, 'a', NOW - 4 * HOUR)
  assert.deepEqual([...new Set(looked)], [0], 'no other shard is read for it')
})

test('of a clock that is ahead a reading is found where it came, before its time', async (t) => {
  const log = await sharded(t, [
    messageOf('a', NOW - 2 * HOUR, environment(NOW - HOUR)),
    messageOf('a', NOW - 1, environment(NOW - 1)),
  ])
  assert.deepEqual((await searchIn(log, 'a', NOW - HOUR)).found, [])
  const [found] = (await searchIn(log, 'a', NOW - HOUR, { clockOffsetMs: -HOUR })).found
  assert.deepEqual([found?.offset, found?.matched], [0, ['reading']])
})

test('which message has replaced another is known: of one series and time, with other values', async (t) => {
  const log = await sharded(t, [
    messageOf('a', NOW - 5_000, environment(NOW - 6_000, 1), environment(NOW - 5_500, 1)),
    messageOf('a', NOW - 4_000, environment(NOW - 6_000, 2)),
    messageOf('a', NOW - 3_000, environment(NOW - 6_000, 2)),
    messageOf('a', NOW - 2_000, environment(NOW - 5_500, 1)),
  ])
  const replacedIn = async () =>
    (await searchIn(log, 'a', NOW - 6_000)).messages.map(({ replaced }) => [replaced.readings, replaced.by?.receivedAt])
  assert.deepEqual(await replacedIn(), Array(4).fill([0, undefined]), 'none is stored yet')
  for (const shard of log.shards) {
    const next = await shard.end()
    await shard.advance(INGEST_READER, { next, stored: next, readings: next, deadLetters: [] })
  }
  assert.deepEqual(await replacedIn(), [
    [1, NOW - 3_000],
    [0, undefined],
    [0, undefined],
    [0, undefined],
  ])
})

test('it looks so far and no further, and says how far; of many exact ones it names some, and counts the others', async (t) => {
  const log = await openLocal(t, { directory: join(scratchDirectory(t), 'log') })
  const padding = { ...environment(NOW), text: 'x'.repeat(250_000) }
  const all: Promise<void>[] = []
  const add = (entry: NewEntry) =>
    all.push(new Promise((resolve, reject) => log.append(entry, (error) => (error ? reject(error) : resolve()))))
  const from = NOW - 2 * HOUR
  for (let number = 0; number < 12; number++) add(messageOf('a', from, environment(from - number)))
  for (let number = 0; number < 280; number++) {
    add(messageOf('b', from + HOUR + number, padding))
    if (number % 40 === 39) await Promise.all(all)
  }
  add(messageOf('a', NOW - 1, environment(from - 500)))
  await Promise.all(all)
  const { found, more, lookedUntil = 0 } = await searchIn(log, 'a', from)
  assert.deepEqual([found.length, more], [10, 2])
  assert(lookedUntil > from + HOUR && lookedUntil < from + HOUR + 280, String(lookedUntil))
  assert.notEqual((await searchIn(log, 'a', from - 500)).found[0]?.offset, 292)
})
