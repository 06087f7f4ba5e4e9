/** Payloads whose sender says by the topic how they are framed, on the whole platform: stored, live, set aside and put through again. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from 'cborg'
import { connectAsync } from 'mqtt'
import { pack } from 'msgpackr'
import { avro } from '../../client/avro/avro.ts'
import { connect, type Subscription } from '../../client/client.ts'
import { until } from '../until.ts'
import { RunningPlatform } from './platform.ts'

const NOW = Date.now()
const MESSAGES = 40
const reading = (number: number) => {
  return { ts: NOW + number, temperature: number / 10, humidity: 40, pressure: 1013.2, battery: 90, rssi: -60 }
}

function follow(subscription: Subscription) {
  const seen = { isLive: false, temperatures: [] as unknown[] }
  const read = async () => {
    for await (const event of subscription.events()) {
      if (event.type === 'live') seen.isLive = true
      if (event.type === 'readings') seen.temperatures.push(...event.readings.map(({ values }) => values.temperature))
    }
  }
  void read()
  return seen
}

test('MessagePack and CBOR are stored and live as JSON is, one behind the other, and keep their framing when set aside', async (t) => {
  const platform = await RunningPlatform.start(t)
  const identity = { clientId: 'truck-7', username: 'truck-7', password: await platform.deviceToken('truck-7') }
  const device = await connectAsync({ port: platform.mqttPort, ...identity })
  t.after(() => device.endAsync(true))
  const token = await platform.appToken()
  const app = await connectAsync({ port: platform.mqttPort, username: 'app', password: token })
  t.after(() => app.endAsync(true))
  const forwarded: string[] = []
  app.on('message', (topic) => forwarded.push(topic))
  await app.subscribeAsync('devices/+/telemetry/+/cbor')
  const live = [connect(platform.url, { token }), connect(platform.url, { token, encoding: avro })]
  t.after(() => Promise.all(live.map((each) => each.close())))
  const seen = live.map((each) => follow(each.subscribe('devices/+/telemetry/environment')))
  await until(() => seen.every(({ isLive }) => isLive))

  const topic = 'devices/truck-7/telemetry/environment'
  const ways = [
    { topic: `${topic}/msgpack`, write: pack },
    { topic: `${topic}/cbor`, write: encode },
    { topic, write: JSON.stringify },
  ]
  // Many on a topic behind one another: the first goes the long way, the others as a run.
  const sent = Array.from({ length: MESSAGES }, (_, number) => number)
  const published = sent.map((number) => {
    const { topic, write } = ways[Math.floor(number / 10) % ways.length] ?? assert.fail()
    return device.publishAsync(topic, Buffer.from(write(reading(number))), { qos: 1 })
  })
  await Promise.all(published)
  await device.publishAsync(`${topic}/cbor`, Buffer.from(encode({ ts: NOW, warm: 1 })), { qos: 1 })
  await device.publishAsync(`${topic}/cbor`, Buffer.from(JSON.stringify(reading(0))), { qos: 1 })
  await device.publishAsync(topic, pack(reading(0)), { qos: 1 })

  const expected = sent.map((number) => number / 10)
  const ledger = await platform.settled()
  assert.deepEqual([ledger.stored, ledger.deadLettered], [MESSAGES, 3])
  const stored = await platform.readings('filter=devices/%2B/telemetry/environment')
  assert.deepEqual(
    stored.map(({ values }) => values.temperature),
    expected,
  )
  for (const { temperatures } of seen) {
    await until(
      () => temperatures.length >= MESSAGES,
      () => `an app has all readings: ${temperatures}`,
    )
    assert.deepEqual(temperatures, expected)
  }
  await until(() => forwarded.length >= 12)
  assert.deepEqual(new Set(forwarded), new Set([`${topic}/cbor`]))

  const letters = async () => {
    const lines = (await platform.telltale('deadletters', 'list', '--json')).trim().split('\n')
    return lines.map((line) => JSON.parse(line) as { code: string; reason: string })
  }
  const codes = ['invalid-reading', 'malformed-cbor', 'unknown-framing']
  assert.deepEqual(
    (await letters()).map(({ code }) => code),
    codes,
  )
  assert.match((await letters())[2]?.reason ?? '', /, a topic with \/msgpack, \/cbor, .*behind it/)
  assert.match(await platform.telltale('deadletters', 'show', '1'), /contents +CBOR\n[\s\S]*"warm": 1/)
  await platform.telltale('deadletters', 'replay', '--all')
  const after = await platform.settled()
  assert.deepEqual([after.stored, after.deadLettered], [MESSAGES, 6])
  assert.deepEqual(
    (await letters()).map(({ code }) => code),
    codes,
  )
})
