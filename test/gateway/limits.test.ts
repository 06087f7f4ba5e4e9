/** The limits of docs/contract.md are those in force; and those that no other test reaches are reached. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { WebSocket } from 'ws'
import { DEVICES_LIMIT_MAX } from '../../gateway/devices/devices.ts'
import { HISTORY_QUERIES_MAX, HISTORY_QUERIES_PER_TOKEN_MAX } from '../../gateway/history-places.ts'
import {
  LIVE_COMMANDS_AT_ONCE_MAX,
  LIVE_COMMANDS_PER_SECOND_MAX,
  REQUEST_FILTERS_MAX,
} from '../../gateway/live/commands.ts'
import {
  LIVE_SOCKETS_MAX,
  LIVE_SOCKETS_PER_ADDRESS_RATIO,
  LIVE_SOCKETS_PER_TOKEN_RATIO,
  LIVE_SOCKETS_RATIO,
} from '../../gateway/live/live.ts'
import { LIVE_ERRORS_PER_SOCKET_MAX, LIVE_SLOW_CLOSE_MS } from '../../gateway/live/session.ts'
import { HISTORY_LIMIT_MAX } from '../../gateway/readings.ts'
import { APP_CONNECTIONS_MAX } from '../../gateway/server/connections.ts'
import {
  HTTP_HEAD_BYTES_MAX,
  LIVE_BEHIND_BYTES,
  LIVE_COMMAND_BYTES_CUT,
  LIVE_COMMAND_BYTES_MAX,
  LIVE_FIELDS_MAX,
  LIVE_FRAME_CHARS_MAX,
  LIVE_GROUPS_MAX,
  LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX,
  TOKEN_CHARS_MAX,
} from '../../platform/limits.ts'
import { PACKAGE_DIR } from '../../platform/package.ts'
import { App, HOUR_MS, onEachServer, startPlatform, type TestPlatform } from './platform.ts'

/** The numbers of each row, in their order; a share in percent, bytes in KiB. */
const IN_FORCE: Readonly<Record<string, readonly number[]>> = {
  'connections of whatever kind': [APP_CONNECTIONS_MAX, 503],
  'live connections: WebSockets and streams of events': [LIVE_SOCKETS_MAX, 100 * LIVE_SOCKETS_RATIO, 503],
  'live connections of one token': [100 * LIVE_SOCKETS_PER_TOKEN_RATIO, 429],
  'live connections of one address': [100 * LIVE_SOCKETS_PER_ADDRESS_RATIO, 429],
  'subscriptions of a WebSocket': [LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX],
  'distinct subscriptions of all apps': [LIVE_GROUPS_MAX, 503],
  'filters of a subscription or a request': [REQUEST_FILTERS_MAX, 400],
  'fields of a subscription': [LIVE_FIELDS_MAX, 400],
  'commands of a WebSocket': [LIVE_COMMANDS_AT_ONCE_MAX, LIVE_COMMANDS_PER_SECOND_MAX],
  'errors told to a WebSocket': [LIVE_ERRORS_PER_SOCKET_MAX, 4503],
  'a frame from an app': [LIVE_COMMAND_BYTES_MAX / 1024, 4502, LIVE_COMMAND_BYTES_CUT / 1024, 1009],
  'readings in a frame to an app': [LIVE_FRAME_CHARS_MAX / 1024],
  'what waits for an app': [LIVE_BEHIND_BYTES / 1024, LIVE_SLOW_CLOSE_MS / 1000, 4408],
  "a request's head": [HTTP_HEAD_BYTES_MAX / 1024, 431],
  'a token': [TOKEN_CHARS_MAX, 401],
  'history queries under way, of one token': [HISTORY_QUERIES_PER_TOKEN_MAX, 429],
  'history queries under way, of all': [HISTORY_QUERIES_MAX, 503],
  'readings of a page of history': [HISTORY_LIMIT_MAX, 400],
  'devices of a page': [DEVICES_LIMIT_MAX, 400],
}

test('the limits of docs/contract.md are those in force', () => {
  const page = readFileSync(join(PACKAGE_DIR, 'docs/contract.md'), 'utf8')
  const table = /^### Limits\n\n\| what .*\n\|---.*\n((?:\|.*\n)+)/m.exec(page)?.[1] ?? assert.fail('there is no table')
  const rows = table.trimEnd().split('\n')
  const told = rows.map((row) => {
    const [, what = '', ...rest] = row.split('|').map((cell) => cell.trim())
    return [what, (rest.join(' ').match(/\d[\d,]*/g) ?? []).map((number) => Number(number.replaceAll(',', '')))]
  })
  assert.deepEqual(Object.fromEntries(told), IN_FORCE)
})

/** So that there may be 8 live connections, 4 of one token, 6 of one address. */
const FEW = { options: { connectionsMax: 10 } }

async function hold(t: TestContext, { url }: TestPlatform, token: string, localAddress: string): Promise<void> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/live?access_token=${token}`, { localAddress })
  t.after(() => socket.terminate())
  await once(socket, 'open')
}

/** The status and the code by which a stream of events and a WebSocket are refused. */
async function refusals(platform: TestPlatform, token: string): Promise<string[]> {
  const events = await platform.get('/v1/stream?filter=%23', { token })
  const body = (await events.json()) as { error: { code: string } }
  const socket = new WebSocket(`${platform.url.replace('http', 'ws')}/v1/live?access_token=${token}`)
  const [request, response] = await once(socket, 'unexpected-response')
  const { error } = (await new Response(response).json()) as { error: { code: string } }
  request.destroy()
  return [`${events.status} ${body.error.code}`, `${response.statusCode} ${error.code}`]
}

onEachServer(
  'live connections have a bound, in all, of a token and of an address; events are some',
  async (t, server) => {
    const platform = await startPlatform(t, server, FEW)
    const tokens = await Promise.all([1, 2, 3].map((hours) => platform.identity.signApp(['#'], hours * HOUR_MS)))
    const [one = '', two = '', three = ''] = tokens
    for (let index = 0; index < 2; index++) {
      await hold(t, platform, one, '127.0.0.1')
      const events = await platform.get('/v1/stream?filter=%23', { token: one })
      assert.equal(events.status, 200)
      t.after(() => events.body?.cancel())
    }
    assert.deepEqual(await refusals(platform, one), ['429 too-many-sockets', '429 too-many-sockets'])
    for (let index = 0; index < 2; index++) await hold(t, platform, two, '127.0.0.1')
    assert.deepEqual(await refusals(platform, three), ['429 too-many-sockets', '429 too-many-sockets'])
    for (let index = 0; index < 2; index++) await hold(t, platform, two, '127.0.0.2')
    assert.deepEqual(await refusals(platform, three), ['503 too-busy', '503 too-busy'])
  },
)

onEachServer('a subscription has so many filters and fields, and no more', async (t, server) => {
  const platform = await startPlatform(t, server)
  const app = await App.connect(t, platform)
  const filters = Array.from({ length: REQUEST_FILTERS_MAX }, (_, index) => `devices/d${index}/#`)
  await app.subscribe({ filter: filters })
  const fields = Array.from({ length: LIVE_FIELDS_MAX }, () => 'temperature')
  await app.subscribe({ filter: '#', fields })
  const wrong: [command: object, code: string][] = [
    [{ filter: [...filters, 'devices/more/#'] }, 'bad-filter'],
    [{ filter: '#', fields: [...fields, 'temperature'] }, 'bad-field'],
  ]
  for (const [command, code] of wrong) {
    const from = app.frames.length
    app.send({ type: 'subscribe', id: '1', ...command })
    assert.equal((await app.next('error', from)).code, code)
  }
  const path = `/v1/stream?filter=%23&fields=${[...fields, 'temperature'].join(',')}`
  assert.equal((await platform.get(path)).status, 400)
})

onEachServer(
  'a frame that is much too large cuts the connection, and a token that is too long is none',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const app = await App.connect(t, platform)
    app.socket.send('x'.repeat(LIVE_COMMAND_BYTES_CUT + 1))
    const { code } = await app.untilClosed()
    assert.equal(code, server === 'uws' ? 1006 : 1009)
    const answer = await platform.get('/v1/ledger', { token: 'x'.repeat(TOKEN_CHARS_MAX + 1) })
    assert.equal(answer.status, 401)
    assert.match(await answer.text(), /"token-invalid"/)
  },
)
