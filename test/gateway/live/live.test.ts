import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { decodeJwt } from 'jose'
import { WebSocket } from 'ws'
import { LIVE_PING_MS, LIVE_PINGS_UNANSWERED_MAX } from '../../../gateway/live/session.ts'
import { DELIVERED_LIVE, REPLAYED, SET_ASIDE } from '../../../log/entry.ts'
import { LIVE_COMMAND_BYTES_MAX, LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX } from '../../../platform/limits.ts'
import { until } from '../../until.ts'
import { App, environment, HOUR_MS, NOW, onEachServer, publish, SERVERS, startPlatform } from '../platform.ts'

const ENVIRONMENT = 'devices/+/telemetry/environment'

onEachServer('a reading reaches its subscriber exactly as sent, and nobody else', async (t, server) => {
  const platform = await startPlatform(t, server)
  const app = await App.connect(t, platform)
  const other = await App.connect(t, platform)
  assert.equal(app.socket.protocol, 'telltale.v1')
  assert.equal(app.frames[0]?.protocol, 'telltale.v1')
  const name = await app.subscribe({ filter: 'devices/truck-7/telemetry/environment' })
  await other.subscribe({ filter: 'devices/truck-8/telemetry/environment' })
  await platform.publish('truck-7', 'environment', platform.registry.encode('environment', environment(NOW)))
  await platform.publish('truck-8', 'environment', environment(NOW + 1))
  const frame = await app.next('readings')
  assert.deepEqual(frame, {
    type: 'readings',
    subscription: name,
    cursor: frame.cursor,
    readings: [
      {
        device: 'truck-7',
        stream: 'environment',
        ts: NOW,
        received: NOW,
        values: { temperature: 21.3, humidity: 40.5, pressure: 1013.25, battery: 87, rssi: -61 },
      },
    ],
    merged: 0,
  })
  assert.equal(typeof frame.cursor, 'string')
  await other.next('readings')
  assert.deepEqual(
    other.readings().map((reading) => reading.device),
    ['truck-8'],
  )
})

onEachServer(
  'a replayed message is sent to apps, unless they have had it before it was set aside',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const app = await App.connect(t, platform)
    await app.subscribe({ filter: ENVIRONMENT })
    await publish(platform.log, NOW, 'new', 'environment', environment(NOW - 60_000), REPLAYED)
    await publish(platform.log, NOW, 'told', 'environment', environment(NOW - 60_000), REPLAYED | DELIVERED_LIVE)
    // It comes when it is replayed.
    await publish(platform.log, NOW, 'set-aside', 'environment', environment(NOW - 60_000), SET_ASIDE)
    await platform.publish('after', 'environment', environment(NOW))
    await app.until(() => app.readings().some(({ device }) => device === 'after'))
    assert.deepEqual(
      app.readings().map(({ device }) => device),
      ['new', 'after'],
    )
    const response = await platform.get('/v1/devices', { token: platform.token })
    const { devices } = (await response.json()) as { devices: { device: string; lastSeen: number }[] }
    assert.equal(devices.find(({ device }) => device === 'set-aside')?.lastSeen, NOW)
  },
)

onEachServer(
  'latest: the last reading of each series, then live, then what comes, in this order',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    await platform.publish('a', 'environment', environment(NOW - 10))
    await platform.publish('a', 'environment', environment(NOW - 5))
    await platform.publish('b', 'environment', [environment(NOW - 3), environment(NOW - 4)])
    const watcher = await App.connect(t, platform)
    await watcher.subscribe({ filter: ENVIRONMENT })
    await platform.publish('c', 'environment', environment(NOW - 1))
    await watcher.next('readings') // So the gateway has read all four.
    const app = await App.connect(t, platform)
    await app.subscribe({ filter: ENVIRONMENT, start: 'latest' })
    await platform.publish('a', 'environment', environment(NOW))
    await app.until(() => app.readings().length === 4)
    assert.deepEqual(
      app.frames.map((frame) => frame.type),
      ['welcome', 'subscribed', 'readings', 'live', 'readings'],
    )
    assert.deepEqual(
      app.readings().map(({ device, ts }) => `${device} ${ts - NOW}`),
      ['a -5', 'b -3', 'c -1', 'a 0'],
    )
  },
)

onEachServer(
  'apps that ask for the same share a subscription, and different ones get different names',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const one = await App.connect(t, platform)
    const two = await App.connect(t, platform)
    const name = await one.subscribe({ filter: ENVIRONMENT, fields: ['humidity', 'temperature'] })
    assert.equal(await two.subscribe({ filter: ENVIRONMENT, fields: ['temperature', 'humidity'] }), name)
    assert.notEqual(await two.subscribe({ filter: ENVIRONMENT }), name)
    assert.equal(await two.subscribe({ filter: ENVIRONMENT, fields: ['temperature', 'humidity'] }), name)
    await platform.publish('a', 'environment', environment(NOW))
    await two.until(() => two.readings().length === 2)
    await one.next('readings')
    assert.deepEqual(one.readings()[0]?.values, { temperature: 21.3, humidity: 40.5 })
    assert.equal(one.readings().length, 1)
  },
)

onEachServer(
  'fields: a reading with none of them is left out; tags stay, for they tell series apart',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const app = await App.connect(t, platform)
    const tagged = platform.registry.streams.find((stream) => stream.columns.some((column) => column.tag))
    assert(tagged)
    const field = tagged.columns.find((column) => !column.tag)?.name ?? ''
    app.send({ type: 'subscribe', id: '1', filter: `devices/+/telemetry/${tagged.name}`, fields: [field] })
    await app.next('live')
    app.send({ type: 'subscribe', id: '2', filter: '#', fields: ['humidity'] })
    await app.until(() => app.frames.filter((frame) => frame.type === 'live').length === 2)
    await platform.publish('a', 'environment', environment(NOW))
    await app.next('readings')
    assert.deepEqual(
      app.readings().map((reading) => reading.values),
      [{ humidity: 40.5 }],
    )
  },
)

onEachServer('after unsubscribe nothing more comes, and the name is unknown', async (t, server) => {
  const platform = await startPlatform(t, server)
  const app = await App.connect(t, platform)
  const first = await app.subscribe({ filter: ENVIRONMENT })
  const second = await app.subscribe({ filter: 'devices/a/telemetry/#' })
  app.send({ type: 'unsubscribe', id: '3', subscription: first })
  app.send({ type: 'unsubscribe', id: '4', subscription: first })
  assert.equal((await app.next('error')).code, 'unknown-subscription')
  await platform.publish('a', 'environment', environment(NOW))
  await app.next('readings')
  assert.deepEqual(
    app.frames.filter((frame) => frame.type === 'readings').map((frame) => frame.subscription),
    [second],
  )
})

onEachServer(
  'a message that cannot be decoded hides neither its neighbours nor the last good reading',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const good = platform.registry.encode('environment', environment(NOW))
    await platform.publish('a', 'environment', good)
    await platform.publish('a', 'environment', good.subarray(0, good.length - 1))
    await platform.publish('a', 'environment', Buffer.from('{'))
    await platform.publish('a', 'environment', Buffer.alloc(0))
    await platform.publish('a', 'environment', environment(NOW - 1000))
    const app = await App.connect(t, platform)
    await app.subscribe({ filter: ENVIRONMENT })
    await platform.publish('b', 'environment', environment(NOW))
    await platform.publish('b', 'environment', Buffer.alloc(0))
    await platform.publish('b', 'environment', environment(NOW + 1))
    await app.until(() => app.readings().some((reading) => reading.ts === NOW + 1))
    const from = app.frames.length
    await app.subscribe({ filter: 'devices/a/telemetry/#', start: 'latest' })
    assert.deepEqual(
      app.frames.slice(from).map((frame) => frame.type),
      ['subscribed', 'readings', 'live'],
    )
    assert.equal(app.readings().at(-1)?.ts, NOW)
  },
)

onEachServer('what is wrong with a command is said in an error frame, and the socket goes on', async (t, server) => {
  const platform = await startPlatform(t, server)
  const narrow = await platform.identity.signApp(['devices/a/telemetry/#'], HOUR_MS)
  const app = await App.connect(t, platform, narrow)
  const cases: [command: object | string, id: string | undefined, code: string, message: RegExp][] = [
    ['{', undefined, 'bad-json', /one JSON object/],
    ['[]', undefined, 'bad-json', /one JSON object/],
    [{ type: 'shout', id: '1' }, '1', 'unknown-type', /"shout".*subscribe, update, unsubscribe/],
    [{ type: 'subscribe', filter: '#' }, undefined, 'bad-command', /id is absent/],
    [{ type: 'subscribe', id: '2', filter: 'devices/#/x' }, '2', 'bad-filter', /"devices\/#\/x".*MQTT topic filter/],
    [{ type: 'subscribe', id: '3', filter: ENVIRONMENT }, '3', 'forbidden', /outside the token's filters/],
    [{ type: 'subscribe', id: '4', filter: 'devices/a/#', feilds: [] }, '4', 'bad-command', /no "feilds".*fields/],
    [{ type: 'subscribe', id: '5', filter: 'devices/a/#', fields: ['x'] }, '5', 'bad-field', /"x".*temperature/],
    [{ type: 'subscribe', id: '6', filter: 'devices/a/#', fields: [] }, '6', 'bad-field', /array/],
    [{ type: 'subscribe', id: '7', filter: 'devices/a/#', start: 'soon' }, '7', 'bad-command', /"soon".*"latest"/],
    [{ type: 'subscribe', id: '8', filter: 'devices/a/#', start: { last: '1y' } }, '8', 'bad-command', /"1y".*15m/],
    [{ type: 'subscribe', id: '8', filter: 'devices/a/#', start: { after: 'x' } }, '8', 'bad-cursor', /"x"/],
    [{ type: 'subscribe', id: '8', filter: ['devices/a/#', 'x'] }, '8', 'bad-filter', /"x"/],
    [{ type: 'subscribe', id: '8', filter: [] }, '8', 'bad-filter', /1 to 20/],
    [{ type: 'subscribe', id: '9', filter: 'devices/a/#', maxRate: 0 }, '9', 'bad-rate', /0.001 to 1000/],
    [{ type: 'subscribe', id: '9', filter: 'devices/a/#', maxRate: 1, reduce: 'sum' }, '9', 'bad-rate', /"sum".*mean/],
    [{ type: 'subscribe', id: '9', filter: 'devices/a/#', reduce: 'mean' }, '9', 'bad-rate', /without maxRate/],
    [{ type: 'subscribe', id: '9', filter: 'devices/a/#', maxDelay: 5 }, '9', 'bad-command', /maxDelay is 5/],
    [{ type: 'update', id: '10', subscription: 's1' }, '10', 'bad-rate', /no maxRate/],
    [{ type: 'update', id: '10', subscription: 's1', maxRate: 1 }, '10', 'unknown-subscription', /"s1"/],
    [{ type: 'unsubscribe', id: '11', subscription: 's9' }, '11', 'unknown-subscription', /"s9"/],
  ]
  for (const [command, id, code, message] of cases) {
    const from = app.frames.length
    app.send(command)
    const error = await app.next('error', from)
    assert.deepEqual([error.id, error.code, error.retry], [id, code, false])
    assert.match(String(error.message), message)
  }
  await app.subscribe({ filter: 'devices/a/telemetry/+' })
  const metrics = await platform.metrics.metrics()
  assert.match(metrics, /telltale_gateway_refusals_total\{reason="bad-json"\} 2/)
})

onEachServer('a socket has so many subscriptions and no more', async (t, server) => {
  const platform = await startPlatform(t, server)
  const app = await App.connect(t, platform)
  for (let index = 0; index <= LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX; index++) {
    app.send({ type: 'subscribe', id: String(index), filter: `devices/d${index}/telemetry/#` })
  }
  const error = await app.next('error')
  assert.equal(error.code, 'too-many-subscriptions')
  assert.equal(error.id, String(LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX))
})

onEachServer(
  'an oversized frame, a binary frame, and no end of errors close the socket for good',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const large = await App.connect(t, platform)
    large.send(`{"type":"${'x'.repeat(LIVE_COMMAND_BYTES_MAX)}"}`)
    assert.equal((await large.untilClosed()).code, 4502)
    const binary = await App.connect(t, platform)
    binary.socket.send(Buffer.from('{}'))
    assert.equal((await binary.untilClosed()).code, 4500)
    const wrong = await App.connect(t, platform)
    for (let index = 0; index < 200; index++) wrong.send('{')
    assert.equal((await wrong.untilClosed()).code, 4503)
  },
)

onEachServer('a socket whose token expires is closed, and told not to come back with it', async (t, server) => {
  const platform = await startPlatform(t, server)
  const brief = await platform.identity.signApp(['#'], 5000)
  const app = await App.connect(t, platform, brief)
  const other = await App.connect(t, platform)
  platform.clock.time += 6000
  assert.equal((await app.untilClosed()).code, 4501)
  assert.equal(other.close, undefined)
})

onEachServer(
  'a socket whose token is revoked is closed, and the token that was known is let in no more',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const { identity } = platform
    const app = await App.connect(t, platform)
    const other = await App.connect(t, platform, await identity.signApp(['#'], HOUR_MS))
    identity.revocations.add({ id: String(decodeJwt(platform.token).jti), before: NOW + 1000 }, NOW)
    identity.refresh()
    assert.equal((await app.untilClosed()).code, 4504)
    assert.equal(other.close, undefined)
    const refused = await platform.get('/v1/ledger')
    assert.equal(refused.status, 401)
    assert.match(await refused.text(), /"token-revoked"/)
  },
)

onEachServer('without a good app token there is no upgrade, and the refusal is HTTP', async (t, server) => {
  const platform = await startPlatform(t, server)
  const statusOf = (query: string, protocol = 'telltale.v1') =>
    new Promise<number>((resolve) => {
      import('ws').then(({ WebSocket }) => {
        const socket = new WebSocket(`${platform.url.replace('http', 'ws')}/v1/live${query}`, protocol)
        socket.on('error', () => undefined)
        socket.on('unexpected-response', (_request, response) => {
          resolve(response.statusCode ?? 0)
          socket.terminate()
        })
      })
    })
  const expired = await platform.identity.signApp(['#'], 1000)
  const device = await platform.identity.signDevice('truck-7', HOUR_MS)
  const blind = await platform.identity.signApp(['devices/+/status'], HOUR_MS)
  platform.clock.time += 2000
  assert.equal(await statusOf(''), 401)
  assert.equal(await statusOf('?access_token=x.y.z'), 401)
  assert.equal(await statusOf(`?access_token=${expired}`), 401)
  assert.equal(await statusOf(`?access_token=${device}`), 403)
  assert.equal(await statusOf(`?access_token=${blind}`), 403)
  assert.equal(await statusOf(`?access_token=${platform.token}`, 'other'), 400)
  assert.equal((await platform.get('/v1/live')).status, 426)
})

onEachServer('a token may come as a subprotocol, as browsers can send it; it is in no answer', async (t, server) => {
  const platform = await startPlatform(t, server)
  const url = `${platform.url.replace('http', 'ws')}/v1/live`
  const socket = new WebSocket(url, ['telltale.v1', `telltale.token.${platform.token}`])
  t.after(() => socket.terminate())
  const [welcome] = await once(socket, 'message')
  assert.equal(JSON.parse(String(welcome)).type, 'welcome')
  assert.equal(socket.protocol, 'telltale.v1')

  const refused = async (protocols: string[]) => {
    const asked = new WebSocket(url, protocols)
    asked.on('error', () => undefined)
    const [, response] = await once(asked, 'unexpected-response')
    const body = await text(response)
    assert(!body.includes(platform.token), body)
    return [response.statusCode, JSON.parse(body).error.code]
  }
  assert.deepEqual(await refused(['telltale.v1', 'telltale.token.x.y.z']), [401, 'token-invalid'])
  assert.deepEqual(await refused(['telltale.v1', 'telltale.token.']), [401, 'token-missing'])
  assert.deepEqual(await refused([`telltale.token.${platform.token}`]), [400, 'bad-subprotocol'])
  assert.deepEqual(await refused([`telltale.token.${platform.token}`, 'telltale.token.x']), [400, 'bad-subprotocol'])
})

onEachServer('an app is pinged, and cut when it answers no ping; one that answers stays', async (t, server) => {
  const platform = await startPlatform(t, server)
  const app = await App.connect(t, platform)
  const url = `${platform.url.replace('http', 'ws')}/v1/live?access_token=${platform.token}`
  const silent = new WebSocket(url, 'telltale.v1', { autoPong: false })
  t.after(() => silent.terminate())
  await once(silent, 'open')
  let closed = 0
  silent.on('close', (code) => {
    closed = code
  })
  for (let pings = 0; pings < LIVE_PINGS_UNANSWERED_MAX; pings++) {
    const pinged = Promise.all([once(silent, 'ping'), once(app.socket, 'ping')])
    platform.clock.time += LIVE_PING_MS
    await pinged
  }
  platform.clock.time += LIVE_PING_MS
  await until(() => closed !== 0)
  assert.equal(closed, 1006)
  assert.match(await platform.metrics.metrics(), /closes_total\{code="4409"\} 1\n/)
  assert.equal(app.close, undefined)
})

onEachServer('stop asks every app to come back', async (t, server) => {
  const platform = await startPlatform(t, server)
  const app = await App.connect(t, platform)
  await app.subscribe({ filter: '#', start: 'latest' })
  await platform.gateway.stop()
  assert.equal((await app.untilClosed()).code, 4001)
  await assert.rejects(platform.get('/healthz'))
})

onEachServer('a socket stays open after its upgrade, whether its token was seen before or not', async (t, server) => {
  const platform = await startPlatform(t, server)
  for (let index = 0; index < 100; index++) {
    const isNew = index % 10 === 0
    const token = isNew ? await platform.identity.signApp([`devices/d${index}/#`, '#'], HOUR_MS) : platform.token
    const app = await App.connect(t, platform, token)
    await app.subscribe({ filter: '#' })
    app.socket.terminate()
  }
})

// Not on `node`: without `Connection: Upgrade` it is no request for a WebSocket (RFC 6455 section 4.1), and answered with 426.
if (SERVERS.includes('uws'))
  test('an upgrade that says `Connection: close` is one to uWebSockets.js', async (t) => {
    const platform = await startPlatform(t, 'uws')
    // What uWebSockets #1928 closes by chance it closes for certain when a request says `Connection: close`.
    await platform.get('/v1/ledger')
    const socket = connect(platform.gateway.port, '127.0.0.1')
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13'
    const path = `/v1/live?access_token=${platform.token}`
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close\r\n${key}\r\n\r\n`)
    const answer = new Promise<string>((resolve) => {
      let got = ''
      socket.on('data', (data) => {
        got += data.toString('latin1')
        if (got.includes('welcome') && !got.includes('bad-json')) socket.write(Buffer.from('818200000000585d', 'hex'))
        else if (got.includes('welcome')) resolve('answered')
      })
      socket.on('close', () => resolve('closed'))
    })
    assert.equal(await answer, 'answered')
    socket.destroy()
  })
