import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { AWAITING_PUBREL_MAX, AwaitingPubrel } from '../../../broker/session/awaiting-pubrel.ts'
import { LogError } from '../../../log/log-error.ts'
import { until } from '../../until.ts'
import { type Bench, connectAs, publish, RawClient, startBroker } from '../harness.ts'
import { appending, holding } from '../held-log.ts'

const TOPIC = 'devices/truck-7/telemetry/environment'
const reading = (temperature: number) => Buffer.from(`{"ts":1763900000123,"temperature":${temperature}}`)
const sent = (id: number, temperature: number, dup = false) => ({ ...publish(TOPIC, id, 2, reading(temperature)), dup })

async function connected(t: TestContext, bench: Bench): Promise<RawClient> {
  const client = await RawClient.open(t, bench.port)
  client.send(connectAs('truck-7', false))
  assert.equal((await client.next('connack')).returnCode, 0)
  return client
}

const payloads = async (bench: Bench) => (await bench.entries()).map(({ payload }) => Buffer.from(payload).toString())

for (const dup of [false, true]) {
  test(`another message under an id that awaits its PUBREL is a message of its own, with DUP ${dup}`, async (t) => {
    const bench = await startBroker(t, { auth: 'off' })
    const app = await RawClient.open(t, bench.port)
    app.send(connectAs('app'), { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'devices/#', qos: 0 }] })
    await app.next('suback')
    const before = await connected(t, bench)
    before.send(sent(1, 1))
    await before.next('pubrec')
    before.socket.destroy()
    const after = await connected(t, bench)
    after.send(sent(1, 2, dup))
    await after.next('pubrec')
    after.send({ cmd: 'pubrel', messageId: 1 })
    await after.next('pubcomp')
    after.send(sent(1, 3, dup), sent(1, 4, dup), sent(1, 4, true))
    for (let count = 0; count < 3; count++) await after.next('pubrec')
    const all = [1, 2, 3, 4].map((temperature) => reading(temperature).toString())
    assert.deepEqual(await payloads(bench), all)
    for (const payload of all) assert.equal((await app.next('publish')).payload.toString(), payload)
  })
}

test('a message on another topic under the same id is a message of its own', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const client = await connected(t, bench)
  for (const stream of ['a', 'b', 'a']) {
    client.send(publish(`devices/truck-7/telemetry/${stream}`, 1, 2))
    await client.next('pubrec')
  }
  assert.deepEqual(
    (await bench.entries()).map(({ stream }) => stream),
    ['a', 'b', 'a'],
  )
})

test('a session whose ids were never released goes on: the oldest is forgotten, the newest are not', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  let client = await connected(t, bench)
  const half = AWAITING_PUBREL_MAX / 2
  for (const begin of [1, half + 1, AWAITING_PUBREL_MAX + 1]) {
    const ids = Array.from({ length: half }, (_, index) => begin + index)
    client.send(...ids.map((id) => sent(id, id)))
    for (const id of ids) assert.equal((await client.next('pubrec')).messageId, id)
    client.socket.destroy()
    client = await connected(t, bench)
  }
  client.send(sent(1.5 * AWAITING_PUBREL_MAX, 1.5 * AWAITING_PUBREL_MAX, true))
  await client.next('pubrec')
  assert.equal(await bench.metric('telltale_broker_accepted_total{qos="2"}'), 1.5 * AWAITING_PUBREL_MAX)
  assert.equal(await bench.metric('telltale_broker_packet_ids_forgotten_total'), half)
})

test('a repeat that waits for an append which fails is appended itself', async (t) => {
  const outcomes: ((error: LogError) => void)[] = []
  const failing = appending((log) => (entry, onDurable) => {
    if (outcomes.length === 0) outcomes.push((error) => onDurable(error))
    else log.append(entry, onDurable)
  })
  const bench = await startBroker(t, { auth: 'off', through: failing })
  const before = await connected(t, bench)
  before.send(sent(1, 1))
  await until(() => outcomes.length === 1)
  before.socket.destroy()
  const after = await connected(t, bench)
  after.send(sent(1, 1, true), { cmd: 'pingreq' })
  await after.next('pingresp')
  outcomes[0]?.(new LogError('log-full', 'full'))
  await after.next('pubrec')
  assert.equal((await bench.entries()).length, 1)
})

test('another message does not wait for one under its id that is still being appended', async (t) => {
  const held: (() => void)[] = []
  const bench = await startBroker(t, { auth: 'off', through: holding(held) })
  const client = await connected(t, bench)
  client.send(sent(1, 1), sent(1, 2))
  await until(() => held.length === 2)
  for (const release of held) release()
  for (let count = 0; count < 2; count++) await client.next('pubrec')
  client.send(sent(1, 2, true))
  await client.next('pubrec')
  assert.equal((await bench.entries()).length, 2)
})

test('what is kept of an id is counted, and given back', () => {
  let bytes = 0
  const ids = new AwaitingPubrel({ grow: (more) => (bytes += more), forgotten: () => undefined })
  const admit = (id: number, payload: string) =>
    ids.admit(
      { messageId: id, topic: TOPIC, payload: Buffer.from(payload) },
      {
        append: (done) => done(null, undefined),
        waits: () => undefined,
        repeated: () => undefined,
        done: () => undefined,
      },
    )
  admit(1, 'x')
  const each = bytes
  assert(each > 0)
  admit(1, 'y')
  assert.equal(bytes, each)
  for (let id = 1; id <= 2 * AWAITING_PUBREL_MAX; id++) admit(id, 'a payload of any length is kept as its hash')
  assert.equal(bytes, AWAITING_PUBREL_MAX * each)
  for (let id = 1; id <= 2 * AWAITING_PUBREL_MAX; id++) ids.release(id)
  assert.equal(bytes, 0)
})
