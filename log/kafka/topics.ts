/**
 * Owns the two topics of a log: how they are named and made, and how they must be set up so that nothing that was acknowledged can be
 * lost. Kafka deletes what nobody has read and says nothing, rewrites topics, and lets machines lead that have not all records, unless
 * it is told not to.
 */

import { setTimeout as pause } from 'node:timers/promises'
import { LogError } from '../log-error.ts'
import { type NewStreams, STREAM_KINDS, type StreamKind } from '../streams/streams.ts'
import { formatBroker, formatKafkaAddress, type KafkaOptions } from './address.ts'
import { KafkaClient } from './client.ts'
import { Leaders } from './leaders.ts'
import { BrokerError, type ClusterPicture, type NewTopic, type PartitionPlace } from './requests.ts'

/** Where a batch of appends and a record of the largest size fit. */
const MESSAGE_BYTES_MIN = 1024 * 1024
/** Removed records are off the disks once the segment that they are in has no others. */
const SEGMENT_BYTES = 64 * 1024 * 1024
const FOR_EVER = '-1'
/** Kafka refuses what is from an hour ahead else: from a machine whose clock is wrong. */
const ANY_TIME_MS = '9223372036854775807'
/** Until all brokers know of new topics. */
const MADE_LOOKS_MAX = 100
const MADE_PAUSE_MS = 100

export function topicOf({ name }: Pick<KafkaOptions, 'name'>, kind: StreamKind): string {
  return `${name}.${kind}`
}

export function topicsOf(options: Pick<KafkaOptions, 'name'>): string[] {
  return STREAM_KINDS.map((kind) => topicOf(options, kind))
}

/** Makes both topics; rejects with `log-exists` if one is there. */
export async function initKafka(options: KafkaOptions, { shards, copies }: NewStreams): Promise<void> {
  const client = new KafkaClient(options)
  const where = formatKafkaAddress(options)
  const leaders = new Leaders(client, options.brokers, topicsOf(options), where)
  try {
    const { brokers, topics } = await leaders.lookOnce()
    const [there] = topics.keys()
    if (there !== undefined) throw new LogError('log-exists', `there is a topic ${there} at ${where}: nothing was made`)
    const broker = brokers[0] ?? options.brokers[0]
    if (broker === undefined) throw new LogError('log-unreachable', `no broker is there at ${where}`)
    const made = topicsOf(options).map(
      (name): NewTopic => ({ name, partitions: shards, copies, configs: configs(copies) }),
    )
    await client.createTopics(broker, made).catch((error) => {
      if (error instanceof BrokerError && error.answer !== undefined)
        throw new LogError('log-refused', `the topics were not made at ${where}: ${error.message}`, { cause: error })
      return leaders.refuse(error)
    })
    await untilMade(client, options, shards)
  } finally {
    client.close()
  }
}

function configs(copies: number): Record<string, string> {
  return {
    'cleanup.policy': 'delete',
    'retention.ms': FOR_EVER,
    'retention.bytes': FOR_EVER,
    'min.insync.replicas': String(Math.floor(copies / 2) + 1),
    'unclean.leader.election.enable': 'false',
    'max.message.bytes': String(MESSAGE_BYTES_MIN),
    'segment.bytes': String(SEGMENT_BYTES),
    'message.timestamp.type': 'CreateTime',
    'message.timestamp.after.max.ms': ANY_TIME_MS,
    ...(copies === 1 && { 'flush.messages': '1' }),
  }
}

/** A topic is there some time after it was made, at one broker after another. */
async function untilMade(client: KafkaClient, options: KafkaOptions, shards: number): Promise<void> {
  for (let looks = 1; ; looks++) {
    const isMade = await everywhere(client, options, shards).catch(() => false)
    if (isMade) return
    if (looks === MADE_LOOKS_MAX)
      throw new LogError(
        'log-unreachable',
        `the topics were made at ${formatKafkaAddress(options)}, and have no leaders yet`,
      )
    await pause(MADE_PAUSE_MS)
  }
}

async function everywhere(client: KafkaClient, options: KafkaOptions, shards: number): Promise<boolean> {
  const leaders = new Leaders(client, options.brokers, topicsOf(options), formatKafkaAddress(options))
  const { brokers } = await leaders.look()
  const pictures = await Promise.all(brokers.map((broker) => client.metadata(broker, topicsOf(options))))
  return pictures.every(({ topics }) =>
    topicsOf(options).every((topic) => {
      const places = topics.get(topic) ?? []
      return places.length === shards && places.every(({ leader }) => leader !== undefined)
    }),
  )
}

/** The number of shards. Rejects with `log-missing` or `log-unsafe`. */
export async function checkTopics(
  client: KafkaClient,
  options: KafkaOptions,
  picture: ClusterPicture,
): Promise<number> {
  const shards: number[] = []
  for (const topic of topicsOf(options)) {
    const places = picture.topics.get(topic)
    if (places === undefined) {
      const missing = `there is no topic ${topic} at ${formatKafkaAddress(options)}`
      throw new LogError('log-missing', `${missing}: "telltale log init" makes it`)
    }
    shards.push(places.length)
    await checkTopic(client, options, picture, topic, places)
  }
  const [log = 0, books = 0] = shards
  if (log !== books) {
    const [one, other] = topicsOf(options)
    throw unsafe(
      `${one} has ${log} partitions and ${other} has ${books}`,
      'one of them is not of this log: they have as many',
    )
  }
  return log
}

async function checkTopic(
  client: KafkaClient,
  options: KafkaOptions,
  { brokers }: ClusterPicture,
  topic: string,
  places: readonly PartitionPlace[],
): Promise<void> {
  const broker = brokers[0] ?? options.brokers[0]
  if (broker === undefined)
    throw new LogError('log-unreachable', `no broker is there at ${formatKafkaAddress(options)}`)
  const configs = await client.configs(broker, topic).catch((error) => {
    if (!(error instanceof BrokerError)) throw error
    const asked = `how ${topic} is set up was not told by ${formatBroker(broker)}: ${error.message}`
    throw new LogError('log-unreachable', asked, { cause: error })
  })
  const copies = Math.min(...places.map((place) => place.copies))
  for (const { config, isSafe, change } of RULES) {
    const value = configs.get(config) ?? ''
    if (!isSafe(value, copies)) throw unsafe(`${topic} has ${config}=${value}${ofCopies(config, copies)}`, change)
  }
}

interface Rule {
  readonly config: string
  readonly isSafe: (value: string, copies: number) => boolean
  readonly change: string
}

const RULES: readonly Rule[] = [
  {
    config: 'cleanup.policy',
    isSafe: (value) => value === 'delete',
    change: 'Kafka rewrites it, and offsets are missing: set cleanup.policy=delete',
  },
  ...['retention.ms', 'retention.bytes'].map((config) => ({
    config,
    isSafe: (value: string) => value === FOR_EVER,
    change: `Kafka deletes what nobody has read yet: set ${config}=-1, this program removes what is old`,
  })),
  {
    config: 'unclean.leader.election.enable',
    isSafe: (value) => value === 'false',
    change: 'a machine that has not all records may lead: set unclean.leader.election.enable=false',
  },
  {
    config: 'min.insync.replicas',
    isSafe: (value, copies) => copies === 1 || Number(value) >= 2,
    change: 'one machine alone may acknowledge, and be lost: set min.insync.replicas=2 or more',
  },
  {
    config: 'flush.messages',
    isSafe: (value, copies) => copies > 1 || value === '1',
    change: 'one copy is on one disk, and is written to it some time later: set flush.messages=1, or keep 3 copies',
  },
  {
    config: 'max.message.bytes',
    isSafe: (value) => Number(value) >= MESSAGE_BYTES_MIN,
    change: `the largest messages are refused: set max.message.bytes=${MESSAGE_BYTES_MIN} or more`,
  },
]

function ofCopies(config: string, copies: number): string {
  const isOfCopies = config === 'min.insync.replicas' || config === 'flush.messages'
  return isOfCopies ? ` and replication factor ${copies}` : ''
}

function unsafe(what: string, change: string): LogError {
  return new LogError('log-unsafe', `${what}: ${change}`)
}
