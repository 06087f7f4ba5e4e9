import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { connectAsync } from 'mqtt'
import { TURN_BYTES_MAX } from '../../broker/inbound/inbound.ts'
import { SESSION_QUEUE_MESSAGES_MAX } from '../../broker/outbound/persistent-sessions.ts'
import { REPORTS_PER_DEVICE_PER_SECOND_MAX } from '../../intake/error-reports.ts'
import { HELD_MESSAGES_PER_CLIENT_MAX } from '../../intake/receive-window.ts'
import {
  CONNECT_TIMEOUT_MS,
  CONNECTS_PER_ADDRESS,
  CONNECTS_PER_CLIENT,
  FILTERS_PER_PACKET_MAX,
  OUTBOUND_BYTES_MAX,
  SUBSCRIPTIONS_PER_CLIENT_MAX,
} from '../../platform/limits.ts'
import { scratchDirectory } from '../scratch.ts'
import { until } from '../until.ts'
import { type Bench, connectAs, publish, RawClient, startBroker } from './harness.ts'
import { holding } from './held-log.ts'

const TOPIC = 'devices/truck-7/telemetry/environment'
const MiB = 2 ** 20
/** How often another process is looked at while this one stands still, and for how long: two minutes. */
const CROWD_LOOK_MS = 10
const CROWD_LOOKS_MAX = 12_000

async function anyone(t: TestContext, bench: Bench, id: string, clean = true): Promise<RawClient> {
  const client = await RawClient.open(t, bench.port)
  client.send(connectAs(id, clean))
  assert.equal((await client.next('connack')).returnCode, 0)
  return client
}

async function subscribe(client: RawClient, topic: string, qos: 0 | 1 | 2 = 0): Promise<void> {
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] })
  assert.deepEqual((await client.next('suback')).granted, [qos])
}

/** Counts what the broker in this process writes to its clients: a PINGRESP is one write, a CONNACK a few. */
function countAnswers(t: TestContext) {
  const counts = { clients: 0, answers: 0 }
  const onSocket = (message: unknown) => {
    const { socket } = message as { socket: Socket }
    const write = socket.write.bind(socket)
    counts.clients++
    socket.write = (...args: unknown[]) => {
      counts.answers++
      return write(...(args as Parameters<typeof write>))
    }
  }
  diagnostics.subscribe('net.server.socket', onSocket)
  t.after(() => diagnostics.unsubscribe('net.server.socket', onSocket))
  return counts
}

/** The most answers in one turn of the event loop, until there are `count`. */
async function mostInOneTurn(counts: { readonly answers: number }, count: number): Promise<number> {
  let most = 0
  for (let before = counts.answers; counts.answers < count; before = counts.answers) {
    await turn()
    most = Math.max(most, counts.answers - before)
  }
  return most
}

test('a subscriber that does not read is disconnected, and no other waits for it', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const frozen = await anyone(t, bench, 'frozen')
  const healthy = await anyone(t, bench, 'healthy')
  await subscribe(frozen, 'a/#')
  await subscribe(healthy, 'a/#')
  frozen.socket.pause()
  const publisher = await anyone(t, bench, 'publisher')
  // Small enough that Aedes's own limit of deliveries under way is met before our limit of bytes.
  const payload = Buffer.alloc(2 * 1024)
  const atOnce = 50
  let slowest = 0
  // More than the kernel's buffers on both ends and ours hold.
  for (let sent = 0; sent < 12 * MiB + OUTBOUND_BYTES_MAX; sent += atOnce * payload.length) {
    const began = performance.now()
    publisher.send(...Array.from({ length: atOnce }, (_, index) => publish('a/b', index + 1, 1, payload)))
    for (let index = 0; index < atOnce; index++) await publisher.next('puback')
    for (let index = 0; index < atOnce; index++) await healthy.next('publish')
    slowest = Math.max(slowest, performance.now() - began)
  }
  t.diagnostic(`slowest ${atOnce} deliveries to the healthy subscriber: ${slowest.toFixed(1)} ms`)
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="slow-client"}'), 1)
  frozen.socket.resume()
  await frozen.untilClosed()
})

test('a client whose messages wait is not read from beyond the limit; all are acknowledged in order when they are durable', async (t) => {
  const held: (() => void)[] = []
  const bench = await startBroker(t, { auth: 'off', through: holding(held) })
  const flooding = await anyone(t, bench, 'flooding')
  const count = 12 * HELD_MESSAGES_PER_CLIENT_MAX
  const payload = Buffer.alloc(200, '{')
  flooding.send(...Array.from({ length: count }, (_, index) => publish(TOPIC, (index % 65_535) + 1, 1, payload)))
  await until(() => held.length >= HELD_MESSAGES_PER_CLIENT_MAX)
  const other = await anyone(t, bench, 'other')
  for (let round = 0; round < 20; round++) {
    other.send({ cmd: 'pingreq' })
    await other.next('pingresp')
  }
  const oneChunk = Math.ceil((64 * 1024) / payload.length)
  assert(held.length <= HELD_MESSAGES_PER_CLIENT_MAX + oneChunk, `${held.length} are held`)
  let acknowledged = 0
  await until(async () => {
    for (const release of held.splice(0)) release()
    while (flooding.packets.length > 0) {
      acknowledged++
      assert.equal((await flooding.next('puback')).messageId, acknowledged)
    }
    return acknowledged >= count
  })
})

test('a client that does not read its acknowledgements is not read from, and loses none of them', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const deaf = await anyone(t, bench, 'deaf')
  deaf.socket.pause()
  const count = 8 * MiB
  deaf.socket.write(Buffer.alloc(2 * count, Buffer.of(0xc0, 0)))
  const other = await anyone(t, bench, 'other')
  for (let round = 0; round < 20; round++) {
    other.send({ cmd: 'pingreq' })
    await other.next('pingresp')
  }
  assert(deaf.socket.writableLength > 0, 'the broker went on reading')
  deaf.socket.destroy()
})

test('what a session that is away is owed is bounded, in order, and what is dropped is counted', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const away = await anyone(t, bench, 'away', false)
  await subscribe(away, 'a/b', 1)
  away.socket.destroy()
  const publisher = await anyone(t, bench, 'publisher')
  const surplus = 50
  for (let id = 1; id <= SESSION_QUEUE_MESSAGES_MAX + surplus; id++)
    publisher.send(publish('a/b', id, 1, Buffer.from(`${id}`)))
  for (let id = 1; id <= SESSION_QUEUE_MESSAGES_MAX + surplus; id++) await publisher.next('puback')
  const dropped = () => bench.metric('telltale_broker_deliveries_dropped_total{reason="session-queue-full"}')
  await until(async () => (await dropped()) === surplus)
  const back = await anyone(t, bench, 'away', false)
  for (let id = 1; id <= SESSION_QUEUE_MESSAGES_MAX; id++) {
    const received = await back.next('publish')
    assert.equal(received.payload.toString(), `${id}`)
    back.send({ cmd: 'puback', messageId: received.messageId ?? 0 })
  }
  publisher.send(publish('a/b', 1, 1, Buffer.from('after')))
  assert.equal((await back.next('publish')).payload.toString(), 'after')
})

test('a connected session that acknowledges nothing gets no more than the limit in flight, and holds up nobody', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const mute = await anyone(t, bench, 'mute', false)
  await subscribe(mute, 'a/b', 1)
  const publisher = await anyone(t, bench, 'publisher')
  const count = SESSION_QUEUE_MESSAGES_MAX + 50
  for (let id = 1; id <= count; id++) publisher.send(publish('a/b', id, 1, Buffer.from(`${id}`)))
  for (let id = 1; id <= count; id++) await publisher.next('puback')
  await until(() => mute.packets.length >= SESSION_QUEUE_MESSAGES_MAX)
  mute.send({ cmd: 'pingreq' })
  await mute.next('pingresp')
  assert.equal(mute.packets.length, SESSION_QUEUE_MESSAGES_MAX)
})

test('a client has a limited number of subscriptions; one more is refused', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const client = await anyone(t, bench, 'greedy')
  const subscriptions = Array.from({ length: SUBSCRIPTIONS_PER_CLIENT_MAX + 1 }, (_, n) => ({
    topic: `a/${n}`,
    qos: 0 as const,
  }))
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions })
  const { granted } = await client.next('suback')
  assert.equal(granted.at(-1), 0x80)
  assert.equal(granted.filter((code) => code === 0).length, SUBSCRIPTIONS_PER_CLIENT_MAX)
})

test('a packet with more topic filters than are looked at closes the connection', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const client = await anyone(t, bench, 'greedy')
  const unsubscriptions = Array.from({ length: FILTERS_PER_PACKET_MAX }, (_, n) => `a/${n}`)
  client.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions })
  await client.next('unsuback')
  client.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: [...unsubscriptions, 'one/more'] })
  await client.untilClosed()
})

test('however much one client sends, little of it is dealt with before others have their turn', async (t) => {
  const counts = countAnswers(t)
  const bench = await startBroker(t, { auth: 'off' })
  const flooding = await anyone(t, bench, 'flooding')
  const pings = 256 * 1024
  flooding.socket.write(Buffer.alloc(2 * pings, Buffer.of(0xc0, 0)))
  const most = await mostInOneTurn(counts, pings)
  t.diagnostic(`at most ${most} of ${pings} packets in one turn of the event loop`)
  // Node reads 64 KiB at once, which are 32,768 of these.
  assert(most <= TURN_BYTES_MAX / 2, `${most} packets in one turn of the event loop`)
})

test('a client that sends without end rests while another is connected, and not while it is alone', async (t) => {
  const counts = countAnswers(t)
  const bench = await startBroker(t, { auth: 'off' })
  const flooding = await anyone(t, bench, 'flooding')
  const pings = 5_000
  const packets = Array.from({ length: pings }, () => ({ cmd: 'pingreq' as const }))
  // For how long, of what it had used, is tried with a clock of its own (inbound/inbound.test.ts).
  const secondsRested = async () => {
    const before = await bench.metric('telltale_broker_rested_seconds_total')
    flooding.send(...packets)
    const answered = counts.answers + pings
    await until(() => counts.answers >= answered)
    return (await bench.metric('telltale_broker_rested_seconds_total')) - before
  }
  assert.equal(await secondsRested(), 0)
  await anyone(t, bench, 'other')
  assert((await secondsRested()) > 0)
})

test('however many connect at once, few of them are dealt with before others have their turn', async (t) => {
  const counts = countAnswers(t)
  const bench = await startBroker(t, { auth: 'off' })
  const connections = 500
  // In a process of their own, so that all have sent their CONNECT before the broker can look at one.
  const directory = scratchDirectory(t)
  const [go, sent] = [join(directory, 'go'), join(directory, 'sent')]
  const crowd = `
    const { existsSync, writeFileSync } = require('node:fs')
    const sockets = Array.from({ length: ${connections} }, () => require('node:net').connect(${bench.port}, '127.0.0.1'))
    const waiting = setInterval(() => {
      if (!existsSync(${JSON.stringify(go)})) return
      clearInterval(waiting)
      let missing = ${connections}
      sockets.forEach((socket, number) => {
        socket.write('\\x10\\x0f\\0\\x04MQTT\\x04\\x02\\0\\0\\0\\x03' + (100 + number), () => {
          if (--missing === 0) writeFileSync(${JSON.stringify(sent)}, '')
        })
      })
    }, 5)`
  const child = spawn(process.execPath, ['-e', crowd], { stdio: ['ignore', 'ignore', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  await until(() => counts.clients === connections)
  writeFileSync(go, '')
  for (let looks = 0; !existsSync(sent); looks++) {
    assert(looks < CROWD_LOOKS_MAX, 'the crowd did not send its CONNECTs')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, CROWD_LOOK_MS)
  }
  const most = await mostInOneTurn(counts, connections)
  t.diagnostic(`at most ${most} writes to ${connections} clients in one turn of the event loop`)
  assert(most < connections / 4, `${most} writes to ${connections} clients in one turn of the event loop`)
})

test('half a CONNECT, half an upgrade and silence are closed in time', async (t) => {
  const bench = await startBroker(t, { auth: 'off', listeners: { webSocketPort: 0 } })
  const webSocketPort = bench.broker.addresses.find(({ scheme }) => scheme === 'ws')?.port ?? 0
  const began = performance.now()
  const beginnings: [port: number, bytes: Buffer][] = [
    [bench.port, Buffer.alloc(0)],
    [bench.port, Buffer.of(0x10, 0x20, 0, 4, 0x4d)],
    [webSocketPort, Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n')],
  ]
  const endings = beginnings.map(async ([port, bytes]) => {
    const socket = connect(port, '127.0.0.1')
    t.after(() => socket.destroy())
    socket.on('error', () => undefined)
    socket.write(bytes)
    socket.resume()
    await once(socket, 'close')
  })
  await Promise.all(endings)
  t.diagnostic(`closed after ${Math.round(performance.now() - began)} ms; the limit is ${CONNECT_TIMEOUT_MS}`)
})

test('a packet that was begun and makes no progress is closed at the second sweep, others are not', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const slow = await anyone(t, bench, 'slow')
  const healthy = await anyone(t, bench, 'healthy')
  slow.socket.write(Buffer.of(0x30, 0x10, 0, 1))
  slow.socket.write(Buffer.of(0x61))
  await until(async () => {
    healthy.send({ cmd: 'pingreq' })
    await healthy.next('pingresp')
    bench.broker.sweepStuck()
    return slow.closed
  })
  assert(!healthy.closed)
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="stuck-packet"}'), 1)
})

test('connections beyond the burst of one address begin later, whatever became of those before; too many are closed at once and counted', async (t) => {
  const bench = await startBroker(t, { auth: 'off', listeners: { webSocketPort: 0 }, clock: { now: () => 1_000_000 } })
  for (let opened = 0; opened < CONNECTS_PER_ADDRESS.burst; opened += 100) {
    const batch = await Promise.all(Array.from({ length: 100 }, () => RawClient.open(t, bench.port)))
    for (const client of batch) client.socket.destroy()
  }
  await anyone(t, bench, 'later')
  const webSocketPort = bench.broker.addresses.find(({ scheme }) => scheme === 'ws')?.port ?? 0
  const upgraded = await connectAsync({ port: webSocketPort, protocol: 'ws', clientId: 'upgraded', reconnectPeriod: 0 })
  await upgraded.endAsync()
  const gone = await RawClient.open(t, bench.port)
  gone.socket.resetAndDestroy()
  const silent = await RawClient.open(t, bench.port)
  const probe = await RawClient.open(t, bench.port)
  probe.socket.end()
  await probe.untilClosed()
  assert(!silent.closed)
  const waiting = CONNECTS_PER_ADDRESS.waitingMax - 5
  for (let opened = 0; opened < waiting; opened += 100) {
    const count = Math.min(100, waiting - opened)
    const batch = await Promise.all(Array.from({ length: count }, () => RawClient.open(t, bench.port)))
    for (const client of batch) client.socket.destroy()
  }
  const surplus = await RawClient.open(t, bench.port)
  await surplus.untilClosed()
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="too-many-connects"}'), 1)
})

test('a client id that connects again and again waits, then is refused; who has not its token does not count', async (t) => {
  const bench = await startBroker(t, { clock: { now: () => Date.parse('2026-01-01') } })
  const password = Buffer.from(await bench.identity.signDevice('truck-7', 3_600_000))
  const device = { ...connectAs('truck-7'), username: 'truck-7', password }
  const stranger = { ...device, password: Buffer.from('x') }
  const connectOnce = async (packet: typeof device) => {
    const client = await RawClient.open(t, bench.port)
    client.send(packet)
    return client
  }
  const { burst, waitingMax } = CONNECTS_PER_CLIENT
  const inBatches = async (count: number, packet: typeof device, returnCode: number | undefined) => {
    for (let done = 0; done < count; done += 50) {
      const batch = await Promise.all(Array.from({ length: Math.min(50, count - done) }, () => connectOnce(packet)))
      for (const client of batch) {
        if (returnCode !== undefined) assert.equal((await client.next('connack')).returnCode, returnCode)
      }
    }
  }
  await inBatches(burst, stranger, 4)
  await inBatches(burst, device, 0)
  const waiting = await connectOnce(device)
  assert.equal((await waiting.next('connack')).returnCode, 0)
  assert.equal(await bench.metric('telltale_broker_connects_delayed_total{by="client"}'), 1)
  await inBatches(waitingMax - 1, device, undefined)
  const surplus = await connectOnce(device)
  assert.equal((await surplus.next('connack')).returnCode, 3)
  await surplus.untilClosed()
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="too-many-connects"}'), 1)
})

test('an errors topic carries a limited number of reports a second; the rest is counted', async (t) => {
  const now = Date.now()
  const bench = await startBroker(t, { clock: { now: () => now } })
  const device = await bench.device('truck-7')
  let reports = 0
  device.on('message', () => reports++)
  await device.subscribeAsync('devices/truck-7/errors')
  for (let sent = 0; sent < REPORTS_PER_DEVICE_PER_SECOND_MAX + 15; sent++)
    await device.publishAsync('elsewhere', 'x', { qos: 1 })
  await device.subscribeAsync('devices/truck-7/commands')
  assert.equal(reports, REPORTS_PER_DEVICE_PER_SECOND_MAX)
  assert.equal(await bench.metric('telltale_broker_error_reports_dropped_total'), 15)
})

test('a will that may not be published is dropped, and the broker goes on', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const dying = await RawClient.open(t, bench.port)
  const will = { topic: '$SYS/x', payload: Buffer.from('x'), qos: 1 as const, retain: true }
  dying.send({ ...connectAs('dying'), cmd: 'connect', clientId: 'dying', will })
  await dying.next('connack')
  dying.socket.destroy()
  await until(async () => (await bench.metric('telltale_broker_connections')) === 0)
  await anyone(t, bench, 'after')
})

test('200 QoS 0 messages, retained and not, in one segment: a live subscriber gets each', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const subscriber = await anyone(t, bench, 'subscriber')
  await subscribe(subscriber, 'a/b')
  const publisher = await anyone(t, bench, 'publisher')
  const messages = Array.from({ length: 200 }, (_, index) => ({
    ...publish('a/b', 0, 0, Buffer.from(`${index}`)),
    retain: index % 2 === 0,
  }))
  publisher.send(...messages)
  for (let index = 0; index < 200; index++)
    assert.equal((await subscriber.next('publish')).payload.toString(), `${index}`)
})
