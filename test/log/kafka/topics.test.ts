/** Topics that could lose what was acknowledged are refused at start by a real Kafka, and those that are made are not. */

import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { type KafkaOptions, parseKafkaAddress } from '../../../log/kafka/address.ts'
import { KafkaClient } from '../../../log/kafka/client.ts'
import { KafkaStreams } from '../../../log/kafka/kafka-streams.ts'
import type { NewTopic } from '../../../log/kafka/requests.ts'
import { initKafka } from '../../../log/kafka/topics.ts'
import { until } from '../../until.ts'
import { sharedKafka } from './shared-kafka.ts'

const kafka = sharedKafka({ before, after })

/** Safe on one machine. */
const SAFE = {
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
  'flush.messages': '1',
  'max.message.bytes': String(1024 * 1024),
}

interface Case {
  readonly configs?: Record<string, string>
  readonly books?: Partial<NewTopic>
  readonly message: RegExp
}

const UNSAFE: readonly Case[] = [
  {
    configs: { 'cleanup.policy': 'compact' },
    message: /\.log has cleanup\.policy=compact: .*set cleanup\.policy=delete/,
  },
  { configs: { 'cleanup.policy': 'compact,delete' }, message: /\.log has cleanup\.policy=compact,delete: / },
  { configs: { 'retention.ms': '604800000' }, message: /\.log has retention\.ms=604800000: .*set retention\.ms=-1/ },
  {
    configs: { 'retention.bytes': '1000000' },
    message: /\.log has retention\.bytes=1000000: .*set retention\.bytes=-1/,
  },
  {
    configs: { 'unclean.leader.election.enable': 'true' },
    message: /\.log has unclean\.leader\.election\.enable=true: .*set unclean\.leader\.election\.enable=false/,
  },
  {
    configs: { 'flush.messages': '1000' },
    message: /\.log has flush\.messages=1000 and replication factor 1: one copy is on one disk.*set flush\.messages=1/,
  },
  { configs: { 'max.message.bytes': '1000000' }, message: /\.log has max\.message\.bytes=1000000: .*=1048576 or more/ },
  { books: { configs: { ...SAFE, 'cleanup.policy': 'compact' } }, message: /\.books has cleanup\.policy=compact: / },
  { books: { partitions: 3 }, message: /\.log has 2 partitions and .*\.books has 3: / },
]

async function make(options: KafkaOptions, { configs = {}, books }: Pick<Case, 'configs' | 'books'>): Promise<void> {
  const topic = { partitions: 2, copies: 1, configs: { ...SAFE, ...configs } }
  const client = new KafkaClient(options)
  const [broker] = options.brokers
  assert(broker)
  await client.createTopics(broker, [
    { ...topic, name: `${options.name}.log` },
    { ...topic, name: `${options.name}.books`, ...books },
  ])
  // They are there some time after they were made.
  const names = [`${options.name}.log`, `${options.name}.books`]
  await until(async () => (await client.metadata(broker, names)).topics.size === names.length)
  client.close()
}

async function start(t: TestContext, options: KafkaOptions): Promise<KafkaStreams> {
  const streams = new KafkaStreams(options)
  t.after(() => streams.stop())
  await streams.start()
  return streams
}

for (const { configs, books, message } of UNSAFE) {
  test(`topics with ${JSON.stringify(configs ?? books)} are refused`, async (t) => {
    const address = kafka.newAddress(t)
    if (address === undefined) return
    const options = parseKafkaAddress(address)
    await make(options, { ...(configs && { configs }), ...(books && { books }) })
    await assert.rejects(start(t, options), { name: 'LogError', code: 'log-unsafe', message })
  })
}

test('topics that somebody else made well are taken', async (t) => {
  const address = kafka.newAddress(t)
  if (address === undefined) return
  const options = parseKafkaAddress(address)
  await make(options, {})
  assert.equal((await start(t, options)).shards, 2)
})

test('a log that is not there is missing, and asking for it does not make it', async (t) => {
  const address = kafka.newAddress(t)
  if (address === undefined) return
  const options = parseKafkaAddress(address)
  const missing = {
    name: 'LogError',
    code: 'log-missing',
    message: /there is no topic .*\.log at kafka:.*telltale log init/,
  }
  // This Kafka makes topics that are asked for, as it does unless it is told not to.
  await assert.rejects(start(t, options), missing)
  await assert.rejects(start(t, options), missing)
})

test('a log is made once, and not on more machines than there are', async (t) => {
  const address = kafka.newAddress(t)
  if (address === undefined) return
  const options = parseKafkaAddress(address)
  const tooMany = { name: 'LogError', code: 'log-refused', message: /INVALID_REPLICATION_FACTOR/ }
  await assert.rejects(initKafka(options, { shards: 2, copies: 3 }), tooMany)
  await initKafka(options, { shards: 2, copies: 1 })
  assert.equal((await start(t, options)).shards, 2)
  await assert.rejects(initKafka(options, { shards: 2, copies: 1 }), { name: 'LogError', code: 'log-exists' })
})
