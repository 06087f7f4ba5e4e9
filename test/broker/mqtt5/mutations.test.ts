/**
 * Packets of MQTT 5 with their properties, mutated at random, behind a good CONNECT or in its place: the broker serves others after
 * all of them. `TELLTALE_TEST_RUNS=25000` for the long form, of half a million packets; a failing seed is repeated by `TELLTALE_TEST_SEED`.
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { seededRandom } from '../../../devices/simulator/signals/random.ts'
import { connect5, connected5, publish, startBroker } from '../harness.ts'

const RUNS = Number(process.env.TELLTALE_TEST_RUNS ?? 150)
const SEED = Number(process.env.TELLTALE_TEST_SEED ?? 5)
const PACKETS_PER_RUN = 20
const AT_ONCE = 10

const userProperties = { constructor: ['a', 'b'], a: 'c' }
const message = {
  contentType: 'text/plain',
  correlationData: Buffer.from([0, 255]),
  responseTopic: 'r',
  userProperties,
}
const options = { qos: 2 as const, nl: true, rap: true, rh: 1 }

const CONNECT = connect5('fuzzed', {
  clean: false,
  properties: {
    sessionExpiryInterval: 1,
    receiveMaximum: 3,
    maximumPacketSize: 100,
    topicAliasMaximum: 2,
    userProperties,
  },
  will: {
    topic: '__proto__',
    payload: Buffer.from('will'),
    qos: 1,
    retain: true,
    properties: { willDelayInterval: 1, messageExpiryInterval: 1, ...message },
  },
})
const PACKETS: readonly Packet[] = [
  CONNECT,
  {
    ...publish('a', 1, 1),
    properties: { topicAlias: 1, messageExpiryInterval: 1, payloadFormatIndicator: true, ...message },
  },
  { ...publish('', 2, 2), properties: { topicAlias: 1 } },
  { ...publish('devices/fuzzed/telemetry/environment', 3, 1), properties: message },
  publish('devices/fuzzed/telemetry/environment', 4, 1),
  {
    cmd: 'subscribe',
    messageId: 5,
    subscriptions: [{ topic: '#', ...options }],
    properties: { subscriptionIdentifier: 300 },
  },
  { cmd: 'subscribe', messageId: 6, subscriptions: [{ topic: '$share/g/#', ...options, nl: false }] },
  { cmd: 'unsubscribe', messageId: 7, unsubscriptions: ['#', 'constructor'], properties: { userProperties } },
  { cmd: 'puback', messageId: 8, reasonCode: 0x80, properties: { reasonString: 'no', userProperties } },
  { cmd: 'pubrec', messageId: 9, reasonCode: 0x80 },
  { cmd: 'pubrel', messageId: 2, reasonCode: 0x92 },
  { cmd: 'pubcomp', messageId: 10, reasonCode: 0 },
  { cmd: 'pingreq' },
  { cmd: 'disconnect', reasonCode: 4, properties: { sessionExpiryInterval: 5, reasonString: 'bye' } },
  {
    cmd: 'auth',
    reasonCode: 0x19,
    properties: { authenticationMethod: 'telltale-token', authenticationData: Buffer.from('a') },
  },
] as Packet[]
const BYTES = PACKETS.map((packet) => mqttPacket.generate(packet, { protocolVersion: 5 }))

type Random = ReturnType<typeof seededRandom>

/** Some bytes other, more or fewer; nearly always with a remaining length that fits, so that it is looked into. */
function mutated(bytes: Buffer, random: Random): Buffer {
  let body = [...bytes.subarray(2)]
  for (let changes = random.below(4); changes > 0; changes--) {
    const at = random.below(body.length + 1)
    const [kind, byte] = [random.below(3), random.below(2) === 0 ? random.below(256) : random.below(0x30)]
    if (kind === 0) body[at] = byte
    else if (kind === 1) body.splice(at, 0, byte)
    else body.splice(at, 1 + random.below(3))
  }
  if (random.below(10) === 0) body = body.slice(0, random.below(body.length + 1))
  const length = random.below(50) === 0 ? random.below(128) : Math.min(127, body.length)
  const first = random.below(30) === 0 ? random.below(256) : (bytes[0] ?? 0)
  return Buffer.from([first, length, ...body.slice(0, 127)])
}

test(`mutated packets end their own connections only (seed ${SEED})`, async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const random = seededRandom(SEED, 0)
  const short = BYTES.filter(({ length }) => length <= 129)
  const run = async () => {
    const socket = connect(bench.port, '127.0.0.1')
    socket.on('error', () => undefined)
    const isConnected = random.below(10) > 0
    const packets = Array.from({ length: PACKETS_PER_RUN }, () =>
      mutated(short[random.below(short.length)] ?? Buffer.alloc(2), random),
    )
    const connects = BYTES[0] ?? Buffer.alloc(0)
    const closed = once(socket, 'close')
    socket.resume()
    socket.end(Buffer.concat([isConnected ? connects : mutated(connects, random), ...packets]))
    await closed
  }
  for (let runs = 0; runs < RUNS; runs += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, run))
  const { client } = await connected5(t, bench, 'good')
  client.send(publish('a', 1, 1))
  assert.equal((await client.next('puback')).reasonCode, 0)
})
