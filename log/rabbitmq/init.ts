/**
 * Owns how the streams of a log are made on RabbitMQ. Always true: one process at a time makes those of one name; the first record of shard 0's `log` comes
 * last, so that a log that was not made to the end is none. What an attempt made that failed is taken away again, if the server lets us.
 */

import assert from 'node:assert/strict'
import { type Clock, systemClock } from '../../platform/clock.ts'
import { LogError } from '../log-error.ts'
import { type NewStreams, STREAM_KINDS, type StreamKind } from '../streams/streams.ts'
import type { RabbitmqOptions } from './address.ts'
import { type RabbitmqChannel, RabbitmqClient } from './client.ts'
import { queueName, writeFirstRecord } from './first-record.ts'

/** Rejects with `log-exists` if a queue of that log is there, `log-locked` while another process makes it. */
export async function initRabbitmqStreams(
  options: RabbitmqOptions,
  { shards, copies }: NewStreams,
  clock: Clock = systemClock,
): Promise<void> {
  assert(shards > 0 && copies > 0)
  const streams = Array.from({ length: shards }, (_, shard) => shards - 1 - shard).flatMap((shard) =>
    [...STREAM_KINDS].reverse().map((kind): Place => ({ kind, shard, queue: queueName(options.name, kind, shard) })),
  )
  const client = new RabbitmqClient(options)
  try {
    const channel = await client.channel(() => undefined)
    await channel.declareExclusive(`${options.name}.init`)
    for (const { queue } of streams) await refuseExisting(client, queue)
    await make(channel, client, streams, { shards, copies }, clock)
  } finally {
    await client.close()
  }
}

interface Place {
  readonly kind: StreamKind
  readonly shard: number
  readonly queue: string
}

async function refuseExisting(client: RabbitmqClient, queue: string): Promise<void> {
  const channel = await client.channel(() => undefined)
  const isThere = await channel.hasQueue(queue)
  channel.close()
  if (isThere) throw new LogError('log-exists', `the queue ${queue} is there already: a log is made once`)
}

async function make(
  channel: RabbitmqChannel,
  client: RabbitmqClient,
  streams: readonly Place[],
  { shards, copies }: NewStreams,
  clock: Clock,
): Promise<void> {
  const made: string[] = []
  try {
    for (const { kind, shard, queue } of streams) {
      made.push(queue)
      await channel.declareStream(queue, copies)
      const value = writeFirstRecord({ kind, shard, shards, copies })
      await channel.publish(queue, [{ key: 'telltale', value }], { at: clock.now() })
    }
  } catch (error) {
    const another = await client.channel(() => undefined).catch(() => undefined)
    for (const queue of made) await another?.deleteQueue(queue).catch(() => undefined)
    throw error
  }
}
