/** The proxies' configurations of docs/deploy.md, as they stand there, before a real gateway. Only ports are others. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import test from 'node:test'
import { connectAsync } from 'mqtt'
import { LIVE_PING_MS, LIVE_STREAM_PING_MS } from '../../gateway/live/session.ts'
import { RunningPlatform } from '../e2e/platform.ts'
import { Events } from '../gateway/live/events.ts'
import { App, environment, NOW, onEachServer, startPlatform, type TestPlatform } from '../gateway/platform.ts'
import { Peer } from '../gateway/server/harness.ts'
import { scratchDirectory } from '../scratch.ts'
import { freePort, MissingServer, requireProgram, skipIfMissing } from '../servers/server.ts'
import { until } from '../until.ts'
import { documented, runProxy, startNginx } from './proxies.ts'

async function throughProxy(t: TestContext, platform: TestPlatform, port: number): Promise<void> {
  const proxied = { ...platform, url: `http://127.0.0.1:${port}` }
  assert.equal((await fetch(`${proxied.url}/metrics`)).status, 401)
  const headers = { authorization: `Bearer ${platform.token}` }
  assert.equal((await fetch(`${proxied.url}/metrics`, { headers })).status, 200)
  assert.deepEqual(await (await fetch(`${proxied.url}/v1/readings`, { headers })).json(), {
    readings: [],
    truncated: false,
  })
  const app = await App.connect(t, proxied)
  await app.subscribe({ filter: '#' })
  await platform.publish('a', 'environment', environment(NOW))
  await app.until(() => app.readings().length === 1)
  // Quiet, but for pings, which come and are answered: twice as many as end an app that answers none.
  for (let pings = 0; pings < 8; pings++) {
    const pinged = once(app.socket, 'ping')
    platform.clock.time += LIVE_PING_MS
    await pinged
  }
  assert.equal(app.close, undefined)
}

onEachServer('nginx as docs/deploy.md has it: HTTP and WebSocket, quiet ones too', async (t, server) => {
  const program = requireProgram(t, 'nginx', 'apt install nginx')
  if (program === undefined) return
  const text = documented('nginx')
  const [, seconds] = /proxy_read_timeout (\d+)s;/.exec(text) ?? []
  assert.ok(Number(seconds) * 1_000 > 2 * LIVE_PING_MS, 'a ping may be late')
  const platform = await startPlatform(t, server)
  const port = await freePort()
  const own = text
    .replace('listen 80;', `listen 127.0.0.1:${port};`)
    .replace('127.0.0.1:8080', `127.0.0.1:${platform.gateway.port}`)
  await startNginx(t, program, port, `http {\n${own}}\n`)
  await throughProxy(t, platform, port)
})

onEachServer(
  'nginx with its defaults: events come as they are sent, quiet ones stay, and resume',
  async (t, server) => {
    const program = requireProgram(t, 'nginx', 'apt install nginx')
    if (program === undefined) return
    const platform = await startPlatform(t, server)
    const port = await freePort()
    // What docs/deploy.md says that uWebSockets.js needs, of an nginx before 1.29.7.
    const version = server === 'uws' ? 'proxy_http_version 1.1;' : ''
    const location = `location / { proxy_pass http://127.0.0.1:${platform.gateway.port}; ${version} }`
    await startNginx(t, program, port, `http {\nserver { listen 127.0.0.1:${port}; ${location} }\n}\n`)
    const proxied = { ...platform, url: `http://127.0.0.1:${port}` }
    const first = await Events.open(t, proxied, 'filter=%23')
    for (let quarters = 1; quarters <= 5; quarters++) {
      platform.clock.time += LIVE_STREAM_PING_MS
      await first.until(() => first.comments === quarters)
    }
    await platform.publish('a', 'environment', environment(NOW))
    await first.until(() => first.readings.length === 1)
    first.response.destroy()
    // The proxy ends its side too.
    await until(async () => /^telltale_gateway_subscriptions 0$/m.test(await platform.metrics.metrics()))
    await platform.publish('a', 'environment', environment(NOW + 1))
    const headers = { 'last-event-id': first.lastEventId }
    const second = await Events.open(t, proxied, 'filter=%23', { headers })
    assert.deepEqual(
      second.readings.map(({ ts }) => ts),
      [NOW + 1],
    )
    await platform.gateway.stop()
    await second.untilOver()
    assert.deepEqual([second.isWhole, (await second.next('closing')).code], [true, 4001])
  },
)

onEachServer('HAProxy as docs/deploy.md has it: HTTP and WebSocket, quiet ones too', async (t, server) => {
  const program = requireProgram(t, 'haproxy', 'apt install haproxy')
  if (program === undefined) return
  const platform = await startPlatform(t, server)
  const [port, mqttPort] = [await freePort(), await freePort()]
  const own = documented('haproxy')
    .replace('bind :80\n', `bind 127.0.0.1:${port}\n`)
    .replace('bind :1884\n', `bind 127.0.0.1:${mqttPort}\n`)
    .replace('127.0.0.1:8080', `127.0.0.1:${platform.gateway.port}`)
  const file = join(scratchDirectory(t), 'haproxy.cfg')
  writeFileSync(file, own)
  await runProxy(t, port, program, '-db', '-f', file)
  await throughProxy(t, platform, port)
})

test('nginx as docs/deploy.md has it: MQTT', async (t) => {
  const program = requireProgram(t, 'nginx', 'apt install nginx')
  if (program === undefined) return
  const module = '/usr/lib/nginx/modules/ngx_stream_module.so'
  if (!existsSync(module)) {
    return skipIfMissing(t, new MissingServer(`needs ${module} (apt install libnginx-mod-stream)`))
  }
  const platform = await RunningPlatform.start(t)
  const port = await freePort()
  const own = documented('nginx-stream')
    .replace('listen 1884;', `listen 127.0.0.1:${port};`)
    .replace('127.0.0.1:1883', `127.0.0.1:${platform.mqttPort}`)
  await startNginx(t, program, port, own, module)
  await publishThrough(platform, port)
})

test('HAProxy as docs/deploy.md has it: MQTT', async (t) => {
  const program = requireProgram(t, 'haproxy', 'apt install haproxy')
  if (program === undefined) return
  const platform = await RunningPlatform.start(t)
  const [port, mqttPort] = [await freePort(), await freePort()]
  const own = documented('haproxy')
    .replace('bind :80\n', `bind 127.0.0.1:${port}\n`)
    .replace('bind :1884\n', `bind 127.0.0.1:${mqttPort}\n`)
    .replace('127.0.0.1:1883', `127.0.0.1:${platform.mqttPort}`)
  const file = join(scratchDirectory(t), 'haproxy.cfg')
  writeFileSync(file, own)
  await runProxy(t, mqttPort, program, '-db', '-f', file)
  await publishThrough(platform, mqttPort)
})

async function publishThrough(platform: RunningPlatform, port: number): Promise<void> {
  const password = await platform.deviceToken('truck-7')
  const options = { clientId: 'truck-7', username: 'truck-7', password, reconnectPeriod: 0 }
  const device = await connectAsync(`mqtt://127.0.0.1:${port}`, options)
  await device.publishAsync('devices/truck-7/telemetry/environment', '{}', { qos: 1 })
  await device.endAsync()
}

onEachServer(
  'a request of HTTP/1.0 is answered whole, or refused with 505, and the connection ends',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const peer = new Peer(platform.gateway.port)
    t.after(() => peer.connection.destroy())
    peer.connection.write(`GET /v1/readings HTTP/1.0\r\nAuthorization: Bearer ${platform.token}\r\n\r\n`)
    await peer.until(() => peer.isClosed)
    const answered = /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\n\{"readings":\[\],"truncated":false\}\n$/s
    assert.match(peer.received, server === 'uws' ? /^HTTP\/1\.1 505 / : answered)
    assert.doesNotMatch(peer.received, /chunked/i)
  },
)
