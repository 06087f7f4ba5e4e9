/** Keys and revocations by the commands, beside a platform that runs: what is connected and holds what was revoked, ends. */

import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SignJWT } from 'jose'
import { connectAsync, type MqttClient } from 'mqtt'
import { WebSocket } from 'ws'
import { closed as closedOf } from '../broker/harness.ts'
import { RunningPlatform } from '../e2e/platform.ts'
import { scratchDirectory } from '../scratch.ts'
import { MissingServer, skipIfMissing } from '../servers/server.ts'
import { until } from '../until.ts'
import { telltale } from './telltale.ts'

interface Listed {
  readonly id: string
  readonly name: string
  readonly use: string
}

async function device(t: TestContext, { mqttPort }: RunningPlatform, password: string): Promise<MqttClient> {
  const client = await connectAsync({
    port: mqttPort,
    clientId: 'truck-7',
    username: 'truck-7',
    password,
    reconnectPeriod: 0,
    protocolVersion: 4,
  })
  client.on('error', () => undefined)
  t.after(() => client.end(true))
  return client
}

async function app(t: TestContext, { url }: RunningPlatform, token: string): Promise<WebSocket> {
  const protocols = ['telltale.v1', `telltale.token.${token}`]
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/live`, protocols)
  t.after(() => socket.terminate())
  await once(socket, 'message')
  return socket
}

const statusOf = async ({ url }: RunningPlatform, token: string) =>
  (await fetch(`${url}/v1/ledger`, { headers: { authorization: `Bearer ${token}` } })).status

test('what is revoked ends where it is connected, and is refused from then on; a new token is good at once', async (t) => {
  const platform = await RunningPlatform.start(t)
  const { directory } = platform
  const old = await platform.deviceToken('truck-7')
  const truck = await device(t, platform, old)
  const made = await telltale(directory, ['token', 'app', '--filter', 'devices/+/telemetry/#'])
  const [, id = ''] = /telltale token revoke (app-\S+)\n$/.exec(made.stderr) ?? []
  const live = await app(t, platform, made.stdout.trim())
  assert.equal(await statusOf(platform, made.stdout.trim()), 200)

  const ends = Promise.all([closedOf(truck), once(live, 'close')])
  await platform.telltale('token', 'revoke', 'truck-7', id)
  const [, [code]] = await ends
  assert.equal(code, 4504)
  assert.equal(await statusOf(platform, made.stdout.trim()), 401)
  await assert.rejects(device(t, platform, old), /Bad username or password|Not authorized/)
  await device(t, platform, await platform.deviceToken('truck-7'))
  const listed = JSON.parse(await platform.telltale('token', 'revoked', '--json')) as Listed[]
  assert.deepEqual(listed.map((each) => each.id).sort(), [id, 'truck-7'].sort())
})

test('a rotation ends nobody; the removal of the old key ends those who hold its tokens', async (t) => {
  const platform = await RunningPlatform.start(t)
  const keys = async () => JSON.parse(await platform.telltale('keys', 'list', '--json')) as Listed[]
  const [first] = await keys()
  const token = await platform.appToken()
  const live = await app(t, platform, token)
  await platform.telltale('keys', 'rotate')
  const [signing, retired] = await keys()
  assert.deepEqual([signing?.use, retired?.id], ['signs', first?.id])
  const young = (await platform.telltale('token', 'app', '--filter', '#')).trim()
  await until(async () => (await statusOf(platform, young)) === 200)
  assert.equal(await statusOf(platform, token), 200)
  const closed = once(live, 'close')
  await platform.telltale('keys', 'remove', String(first?.id))
  assert.equal((await closed)[0], 4504)
  assert.equal(await statusOf(platform, token), 401)
  assert.equal(await statusOf(platform, young), 200)
})

test('a key is added and removed while the platform runs', async (t) => {
  const platform = await RunningPlatform.start(t)
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const file = join(scratchDirectory(t), 'fleet.pem')
  writeFileSync(file, publicKey.export({ type: 'spki', format: 'pem' }))
  const token = await foreign(privateKey)
  assert.equal(await statusOf(platform, token), 401)
  await platform.telltale('keys', 'add', file, '--filter', 'devices/+/telemetry/#')
  await until(async () => (await statusOf(platform, token)) === 200)
  const live = await app(t, platform, token)
  const closed = once(live, 'close')
  await platform.telltale('keys', 'remove', 'fleet')
  assert.equal((await closed)[0], 4504)
})

function foreign(key: KeyObject): Promise<string> {
  const token = new SignJWT({ role: 'app', filters: ['devices/a/telemetry/#'], aud: 'telltale' })
  return token.setProtectedHeader({ alg: 'EdDSA' }).setExpirationTime('1h').sign(key)
}

test('what cannot be done is said, with what would be right', async (t) => {
  const directory = scratchDirectory(t)
  await telltale(directory, ['token', 'device', 'a'])
  const wrong: [args: string[], code: number, message: RegExp][] = [
    [['keys', 'add', 'x.pem'], 2, /needs --device or --filter/],
    [['keys', 'add', join(directory, 'x.pem'), '--device', '*'], 1, /x\.pem cannot be read: ENOENT/],
    [['keys', 'add', 'x.pem', '--device', 'a*b'], 1, /names the device a\*b: allowed are ids, and beginnings/],
    [['keys', 'remove', 'x'], 1, /there is no key x: telltale keys list/],
    [['keys', 'rotate', '--keep', 'soon'], 2, /Allowed is a duration up to 3650d/],
    [['token', 'revoke', 'a/b'], 2, /Allowed are 1 to 64/],
    [['token', 'revoke', 'a', '--before', '2999-01-01'], 2, /allowed is a time that has passed/],
  ]
  for (const [args, code, message] of wrong) {
    const ended = await telltale(directory, args)
    assert.match(ended.stderr, message)
    assert.equal(ended.code, code, args.join(' '))
  }
  const key = join(directory, 'keys', 'signing.key')
  chmodSync(key, 0o644)
  const refused = await telltale(directory, ['token', 'device', 'd'])
  assert.deepEqual([refused.code, refused.stdout], [1, ''])
  assert.equal(refused.stderr, `telltale: ${key} can be read by others (mode 0644): chmod 600 ${key}\n`)
})

test('where there is no installation nothing is made, revoked or listed', async (t) => {
  const directory = join(scratchDirectory(t), 'nowhere')
  for (const args of [
    ['token', 'revoke', 'a'],
    ['token', 'revoked'],
    ['keys', 'list'],
    ['keys', 'rotate'],
    ['keys', 'remove', 'x'],
  ]) {
    const { code, stdout, stderr } = await telltale(directory, args)
    assert.deepEqual([code, stdout], [1, ''], args.join(' '))
    assert.match(stderr, /there is no installation in .*nowhere: see TELLTALE_DATA_DIR/)
    assert(!existsSync(join(directory, 'keys')))
  }
})

test('what root changes in the keys of a service can be read by the service', async (t) => {
  if (process.getuid?.() !== 0) return skipIfMissing(t, new MissingServer('needs to be root'))
  const directory = scratchDirectory(t)
  await telltale(directory, ['token', 'device', 'a'])
  const keys = join(directory, 'keys')
  const NOBODY = 65_534
  for (const path of [directory, keys, join(keys, 'signing.key')]) chownSync(path, NOBODY, NOBODY)
  await telltale(directory, ['keys', 'rotate'])
  const { stdout } = await telltale(directory, ['token', 'revoke', 'a'])
  assert.match(stdout, /^a: no token that was issued before \d{4}-.*Z is good any more\n$/)
  const made = readdirSync(keys, { recursive: true }).map(String)
  assert(made.length >= 4, `${made}`)
  for (const name of made) assert.equal(statSync(join(keys, name)).uid, NOBODY, name)
})
