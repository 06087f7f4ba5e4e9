import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Aedes } from 'aedes'
import fc from 'fast-check'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { Connection, connectionOf } from '../../../broker/inbound/connection.ts'
import { FairShare } from '../../../broker/inbound/fair-share.ts'
import {
  ALLOWANCE_SHARE,
  CpuQuota,
  Inbound,
  readBuffered,
  UNREAD_ANSWERS_BYTES_MAX,
} from '../../../broker/inbound/inbound.ts'
import { Parsers } from '../../../broker/inbound/parsers.ts'
import { PartialPackets } from '../../../broker/inbound/partial-packets.ts'
import { Mqtt5 } from '../../../broker/mqtt5/mqtt5.ts'
import { Disconnects } from '../../../broker/reports/disconnects.ts'
import { BrokerMetrics } from '../../../broker/reports/metrics.ts'
import { HELD_MESSAGES_PER_CLIENT_MAX, ReceiveWindow, ReceiveWindowTotal } from '../../../intake/receive-window.ts'
import { ThrottledLines } from '../../../intake/throttled-lines.ts'
import { systemClock } from '../../../platform/clock.ts'
import {
  ALLOWANCE_BYTES_PER_MS,
  ALLOWANCE_FIRST_MS,
  ALLOWANCE_MS,
  ALLOWANCE_PACKET_MS,
} from '../../../platform/limits.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import { until } from '../../until.ts'
import { connectAs, publish } from '../harness.ts'

test('reading waits for the first thing that keeps it from reading, and goes on when that is over', async (t) => {
  const aedes = await Aedes.createBroker()
  t.after(() => aedes.close())
  let authenticated: () => void = () => assert.fail('a CONNECT comes first')
  aedes.authenticate = (_client, _name, _password, done) => {
    authenticated = () => done(null, true)
  }
  let drained: (() => void) | undefined
  const conn = new Duplex({
    read: () => undefined,
    write: (_chunk, _encoding, done) => {
      drained = done
    },
  })
  const client = aedes.handle(conn)
  const clock = systemClock
  const [logger, metrics] = [silentLogger(), new BrokerMetrics(createMetrics(), () => 0)]
  const receiveWindow = new ReceiveWindow(new ReceiveWindowTotal())
  const disconnects = new Disconnects({ lines: new ThrottledLines({ clock, logger }), metrics, logger })
  const authentication = { renew: () => assert.fail('nobody renews') }
  const mqtt5 = new Mqtt5({}, { disconnects, metrics, clock, authentication })
  const inbound = new Inbound(client, {
    receiveWindow,
    fairShare: new FairShare(),
    parsers: new Parsers(mqtt5.fields),
    partialPackets: new PartialPackets(),
    metrics,
    disconnects,
    mqtt5,
    broker: aedes,
    connect: (packets, packet) => packets.accept(packet),
  })
  new Connection(inbound, () => undefined)
  aedes.on('clientReady', () => connectionOf(client)?.connected(client))
  const send = (...packets: Packet[]) => conn.push(Buffer.concat(packets.map((packet) => mqttPacket.generate(packet))))
  const waits = (mode: string) => until(() => inbound.waitsFor === mode)
  const subscribe: Packet = { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 0 }] }

  assert.equal(inbound.waitsFor, 'bytes')
  send(connectAs('a'))
  await until(() => client.connecting)
  send({ cmd: 'pingreq' })
  await waits('connack')
  await turn()
  authenticated()
  await waits('bytes')

  send(subscribe, { ...subscribe, messageId: 2 }, { cmd: 'pingreq' })
  await until(() => inbound.packets.isHolding)
  send({ cmd: 'pingreq' })
  await waits('order')
  inbound.packets.delivered()
  await waits('bytes')

  for (let held = 0; held < HELD_MESSAGES_PER_CLIENT_MAX; held++) receiveWindow.hold(1)
  send({ cmd: 'pingreq' })
  await waits('room')
  receiveWindow.release(1)
  await waits('bytes')

  send(publish('a', 0, 0, Buffer.alloc(100_000)))
  await waits('turn')
  await waits('bytes')

  client.conn.write(Buffer.alloc(UNREAD_ANSWERS_BYTES_MAX))
  send({ cmd: 'pingreq' })
  await waits('drain')
  await until(() => {
    if (conn.writableLength > 0) drained?.()
    return conn.writableLength === 0
  })
  await waits('bytes')

  send({ cmd: 'pingreq' })
  client.close()
  inbound.read()
  await waits('nothing')
})

const streamOf = (...pieces: (string | null)[]) => {
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })
  for (const piece of pieces) stream.push(piece === null ? null : Buffer.from(piece))
  return stream
}
test('all that is buffered comes at once, in however many pieces it came', () => {
  for (const pieces of [[], ['a'], ['a', 'bc'], ['a', 'b', 'c', 'd']]) {
    const stream = streamOf(...pieces)
    assert.equal(String(readBuffered(stream) ?? ''), pieces.join(''))
    assert.equal(stream.readableLength, 0)
    assert.equal(readBuffered(stream), null)
  }
})

test('a stream whose last bytes were read ends', async () => {
  const stream = streamOf('a', 'b', null)
  const ended = once(stream, 'end')
  assert.equal(String(readBuffered(stream)), 'ab')
  await ended
})

const work = fc.record({
  tookMs: fc.double({ min: 0, max: ALLOWANCE_FIRST_MS, noNaN: true }),
  packets: fc.nat(5_000),
  bytes: fc.nat(64 * 1024),
})
const costOf = ({ tookMs, packets, bytes }: { tookMs: number; packets: number; bytes: number }) =>
  tookMs + packets * ALLOWANCE_PACKET_MS + bytes / ALLOWANCE_BYTES_PER_MS

test('whatever a client sends, and however it pauses, it takes its share and what it had saved', () => {
  const pause = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1_000, noNaN: true }))
  fc.assert(
    fc.property(fc.array(fc.tuple(work, pause), { minLength: 1, maxLength: 200 }), (steps) => {
      const allowance = new CpuQuota(0)
      let now = 0
      let cost = 0
      for (const [step, pauseMs] of steps) {
        now += step.tookMs
        cost += costOf(step)
        const restMs = allowance.charge(now, step)
        now += restMs + pauseMs
        // After its rest it may go on, and has taken no more than its share of the time, and what may be saved up.
        assert(cost <= ALLOWANCE_MS + now * ALLOWANCE_SHARE + 1e-6, `${cost} ms of ${now}`)
      }
    }),
  )
})

test('a client that stays below its share never rests, nor one whose turn was interrupted once', () => {
  const allowance = new CpuQuota(0)
  const reading = { tookMs: 0.05, packets: 1, bytes: 200 }
  const everyMs = (costOf(reading) / ALLOWANCE_SHARE) * 1.01
  let now = 0
  for (let count = 0; count < 10_000; count++) {
    now += everyMs
    assert.equal(allowance.charge(now, reading), 0)
  }
  const quiet = new CpuQuota(0)
  assert.equal(quiet.charge(500, { ...reading, tookMs: 80 }), 0)
})
