/** Nobody takes all connections, and a health check is answered when they are taken. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { until } from '../until.ts'
import { App, HOUR_MS, onEachServer, startPlatform, type TestPlatform } from './platform.ts'
import { Peer } from './server/harness.ts'

/** So that one address may have 10 silent ones, one token 16 WebSockets, one address 24, and all answers above 20 are the last. */
const MAX = 40

/** So that there may be 12 WebSockets. */
const FEW = 15

const start = (t: TestContext, server: Parameters<typeof startPlatform>[1]) =>
  startPlatform(t, server, { options: { connectionsMax: MAX } })

function peerOf(t: TestContext, platform: TestPlatform): Peer {
  const peer = new Peer(platform.gateway.port)
  t.after(() => peer.connection.destroy())
  return peer
}

const GET = (path: string, token?: string) =>
  `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${token === undefined ? '' : `Authorization: Bearer ${token}\r\n`}\r\n`

async function metric(platform: TestPlatform, line: RegExp): Promise<number> {
  return Number(line.exec(await platform.metrics.metrics())?.[1] ?? 0)
}

const OPEN = /^telltale_gateway_connections (\d+)$/m
const CUT = /^telltale_gateway_connections_cut_total\{reason="address"\} (\d+)$/m

onEachServer(
  'of silent connections of one address the oldest goes for a new one, and who asks is answered',
  async (t, server) => {
    const platform = await start(t, server)
    const silent = Array.from({ length: 30 }, () => peerOf(t, platform))
    await silent[19]?.until(() => silent[19]?.isClosed)
    assert.equal(await metric(platform, CUT), 20)
    assert.equal(await metric(platform, OPEN), 10)
    for (let index = 0; index < 5; index++) {
      const asking = peerOf(t, platform)
      asking.connection.write(GET('/healthz'))
      assert.match(await asking.answer('alive'), /^HTTP\/1\.1 200 /)
      asking.connection.end()
      await asking.until(() => asking.isClosed)
    }
    assert.ok((await metric(platform, OPEN)) <= 10)
  },
)

onEachServer(
  'when all are taken health is answered, the rest is refused with 503, and then there is room again',
  async (t, server) => {
    let asked = 0
    const readings = () => {
      asked++
      return new Promise<never>(() => undefined)
    }
    const historyTimes = { queryMs: HOUR_MS, answerMs: HOUR_MS }
    const platform = await startPlatform(t, server, {
      history: { readings },
      options: { connectionsMax: FEW, historyTimes },
    })
    const tokens = [platform.token]
    while (tokens.length < 3) tokens.push(await platform.identity.signApp(['#'], HOUR_MS + 1_000 * tokens.length))
    const first = peerOf(t, platform)
    first.connection.write(GET('/v1/schemas', platform.token))
    assert.doesNotMatch(await first.answer('"schemas"'), /^connection: close/im)
    first.connection.destroy()
    const url = `${platform.url.replace('http', 'ws')}/v1/live?access_token=`
    const apps: WebSocket[] = []
    while (apps.length < FEW - 3) {
      const token = tokens[apps.length % 3] ?? ''
      const app = new WebSocket(`${url}${token}`, 'telltale.v1', { localAddress: `127.0.0.${1 + (apps.length % 2)}` })
      t.after(() => app.terminate())
      await once(app, 'open')
      apps.push(app)
    }
    const crowded = peerOf(t, platform)
    crowded.connection.write(GET('/v1/ledger', platform.token))
    assert.match(await crowded.answer('balanced'), /^connection: close/im)
    await crowded.until(() => crowded.isClosed)
    const busy: Peer[] = []
    await until(async () => (await metric(platform, OPEN)) === FEW - 3)
    while (busy.length < 3) {
      const peer = peerOf(t, platform)
      peer.connection.write(GET('/v1/readings', tokens[busy.length % 3]))
      busy.push(peer)
    }
    // As many as the store is asked at once, so that none of them is silent any more.
    await until(() => asked >= 3)
    for (let index = 0; index < 3; index++) {
      const asking = peerOf(t, platform)
      asking.connection.write(GET('/healthz'))
      assert.match(await asking.answer('alive'), /^HTTP\/1\.1 200 .*^connection: close/ims)
      await asking.until(() => asking.isClosed)
      const refused = peerOf(t, platform)
      refused.connection.write(GET('/v1/ledger', platform.token))
      assert.match(await refused.answer('too-busy'), /^HTTP\/1\.1 503 .*^retry-after/ims)
      await refused.until(() => refused.isClosed)
    }
    // Silent ones take the reserve from one another, and from nobody else.
    const silent = Array.from({ length: 30 }, () => peerOf(t, platform))
    await silent[28]?.until(() => silent[28]?.isClosed)
    const asking = peerOf(t, platform)
    asking.connection.write(GET('/readyz'))
    assert.match(await asking.answer('ready'), /^HTTP\/1\.1 200 /)
    assert.ok(busy.every((peer) => !peer.isClosed))
    assert.ok(apps.every((app) => app.readyState === WebSocket.OPEN))
    for (const app of apps) app.terminate()
    await until(async () => (await metric(platform, OPEN)) <= FEW / 2)
    assert.equal((await platform.get('/v1/ledger')).status, 200)
  },
)

onEachServer('WebSockets have a share by token and by address; one that ends makes room', async (t, server) => {
  const platform = await start(t, server)
  const tokens = [
    platform.token,
    ...(await Promise.all([1, 2].map((n) => platform.identity.signApp(['#'], n * HOUR_MS)))),
  ]
  const [one = '', two = '', three = ''] = tokens
  const first: App[] = []
  for (let index = 0; index < 16; index++) first.push(await App.connect(t, platform, one))
  assert.match(await refusalOf(platform, one), /^429 .*too-many-sockets.*this token has 16 live connections/)
  for (let index = 0; index < 8; index++) await App.connect(t, platform, two)
  assert.match(await refusalOf(platform, three), /^429 .*too-many-sockets.*127\.0\.0\.1 has 24 live connections/)
  const sockets = /^telltale_gateway_sockets (\d+)$/m
  first[0]?.socket.terminate()
  await until(async () => (await metric(platform, sockets)) !== 24)
  await App.connect(t, platform, one)
  const refused = /^telltale_gateway_refusals_total\{reason="too-many-sockets"\} (\d+)$/m
  assert.equal(await metric(platform, refused), 2)
})

/** The status and body by which a WebSocket is refused. */
async function refusalOf(platform: TestPlatform, token: string): Promise<string> {
  const url = `${platform.url.replace('http', 'ws')}/v1/live?access_token=${token}`
  const socket = new WebSocket(url, 'telltale.v1')
  const [request, response] = await once(socket, 'unexpected-response')
  const body = await new Response(response).text()
  request.destroy()
  return `${response.statusCode} ${body}`
}

onEachServer('connections are counted to the end, however they end', async (t, server) => {
  const platform = await start(t, server)
  const app = await App.connect(t, platform)
  const asking = peerOf(t, platform)
  asking.connection.write(GET('/healthz'))
  await asking.answer('alive')
  const silent = connect(platform.gateway.port, '127.0.0.1')
  await once(silent, 'connect')
  const upgraded = peerOf(t, platform)
  upgraded.connection.write('non sense\r\n\r\n')
  await upgraded.until(() => upgraded.isClosed)
  await until(async () => (await metric(platform, OPEN)) === 3)
  app.socket.terminate()
  asking.connection.destroy()
  silent.destroy()
  upgraded.connection.destroy()
  await until(async () => (await metric(platform, OPEN)) === 0)
})
