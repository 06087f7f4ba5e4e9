/**
 * Owns how it is found out where a stream begins and ends, which AMQP has no question for. Always true: the answer has all that was
 * committed, on the server that was asked, before the question.
 *
 * A stream of ours is never empty: `init` has written its first record. So a consumer at the last chunk is given some, and to acknowledge
 * these makes the server read on to the end of the stream, before it answers what comes behind the acknowledgement. Another consumer of
 * the same channel, begun before that one, has been given what it finds by then.
 */

import assert from 'node:assert/strict'
import type { LogError } from '../log-error.ts'
import { ANSWER_MS, type Delivery, type OffsetSpec, type RabbitmqClient, unreachable } from './client.ts'

/** Records that the server may send at once; a chunk may have more. */
const CREDIT = 256

export interface Glance {
  /** What was found where it was asked for: the first one, and what came with it. Undefined if there is none. */
  readonly found: Delivery | undefined
  readonly records: number
  readonly bytes: number
  /** The newest, and the offset of the engine that the next one gets. */
  readonly newest: Delivery
  readonly engineEnd: number
}

/** Rejects with `log-unreachable`, also if the stream has no first record. */
export async function glance(
  client: RabbitmqClient,
  queue: string,
  from: OffsetSpec | undefined,
  waitMs = ANSWER_MS,
): Promise<Glance> {
  let found: Delivery | undefined
  let newest: Delivery | undefined
  let [count, records, bytes] = [0, 0, 0]
  let [arrive, lose] = [() => undefined as unknown, (_error: LogError) => undefined as unknown]
  const arrived = new Promise<void>((resolve, reject) => {
    arrive = resolve
    lose = reject
  })
  // Whether or not it is awaited yet.
  arrived.catch(() => undefined)
  const channel = await client.channel(lose)
  const timer = setTimeout(() => lose(unreachable(`${queue} has no first record`)), waitMs)
  try {
    if (from !== undefined) {
      await channel.consume(queue, from, 1, (delivery) => {
        found ??= delivery
        records += 1
        bytes += delivery.value.length
      })
    }
    await channel.consume(queue, 'last', CREDIT, (delivery) => {
      newest = delivery
      count += 1
      arrive()
    })
    await arrived
    let before: number
    do {
      before = count
      channel.acknowledge((newest as unknown as Delivery).tag)
      await channel.settled()
    } while (count - before >= CREDIT)
  } finally {
    clearTimeout(timer)
    channel.close()
  }
  assert(newest !== undefined)
  const last: Delivery = newest
  return { found, records, bytes, newest: last, engineEnd: last.engineOffset + 1 }
}
