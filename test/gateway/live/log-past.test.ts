/** What an app is sent of a log of several shards, when it comes back. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Access } from '../../../gateway/access.ts'
import { HistoryPlaces } from '../../../gateway/history-places.ts'
import { type Cursor, parseCursor, WHOLE } from '../../../gateway/live/cursor.ts'
import { Feeds } from '../../../gateway/live/feeds.ts'
import { Groups, type Wanted } from '../../../gateway/live/groups.ts'
import { type LiveEdge, LogPast } from '../../../gateway/live/log-past.ts'
import type { Past } from '../../../gateway/live/past.ts'
import { StoreReads } from '../../../gateway/live/store-reads.ts'
import type { NewEntry } from '../../../log/entry.ts'
import type { Position } from '../../../log/position.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { Decoder } from '../../../schemas/decoder.ts'
import { seriesIn } from '../../../schemas/point.ts'
import { pageWith } from '../../history.ts'
import { registry } from '../../ingest/log-fixture.ts'
import { at } from '../../log/only.ts'
import { ShardedLog } from '../../log/sharded.ts'
import { scratchDirectory } from '../../scratch.ts'
import { environment, NOW } from '../platform.ts'

/** One of each shard, in their order. */
const DEVICES = ['a', 'b', 'c', 'd']
const START = DEVICES.map(() => at(0))
const decoder = new Decoder(registry)

const messageOf = (device: string, receivedAt: number, times: readonly number[]): NewEntry => ({
  device,
  stream: 'environment',
  receivedAt,
  flags: 0,
  payload: registry.encode(
    'environment',
    times.map((time) => environment(time)),
  ),
})

async function sharded(t: TestContext, entries: readonly NewEntry[]): Promise<ShardedLog> {
  const log = await ShardedLog.open(t, join(scratchDirectory(t), 'log'), DEVICES.length)
  const append = (entry: NewEntry) =>
    new Promise<void>((resolve, reject) => log.append(entry, (error) => (error ? reject(error) : resolve())))
  await Promise.all(entries.map(append))
  return log
}

const placeAt = (position: Position): Cursor => ({ position, part: WHOLE, receivedAt: NOW })
const endOf = async ({ shards }: ShardedLog): Promise<Cursor> =>
  placeAt(await Promise.all(shards.map((shard) => shard.end())))

/** A tail that stays there until it is waited for, and then is at the next of these places. */
function edgeAt(...places: Cursor[]): LiveEdge {
  return {
    get place() {
      return places[0] ?? assert.fail()
    },
    async moved() {
      if (places.length > 1) places.shift()
    },
  }
}

interface Sent {
  readonly cursor: Cursor
  readonly readings: readonly { readonly device: string; readonly ts: number; readonly merged?: number }[]
}

/** Everything that the past sends, to its end. */
async function sentOf(log: ShardedLog, from: Cursor, tail: LiveEdge, wanted: Partial<Wanted> = {}): Promise<Sent[]> {
  const feeds = new Feeds({
    log,
    decoder,
    tagsOf: () => new Set(),
    seriesOf: (reading) => seriesIn(registry, reading),
  })
  const groups = new Groups((group) => feeds.of(group, group.wanted, () => undefined))
  const group = groups.join({ selections: [{}], ...wanted }) ?? assert.fail()
  const history = { readings: async () => pageWith([]), latest: async () => [] }
  const store = new StoreReads({ history, places: new HistoryPlaces() })
  const access = new Access({ kind: 'app', filters: ['#'], expiresAt: Number.POSITIVE_INFINITY })
  const dependencies = { log, decoder, feeds, tail, store, logger: silentLogger() }
  let past: Past = new LogPast(group, { from, reason: 'retention', access }, dependencies)
  const sent: Sent[] = []
  for (;;) {
    const step = past.next()
    if (step === 'done') return sent
    assert(step !== 'late')
    if (step instanceof Promise) await step
    else if ('rest' in step) past = step.rest
    else {
      const { cursor, readings } = JSON.parse(String(step.frame.data))
      sent.push({ cursor: parseCursor(log, cursor), readings })
    }
  }
}

const readingsOf = (sent: readonly Sent[]) =>
  sent.flatMap(({ readings }) => readings.map(({ device, ts }) => `${device} ${ts - NOW}`))

test('a cursor within a message that the tail has not come to keeps its place, whatever is sent of other shards', async (t) => {
  const times = Array.from({ length: 2_000 }, (_, index) => NOW + index)
  const log = await sharded(t, [messageOf('a', NOW, times), messageOf('b', NOW, times)])
  const end = await endOf(log)
  // Another gateway has sent 100 readings of "b", and nothing of "a", which this one's tail has taken in.
  const from = { ...placeAt(START), part: { shard: 1, readings: 100 } }
  const sent = await sentOf(log, from, edgeAt(placeAt(START.with(0, at(1))), end))
  const expected = [...times.slice(100).map((time) => `b ${time - NOW}`), ...times.map((time) => `a ${time - NOW}`)]
  assert.deepEqual(readingsOf(sent).sort(), expected.sort())
  assert(sent.length > 4, 'both messages take several frames')
  for (const [index, { cursor }] of sent.entries()) {
    const had = readingsOf(sent.slice(0, index + 1))
    const rest = readingsOf(await sentOf(log, cursor, edgeAt(end)))
    assert.deepEqual([...had, ...rest].sort(), expected, `from the cursor of frame ${index} on`)
  }
})

test('a shard in which more comes at every step keeps no other from being sent', async (t) => {
  const log = await sharded(t, [
    ...Array.from({ length: 100 }, (_, index) => messageOf('a', NOW + index, [NOW + index])),
    messageOf('d', NOW, [NOW]),
  ])
  let taken = 1
  const tail: LiveEdge = {
    get place() {
      return placeAt(START.with(3, at(1)).with(0, at(Math.min(taken++, 100))))
    },
    moved: async () => undefined,
  }
  const readings = readingsOf(await sentOf(log, placeAt(START), tail))
  assert.equal(readings.length, 101)
  assert(readings.indexOf('d 0') < 10, `it is reading ${readings.indexOf('d 0')}`)
})

test('a subscription with a rate has of every shard the windows that it would have had live', async (t) => {
  // In every second each device is received ten times.
  const received = Array.from({ length: 400 }, (_, index) => NOW + index * 100)
  const entries = DEVICES.flatMap((device) => received.map((time) => messageOf(device, time, [time])))
  const log = await sharded(t, entries)
  const end = await endOf(log)
  const rate = { maxRate: 1, reduce: 'last' } as const
  const sent = await sentOf(log, placeAt(START), edgeAt(end), { rate })
  const expected = DEVICES.flatMap((device) =>
    received.slice(9).flatMap((time, index) => (index % 10 === 0 ? [`${device} ${time - NOW}`] : [])),
  )
  assert.deepEqual(readingsOf(sent).sort(), expected.sort())
  for (const [index, { cursor }] of sent.entries()) {
    const had = readingsOf(sent.slice(0, index + 1))
    const rest = readingsOf(await sentOf(log, cursor, edgeAt(end), { rate }))
    assert.deepEqual([...had, ...rest].sort(), expected, `from the cursor of frame ${index} on`)
  }
})
