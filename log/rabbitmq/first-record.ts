/**
 * Owns the first record of each stream, which `init` writes and no reader is given: what log the stream is of. It is why a record's offset is one
 * less than the engine's, why a stream is never empty (`glance.ts` rests on that), and how it is seen that nothing was removed.
 */

import { LogError } from '../log-error.ts'
import type { StreamKind } from '../streams/streams.ts'
import type { Delivery } from './client.ts'

/** Of the engine's offsets, those before the first of ours. */
export const FIRST_RECORDS = 1

const FORMAT = 'telltale-stream-1'

export interface FirstRecord {
  readonly kind: StreamKind
  readonly shard: number
  readonly shards: number
  readonly copies: number
}

export function queueName(name: string, kind: StreamKind, shard: number): string {
  return `${name}.${kind}.${shard}`
}

export function writeFirstRecord(record: FirstRecord): Buffer {
  return Buffer.from(JSON.stringify({ format: FORMAT, ...record }))
}

/** Rejects what is not of this log: `log-unsafe`. */
export function readFirstRecord(queue: string, kind: StreamKind, shard: number, first: Delivery): FirstRecord {
  if (first.engineOffset !== 0) {
    throw new LogError(
      'log-unsafe',
      `records were removed from ${queue}: no policy may set max-age or max-length-bytes`,
    )
  }
  let read: Partial<FirstRecord & { readonly format: unknown }> = {}
  try {
    read = JSON.parse(first.value.toString())
  } catch {
    // It is none, as below.
  }
  const { format, shards = 0, copies = 0 } = read
  if (format !== FORMAT || read.kind !== kind || read.shard !== shard || !(shards > shard) || !(copies > 0)) {
    throw new LogError('log-unsafe', `${queue} does not begin as a stream that "telltale log init" made`)
  }
  return { kind, shard, shards, copies }
}
