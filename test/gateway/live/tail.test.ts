import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Latest } from '../../../gateway/latest.ts'
import { Feeds } from '../../../gateway/live/feeds.ts'
import { Groups } from '../../../gateway/live/groups.ts'
import { Tail } from '../../../gateway/live/tail.ts'
import { TAIL_BYTES_PER_TURN } from '../../../gateway/live/telemetry.ts'
import { GatewayMetrics } from '../../../gateway/metrics.ts'
import { type Batch, entryBytes, type NewEntry, writeEntry } from '../../../log/entry.ts'
import type { Shard } from '../../../log/log.ts'
import { LATEST_WARM_UP_MS_MAX } from '../../../platform/limits.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import { Decoder } from '../../../schemas/decoder.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../../schemas/registry.ts'
import { at } from '../../log/only.ts'
import { environment, NOW } from '../platform.ts'

const registry = Registry.load(SHIPPED_SCHEMAS_DIR)

function batchOf(payloads: readonly Buffer[], device = 'a'): Batch {
  const entries = payloads.map((payload): NewEntry => {
    return { device, stream: 'environment', receivedAt: NOW, flags: 0, payload }
  })
  const bytes = Buffer.alloc(entries.reduce((sum, entry) => sum + entryBytes(entry), 0))
  let end = 0
  for (const entry of entries) end = writeEntry(bytes, end, entry)
  return { firstOffset: at(0), count: entries.length, bytes, next: at(entries.length), missed: 0 }
}

test('others get their turn within a batch, and then the cursor lies between what was sent and what was not', async (t) => {
  const perMessage = 250
  const message = (number: number) => {
    const readings = Array.from({ length: perMessage }, (_, part) => environment(NOW + number * perMessage + part))
    return registry.encode('environment', readings)
  }
  const messages = Array.from({ length: 60 }, (_, number) => message(number))
  const large = Buffer.alloc(3 * TAIL_BYTES_PER_TURN, '{')
  const batch = batchOf([...messages.slice(0, 30), large, ...messages.slice(30)])
  const logger = silentLogger()
  let sent = 0
  let sentThisTurn = 0
  const latest = new Latest(registry)
  const shard: Pick<Shard, 'first' | 'end' | 'read' | 'checkpoint' | 'follow' | 'undecoded'> = {
    first: async () => at(0),
    end: async () => at(0),
    read: async () => undefined,
    checkpoint: async () => at(0),
    undecoded: async () => new Set(),
    follow: async function* (_from, signal) {
      yield batch
      if (!signal.aborted) await once(signal, 'abort')
    },
  }
  const log = { id: 'log', shards: [shard] }
  const feeds = new Feeds({ log, decoder: new Decoder(registry), tagsOf: () => new Set(), seriesOf: () => '' })
  const groups = new Groups((group) =>
    feeds.of(group, group.wanted, (_frame, readings) => {
      sent += readings
      sentThisTurn += readings
    }),
  )
  assert(groups.join({ selections: [{}] }))
  const tail = new Tail({
    log,
    decoder: new Decoder(registry),
    latest,
    groups,
    publish: () => assert.fail('there is no gap'),
    published: () => undefined,
    tagsOf: () => new Set(),
    clock: { now: () => NOW },
    logger,
    metrics: new GatewayMetrics(createMetrics()),
  })
  t.after(() => tail.stop())
  await tail.start()
  let turns = 0
  while (sent < messages.length * perMessage) {
    await new Promise(setImmediate)
    const readOf = tail.place.position[0] ?? assert.fail()
    assert.equal(sent, (readOf > 30 ? readOf - 1 : readOf) * perMessage)
    assert.equal(latest.lastOf('a')[0]?.ts ?? NOW - 1, NOW - 1 + sent)
    assert.ok((sentThisTurn / perMessage) * message(0).length <= TAIL_BYTES_PER_TURN)
    if (sentThisTurn > 0) turns++
    sentThisTurn = 0
  }
  assert.ok(turns > 5)
  assert.equal(tail.place.position[0] ?? assert.fail(), batch.count)
  const fates = [0, 30, 60].map((offset) => tail.fateOf(0, at(offset)))
  assert.deepEqual(fates, [
    { at: NOW, subscriptions: 0, reduced: 0 },
    'unsent',
    { at: NOW, subscriptions: 0, reduced: 0 },
  ])
  assert.equal(tail.fateOf(0, at(61)), 'to-come')
})

test('a shard of which much is not stored yet takes no time from the others while the tail warms up', async (t) => {
  const batch = (device: string) => batchOf([registry.encode('environment', environment(NOW))], device)
  const shardWith = (
    device: string,
    entries: number,
  ): Pick<Shard, 'first' | 'end' | 'read' | 'checkpoint' | 'follow' | 'undecoded'> => ({
    first: async () => at(0),
    end: async () => at(entries),
    read: async (from) => ({ ...batch(device), firstOffset: from, next: at(from + 1) }),
    checkpoint: async () => at(0),
    undecoded: async () => new Set(),
    follow: (_from, signal) => ({
      async *[Symbol.asyncIterator]() {
        if (!signal.aborted) await once(signal, 'abort')
        yield* []
      },
    }),
  })
  const log = { id: 'log', shards: [shardWith('a', 1_000_000), shardWith('b', 1)] }
  const latest = new Latest(registry)
  let now = NOW
  const tail = new Tail({
    log,
    decoder: new Decoder(registry),
    latest,
    groups: new Groups(() => assert.fail('nobody subscribes')),
    publish: () => assert.fail('there is no gap'),
    published: () => undefined,
    tagsOf: () => new Set(),
    // Each look at it takes a tenth of the time there is.
    clock: { now: () => (now += LATEST_WARM_UP_MS_MAX / 10) },
    logger: silentLogger(),
    metrics: new GatewayMetrics(createMetrics()),
  })
  t.after(() => tail.stop())
  await tail.start()
  assert.deepEqual(tail.place.position, [1_000_000, 1])
  assert.deepEqual([...latest.devices()].sort(), ['a', 'b'])
})
