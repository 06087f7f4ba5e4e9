import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import mqttPacket from 'mqtt-packet'
import { pino } from 'pino'
import { WebSocket } from 'ws'
import { ConnectRefused } from '../../../broker/connect/authentication.ts'
import { Disconnect, Disconnects } from '../../../broker/reports/disconnects.ts'
import { BrokerMetrics } from '../../../broker/reports/metrics.ts'
import { ThrottledLines } from '../../../intake/throttled-lines.ts'
import { systemClock } from '../../../platform/clock.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import { until } from '../../until.ts'
import { connectAs, RawClient, startBroker } from '../harness.ts'

/** What was told, and what was counted. */
function record() {
  const told: string[] = []
  const write = (line: string) => {
    const { level, msg, reason, error } = JSON.parse(line)
    told.push(`${pino.levels.labels[level]} ${msg} (${reason ?? error})`)
  }
  const logger = pino({ level: 'debug' }, { write })
  const registry = createMetrics()
  const metrics = new BrokerMetrics(registry, () => 0)
  const lines = new ThrottledLines({ clock: systemClock, logger })
  const counted = async () => {
    const all = (await registry.metrics()).split('\n')
    return all.filter((line) => /(refused|protocol_errors|taken_over)_total(\{.*\})? [1-9]/.test(line))
  }
  return { disconnects: new Disconnects({ lines, metrics, logger }), told, counted }
}

test('a connection ends once, with the reason that came first, whoever notices it afterwards', async () => {
  const { disconnects, told, counted } = record()
  const stream = new PassThrough()
  disconnects.end(stream, new Disconnect('stuck-packet', 'others need the room'))
  disconnects.ended(stream, new Error('connection closed'))
  disconnects.end(stream, new Disconnect('slow-client', 'it reads nothing'))
  assert.equal(stream.destroyed, true)
  assert.deepEqual(told, ['info disconnected: others need the room (stuck-packet)'])
  assert.deepEqual(await counted(), ['telltale_broker_refused_total{reason="stuck-packet"} 1'])
})

test('each end has its reason: what the client did is said, and that another took its place; what networks do in detail only', async () => {
  const cases: [error: Error, line: string, ...counted: string[]][] = [
    [new ConnectRefused(4, 'bad-token', 'who?'), 'info connection refused: who? (bad-token)', '{reason="bad-token"}'],
    [new Error('drain timeout'), 'info disconnected: it reads nothing (slow-client)', '{reason="slow-client"}'],
    [new Error('keep alive timeout'), 'debug connection ended (keep alive timeout)', 'errors'],
    [Object.assign(new Error('reset'), { code: 'ECONNRESET' }), 'debug connection ended (reset)', 'errors'],
    [new Error('no'), 'info disconnected: no (protocol-error)', '{reason="protocol-error"}', 'errors'],
    [new Disconnect('taken-over', 'another came'), 'info disconnected: another came (taken-over)', 'taken over'],
  ]
  for (const [error, line, ...expected] of cases) {
    const { disconnects, told, counted } = record()
    disconnects.ended(new PassThrough(), error)
    assert.deepEqual(told, [line])
    const names = (await counted()).map((each) =>
      each.includes('errors')
        ? 'errors'
        : each.includes('taken_over')
          ? 'taken over'
          : each.slice(each.indexOf('{'), -2),
    )
    assert.deepEqual(names, expected)
  }
})

test('a socket too many is counted and not told', async () => {
  const { disconnects, told, counted } = record()
  const socket = new PassThrough()
  disconnects.turnAway(socket, 'too-many-connections')
  disconnects.turnAway(undefined, 'too-many-connections')
  assert.deepEqual([socket.destroyed, told], [true, []])
  assert.deepEqual(await counted(), ['telltale_broker_refused_total{reason="too-many-connections"} 2'])
})

test('of two clients with one id each takeover is said with both addresses, and counted', async (t) => {
  const lines: { msg: string; client: string; from: string; level: number }[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const bench = await startBroker(t, { auth: 'off', logger, listeners: { webSocketPort: 0 } })
  const { port } = bench.broker.addresses.find(({ scheme }) => scheme === 'ws') ?? assert.fail()
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, 'mqtt')
  await once(socket, 'open')
  socket.send(mqttPacket.generate(connectAs('a')))
  await once(socket, 'message')
  const gone = once(socket, 'close')
  const second = await RawClient.open(t, bench.port)
  second.send(connectAs('a'))
  await gone
  const [line] = lines.filter(({ msg }) => msg.startsWith('disconnected'))
  assert.deepEqual(
    [line?.msg, line?.client, line?.from],
    ['disconnected: its client id has connected again, from 127.0.0.1', 'a', '127.0.0.1'],
  )
  assert.equal(await bench.metric('telltale_broker_taken_over_total'), 1)
  assert.equal(await bench.metric('telltale_broker_protocol_errors_total'), 0)
})

test('who is taken over is no error; who sends text over WebSocket has broken a rule', async (t) => {
  const bench = await startBroker(t, { auth: 'off', listeners: { webSocketPort: 0 } })
  const first = await RawClient.open(t, bench.port)
  first.send(connectAs('a'))
  await first.next('connack')
  const second = await RawClient.open(t, bench.port)
  second.send(connectAs('a'))
  await second.next('connack')
  await first.untilClosed()
  assert.equal(await bench.metric('telltale_broker_protocol_errors_total'), 0)
  const { port } = bench.broker.addresses.find(({ scheme }) => scheme === 'ws') ?? assert.fail()
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, 'mqtt')
  socket.on('open', () => socket.send('text'))
  const code = await new Promise((resolve) => socket.on('close', resolve))
  await until(async () => (await bench.metric('telltale_broker_refused_total{reason="protocol-error"}')) !== 0)
  assert.deepEqual([code, await bench.metric('telltale_broker_protocol_errors_total')], [1003, 1])
})
