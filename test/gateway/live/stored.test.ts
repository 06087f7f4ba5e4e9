/** What the log does not hold any more comes from the store: of the embedded one exactly; what a store cannot know is told. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { INGEST_READER } from '../../../log/log.ts'
import { startInfluxdb2 } from '../../servers/influxdb2.ts'
import { requireServer } from '../../servers/server.ts'
import {
  App,
  environment,
  HOUR_MS,
  NOW,
  onEachServer,
  type ServerKind,
  startPlatform,
  type TestPlatform,
  type TestPlatformOptions,
} from '../platform.ts'

const duckdb = (directory: string) => ({ kind: 'duckdb', path: `${directory}/store.duckdb` }) as const

const upTo = (count: number, from = 0) => Array.from({ length: count - from }, (_, index) => from + index)
const numbers = (app: App) => app.readings().map(({ ts }) => ts - NOW)

interface Aged {
  readonly platform: TestPlatform
  readonly token: string
  /** After so many readings of 600. */
  readonly cursors: ReadonlyMap<number, string>
  /** The first message, and the first reading of "a", that the log still holds. */
  readonly firstOffset: number
  readonly first: number
}

/** A platform whose log has lost the first of 600 readings in 200 messages, all of them stored. */
async function aged(t: TestContext, server: ServerKind, store: TestPlatformOptions['store']): Promise<Aged> {
  const platform = await startPlatform(t, server, { ...(store && { store }) })
  const token = await platform.identity.signApp(['#'], 100 * HOUR_MS)
  const app = await App.connect(t, platform, token)
  await app.subscribe({ filter: 'devices/a/#' })
  const cursors = new Map<number, string>()
  for (let message = 0; message < 200; message++) {
    platform.clock.time = NOW + message * 3
    const batch = upTo(3).map((index) => environment(NOW + message * 3 + index))
    await platform.publish('a', 'environment', platform.registry.encode('environment', batch))
    await platform.publish('b', 'environment', environment(NOW + message))
    if (message % 50 === 10) {
      await app.until(() => app.readings().length === (message + 1) * 3)
      cursors.set((message + 1) * 3, String(app.frames.findLast(({ cursor }) => cursor)?.cursor))
    }
  }
  const [shard] = platform.log.shards
  assert(shard)
  while ((await shard.checkpoint(INGEST_READER)) !== (await shard.end())) await delay(20)
  platform.clock.time = NOW + 10 * HOUR_MS
  while ((await shard.first()) === 0) await delay(20)
  // Of two messages one is of "a".
  const firstOffset = await shard.first()
  return { platform, token, cursors, firstOffset, first: Math.ceil(firstOffset / 2) * 3 }
}

onEachServer('embedded store: an app goes on from a cursor that the log has lost, exactly', async (t, server) => {
  const { platform, token, cursors, first } = await aged(t, server, duckdb)
  assert.ok(first > 300, `the log begins at ${first}`)
  for (const [had, cursor] of cursors) {
    const again = await App.connect(t, platform, token)
    await again.subscribe({ filter: 'devices/a/#', start: { after: cursor } })
    assert.deepEqual(numbers(again), upTo(600, had))
    assert.ok(again.readings().every(({ ts, received }) => received === NOW + Math.floor((ts - NOW) / 3) * 3))
    assert.ok(!again.frames.some(({ type }) => type === 'gap'))
    again.socket.terminate()
  }
  // From a cursor given on the way too.
  const [[had, cursor] = [0, '']] = cursors
  const narrow = await App.connect(t, platform, token)
  await narrow.subscribe({ filter: 'devices/a/#', start: { after: cursor }, fields: ['rssi'], maxRate: 1000 })
  assert.deepEqual(
    numbers(narrow).length + narrow.frames.reduce((sum, { merged }) => sum + Number(merged ?? 0), 0),
    600 - had,
  )
  const raw = await App.connect(t, platform, token, 'telltale.v1.avro')
  await raw.subscribe({ filter: 'devices/a/#', start: { after: cursor } })
  assert.deepEqual(numbers(raw)[0], had, 'what the store has comes decoded')
})

onEachServer('last: more than the log holds comes from the store, then from the log, each once', async (t, server) => {
  const { platform, token } = await aged(t, server, duckdb)
  await platform.publish('a', 'environment', environment(NOW + 600))
  const app = await App.connect(t, platform, token)
  await app.subscribe({ filter: 'devices/a/#', start: { last: '11h' } })
  await platform.publish('a', 'environment', environment(NOW + 601))
  await app.until(() => app.readings().some(({ ts }) => ts === NOW + 601))
  assert.deepEqual(numbers(app), upTo(602))
})

test('InfluxDB does not know places: an app is told of the gap, and sent what was read since', async (t) => {
  const influx = await requireServer(t, startInfluxdb2)
  if (influx === undefined) return
  const { platform, token, cursors, firstOffset } = await aged(t, 'node', () => influx.store)
  const [[had, cursor] = [0, '']] = cursors
  const app = await App.connect(t, platform, token)
  await app.subscribe({ filter: 'devices/a/#', start: { after: cursor } })
  const gap = app.frames.find(({ type }) => type === 'gap')
  assert.deepEqual([gap?.after, gap?.missed], [cursor, firstOffset - ((had / 3) * 2 - 1)])
  // From a minute before the cursor: all that there is.
  assert.deepEqual(numbers(app), upTo(600))
  const last = await App.connect(t, platform, token)
  await last.subscribe({ filter: 'devices/a/#', start: { last: '11h' } })
  await platform.publish('a', 'environment', environment(NOW + 600))
  await last.until(() => last.readings().some(({ ts }) => ts === NOW + 600))
  assert.deepEqual(numbers(last), upTo(601))
})
