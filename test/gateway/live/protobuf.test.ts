/** What apps get of the subprotocol `telltale.v1.protobuf`: the same as JSON, by docs/protobuf/telltale/live.proto. */

import assert from 'node:assert/strict'
import { App, environment, type Frame, NOW, onEachServer, startPlatform, vibration } from '../platform.ts'

/** Of all frames, in their order. */
const readingsOf = (app: App) =>
  app.frames.filter(({ type }) => type === 'readings').flatMap(({ readings }) => readings as Frame[])

onEachServer('the past, the last readings and the present are in Protobuf what they are in JSON', async (t, server) => {
  const platform = await startPlatform(t, server)
  await platform.publish('a', 'environment', environment(NOW, 21.3))
  await platform.publish('b', 'vibration', vibration(NOW))
  for (const options of [
    { filter: '#', start: 'latest' },
    { filter: '#', start: { last: '1h' } },
    { filter: ['devices/+/telemetry/environment'], start: { last: '1h' }, fields: ['temperature'] },
    { filter: '#', start: 'latest', maxRate: 1000, reduce: 'mean' },
  ]) {
    const apps = await Promise.all(
      ['telltale.v1', 'telltale.v1.protobuf'].map((protocol) => App.connect(t, platform, platform.token, protocol)),
    )
    for (const app of apps) {
      await app.subscribe(options)
      await app.until(() => app.frames.some(({ type }) => type === 'live'))
    }
    await platform.publish('a', 'environment', environment(NOW + 1, -0.5))
    const [json, protobuf] = apps
    assert(json !== undefined && protobuf !== undefined)
    assert.equal(protobuf.socket.protocol, 'telltale.v1.protobuf')
    const isThere = (app: App) => readingsOf(app).some(({ ts }) => ts === NOW + 1)
    for (const app of apps) await app.until(() => isThere(app), JSON.stringify(options))
    assert.deepEqual(readingsOf(protobuf), readingsOf(json), JSON.stringify(options))
    assert(readingsOf(json).length >= 2)
    for (const app of apps) app.socket.terminate()
  }
})

onEachServer('a frame of Protobuf has a cursor to go on from, in either form', async (t, server) => {
  const platform = await startPlatform(t, server)
  const app = await App.connect(t, platform, platform.token, 'telltale.v1.protobuf')
  await app.subscribe({ filter: '#' })
  await platform.publish('a', 'environment', environment(NOW, 1))
  await app.until(() => readingsOf(app).length === 1)
  const { cursor } = app.frames.findLast(({ type }) => type === 'readings') ?? assert.fail()
  await platform.publish('a', 'environment', environment(NOW + 1, 2))
  for (const protocol of ['telltale.v1', 'telltale.v1.protobuf']) {
    const again = await App.connect(t, platform, platform.token, protocol)
    await again.subscribe({ filter: '#', start: { after: cursor } })
    await again.until(() => readingsOf(again).length === 1)
    assert.deepEqual(
      readingsOf(again).map(({ ts }) => ts),
      [NOW + 1],
    )
  }
})
