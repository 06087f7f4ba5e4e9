/** Bad input on the running platform: each message with its code, in the dead letters and on its sender's errors topic. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { connectAsync } from 'mqtt'
import { until } from '../until.ts'
import { environmentBody, singleObject, zigzag } from './avro-by-hand.ts'
import { RunningPlatform } from './platform.ts'
import { STORES } from './stores.ts'

const NOW = Date.now()
const YEAR_2100 = Date.UTC(2100, 0, 1)
const good = { ts: NOW, temperature: 21.3, humidity: 40, pressure: 1013.2, battery: 90, rssi: -60 }
const body = environmentBody(good)
const json = (changed: object) => Buffer.from(JSON.stringify({ ...good, ...changed }))
const { temperature: _missing, ...withoutTemperature } = good

/** CRC-64-AVRO of an array of `environment` 1, little-endian, as fastavro 1.12 works it out. */
const BATCH_FINGERPRINT = Buffer.from('9679b69bbd2c4928', 'hex')
const UNKNOWN_FINGERPRINT = Buffer.from('0123456789abcdef', 'hex')

const cases: [name: string, payload: Buffer, code: string, stream?: string][] = [
  ['empty', Buffer.alloc(0), 'empty'],
  ['unknown framing', Buffer.from('temperature=21.3'), 'unknown-framing'],
  ['unknown fingerprint', singleObject(body, UNKNOWN_FINGERPRINT), 'unknown-schema'],
  ['no such stream', json({}), 'unknown-schema', 'nonesuch'],
  ['truncated Avro', singleObject(body.subarray(0, -1)), 'malformed-avro'],
  ['half a header', Buffer.from('c301f967', 'hex'), 'malformed-avro'],
  ['trailing bytes', singleObject(Buffer.concat([body, Buffer.from([0])])), 'malformed-avro'],
  ['bad JSON', Buffer.from('{"ts":'), 'malformed-json'],
  ['missing field', Buffer.from(JSON.stringify(withoutTemperature)), 'invalid-reading'],
  ['a string for a number', json({ temperature: 'warm' }), 'invalid-reading'],
  ['wrong stream', singleObject(body), 'wrong-stream', 'power'],
  ['a time in 1970', singleObject(environmentBody({ ...good, ts: 1 })), 'bad-timestamp'],
  ['a time in 2100', json({ ts: YEAR_2100 }), 'bad-timestamp'],
  ['too many readings', Buffer.from(JSON.stringify(Array(10_001).fill({}))), 'too-many-readings'],
]

test('each bad message harms only itself, and its sender learns why', async (t) => {
  const platform = await RunningPlatform.start(t)
  const password = await platform.deviceToken('truck-7')
  const device = await connectAsync({ port: platform.mqttPort, clientId: 'truck-7', username: 'truck-7', password })
  t.after(() => device.endAsync(true))
  const told: string[] = []
  device.on('message', (_topic, payload) => told.push(JSON.parse(payload.toString()).code))
  await device.subscribeAsync('devices/truck-7/errors')
  const send = (payload: Buffer, stream = 'environment') =>
    device.publishAsync(`devices/truck-7/telemetry/${stream}`, payload, { qos: 1 })

  let sent = 0
  await send(json({ ts: NOW - 1_000 }))
  for (const [, payload, , stream] of cases) {
    await send(payload, stream)
    sent++
    await send(singleObject(environmentBody({ ...good, ts: NOW - sent })))
  }
  const ledger = await platform.settled()
  assert.deepEqual([ledger.stored, ledger.deadLettered], [cases.length + 1, cases.length])
  const lines = (await platform.telltale('deadletters', 'list', '--json')).trim().split('\n')
  const letters = lines.map((line) => JSON.parse(line) as { code: string; reason: string; payload: string })
  assert.deepEqual(
    letters.map(({ code }, index) => `${cases[index]?.[0]}: ${code}`),
    cases.map(([name, , code]) => `${name}: ${code}`),
  )
  assert.deepEqual(
    letters.map(({ payload }) => payload),
    cases.map(([, payload]) => payload.toString('base64')),
  )
  for (const { reason } of letters) assert(reason.length > 10, reason)
  await until(() => told.length >= cases.length)
  assert.deepEqual(
    told,
    cases.map(([, , code]) => code),
  )
  assert.equal((await platform.readings('')).length, cases.length + 1)
})

test('hostile array counts leave the memory flat', async (t) => {
  const platform = await RunningPlatform.start(t)
  const password = await platform.deviceToken('truck-7')
  const device = await connectAsync({ port: platform.mqttPort, clientId: 'truck-7', username: 'truck-7', password })
  t.after(() => device.endAsync(true))
  const before = residentBytes(platform.pid)
  for (const count of [1e8, 1e9, 2 ** 40, -1e9]) {
    const hostile = singleObject(zigzag(count), BATCH_FINGERPRINT)
    await device.publishAsync('devices/truck-7/telemetry/environment', hostile, { qos: 1 })
  }
  const ledger = await platform.settled()
  assert.equal(ledger.deadLettered, 4)
  const letters = (await platform.telltale('deadletters', 'list', '--json')).trim().split('\n')
  const codes = letters.map((line) => (JSON.parse(line) as { code: string }).code)
  assert.deepEqual(codes, Array(4).fill('malformed-avro'))
  const grown = residentBytes(platform.pid) - before
  assert(grown < 64 * 2 ** 20, `resident memory grew by ${grown} bytes`)
})

test('a type conflict in InfluxDB sets aside the one message, with the reason of the server', async (t) => {
  const store = await STORES['InfluxDB 2.7']?.(t)
  if (store === undefined) return
  if (store.options?.kind !== 'influx') return
  const { url, token, org, bucket } = store.options
  // Someone else's point made `rssi` of this series a string.
  const line = `environment,device=odd rssi="weak" ${NOW}000000`
  const write = await fetch(`${url}/api/v2/write?org=${org}&bucket=${bucket}`, {
    method: 'POST',
    headers: { authorization: `Token ${token}` },
    body: line,
  })
  assert.equal(write.status, 204)
  const platform = await RunningPlatform.start(t, { store: store.options })
  const summary = await platform.simulate('--devices', '2', '--messages', '20', '--rate', '100', '--stream', 'power')
  assert.equal(summary.acknowledged, 20)
  const password = await platform.deviceToken('truck-7')
  const device = await connectAsync({ port: platform.mqttPort, clientId: 'truck-7', username: 'truck-7', password })
  t.after(() => device.endAsync(true))
  await device.publishAsync('devices/truck-7/telemetry/environment', json({}), { qos: 1 })
  const ledger = await platform.settled()
  assert.deepEqual([ledger.accepted, ledger.stored, ledger.deadLettered], [21, 20, 1])
  const letter = JSON.parse(await platform.telltale('deadletters', 'show', '1', '--json'))
  assert.equal(letter.code, 'store-rejected')
  assert.equal(letter.decoded, true, 'apps have had it live: a replay must not send it again')
  assert.match(letter.reason, /rssi/)
})

/** VmRSS of a process (proc(5)). */
function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
  return Number(match?.[1] ?? assert.fail('no VmRSS')) * 1024
}
