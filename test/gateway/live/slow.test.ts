import assert from 'node:assert/strict'
import { LIVE_BEHIND_BYTES, LIVE_FRAME_CHARS_MAX } from '../../../platform/limits.ts'
import { until } from '../../until.ts'
import { App, environment, NOW, onEachServer, overwhelm, startPlatform, untilCutOff } from '../platform.ts'

onEachServer(
  'an app that stops reading is sent all it missed when it reads again, and then it is live; others never wait',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const slow = await App.connect(t, platform)
    const other = await App.connect(t, platform)
    const name = await slow.subscribe({ filter: '#' })
    await other.subscribe({ filter: '#' })
    slow.socket.pause()
    let sent = await overwhelm(platform)
    const [, waiting] = /gateway_waiting_bytes (\d+)\n/.exec(await platform.metrics.metrics()) ?? []
    assert.ok(Number(waiting) > LIVE_BEHIND_BYTES, `${waiting} bytes wait for it`)
    for (let more = 0; more < 20; more++, sent++) await platform.publish('a', 'environment', environment(NOW + sent))
    await other.until(() => other.readings().length === sent)
    slow.socket.resume()
    await slow.until(() => slow.frames.filter(({ type }) => type === 'live').length === 2)
    await platform.publish('a', 'environment', environment(NOW + sent))
    await slow.until(() => slow.readings(name).length > sent)
    assert.deepEqual(
      slow.readings(name).map(({ ts }) => ts - NOW),
      Array.from({ length: sent + 1 }, (_, index) => index),
    )
    assert.match(await platform.metrics.metrics(), /dropped_frames_total 0\n/)
    assert.ok(!slow.frames.some(({ type }) => type === 'gap'))
  },
)

onEachServer(
  'an app far behind gets the last reading of each series, and is told how many it stands for',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const slow = await App.connect(t, platform)
    const name = await slow.subscribe({ filter: '#' })
    slow.socket.pause()
    let sent = await overwhelm(platform)
    const entries = sent / 500 + 300_001 + 1
    const payload = platform.registry.encode('environment', environment(NOW + sent))
    for (let more = 0; more < 300_001; more++, sent++) {
      platform.log.append({ device: 'b', stream: 'environment', receivedAt: NOW, flags: 0, payload }, () => undefined)
    }
    await platform.publish('a', 'environment', environment(NOW + sent++))
    await until(async () => (await platform.metrics.metrics()).includes(`log_entries_total ${entries}\n`))
    slow.socket.resume()
    await slow.until(() => slow.frames.filter(({ type }) => type === 'live').length === 2)
    const readings = slow.readings(name)
    const merged = slow.frames.reduce((sum, frame) => sum + Number(frame.merged ?? 0), 0)
    assert.equal(readings.length + merged, sent)
    assert.ok(merged > 50_000)
    assert.equal(readings.findLast(({ device }) => device === 'a')?.ts, NOW + sent - 1)
  },
)

onEachServer('an app that is behind and takes nothing is closed with 4408', async (t, server) => {
  const platform = await startPlatform(t, server)
  const slow = await App.connect(t, platform)
  await slow.subscribe({ filter: '#' })
  slow.socket.pause()
  await overwhelm(platform)
  // The first look sees what waits, a later one that it is still all there.
  await untilCutOff(platform)
  slow.socket.resume()
  assert.equal((await slow.untilClosed()).code, 4408)
})

onEachServer('an app that takes nothing of its past is closed with 4408', async (t, server) => {
  const platform = await startPlatform(t, server)
  const other = await App.connect(t, platform)
  await other.subscribe({ filter: '#' })
  other.socket.pause()
  await overwhelm(platform)
  other.socket.terminate()
  const app = await App.connect(t, platform)
  app.socket.pause()
  app.send({ type: 'subscribe', id: '1', filter: '#', start: { last: '1h' } })
  await untilCutOff(platform)
  app.socket.resume()
  assert.equal((await app.untilClosed()).code, 4408)
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
