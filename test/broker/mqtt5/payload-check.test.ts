/** Telemetry of MQTT 5 that is looked at before it is acknowledged (`TELLTALE_MQTT5_CHECK`): what its sender is told, and when. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { MqttClient } from 'mqtt'
import type { Packet } from 'mqtt-packet'
import { payloadCheck } from '../../../cli/payload-check.ts'
import { SET_ASIDE } from '../../../log/entry.ts'
import { INGEST_READER } from '../../../log/log.ts'
import { Decoder } from '../../../schemas/decoder.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../../schemas/registry.ts'
import { until } from '../../until.ts'
import { type Bench, connectAs, connected5, publish, RawClient, startBroker } from '../harness.ts'
import { replacing } from '../held-log.ts'

const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
const TOPIC = 'devices/truck-7/telemetry/environment'
const GOOD = registry.encode('environment', {
  ts: Date.now(),
  temperature: 21.3,
  humidity: 40,
  pressure: 1013,
  battery: 80,
  rssi: -60,
})
const UNKNOWN = Buffer.from('c3010000000000000000aa', 'hex')
const CUT_OFF = GOOD.subarray(0, -1)
const PAYLOAD_FORMAT_INVALID = 0x99

const start = (t: TestContext, depth: 'fingerprint' | 'decode' = 'decode') =>
  startBroker(t, { auth: 'off', check: checkOf(depth) })
const checkOf = (depth: 'fingerprint' | 'decode') => payloadCheck(depth, new Decoder(registry)) ?? assert.fail()

interface Answer {
  readonly cmd: string
  readonly id: number | undefined
  readonly code: number
  readonly reason: string | undefined
}

function answerOf(packet: Packet): Answer {
  const { cmd, messageId, reasonCode = 0, properties } = packet as Extract<Packet, { cmd: 'puback' }>
  return { cmd, id: messageId, code: reasonCode, reason: properties?.reasonString }
}

async function answers(client: RawClient, ...cmds: ('puback' | 'pubrec')[]): Promise<Answer[]> {
  const all: Answer[] = []
  for (const cmd of cmds) all.push(answerOf(await client.next(cmd)))
  return all
}

async function books({ log }: Bench) {
  const { accepted, stored, deadLettered, pending, balanced } = await log.ledger(INGEST_READER)
  assert(balanced)
  assert.equal(stored, 0)
  const { held } = await log.deadLetterCounts()
  assert.equal(held, deadLettered)
  return { accepted, deadLettered, pending }
}

test('mqtt.js is told by the acknowledgement what is set aside, with the words of the dead letter, and nothing of what is good', async (t) => {
  const bench = await startBroker(t, { check: checkOf('decode') })
  const client = await bench.device('truck-7', { protocolVersion: 5 })
  const told: Answer[] = []
  client.on('packetreceive', (packet) => {
    if (packet.cmd === 'puback' || packet.cmd === 'pubrec') told.push(answerOf(packet))
  })
  const reports = await reportsOf(client)
  const bad = [UNKNOWN, CUT_OFF, Buffer.from('{"ts":1}'), Buffer.from('zzzz'), Buffer.alloc(0), Buffer.from('{"ts":')]
  for (const qos of [1, 2] as const) {
    await client.publishAsync(TOPIC, GOOD, { qos })
    for (const payload of bad) {
      const outcome = client.publishAsync(TOPIC, payload, { qos })
      await outcome.catch((error: { code: number }) => assert.equal(error.code, PAYLOAD_FORMAT_INVALID))
    }
    await client.publishAsync(TOPIC, GOOD, { qos })
  }
  const letters = await bench.log.deadLetters({ limit: 100 })
  const codes = ['unknown-schema', 'malformed-avro', 'invalid-reading', 'unknown-framing', 'empty', 'malformed-json']
  assert.deepEqual(
    letters.map(({ code }) => code),
    [...codes, ...codes],
  )
  assert.deepEqual(
    told.map(({ cmd, code, reason }) => [cmd, code, reason]),
    (['puback', 'pubrec'] as const).flatMap((cmd) => [
      [cmd, 0, undefined],
      ...letters.slice(0, codes.length).map(({ reason }) => [cmd, PAYLOAD_FORMAT_INVALID, reason]),
      [cmd, 0, undefined],
    ]),
  )
  assert.deepEqual(await books(bench), { accepted: 16, deadLettered: 12, pending: 4 })
  await until(() => reports.length >= letters.length)
  await client.publishAsync(TOPIC, UNKNOWN, { qos: 1 }).catch(() => undefined)
  await until(() => reports.length > letters.length)
  assert.deepEqual(reports, [...codes, ...codes, 'unknown-schema'], 'the errors topic says it once')
  assert.equal(await bench.metric('telltale_broker_set_aside_total{code="unknown-schema"}'), 3)
  assert.equal(await bench.metric('telltale_broker_accepted_total{qos="1"}'), 9)
})

/** Codes on the device's errors topic. */
async function reportsOf(client: MqttClient): Promise<string[]> {
  const codes: string[] = []
  client.on('message', (_topic, payload) => codes.push(JSON.parse(`${payload}`).code))
  await client.subscribeAsync('devices/truck-7/errors')
  return codes
}

test('what a fingerprint does not say is not looked at, if only that is asked', async (t) => {
  const bench = await start(t, 'fingerprint')
  const { client } = await connected5(t, bench, 'one')
  const payloads = [UNKNOWN, CUT_OFF, Buffer.from('zzzz'), Buffer.from('{"ts":'), GOOD]
  for (const [index, payload] of payloads.entries()) client.send(publish(TOPIC, index + 1, 1, payload))
  client.send(publish('devices/truck-7/telemetry/nosuch', 6, 1, Buffer.from('{}')))
  client.send(publish('devices/truck-7/telemetry/vehicle', 7, 1, GOOD))
  const told = await answers(client, ...Array.from({ length: 7 }, () => 'puback' as const))
  assert.deepEqual(
    told.map(({ code }) => code),
    [0x99, 0, 0x99, 0, 0, 0x99, 0x99],
  )
  const letters = await bench.log.deadLetters({ limit: 10 })
  assert.deepEqual(
    letters.map(({ code }) => code),
    ['unknown-schema', 'unknown-framing', 'unknown-schema', 'wrong-stream'],
  )
})

test('without Problem Information there is a code and no words', async (t) => {
  const bench = await start(t)
  const { client } = await connected5(t, bench, 'one', { properties: { requestProblemInformation: false } })
  client.send(publish(TOPIC, 1, 1, UNKNOWN), publish(TOPIC, 2, 2, UNKNOWN))
  assert.deepEqual(await answers(client, 'puback', 'pubrec'), [
    { cmd: 'puback', id: 1, code: PAYLOAD_FORMAT_INVALID, reason: undefined },
    { cmd: 'pubrec', id: 2, code: PAYLOAD_FORMAT_INVALID, reason: undefined },
  ])
})

test('neither MQTT 3.1.1 nor QoS 0 is looked at: nobody could be told', async (t) => {
  let looks = 0
  const check = checkOf('decode')
  const bench = await startBroker(t, {
    auth: 'off',
    check: (message) => {
      looks++
      return check(message)
    },
  })
  const old = await RawClient.open(t, bench.port)
  old.send(connectAs('old'))
  await old.next('connack')
  old.send(...[1, 2, 3].map((id) => publish(TOPIC, id, 1, UNKNOWN)), publish(TOPIC, 4, 2, UNKNOWN))
  for (const cmd of ['puback', 'puback', 'puback', 'pubrec'] as const) await old.next(cmd)
  const { client } = await connected5(t, bench, 'new')
  client.send(publish(TOPIC, 0, 0, UNKNOWN), { cmd: 'pingreq' })
  await client.next('pingresp')
  await until(async () => (await bench.entries()).length === 5)
  assert.deepEqual(await books(bench), { accepted: 5, deadLettered: 0, pending: 5 })
  assert.equal(looks, 0)
  client.send(publish(TOPIC, 1, 1, UNKNOWN))
  await client.next('puback')
  assert.deepEqual(
    (await bench.entries()).map(({ flags }) => flags),
    [0, 0, 0, 0, 0, SET_ASIDE],
  )
})

test('the answer comes when the dead letter is on disk, in its turn, and what is behind it waits', async (t) => {
  const held: (() => void)[] = []
  const through = replacing('appendSetAside', (log) => (entry, why, onDurable) => {
    log.appendSetAside(entry, why, (...outcome) => held.push(() => onDurable(...outcome)))
  })
  const bench = await startBroker(t, { auth: 'off', check: checkOf('decode'), through })
  const { client } = await connected5(t, bench, 'one')
  client.send(publish(TOPIC, 1, 1, GOOD), publish(TOPIC, 2, 1, UNKNOWN), publish(TOPIC, 3, 1, GOOD))
  await until(async () => held.length === 1 && (await bench.entries()).length === 3)
  client.send({ cmd: 'pingreq' })
  await client.next('pingresp')
  assert.deepEqual(
    client.packets.map((packet) => answerOf(packet).id),
    [1],
  )
  assert.equal((await bench.log.deadLetters({ limit: 10 })).length, 1)
  held[0]?.()
  const told = await answers(client, 'puback', 'puback', 'puback')
  assert.deepEqual(
    told.map(({ id, code }) => [id, code]),
    [
      [1, 0],
      [2, PAYLOAD_FORMAT_INVALID],
      [3, 0],
    ],
  )
})

test('a message of QoS 2 that was set aside has no PUBREL, and its id is free; one whose answer was lost is told again', async (t) => {
  const held: (() => void)[] = []
  let isHolding = false
  const through = replacing('appendSetAside', (log) => (entry, why, onDurable) => {
    log.appendSetAside(entry, why, (...outcome) => {
      if (isHolding) held.push(() => onDurable(...outcome))
      else onDurable(...outcome)
    })
  })
  const bench = await startBroker(t, { auth: 'off', check: checkOf('decode'), through })
  const properties = { sessionExpiryInterval: 100 }
  const { client } = await connected5(t, bench, 'one', { properties })
  client.send(publish(TOPIC, 1, 2, UNKNOWN))
  assert.equal((await answers(client, 'pubrec'))[0]?.code, PAYLOAD_FORMAT_INVALID)
  client.send(publish(TOPIC, 1, 2, GOOD))
  assert.equal((await answers(client, 'pubrec'))[0]?.code, 0)
  client.send({ cmd: 'pubrel', messageId: 1 })
  await client.next('pubcomp')
  isHolding = true
  client.send(publish(TOPIC, 2, 2, UNKNOWN))
  await until(() => held.length === 1)
  client.socket.destroy()
  await until(async () => (await bench.metric('telltale_broker_connections')) === 0)
  held[0]?.()
  const { client: again } = await connected5(t, bench, 'one', { clean: false, properties })
  again.send({ ...publish(TOPIC, 2, 2, UNKNOWN), dup: true } as Packet)
  const [told] = await answers(again, 'pubrec')
  const letters = await bench.log.deadLetters({ limit: 10 })
  assert.deepEqual([told?.code, told?.reason], [PAYLOAD_FORMAT_INVALID, letters.at(-1)?.reason])
  assert.deepEqual(await books(bench), { accepted: 3, deadLettered: 2, pending: 1 })
})

test('what is set aside goes to no subscriber', async (t) => {
  const bench = await start(t)
  const { client: app } = await connected5(t, bench, 'app')
  app.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'devices/+/telemetry/#', qos: 1 }] })
  await app.next('suback')
  const { client } = await connected5(t, bench, 'one')
  client.send(publish(TOPIC, 1, 1, UNKNOWN), publish(TOPIC, 2, 2, UNKNOWN), publish(TOPIC, 3, 1, GOOD))
  await answers(client, 'puback', 'pubrec', 'puback')
  const { topic, payload } = await app.next('publish')
  assert.deepEqual([topic, `${payload}`], [TOPIC, `${GOOD}`])
})
