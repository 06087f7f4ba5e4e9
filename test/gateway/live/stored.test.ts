/** What the log does not hold any more comes from the store: of the embedded one exactly; what a store cannot know is told. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startInfluxdb2 } from '../../servers/influxdb2.ts'
import { requireServer } from '../../servers/server.ts'
import { App, environment, NOW, onEachServer } from '../platform.ts'
import { aged, duckdb } from './aged.ts'

const upTo = (count: number, from = 0) => Array.from({ length: count - from }, (_, index) => from + index)
const numbers = (app: App) => app.readings().map(({ ts }) => ts - NOW)

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

onEachServer(
  'from within what the store sends, an app goes on behind each frame: by its cursor, and by update',
  async (t, server) => {
    const { platform, token } = await aged(t, server, duckdb)
    const whole = await App.connect(t, platform, token)
    await whole.subscribe({ filter: 'devices/a/#', start: { last: '11h' } })
    const frames = whole.frames.filter(({ type }) => type === 'readings')
    assert.ok(frames.length > 1)
    // One that is received meanwhile, of a time that was sent already, and one that is now.
    await platform.publish('a', 'environment', environment(NOW - 1))
    await platform.publish('a', 'environment', environment(NOW + 600))
    let had = 0
    for (const { cursor, readings } of frames) {
      had += (readings as unknown[]).length
      const again = await App.connect(t, platform, token)
      await again.subscribe({ filter: 'devices/a/#', start: { after: cursor } })
      assert.deepEqual(numbers(again), [...upTo(600, had), -1, 600])
      again.socket.terminate()
    }
    const updated = await App.connect(t, platform, token)
    updated.send({ type: 'subscribe', id: '1', filter: 'devices/a/#', start: { last: '11h' }, fields: ['rssi'] })
    const { subscription } = await updated.next('subscribed')
    updated.send({ type: 'update', id: '2', subscription, maxRate: 1000 })
    await updated.until(() => updated.frames.some(({ type, id }) => type === 'subscribed' && id === '2'))
    await updated.next('live')
    const merged = updated.frames.reduce((sum, frame) => sum + Number(frame.merged ?? 0), 0)
    assert.equal(updated.readings().length + merged, 602)
  },
)

test('InfluxDB does not know places: an app is told of the gap, and sent what was read since', async (t) => {
  const influx = await requireServer(t, startInfluxdb2)
  if (influx === undefined) return
  const { platform, token, cursors, first, firstOffset } = await aged(t, 'node', () => influx.store)
  const [[had, cursor] = [0, '']] = cursors
  const app = await App.connect(t, platform, token)
  await app.subscribe({ filter: 'devices/a/#', start: { after: cursor } })
  const gap = app.frames.find(({ type }) => type === 'gap')
  assert.deepEqual([gap?.after, gap?.missed], [cursor, firstOffset - ((had / 3) * 2 - 1)])
  // From a minute before the cursor: all that there is. Then what the log has.
  assert.deepEqual(numbers(app), [...upTo(600), ...upTo(600, first)])
  const byTime = app.frames.filter((frame) => frame.byTime)
  assert.equal(byTime.flatMap(({ readings }) => readings).length, 600)
  // From behind the gap, and behind each frame of what was read in it: the rest of that, each once, and no gap again.
  let sent = 0
  for (const { cursor: behind, before, readings = [] } of [gap ?? assert.fail(), ...byTime]) {
    sent += (readings as unknown[]).length
    const again = await App.connect(t, platform, token)
    await again.subscribe({ filter: 'devices/a/#', start: { after: behind ?? before } })
    assert.ok(!again.frames.some((frame) => frame.type === 'gap'))
    assert.deepEqual(numbers(again), [...upTo(600, sent), ...upTo(600, first)])
    again.socket.terminate()
  }
  const last = await App.connect(t, platform, token)
  await last.subscribe({ filter: 'devices/a/#', start: { last: '11h' } })
  await platform.publish('a', 'environment', environment(NOW + 600))
  await last.until(() => last.readings().some(({ ts }) => ts === NOW + 600))
  assert.deepEqual(numbers(last), upTo(601))
})
