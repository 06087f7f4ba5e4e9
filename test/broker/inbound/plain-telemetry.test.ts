/**
 * The short way of telemetry against the long one: what a client sends, at random and cut at random, is put through two brokers that
 * differ only in that. The log must hold the same then, the answers be the same in the same order, the connection end alike, and all
 * counters agree. `TELLTALE_TEST_RUNS=2000` for the long form; fast-check prints the seed of a failure, and `TELLTALE_TEST_SEED`
 * repeats it.
 *
 * Time stands still for both brokers. What is appended is answered when a phase is over, in one go, as by one commit.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import mqttPacket, { type Packet } from 'mqtt-packet'
import type { PayloadCheck } from '../../../broker/session/payload-check.ts'
import type { RateLimits } from '../../../broker/session/rate.ts'
import { readEntries } from '../../../log/entry.ts'
import type { Log } from '../../../log/log.ts'
import { LogError } from '../../../log/log-error.ts'
import type { Offset } from '../../../log/position.ts'
import { only } from '../../log/only.ts'
import { until } from '../../until.ts'
import { type Bench, connectAs, publish, RawClient, startBroker } from '../harness.ts'
import { appending, replacing } from '../held-log.ts'

const RUNS = Number(process.env.TELLTALE_TEST_RUNS ?? 30)
/** What random telemetry must have shown, to have been worth it: a fifth of what it shows as a rule, or less. */
const OFTEN = RUNS / 5
const SEED = process.env.TELLTALE_TEST_SEED
const HOUR_MS = 3_600_000
const BEGIN = Date.UTC(2026, 10, 1)
/** A phase that is shorter, and comes in one piece, is read in one turn. */
const ONE_TURN_BYTES = 1_024
const DISCONNECT = 0xe0
const NOTHING = Buffer.alloc(0)

/** What a client sends; `id` is given when it is sent. */
interface Item {
  readonly what: 'publish' | 'pubrel' | 'pingreq' | 'subscribe' | 'unsubscribe' | 'long-header' | 'no-id'
  /** `$` stands for the device. */
  readonly topic: string
  readonly qos: 0 | 1 | 2
  readonly dup: boolean
  readonly retain: boolean
  readonly size: number
  /** What it has besides by MQTT 5; one whose topic has no alias yet gives it one, instead of using it. */
  readonly properties?: Properties
}

type Level = 4 | 5
type Properties = 'none' | 'content-type' | 'json' | 'user-property' | 'gives-alias' | 'alias' | 'alias-and-more'

const PLAIN_TOPICS = ['devices/$/telemetry/environment', 'devices/$/telemetry/location']
const TOPICS = [
  ...PLAIN_TOPICS,
  'devices/$/telemetry/environmen',
  'devices/$/telemetry/environment2',
  'devices/$/telemetry/Bad-Stream',
  'devices/$/status',
  'devices/another/telemetry/environment',
  'elsewhere',
]

const size = fc.oneof(
  { weight: 8, arbitrary: fc.nat(60) },
  { weight: 3, arbitrary: fc.nat(300) },
  { weight: 1, arbitrary: fc.nat(20_000) },
)
const plain: fc.Arbitrary<Item> = fc.record({
  what: fc.constant('publish' as const),
  topic: fc.constantFrom(...PLAIN_TOPICS),
  qos: fc.constant(1 as const),
  dup: fc.boolean(),
  retain: fc.constant(false),
  size,
  properties: fc.constantFrom(
    'none',
    'none',
    'content-type',
    'json',
    'user-property',
    'gives-alias',
    'alias',
    'alias-and-more',
  ),
})
/** Like a plain one, but for its flags. */
const nearly: fc.Arbitrary<Item> = fc
  .tuple(plain, fc.constantFrom(0, 1, 2), fc.boolean())
  .map(([item, qos, retain]) => ({ ...item, qos, retain }))
const other: fc.Arbitrary<Item> = fc.record({
  properties: fc.constantFrom('none', 'content-type'),
  what: fc.oneof(
    { weight: 8, arbitrary: fc.constant('publish' as const) },
    { weight: 2, arbitrary: fc.constant('pingreq' as const) },
    { weight: 1, arbitrary: fc.constantFrom('pubrel', 'subscribe', 'unsubscribe', 'long-header') },
  ),
  topic: fc.constantFrom(...TOPICS),
  qos: fc.constantFrom(0, 1, 2),
  dup: fc.boolean(),
  retain: fc.boolean(),
  size,
})
const items = fc.array(
  fc.oneof({ weight: 8, arbitrary: plain }, { weight: 1, arbitrary: nearly }, { weight: 1, arbitrary: other }),
  { minLength: 1, maxLength: 40 },
)
/** Where what is sent is cut, as shares of it. */
const cuts = fc.oneof(fc.constant([]), fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }))
const phases = fc.array(fc.record({ items, cuts }), { minLength: 1, maxLength: 4 })

/** How the connection ends, with plain messages behind it. */
const ending = fc.constantFrom(
  undefined,
  Buffer.from([DISCONNECT, 0]),
  Buffer.from([0x00, 0]),
  Buffer.from([0x36, 2, 0, 0]),
  Buffer.from([0x32, 4, 0, 9, 0, 1]),
  Buffer.from([0x32, 0xff, 0xff, 0xff, 0xff]),
  publish('devices/+/telemetry/environment', 9),
  { ...connectAs('again'), cmd: 'connect' } as Packet,
  'no-id' as const,
)

/** The log's answers: they wait until there is a commit. */
class Commits {
  /** Entries that were appended since the last one, and runs since the first. */
  appended = 0
  runs = 0
  isFull = false
  readonly #held: (() => void)[] = []

  readonly through = (log: Log): Log => {
    const entries = appending((log) => (entry, onDurable) => {
      if (this.isFull) return onDurable(new LogError('log-full', 'full'))
      this.appended++
      log.append(entry, (error) => this.#held.push(() => onDurable(error)))
    })
    const checked = replacing('appendSetAside', (log) => (entry, why, onDurable) => {
      if (this.isFull) return onDurable(new LogError('log-full', 'full'), false)
      this.appended++
      log.appendSetAside(entry, why, (...outcome) => this.#held.push(() => onDurable(...outcome)))
    })(entries(log))
    return replacing('appendRun', (log) => (run, onDurable) => {
      this.runs++
      log.appendRun(run, onDurable)
    })(checked)
  }

  /** All that was appended is answered, in order. */
  async commit(): Promise<void> {
    await until(() => this.#held.length === this.appended)
    this.appended = 0
    for (const release of this.#held.splice(0)) release()
  }
}

interface WayOptions {
  readonly plainTelemetry: boolean
  readonly auth?: 'token' | 'off'
  readonly deviceRate?: RateLimits
  /** Of devices; who subscribes speaks MQTT 3.1.1. */
  readonly level?: Level
  readonly check?: PayloadCheck
}

class Way {
  readonly bench: Bench
  readonly commits: Commits
  readonly time: { seconds: number }
  readonly level: Level
  /** Subscribes to all telemetry, if anybody does. */
  app: RawClient | undefined
  #from = 0 as Offset

  static async start(t: TestContext, options: WayOptions): Promise<Way> {
    const { auth = 'token', level = 4, check, ...listeners } = options
    const commits = new Commits()
    const time = { seconds: 0 }
    const clock = { now: () => BEGIN + 1_000 * time.seconds }
    const bench = await startBroker(t, {
      auth,
      clock,
      through: commits.through,
      listeners,
      ...(check !== undefined && { check }),
    })
    return new Way(bench, commits, time, level)
  }

  private constructor(bench: Bench, commits: Commits, time: { seconds: number }, level: Level) {
    this.level = level
    this.bench = bench
    this.commits = commits
    this.time = time
  }

  async connect(t: TestContext, device: string): Promise<RawClient> {
    const password = Buffer.from(await this.bench.identity.signDevice(device, HOUR_MS))
    return this.#connect(t, { clientId: device, username: device, password }, this.level)
  }

  async subscribe(t: TestContext): Promise<void> {
    const filter = 'devices/+/telemetry/#'
    const password = Buffer.from(await this.bench.identity.signApp([filter], HOUR_MS))
    this.app = await this.#connect(t, { clientId: 'app', username: 'app', password })
    // The second waits until what is retained has been sent for the first.
    for (const [messageId, topic] of [filter, 'devices/none/telemetry/none'].entries()) {
      this.app.send({ cmd: 'subscribe', messageId: messageId + 1, subscriptions: [{ topic, qos: 0 }] })
      await this.app.next('suback')
    }
  }

  /** What one that subscribes now is sent at once. */
  async retained(t: TestContext): Promise<unknown[]> {
    await this.subscribe(t)
    const retained = (await this.delivered()) as { readonly topic: string }[]
    return retained.toSorted((a, b) => (a.topic < b.topic ? -1 : 1))
  }

  async #connect(
    t: TestContext,
    more: { clientId: string; username: string; password: Buffer },
    protocolVersion: Level = 4,
  ): Promise<RawClient> {
    const client = await RawClient.open(t, this.bench.port, protocolVersion)
    client.socket.setNoDelay(true)
    client.send({ ...connectAs(more.clientId), ...more, protocolVersion } as Packet)
    await client.next('connack')
    return client
  }

  /** What the log has got since the last look. */
  async entries() {
    const log = only(this.bench.log)
    const entries: { framing: number; payload: string }[] = []
    for (let batch = await log.read(this.#from); batch !== undefined; batch = await log.read(this.#from)) {
      for (const { offset: _, payload, framing = 0, ...entry } of readEntries(batch)) {
        entries.push({ ...entry, framing, payload: payload.toString('latin1') })
      }
      this.#from = batch.next
    }
    return entries
  }

  /** What subscribers have got since the last look. */
  async delivered(): Promise<unknown[]> {
    if (this.app === undefined) return []
    for (let round = 0; round < 3; round++) await lookedAt(this.app)
    const published = this.app.packets.splice(0).filter((packet) => packet.cmd === 'publish')
    return published.map(({ topic, payload, qos, retain, dup }) => ({ topic, payload: `${payload}`, qos, retain, dup }))
  }

  /** What the broker has counted, and not when. */
  async counters(): Promise<string[]> {
    const lines = (await this.bench.metrics.metrics()).split('\n')
    return lines.filter((line) => /^telltale_broker_\w+(_total|_count)\b/.test(line) && !/rested|delayed/.test(line))
  }

  async untilConnected(clients: number): Promise<void> {
    await until(async () => (await this.bench.metric('telltale_broker_connections')) === clients)
  }
}

/** Sends in pieces, each read by itself as far as that is in the hands of who sends. */
async function send(client: RawClient, bytes: Buffer, at: readonly number[] = []): Promise<void> {
  const places = [...at.map((share) => Math.floor(share * bytes.length)), bytes.length].sort((a, b) => a - b)
  let from = 0
  for (const place of places) {
    if (place > from) client.socket.write(bytes.subarray(from, place))
    from = place
    await turn()
    await turn()
  }
}

/** Everything before was looked at: of this many PINGREQs, one more than before if not said, each is answered; or it has ended. */
async function lookedAt(client: RawClient, pings = answeredPings(client) + 1): Promise<void> {
  client.send({ cmd: 'pingreq' })
  await until(() => answeredPings(client) === pings || client.closed)
}

function answeredPings(client: RawClient): number {
  return client.packets.filter(({ cmd }) => cmd === 'pingresp').length
}

/** What one connection counts and knows of what it sends. */
interface Ids {
  next: number
  readonly aliased?: Set<string>
}

function bytesOf(items: readonly Item[], device: string, ids: Ids, level: Level = 4): Buffer {
  return Buffer.concat(items.map((item) => bytesOfItem(item, device, ids, level)))
}

/** A message as MQTT 5 has it, too. */
function withProperties(message: Packet, { topic, properties }: Item, aliased = new Set<string>()): Packet {
  const topicAlias = 1 + TOPICS.indexOf(topic)
  switch (properties) {
    case 'content-type':
      return { ...message, properties: { contentType: 'text/plain', messageExpiryInterval: 3_600 } } as Packet
    case 'json':
      return { ...message, properties: { contentType: 'application/json' } } as Packet
    case 'user-property':
      return { ...message, properties: { userProperties: { traceparent: ['00', `${message.messageId}`] } } } as Packet
    case 'gives-alias':
    case 'alias':
    case 'alias-and-more': {
      const isGiven = properties === 'gives-alias' || !aliased.has(topic)
      const more = properties === 'alias-and-more' ? { contentType: 'text/plain' } : {}
      aliased.add(topic)
      return { ...message, ...(!isGiven && { topic: '' }), properties: { topicAlias, ...more } } as Packet
    }
    default:
      return message
  }
}

function bytesOfItem(item: Item, device: string, ids: Ids, protocolVersion: Level): Buffer {
  const { what, topic, size, qos, ...more } = item
  const messageId = ids.next++
  // At QoS 0 MQTT 5 ends the connection for it, and by 3.1.1 it is passed over.
  const dup = more.dup && qos > 0
  const options = { protocolVersion }
  const payload = Buffer.alloc(size, messageId)
  // A status that is retained is answered when the disk has it, and not when the test says so.
  const retain = more.retain && !topic.endsWith('/status')
  const message: Packet = { cmd: 'publish', topic: topic.replace('$', device), payload, messageId, qos, dup, retain }
  const errors = `devices/${device}/errors`
  switch (what) {
    case 'publish':
      return mqttPacket.generate(protocolVersion === 4 ? message : withProperties(message, item, ids.aliased), options)
    case 'pubrel':
      return mqttPacket.generate({ cmd: 'pubrel', messageId: Math.max(1, messageId - 3) })
    case 'pingreq':
      return mqttPacket.generate({ cmd: 'pingreq' })
    case 'subscribe':
      return mqttPacket.generate({ cmd: 'subscribe', messageId, subscriptions: [{ topic: errors, qos: 0 }] }, options)
    case 'unsubscribe':
      return mqttPacket.generate({ cmd: 'unsubscribe', messageId, unsubscriptions: [errors] }, options)
    case 'long-header': {
      const short = mqttPacket.generate({ ...message, qos: 1, retain: false, payload: Buffer.alloc(9) }, options)
      return Buffer.concat([short.subarray(0, 1), Buffer.of((short[1] ?? 0) | 0x80, 0), short.subarray(2)])
    }
    case 'no-id': {
      const bytes = mqttPacket.generate({ ...message, qos: 1, retain: false, payload: Buffer.alloc(0) }, options)
      // By MQTT 5 there is the length of no properties behind it.
      bytes.fill(0, bytes.length - (protocolVersion === 4 ? 2 : 3))
      return bytes
    }
  }
}

const PLAIN: Item = { what: 'publish', topic: PLAIN_TOPICS[0] ?? '', qos: 1, dup: false, retain: false, size: 9 }

interface Script {
  readonly phases: readonly { readonly items: readonly Item[]; readonly cuts: readonly number[] }[]
  readonly ending: Buffer | Packet | 'no-id' | undefined
}

/** What becomes of it all, by kinds of answers; in one order where each phase is read in one turn. */
async function outcome(t: TestContext, way: Way, device: string, { phases, ending }: Script, asLevel5 = false) {
  const { level } = way
  const client = await way.connect(t, device)
  const ids = { next: 1, aliased: new Set<string>() }
  const answers: unknown[] = []
  for (const { items, cuts } of phases) {
    const bytes = bytesOf(items, device, ids, level)
    const pings = items.filter(({ what }) => what === 'pingreq').length
    await send(client, bytes, cuts)
    await lookedAt(client, pings + 1)
    await way.commits.commit()
    await lookedAt(client, pings + 2)
    const isOrdered =
      bytesOf(items, device, { next: 1 }).length < ONE_TURN_BYTES / 2 &&
      cuts.length === 0 &&
      !items.some(({ what }) => /sub/.test(what))
    const packets = client.packets.splice(0).filter(({ cmd }) => cmd !== 'publish')
    const said = packets.map((packet) => `${packet.cmd} ${packet.messageId ?? ''}${asLevel5 ? reasonOf(packet) : ''}`)
    answers.push(isOrdered ? said : said.toSorted((a, b) => kind(a).localeCompare(kind(b))))
    assert(!client.closed)
  }
  if (ending !== undefined) {
    const end = ending === 'no-id' ? bytesOf([{ ...PLAIN, what: 'no-id' }], device, ids, level) : ending
    const bytes = Buffer.isBuffer(end) ? end : mqttPacket.generate(end, { protocolVersion: level })
    const behind = bytes[0] === DISCONNECT ? [] : [PLAIN, PLAIN]
    const [before, after] = [[PLAIN, PLAIN], behind].map((items) => bytesOf(items, device, ids, level))
    await send(client, Buffer.concat([before ?? NOTHING, bytes, after ?? NOTHING]))
    await client.untilClosed()
  }
  await way.commits.commit()
  client.socket.destroy()
  await way.untilConnected(way.app === undefined ? 0 : 1)
  const delivered = await way.delivered()
  // Only MQTT 5 has content types.
  const log = (await way.entries()).map((entry) => (asLevel5 ? entry : { ...entry, framing: 0 }))
  return { answers, delivered, log, counters: await way.counters() }
}

function reasonOf(packet: Packet): string {
  const { reasonCode = 0, properties } = packet as Extract<Packet, { cmd: 'puback' }>
  return ` ${reasonCode} ${properties?.reasonString}`
}

const kind = (answer: string) => answer.split(' ')[0] ?? ''

for (const [named, auth, isSubscribed] of [
  ['of devices with tokens', 'token', false],
  ['to a subscriber', 'token', true],
  ['of anyone', 'off', false],
] as const) {
  test(`telemetry ${named} goes the short way as it goes the long one`, async (t) => {
    const short = await Way.start(t, { plainTelemetry: true, auth })
    const long = await Way.start(t, { plainTelemetry: false, auth })
    if (isSubscribed) for (const way of [short, long]) await way.subscribe(t)
    let run = 0
    const property = fc.asyncProperty(phases, ending, async (phases, ending) => {
      const device = `device-${++run}`
      for (const { time } of [short, long]) time.seconds += 10
      const expected = await outcome(t, long, device, { phases, ending })
      assert.deepEqual(await outcome(t, short, device, { phases, ending }), expected)
    })
    await fc.assert(property, { numRuns: RUNS, ...(SEED !== undefined && { seed: Number(SEED) }) })
    const kept = await Promise.all([short, long].map((way) => way.retained(t)))
    assert.deepEqual(kept[0], kept[1])
    assert.equal(long.commits.runs, 0)
    assert(short.commits.runs > OFTEN)
  })
}

for (const isSubscribed of [false, true]) {
  test(`the same telemetry by MQTT 3.1.1 and 5, the short way and the long one, is the same (to a subscriber: ${isSubscribed})`, async (t) => {
    const oracle = await Way.start(t, { plainTelemetry: false })
    const long = await Way.start(t, { plainTelemetry: false, level: 5 })
    const short = await Way.start(t, { plainTelemetry: true, level: 5 })
    const all = [oracle, long, short]
    if (isSubscribed) for (const way of all) await way.subscribe(t)
    let run = 0
    const property = fc.asyncProperty(phases, ending, async (phases, ending) => {
      const device = `device-${++run}`
      for (const { time } of all) time.seconds += 10
      const expected = await outcome(t, oracle, device, { phases, ending })
      for (const way of [long, short]) {
        assert.deepEqual(await outcome(t, way, device, { phases, ending }), expected)
      }
    })
    await fc.assert(property, { numRuns: RUNS, ...(SEED !== undefined && { seed: Number(SEED) }) })
    const kept = await Promise.all(all.map((way) => way.retained(t)))
    assert.deepEqual(kept[1], kept[0])
    assert.deepEqual(kept[2], kept[0])
    assert.equal(long.commits.runs, 0)
    assert(short.commits.runs > OFTEN)
  })
}

test('telemetry with content types, whose payloads are looked at, goes the short way as it goes the long one', async (t) => {
  const check: PayloadCheck = ({ payload: { length } }) =>
    length % 6 === 1 ? { code: 'test', reason: `${length} bytes` } : undefined
  const short = await Way.start(t, { plainTelemetry: true, level: 5, check })
  const long = await Way.start(t, { plainTelemetry: false, level: 5, check })
  let run = 0
  let [setAside, typed] = [0, 0]
  const property = fc.asyncProperty(phases, ending, async (phases, ending) => {
    const device = `device-${++run}`
    for (const { time } of [short, long]) time.seconds += 10
    const expected = await outcome(t, long, device, { phases, ending }, true)
    typed += expected.log.filter(({ framing }) => framing > 0).length
    assert.deepEqual(await outcome(t, short, device, { phases, ending }, true), expected)
    setAside += expected.answers.flat().filter((answer) => `${answer}`.includes(' 153 ')).length
  })
  await fc.assert(property, { numRuns: RUNS, ...(SEED !== undefined && { seed: Number(SEED) }) })
  const { runs } = short.commits
  assert(setAside > OFTEN && typed > OFTEN && runs > OFTEN, `${setAside} set aside, ${typed} with a type, ${runs} runs`)
  const letters = await Promise.all([short, long].map(({ bench }) => bench.log.deadLetters({ limit: 10_000 })))
  const said = letters.map((each) => each.map(({ offset, device, reason }) => [offset, device, reason]))
  assert.deepEqual(said[0], said[1])
  assert((said[0] ?? []).length >= setAside)
})

const pubacks = (client: RawClient) =>
  client.packets.filter((packet) => packet.cmd === 'puback').map(({ messageId }) => messageId)
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

for (const plainTelemetry of [true, false]) {
  test(`a device is held to its rate, in the order of its messages (the short way: ${plainTelemetry})`, async (t) => {
    const [perSecond, count] = [20, 70]
    const way = await Way.start(t, { plainTelemetry, deviceRate: { messagesPerSecond: perSecond } })
    const client = await way.connect(t, 'device-1')
    const ids = { next: 1 }
    const messages = upTo(count).map((number) => ({ ...PLAIN, topic: PLAIN_TOPICS[(number >> 3) % 2] ?? '' }))
    for (const from of [0, 10, 15, 40]) {
      const to = from === 0 ? 10 : from === 10 ? 15 : from === 15 ? 40 : count
      await send(client, bytesOf(messages.slice(from, to), 'device-1', ids))
    }
    await lookedAt(client)
    for (let passed = perSecond; ; passed += perSecond) {
      await until(() => way.commits.appended >= Math.min(perSecond, count - passed + perSecond))
      assert(way.commits.appended <= perSecond)
      await way.commits.commit()
      await until(() => pubacks(client).length === Math.min(passed, count))
      if (passed >= count) break
      way.time.seconds++
    }
    assert.deepEqual(pubacks(client), upTo(count))
    const payloads = (await way.entries()).map(({ payload }) => payload.charCodeAt(0))
    assert.deepEqual(payloads, upTo(count))
    assert.equal(await way.bench.metric('telltale_broker_held_back_total'), count - perSecond)
  })
}

test('what looks like a message within a payload is none, wherever the bytes are cut', async (t) => {
  const way = await Way.start(t, { plainTelemetry: true })
  const client = await way.connect(t, 'device-1')
  const topic = PLAIN_TOPICS[0]?.replace('$', 'device-1') ?? ''
  const inner = mqttPacket.generate(publish(topic, 1_000, 1, Buffer.alloc(0)))
  await send(client, mqttPacket.generate(publish(topic, 1)))
  await lookedAt(client)
  const whole = mqttPacket.generate(publish(topic, 2, 1, Buffer.concat([inner, inner])))
  for (let at = 1; at < whole.length; at++) {
    await send(client, whole, [at / whole.length])
    await lookedAt(client)
  }
  await way.commits.commit()
  await until(() => pubacks(client).length === whole.length)
  assert.deepEqual(new Set(pubacks(client)), new Set([1, 2]))
  assert.equal((await way.entries()).length, whole.length)
})

test('a run that the log refuses is not acknowledged, and ends the connection', async (t) => {
  const way = await Way.start(t, { plainTelemetry: true })
  const client = await way.connect(t, 'device-1')
  const ids = { next: 1 }
  await send(client, bytesOf([PLAIN], 'device-1', ids))
  await way.commits.commit()
  await until(() => pubacks(client).length === 1)
  way.commits.isFull = true
  await send(client, bytesOf([PLAIN, PLAIN, PLAIN], 'device-1', ids))
  await client.untilClosed()
  assert.deepEqual(pubacks(client), [1])
  assert.equal(way.commits.runs, 1)
  assert.equal(await way.bench.metric('telltale_broker_refused_total{reason="log-refused"}'), 3)
  assert.equal((await way.entries()).length, 1)
})

test('many messages, over chunks, windows and commits, are in the log once and acknowledged once, in order', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const client = await RawClient.open(t, bench.port)
  client.send(connectAs('device-1'))
  await client.next('connack')
  const count = 12_345
  const topic = 'devices/device-1/telemetry/environment'
  const messages = upTo(count).map((id) => mqttPacket.generate(publish(topic, id, 1, Buffer.from(`${id}`))))
  client.socket.write(Buffer.concat(messages))
  await until(() => client.packets.length >= count)
  assert.deepEqual(pubacks(client), upTo(count))
  const payloads: number[] = []
  const log = only(bench.log)
  for (let batch = await log.read(await log.first()); batch !== undefined; batch = await log.read(batch.next)) {
    payloads.push(...readEntries(batch).map(({ payload }) => Number(`${payload}`)))
  }
  assert.deepEqual(payloads, upTo(count))
})
