/** Owns how tests reach into a log of one shard. */

import assert from 'node:assert/strict'
import type { Shard, Shards } from '../../log/log.ts'
import type { Offset } from '../../log/position.ts'

/** The shard of a log that has one. */
export function only({ shards }: Pick<Shards, 'shards'>): Shard {
  const [shard] = shards
  assert(shard && shards.length === 1, 'this log has one shard')
  return shard
}

/** The offset of the entry that is the `number`th of its shard, from 0. */
export const at = (number: number) => number as Offset
