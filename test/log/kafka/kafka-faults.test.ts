/** What is appended to a real Kafka is there although its machines are killed, stopped or cut off, and nobody waits for one for ever. */

import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { parseKafkaAddress } from '../../../log/kafka/address.ts'
import { KafkaClient } from '../../../log/kafka/client.ts'
import { KafkaStreams, type KafkaTimes } from '../../../log/kafka/kafka-streams.ts'
import { initKafka } from '../../../log/kafka/topics.ts'
import type { Stream } from '../../../log/streams/streams.ts'
import { type Kafka, type KafkaNode, startKafka } from '../../kafka/kafka.ts'
import { Network } from '../../kafka/network.ts'
import { requireServer } from '../../servers/server.ts'
import { until } from '../../until.ts'
import { readAll, record, valuesOf } from '../streams/streams-contract.ts'
import { sharedKafka } from './shared-kafka.ts'

const FOR_EVER_MS = 600_000
const IMPATIENT: KafkaTimes = { requestMs: 1_000, appendPatienceMs: 500 }
const LIMITS = { bytesMax: 1 << 20, recordsMax: 1_000, waitMs: 0 }
const UNREACHABLE = { name: 'LogError', code: 'log-unreachable' }

let network: Network
after(() => network?.stop())
const kafka = sharedKafka({ before, after }, async () => {
  network = await Network.start()
  const started = await startKafka({ advertised: [network.port] })
  network.target = nodeOf(started).ports.outside
  return started
})

function nodeOf({ nodes }: Kafka, index = 0): KafkaNode {
  return nodes[index] as KafkaNode
}

async function opened(t: TestContext, address: string, times?: KafkaTimes): Promise<KafkaStreams> {
  const streams = new KafkaStreams(parseKafkaAddress(address), times)
  t.after(() => streams.stop())
  await streams.start()
  return streams
}

/** Appends one by one until `count` were taken; what was not is appended again, as another one. */
class Appender {
  readonly taken: string[] = []
  readonly refused: string[] = []
  readonly #name: string
  readonly #stream: Stream

  constructor(name: string, stream: Stream) {
    this.#name = name
    this.#stream = stream
  }

  async append(count: number): Promise<void> {
    for (let number = 0; this.taken.length < count; number++) {
      const value = `${this.#name} ${number}`
      try {
        await this.#stream.append([record(value)])
        this.taken.push(value)
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'log-unreachable', `${error}`)
        this.refused.push(value)
      }
    }
  }

  /** All that was taken is there once and in order, and of what was refused nothing twice. */
  async check(stream: Stream): Promise<void> {
    const own = valuesOf(await readAll(stream)).filter((value) => value.startsWith(`${this.#name} `))
    const refused = new Set(this.refused)
    assert.deepEqual(
      own.filter((value) => !refused.has(value)),
      this.taken,
    )
    const uncertain = own.filter((value) => refused.has(value))
    assert.equal(new Set(uncertain).size, uncertain.length)
  }
}

test('what was taken is there once after kill -9, and what is appended meanwhile waits until Kafka is back', async (t) => {
  const running = kafka.of(t)
  const address = kafka.newAddress(t)
  if (running === undefined || address === undefined) return
  const node = nodeOf(running)
  await initKafka(parseKafkaAddress(address), { shards: 2, copies: 1 })
  const [patient, impatient] = [
    await opened(t, address, { appendPatienceMs: FOR_EVER_MS }),
    await opened(t, address, IMPATIENT),
  ]
  const appenders = [0, 1].map((shard) => new Appender('patient', patient.stream('log', shard)))
  const others = [0, 1].map((shard) => new Appender('impatient', impatient.stream('log', shard)))
  const appended = Promise.all([...appenders, ...others].map((each) => each.append(400)))
  await until(() => [...appenders, ...others].every(({ taken }) => taken.length > 100))
  await node.kill()
  await until(() => others.every(({ refused }) => refused.length > 0))
  await assert.rejects(impatient.stream('log', 0).read(0, LIMITS), UNREACHABLE)
  await node.start()
  await appended
  for (const [shard, each] of appenders.entries()) {
    assert.deepEqual(each.refused, [])
    await each.check(patient.stream('log', shard))
    await others[shard]?.check(patient.stream('log', shard))
  }
})

test('what was taken, but whose answer was lost, is sent again and there once', async (t) => {
  const address = outside(t)
  if (address === undefined) return
  await initKafka(parseKafkaAddress(address), { shards: 1, copies: 1 })
  const stream = (await opened(t, address, { requestMs: 1_000, appendPatienceMs: FOR_EVER_MS })).stream('log', 0)
  await stream.append([record('before')])
  network.lost = 0
  network.loseAnswers()
  t.after(() => network.mend())
  const appended = stream.append([record('once'), record('and one more')])
  await until(() => network.lost > 0)
  network.mend()
  await appended
  await stream.append([record('after')])
  assert.deepEqual(valuesOf(await readAll(stream)), ['before', 'once', 'and one more', 'after'])
})

test('of a Kafka that says nothing all that is asked is refused, with its address, and works when it answers again', async (t) => {
  const address = outside(t)
  if (address === undefined) return
  await initKafka(parseKafkaAddress(address), { shards: 1, copies: 1 })
  const streams = await opened(t, address, IMPATIENT)
  const stream = streams.stream('log', 0)
  await stream.append([record('before')])
  network.cut()
  t.after(() => network.mend())
  const asked = [
    () => stream.append([record('lost')]),
    () => stream.read(1, { ...LIMITS, waitMs: FOR_EVER_MS }),
    () => stream.first(),
    () => stream.at(0),
    () => stream.removeBefore(1),
    () => streams.sizeOf('log'),
    () => opened(t, address, IMPATIENT),
  ]
  const where = new RegExp(`127.0.0.1:${network.port}.*timed out`)
  await Promise.all(asked.map((ask) => assert.rejects(ask, { ...UNREACHABLE, message: where })))
  network.mend()
  await stream.append([record('after')])
  assert.deepEqual(valuesOf(await readAll(stream)), ['before', 'after'])
})

test('who stops while Kafka says nothing does not wait for it', async (t) => {
  const address = outside(t)
  if (address === undefined) return
  await initKafka(parseKafkaAddress(address), { shards: 2, copies: 1 })
  const streams = await opened(t, address, { requestMs: FOR_EVER_MS, appendPatienceMs: FOR_EVER_MS })
  await streams.stream('log', 0).append([record('before')])
  network.cut()
  network.lost = 0
  t.after(() => network.mend())
  const large = record(Buffer.alloc(500_000))
  const asked = [
    streams.stream('log', 0).append(Array.from({ length: 20 }, () => large)),
    streams.stream('log', 1).read(0, { ...LIMITS, waitMs: FOR_EVER_MS }),
    streams.stream('log', 1).end(),
  ]
  await until(() => network.lost > 100_000)
  await streams.stop()
  for (const { status } of await Promise.allSettled(asked)) assert.equal(status, 'rejected')
})

test('nobody listening is said with the address, and how it was tried', async () => {
  const streams = new KafkaStreams(parseKafkaAddress('kafka://127.0.0.1:9/nobody'))
  await assert.rejects(streams.start(), {
    ...UNREACHABLE,
    message: /kafka:\/\/127.0.0.1:9\/nobody .*127.0.0.1:9: connect ECONNREFUSED/,
  })
  await streams.stop()
})

test('of three machines one is killed and one is stopped: another leads, and all that was taken is there once', async (t) => {
  const three = await requireServer(t, () => startKafka({ nodes: 3 }))
  if (three === undefined) return
  await refusesOneInSync(t, three)
  const address = `${three.url}/together`
  await initKafka(parseKafkaAddress(address), { shards: 3, copies: 3 })
  const streams = await opened(t, address, { appendPatienceMs: FOR_EVER_MS })
  const appenders = [0, 1, 2].map((shard) => new Appender('patient', streams.stream('log', shard)))
  const taken = (count: number) => until(() => appenders.every((each) => each.taken.length >= count))
  const appended = Promise.all(appenders.map((each) => each.append(300)))
  await taken(50)
  // Each shard is led by another machine.
  await nodeOf(three, 0).kill()
  await taken(100)
  await nodeOf(three, 0).start()
  await taken(150)
  nodeOf(three, 1).pause()
  await taken(200)
  nodeOf(three, 1).resume()
  await appended
  for (const [shard, each] of appenders.entries()) {
    assert.deepEqual(each.refused, [])
    await each.check(streams.stream('log', shard))
  }
  // A second process sees the same, by the machines that are left.
  await nodeOf(three, 2).kill()
  const other = await opened(t, address)
  for (const [shard, each] of appenders.entries())
    await until(() =>
      each.check(other.stream('log', shard)).then(
        () => true,
        () => false,
      ),
    )
})

/** One of the three machines alone could acknowledge. */
async function refusesOneInSync(t: TestContext, three: Kafka): Promise<void> {
  const options = parseKafkaAddress(`${three.url}/alone`)
  await initKafka(options, { shards: 1, copies: 3 })
  const client = new KafkaClient(options)
  t.after(() => client.close())
  const [broker] = options.brokers
  assert(broker)
  const safe = await client.configs(broker, 'alone.log')
  assert.equal(safe.get('min.insync.replicas'), '2')
  const configs = { 'min.insync.replicas': '1', 'retention.ms': '-1' }
  const topics = ['log', 'books'].map((kind) => ({ name: `one.${kind}`, partitions: 1, copies: 3, configs }))
  await client.createTopics(broker, topics)
  // Which broker is asked first is left to chance, and one knows of a topic later than another.
  for (const each of options.brokers)
    await until(async () => (await client.metadata(each, ['one.log', 'one.books'])).topics.size === 2)
  const message = /min\.insync\.replicas=1 and replication factor 3: .*set min\.insync\.replicas=2 or more/
  await assert.rejects(opened(t, `${three.url}/one`), { name: 'LogError', code: 'log-unsafe', message })
}

/** The address of a log that is not there yet, through the network. */
function outside(t: TestContext): string | undefined {
  const address = kafka.newAddress(t)
  return address && `kafka://127.0.0.1:${network.port}/${address.split('/').at(-1)}`
}
