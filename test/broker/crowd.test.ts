/** The broker's bounds over all clients together, with clients that need no socket: what one reads is the test's to say. */

import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import mqttPacket, { type Packet } from 'mqtt-packet'
import type { Admission } from '../../broker/admission/admission.ts'
import type { StatusBoard } from '../../broker/admission/status-board.ts'
import { Authentication } from '../../broker/connect/authentication.ts'
import { CONNECT_BYTES_MAX } from '../../broker/connect/pending-connects.ts'
import type { Verifies } from '../../broker/connect/tokens.ts'
import { UNREAD_ANSWERS_BYTES_MAX } from '../../broker/inbound/inbound.ts'
import { UNFINISHED_BYTES_MAX } from '../../broker/inbound/partial-packets.ts'
import { OUTBOUND_BYTES_TOTAL_MAX } from '../../broker/outbound/sweeps.ts'
import { DeviceStory } from '../../broker/reports/device-story.ts'
import { Disconnects } from '../../broker/reports/disconnects.ts'
import { BrokerMetrics } from '../../broker/reports/metrics.ts'
import { UNACKNOWLEDGED_MAX } from '../../broker/session/in-flight.ts'
import { TelemetryBroker } from '../../broker/telemetry-broker.ts'
import { ThrottledLines } from '../../intake/throttled-lines.ts'
import { ACCEPTED } from '../../intake/verdict.ts'
import type { Commands } from '../../log/commands.ts'
import type { Journal } from '../../log/journal.ts'
import { systemClock } from '../../platform/clock.ts'
import {
  CONNECTIONS_MAX,
  FRAME_BYTES_MAX,
  UNCONNECTED_MAX,
  UNFINISHED_PROGRESS_BYTES_MIN,
} from '../../platform/limits.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { until } from '../until.ts'
import { connectAs, publish } from './harness.ts'

const MiB = 2 ** 20
/** A PUBLISH of QoS 0 to `a`, nearly as large as a packet may be. */
const LARGE = mqttPacket.generate(publish('a', 0, 0, Buffer.alloc(FRAME_BYTES_MAX - 100)))
/** Most of it. */
const BEGINNING = LARGE.subarray(0, LARGE.length - 1_000)

/** One client's end of a connection, in memory. */
class Peer extends Duplex {
  readonly packets: Packet[] = []
  /** While it does not read, nothing that is written to it is taken. */
  reads = true
  readonly #parser = mqttPacket.parser({ protocolVersion: 4 })
  #waiting: (() => void) | undefined

  constructor() {
    super({ emitClose: true })
    this.#parser.on('packet', (packet) => this.packets.push(packet))
    this.on('error', () => undefined)
  }

  send(bytes: Buffer | Packet): void {
    this.push(Buffer.isBuffer(bytes) ? bytes : mqttPacket.generate(bytes))
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#waiting = () => {
      this.#parser.parse(chunk)
      done()
    }
    if (this.reads) this.#waiting()
  }

  readOn(): void {
    this.reads = true
    this.#waiting?.()
  }
}

async function startCrowd(t: TestContext, identity?: Verifies) {
  const registry = createMetrics()
  const metrics = new BrokerMetrics(registry, () => 0)
  const logger = silentLogger()
  const lines = new ThrottledLines({ clock: systemClock, logger })
  const broker = new TelemetryBroker(
    { connectionsMax: CONNECTIONS_MAX, clientsMax: CONNECTIONS_MAX, mqtt5: {} },
    {
      authentication: new Authentication({ deviceRate: {} }, { identity, clock: systemClock, metrics }),
      admission: { admit: (_session, _packet, decided) => decided(ACCEPTED) } as Pick<Admission, 'admit'> as Admission,
      statusBoard: {} as StatusBoard,
      commands: { of: () => [] } as Partial<Commands> as Commands,
      metrics,
      disconnects: new Disconnects({ lines, metrics, logger }),
      story: new DeviceStory({ note: () => undefined } as unknown as Journal),
      lines,
      clock: systemClock,
      logger,
    },
  )
  await broker.listen()
  t.after(() => new Promise<void>((resolve) => broker.close(resolve)))
  const open = () => {
    const peer = new Peer()
    broker.connections.pending.add(peer)
    t.after(() => peer.destroy())
    return peer
  }
  return {
    broker,
    open,
    client: async (id: string) => {
      const peer = open()
      peer.send(connectAs(id))
      await until(() => peer.packets.shift()?.cmd === 'connack')
      return peer
    },
    refused: async (reason: string) => {
      const line = (await registry.metrics())
        .split('\n')
        .find((each) => each.includes(`refused_total{reason="${reason}"}`))
      return Number(line?.split(' ')[1] ?? 0)
    },
  }
}

async function subscribe(peer: Peer, topic: string, qos: 0 | 1 = 0): Promise<void> {
  peer.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] })
  await until(() => peer.packets.shift()?.cmd === 'suback')
}

async function pings(peer: Peer): Promise<void> {
  peer.send({ cmd: 'pingreq' })
  await until(() => peer.packets.shift()?.cmd === 'pingresp')
}

test('of those that connect and say nothing, the one that has waited longest makes room; who sends its CONNECT gets in', async (t) => {
  const { open, client, refused } = await startCrowd(t)
  const silent = Array.from({ length: UNCONNECTED_MAX }, open)
  const honest = await client('honest')
  await pings(honest)
  assert.deepEqual([silent[0]?.destroyed, silent[1]?.destroyed], [true, false])
  open()
  assert.equal(silent[1]?.destroyed, false, 'who is connected takes no place any more')
  open()
  assert.equal(silent[1]?.destroyed, true)
  await pings(honest)
  assert.equal(await refused('too-many-connects'), 2)
})

test('those that have sent their CONNECT and have no answer yet take places, too; who has sent none makes room first', async (t) => {
  const { open, refused } = await startCrowd(t, { verify: () => new Promise(() => {}), isRevoked: () => false })
  const unanswered = Array.from({ length: UNCONNECTED_MAX - 1 }, open)
  for (const peer of unanswered) {
    peer.send({
      ...connectAs('truck-7'),
      cmd: 'connect',
      clientId: 'truck-7',
      username: 'truck-7',
      password: Buffer.from('x'),
    })
  }
  await until(() => unanswered.every(({ readableLength }) => readableLength === 0))
  const silent = open()
  const next = open()
  assert.deepEqual([silent.destroyed, next.destroyed, unanswered[0]?.destroyed], [true, false, false])
  next.send(connectAs('truck-7'))
  await until(() => next.readableLength === 0)
  open()
  assert.deepEqual([unanswered[0]?.destroyed, unanswered[1]?.destroyed], [true, false])
  assert.equal(await refused('too-many-connects'), 2)
})

test('of packets that were begun and wait for their rest, the one begun first makes room, and a whole one is taken', async (t) => {
  const { client, refused } = await startCrowd(t)
  const count = Math.floor(UNFINISHED_BYTES_MAX / BEGINNING.length)
  const slow = await Promise.all(Array.from({ length: count }, (_, index) => client(`slow-${index}`)))
  for (const each of slow) each.send(BEGINNING)
  await until(() => slow.every(({ readableLength }) => readableLength === 0))
  assert(slow.every(({ destroyed }) => !destroyed))
  // This one's first packet was the first, and its second is the last.
  slow[0]?.send(LARGE.subarray(BEGINNING.length))
  slow[0]?.send(BEGINNING)
  const honest = await client('honest')
  honest.send(publish('a', 1, 1))
  await until(() => honest.packets.shift()?.cmd === 'puback')
  assert(slow.every(({ destroyed }) => !destroyed))
  const last = await client('last')
  last.send(BEGINNING)
  await until(() => last.readableLength === 0)
  assert.deepEqual(
    slow.flatMap(({ destroyed }, index) => (destroyed ? [index] : [])),
    [1],
  )
  assert(!last.destroyed)
  assert.equal(await refused('stuck-packet'), 1)
})

test('of CONNECTs that were begun and wait for their rest, the one begun first makes room', async (t) => {
  const { open, client, refused } = await startCrowd(t)
  const beginning = Buffer.concat([Buffer.of(0x10, 0xf0, 0xff, 0x03), Buffer.alloc(CONNECT_BYTES_MAX - 100)])
  const slow = Array.from({ length: Math.floor(UNFINISHED_BYTES_MAX / beginning.length) }, open)
  for (const each of slow) each.send(beginning)
  await turn()
  const last = open()
  last.send(beginning)
  await until(() => slow.some(({ destroyed }) => destroyed))
  assert.deepEqual(
    slow.flatMap(({ destroyed }, index) => (destroyed ? [index] : [])),
    [0],
  )
  assert(!last.destroyed)
  await pings(await client('honest'))
  assert.equal(await refused('stuck-packet'), 1)
})

test('retained messages that a SUBSCRIBE finds wait for their reader, and no other client does', async (t) => {
  const { broker, client } = await startCrowd(t)
  const [bytes, count] = [16_384, 2_000]
  for (let index = 0; index < count; index++) {
    const topic = `r/${index}`
    broker.subscribers.retained.keep({
      cmd: 'publish',
      topic,
      payload: Buffer.alloc(bytes),
      qos: 0,
      retain: true,
      dup: false,
    })
  }
  const other = await client('other')
  const reader = await client('reader')
  await subscribe(reader, 'r/#')
  await pings(other)
  assert(reader.packets.length < count / 10, `${reader.packets.length} were sent before another had its turn`)
  reader.reads = false
  await until(() => reader.writableNeedDrain)
  for (let round = 0; round < 20; round++) await pings(other)
  // A stream asks to be waited for at 16 KiB on Node 20, at 64 KiB since Node 22.
  assert(reader.writableLength < reader.writableHighWaterMark + bytes, `${reader.writableLength} bytes wait`)
  reader.readOn()
  await until(() => reader.packets.length === count)
})

test('while all together leave too much unread, the one with the most is ended, and no other', async (t) => {
  const { broker, client, refused } = await startCrowd(t)
  const send = (topic: string, bytes: number) => {
    const payload = Buffer.alloc(bytes)
    broker.publish({ cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false }, () => undefined)
  }
  const most = await client('most')
  await subscribe(most, '+')
  const peers = [most]
  for (let index = 1; index < Math.floor(OUTBOUND_BYTES_TOTAL_MAX / (3 * MiB)); index++) {
    const peer = await client(`c${index}`)
    await subscribe(peer, 'all')
    peers.push(peer)
  }
  for (const peer of peers) peer.reads = false
  const unread = () => peers.reduce((sum, peer) => sum + peer.writableLength, 0)
  for (let count = 0; count < 3; count++) send('all', MiB)
  await until(() => peers.every(({ writableLength }) => writableLength > 3 * MiB))
  broker.sweeps.unread()
  assert(peers.every(({ destroyed }) => !destroyed))
  send('more', OUTBOUND_BYTES_TOTAL_MAX - unread())
  await until(() => unread() > OUTBOUND_BYTES_TOTAL_MAX)
  broker.sweeps.unread()
  assert.deepEqual(
    peers.filter(({ destroyed }) => destroyed),
    [most],
  )
  assert.equal(await refused('slow-client'), 1)
})

test('a packet of which little comes between two looks is closed, one of which more comes is not, nor who is silent', async (t) => {
  const { broker, client, refused } = await startCrowd(t)
  const peers = await Promise.all(['stuck', 'slow', 'skipped', 'silent'].map(client))
  const [stuck, slow, skipped, silent] = peers as [Peer, Peer, Peer, Peer]
  stuck.send(LARGE.subarray(0, 100_000))
  slow.send(LARGE.subarray(0, 100_000))
  // Larger than a packet may be: its payload is thrown away as it comes.
  skipped.send(Buffer.of(0x30, 0x80, 0x80, 0x80, 0x01, 0, 1, 0x61))
  const look = async () => {
    await until(() => peers.every(({ readableLength }) => readableLength === 0))
    broker.sweeps.stuck()
  }
  await look()
  stuck.send(Buffer.alloc(UNFINISHED_PROGRESS_BYTES_MIN - 1))
  slow.send(Buffer.alloc(UNFINISHED_PROGRESS_BYTES_MIN))
  await look()
  assert.deepEqual(
    peers.map(({ destroyed }) => destroyed),
    [true, false, true, false],
  )
  await pings(silent)
  assert.equal(await refused('stuck-packet'), 2)
})

test('a clean session that acknowledges nothing is sent so many messages, each with an id of its own, and ended at the next', async (t) => {
  const { broker, client, refused } = await startCrowd(t)
  const mute = await client('mute')
  const other = await client('other')
  await subscribe(mute, 'a', 1)
  const ids = new Set<number>()
  const send = async (count: number) => {
    const packet = { cmd: 'publish', topic: 'a', payload: 'x', qos: 1, retain: false, dup: false } as const
    for (let sent = 0; sent < count; sent++) broker.publish({ ...packet }, () => undefined)
    await until(() => mute.destroyed || mute.packets.length === count)
    for (const packet of mute.packets.splice(0)) ids.add((packet as { messageId: number }).messageId)
  }
  for (let sent = 0; sent < UNACKNOWLEDGED_MAX; sent += 1_000) await send(1_000)
  assert.equal(ids.size, UNACKNOWLEDGED_MAX)
  const [first = 0] = ids
  mute.send({ cmd: 'puback', messageId: first })
  await pings(mute)
  await send(1)
  assert(!mute.destroyed)
  await send(1)
  assert(mute.destroyed)
  await pings(other)
  assert.equal(await refused('slow-client'), 1)
})

test('a client that leaves much unread and sends byte by byte is waited for once', async (t) => {
  const { broker, client } = await startCrowd(t)
  const peer = await client('peer')
  await subscribe(peer, 'a')
  peer.reads = false
  const payload = Buffer.alloc(UNREAD_ANSWERS_BYTES_MAX + 1)
  broker.publish({ cmd: 'publish', topic: 'a', payload, qos: 0, retain: false, dup: false }, () => undefined)
  await until(() => peer.writableLength > UNREAD_ANSWERS_BYTES_MAX)
  const before = peer.listenerCount('drain')
  for (const byte of mqttPacket.generate({ cmd: 'pingreq' })) {
    peer.send(Buffer.of(byte))
    await turn()
  }
  assert.equal(peer.listenerCount('drain'), before + 1)
  peer.readOn()
  await until(() => peer.packets.at(-1)?.cmd === 'pingresp')
})
