import assert from 'node:assert/strict'
import { LIVE_SLOW_CLOSE_MS } from '../../../gateway/live/session.ts'
import { LIVE_FRAME_CHARS_MAX } from '../../../platform/limits.ts'
import { App, environment, NOW, onEachServer, startPlatform, type TestPlatform } from '../platform.ts'

/** Publishes batches until the gateway has dropped a frame. */
async function overwhelm(platform: TestPlatform): Promise<void> {
  const batch = Array.from({ length: 5000 }, (_, index) => environment(NOW + index))
  const payload = platform.registry.encode('environment', batch)
  for (let sent = 0; sent < 400; sent++) {
    await platform.publish('a', 'environment', payload)
    if (!/dropped_frames_total 0\n/.test(await platform.metrics.metrics())) return
  }
  assert.fail('nothing was dropped')
}

onEachServer(
  'an app that stops reading loses nothing in silence: it is closed with 4408 as soon as it reads',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const slow = await App.connect(t, platform)
    const other = await App.connect(t, platform)
    const name = await slow.subscribe({ filter: '#' })
    await other.subscribe({ filter: '#' })
    slow.socket.pause()
    await overwhelm(platform)
    await platform.publish('last', 'environment', environment(NOW))
    await other.until(() => other.readings().some((reading) => reading.device === 'last'))
    assert.equal(other.close, undefined)
    slow.socket.resume()
    assert.equal((await slow.untilClosed()).code, 4408)
    const got = slow.readings(name)
    assert.deepEqual(
      got.map((reading) => reading.ts),
      got.map((_, index) => NOW + (index % 5000)),
      'what came is without a hole',
    )
  },
)

onEachServer('an app that never reads again is cut', async (t, server) => {
  const platform = await startPlatform(t, server)
  const slow = await App.connect(t, platform)
  await slow.subscribe({ filter: '#' })
  slow.socket.pause()
  await overwhelm(platform)
  platform.clock.time += LIVE_SLOW_CLOSE_MS + 1
  while (!/telltale_gateway_sockets 0\n/.test(await platform.metrics.metrics())) await platform.get('/healthz')
  assert.match(await platform.metrics.metrics(), /closes_total\{code="4408"\} 1\n/)
  slow.socket.resume()
  await slow.untilClosed()
})

onEachServer(
  'a snapshot larger than a socket takes at once comes whole, then live, while readings go on',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const watcher = await App.connect(t, platform)
    await watcher.subscribe({ filter: 'devices/d0/#' })
    const devices = 20_000
    const payload = platform.registry.encode('environment', environment(NOW))
    for (let index = devices - 1; index > 0; index--) {
      platform.log.append(
        { device: `d${index}`, stream: 'environment', receivedAt: NOW, flags: 0, payload },
        () => undefined,
      )
    }
    await platform.publish('d0', 'environment', payload)
    await watcher.next('readings')
    const app = await App.connect(t, platform)
    app.send({ type: 'subscribe', id: '1', filter: '#', start: 'latest' })
    await app.next('readings')
    app.socket.pause()
    await platform.publish('d7', 'environment', environment(NOW + 1))
    await platform.publish('d0', 'environment', environment(NOW + 1))
    await watcher.until(() => watcher.readings().length === 2)
    app.socket.resume()
    await app.next('live')
    await platform.publish('d7', 'environment', environment(NOW + 2))
    await app.until(() => app.readings().some((reading) => reading.ts === NOW + 2))
    const types = app.frames.map((frame) => frame.type)
    assert.equal(types.filter((type) => type === 'live').length, 1)
    assert.ok(app.frames.filter((frame) => frame.type === 'readings').length > (devices * 100) / LIVE_FRAME_CHARS_MAX)
    const last = new Map(app.readings().map((reading) => [reading.device, reading.ts - NOW]))
    assert.equal(last.size, devices)
    assert.equal(last.get('d0'), 1)
    const ofSeven = app.readings().filter((reading) => reading.device === 'd7')
    assert.deepEqual(ofSeven.map((reading) => reading.ts - NOW).slice(-2), [1, 2])
  },
)
