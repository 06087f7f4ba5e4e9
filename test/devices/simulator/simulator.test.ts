import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connectAsync, type MqttClient } from 'mqtt'
import { brokerAddress } from '../../../devices/simulator/fleet/broker-address.ts'
import { summaryText } from '../../../devices/simulator/report/summary-text.ts'
import { LEVELS } from '../../../devices/simulator/scenario/scenario.ts'
import { SimulatorError } from '../../../devices/simulator/simulator-error.ts'
import { startBroker } from '../../broker/harness.ts'
import { scratchDirectory } from '../../scratch.ts'
import { startMosquitto } from '../../servers/mosquitto.ts'
import { freePort, requireServer } from '../../servers/server.ts'
import { until } from '../../until.ts'
import { fleet, fleetOptions, never } from './fleet.ts'

/** Everything published under `devices/`, in order, as an independent client sees it. */
async function observe(t: TestContext, url: string) {
  const client: MqttClient = await connectAsync(brokerAddress(url))
  t.after(() => client.endAsync(true))
  const seen: { topic: string; payload: Buffer; retain: boolean }[] = []
  client.on('message', (topic, payload, packet) => seen.push({ topic, payload, retain: packet.retain }))
  await client.subscribeAsync('devices/#', { qos: 2 })
  return { client, seen, telemetry: () => seen.filter(({ topic }) => topic.includes('/telemetry/')) }
}

/** Mosquitto acknowledges more than 20 QoS 2 messages in flight, and drops those above. */
const unlimited = () => startMosquitto(['max_inflight_messages 0'])

/** Each QoS by each version. */
const KINDS = LEVELS.flatMap((mqtt) => ([0, 1, 2] as const).map((qos) => ({ mqtt, qos })))

for (const { mqtt, qos } of KINDS) {
  test(`MQTT ${mqtt}, QoS ${qos}: each device sends its share, and the summary's counts are what a subscriber received`, async (t) => {
    // By MQTT 5 a broker says how many messages it takes at once.
    const broker = await requireServer(t, mqtt === '5' ? startMosquitto : unlimited)
    if (!broker) return
    const observer = await observe(t, broker.url)
    const summary = await fleet(fleetOptions(broker.url, { mqtt, qos, messages: 100 })).run(never())
    await until(() => observer.telemetry().length === 100)
    assert.equal(summary.sent, 100)
    assert.equal(summary.acknowledged, qos === 0 ? 0 : 100)
    assert.deepEqual([summary.unacknowledged, summary.resent, summary.reconnects, summary.ok], [0, 0, 0, true])
    assert.deepEqual(summary.reasons, [])
    assert.equal(summary.latencyMs === undefined, qos === 0)
    const count = (id: string) => observer.telemetry().filter(({ topic }) => topic.includes(`/${id}/`)).length
    assert.deepEqual([count('sim-1'), count('sim-2'), count('sim-3')], [34, 33, 33])
  })
}

for (const [qos, by] of [
  [1, 'PUBACK'],
  [2, 'PUBREC'],
] as const) {
  test(`by MQTT 5 the summary has the reasons of ${by}s that refuse`, async (t) => {
    const acl = join(scratchDirectory(t), 'acl')
    writeFileSync(acl, 'pattern readwrite devices/%u/status\npattern readwrite devices/%u/telemetry/power\n')
    const broker = await requireServer(t, () => startMosquitto([`acl_file ${acl}`]))
    if (!broker) return
    const run = (stream: string) => fleet(fleetOptions(broker.url, { mqtt: '5', qos, stream })).run(never())
    const [refused, taken] = [await run('environment'), await run('power')]
    assert.deepEqual(refused.reasons, [{ by, code: 0x87, count: 30, words: '' }])
    assert.deepEqual([refused.sent, refused.acknowledged, refused.unacknowledged], [30, 30, 0])
    assert.match(summaryText(refused), new RegExp(`^${by} +0x87 30$`, 'm'))
    assert.deepEqual(taken.reasons, [])
  })
}

for (const mqtt of LEVELS) {
  test(`MQTT ${mqtt}: a device that is revoked while it sends ends the run, and the summary says what was sent and why it ended`, async (t) => {
    const bench = await startBroker(t)
    const options = fleetOptions(`mqtt://127.0.0.1:${bench.port}`, { mqtt, devices: 2, messages: 1e9, rate: 50 })
    const simulator = fleet(options, (device) => bench.identity.signDevice(device, 60_000))
    const running = simulator.run(never())
    await until(() => simulator.snapshot.totals.counts.acknowledged > 20)
    bench.identity.revocations.add({ id: 'sim-1', before: Date.now() + 1_000 }, Date.now())
    bench.identity.refresh()
    bench.broker.sweepTokens()
    const summary = await running
    assert(summary.acknowledged > 20)
    assert.match(summary.refused ?? '', /^sim-1 was refused by mqtt:/)
    assert.equal(summary.ok, false)
    assert.match(summaryText(summary), /^ended +sim-1 was refused/m)
  })
}

test('by MQTT 5 a platform says why it refuses a device, and why it ends a connection', async (t) => {
  const bench = await startBroker(t)
  const url = `mqtt://127.0.0.1:${bench.port}`
  const options = fleetOptions(url, { mqtt: '5', devices: 1, messages: Number.POSITIVE_INFINITY, drainMs: 100 })
  await assert.rejects(fleet(options).run(never()), /sim-1 was refused .*the password is not the token of/)
  const credentials = (device: string) => bench.identity.signDevice(device, 60_000)
  const interruption = new AbortController()
  const simulator = fleet(options, credentials)
  const running = simulator.run(interruption.signal)
  await until(() => simulator.snapshot.totals.counts.acknowledged > 0)
  await bench.stop()
  await until(() => simulator.snapshot.totals.counts.connected === 0)
  interruption.abort()
  const { reasons } = await running
  assert.deepEqual(reasons, [{ by: 'DISCONNECT', code: 0x8b, count: 1, words: 'the broker is stopping' }])
})

test('a device says online when it comes, and offline, retained, when it leaves', async (t) => {
  const broker = await requireServer(t, startMosquitto)
  if (!broker) return
  const observer = await observe(t, broker.url)
  const statuses = () =>
    observer.seen.filter(({ topic }) => topic.endsWith('/status')).map(({ payload }) => String(payload))
  await fleet(fleetOptions(broker.url, { devices: 1, messages: 1 })).run(never())
  await until(() => statuses().length === 2)
  assert.deepEqual(statuses(), ['{"online":true}', '{"online":false}'])
  const late = await observe(t, broker.url)
  await until(() => late.seen.length > 0)
  assert.deepEqual(
    late.seen.map(({ payload, retain }) => [String(payload), retain]),
    [['{"online":false}', true]],
  )
})

test('a rate is kept, and the duration ends the run', async (t) => {
  const broker = await requireServer(t, startMosquitto)
  if (!broker) return
  const options = fleetOptions(broker.url, {
    devices: 10,
    rate: 20,
    durationMs: 1000,
    messages: Number.POSITIVE_INFINITY,
  })
  const summary = await fleet(options).run(never())
  // A message is due 20 times a second, and at once; on a busy machine the end may be late, and the last ones not sent.
  const due = 10 * (1 + (summary.elapsedMs * 20) / 1000)
  assert(summary.sent >= 10 && summary.sent <= due, `sent ${summary.sent}, due were ${due}`)
  assert.equal(summary.acknowledged, summary.sent)
})

test('an aborted signal ends the run in good order', async (t) => {
  const broker = await requireServer(t, startMosquitto)
  if (!broker) return
  const interruption = new AbortController()
  const simulator = fleet(fleetOptions(broker.url, { messages: Number.POSITIVE_INFINITY }))
  const running = simulator.run(interruption.signal)
  await until(() => simulator.snapshot.totals.counts.acknowledged > 100)
  interruption.abort()
  const summary = await running
  assert.equal(summary.unacknowledged, 0)
  assert.equal(simulator.snapshot.phase, 'closed')
  assert.equal(simulator.snapshot.totals.counts.connected, 0)
})

test('messages on the errors topic are counted by their code', async (t) => {
  const broker = await requireServer(t, startMosquitto)
  if (!broker) return
  const observer = await observe(t, broker.url)
  const simulator = fleet(
    fleetOptions(broker.url, {
      devices: 1,
      rate: 50,
      messages: Number.POSITIVE_INFINITY,
      failIf: ['errors>1'],
    }),
  )
  const interruption = new AbortController()
  const running = simulator.run(interruption.signal)
  await until(() => simulator.snapshot.totals.counts.acknowledged > 0)
  const report = (text: string) => observer.client.publishAsync('devices/sim-1/errors', text)
  for (const code of ['malformed-avro', 'malformed-avro', 'empty']) await report(JSON.stringify({ code, message: 'm' }))
  await report('not JSON')
  await until(() => simulator.snapshot.totals.errorCount === 4)
  interruption.abort()
  const summary = await running
  assert.deepEqual(summary.errors, { empty: 1, 'malformed-avro': 2, unreadable: 1 })
  assert.equal(summary.ok, false)
})

test('thresholds: a missed one fails the run, one that is held does not', async (t) => {
  const broker = await requireServer(t, startMosquitto)
  if (!broker) return
  const run = (...failIf: string[]) => fleet(fleetOptions(broker.url, { failIf })).run(never())
  const held = await run('p99>60s', 'errors>0', 'rate<1')
  assert.deepEqual([held.ok, held.thresholds.map((each) => each.held)], [true, [true, true, true]])
  const missed = await run('p99>0.0001ms', 'rate<1000000000')
  assert.deepEqual([missed.ok, missed.thresholds.map((each) => each.held)], [false, [false, false]])
})

for (const mqtt of LEVELS) {
  test(`MQTT ${mqtt}: the broker killed -9 and started again: every message is acknowledged, none is lost`, async (t) => {
    const port = await freePort()
    const start = () => startMosquitto([`listener ${port} 127.0.0.1`])
    const first = await requireServer(t, start)
    if (!first) return
    const simulator = fleet(fleetOptions(`mqtt://127.0.0.1:${port}`, { mqtt, devices: 5, messages: 20_000 }))
    const running = simulator.run(never())
    await until(() => simulator.snapshot.totals.counts.acknowledged > 1_000)
    await first.stop()
    await until(() => simulator.snapshot.totals.counts.connected === 0)
    const second = await start()
    t.after(() => second.stop())
    const summary = await running
    assert.deepEqual([summary.sent, summary.acknowledged, summary.unacknowledged], [20_000, 20_000, 0])
    assert.equal(summary.reconnects, 5)
    assert(summary.resent > 0, 'some were in flight when the broker died')
  })
}

test('a refused token is named; a run stopped before anything could connect ends with nothing sent', async (t) => {
  const broker = await requireServer(t, () => startMosquitto(['allow_anonymous false']))
  if (!broker) return
  await assert.rejects(
    fleet(fleetOptions(broker.url)).run(never()),
    (error) => error instanceof SimulatorError && error.code === 'refused' && error.message.includes('sim-'),
  )
  const interruption = new AbortController()
  const nowhere = fleet(fleetOptions(`mqtt://127.0.0.1:${await freePort()}`)).run(interruption.signal)
  interruption.abort()
  assert.equal((await nowhere).sent, 0)
})

test('a run of a duration has all that is due in it, and nothing else, however late it is noticed that it is over', async (t) => {
  const broker = await requireServer(t, startMosquitto)
  if (!broker) return
  const messages = Number.POSITIVE_INFINITY
  const startAt = Date.UTC(2026, 5, 1)
  const options = fleetOptions(broker.url, { devices: 4, rate: 20, durationMs: 1_000, messages, startAt })
  const [one, other] = [await fleet(options).run(never()), await fleet(options).run(never())]
  assert.deepEqual([one.sent, one.due, one.unsent, other.sent], [80, 80, 0, 80])
  assert.equal(one.payloadHash, other.payloadHash)
  const another = { ...options, scenario: { ...options.scenario, seed: 8 } }
  assert.notEqual((await fleet(another).run(never())).payloadHash, one.payloadHash)
})
