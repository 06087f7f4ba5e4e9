/**
 * Owns what ingest reads of the log, and from where; of each shard:
 *
 *   start --the embedded store is behind the checkpoint--> restoring --checkpoint reached--> following
 *     '-----------------------------------------------------------------------------------------^
 *
 * Always true: a store that lost what was accounted for as stored (an older copy was put back, its file or its write-ahead
 * log was removed) is given it again, as far as the log still holds it; what is read for that is not accounted for twice.
 */

import assert from 'node:assert/strict'
import { type Batch, entriesBefore } from '../log/entry.ts'
import { INGEST_READER, type Shards } from '../log/log.ts'
import { LogError } from '../log/log-error.ts'
import { formatPosition, type LogIdentity, type Offset, type Position, parsePosition } from '../log/position.ts'
import type { Logger } from '../platform/logger.ts'

export interface Source {
  /** Which of the log's shards it is of. */
  readonly shard: number
  readonly batch: Batch
  /** The ledger has it already: it is for the store only. */
  readonly isAccounted: boolean
}

/** What a store says of itself when it is open. */
export interface StoreAtStart {
  readonly isEmbedded: boolean
  /** Of an embedded store: the log's position up to which it holds everything; undefined while it holds nothing. */
  readonly checkpoint: string | undefined
}

/** Where ingest begins. */
export interface Start {
  /** Where the ledger goes on. */
  readonly checkpoint: Position
  /** From where on the store lacks what the ledger has, at the checkpoint where it lacks nothing. */
  readonly store: Position
}

export async function startOfIngest(log: Shards, store: StoreAtStart, logger: Logger): Promise<Start> {
  const checkpoint = await Promise.all(
    log.shards.map(async (shard) => (await shard.checkpoint(INGEST_READER)) ?? (await shard.first())),
  )
  const held = store.isEmbedded ? await heldBy(store.checkpoint, log, checkpoint, logger) : checkpoint
  return { checkpoint, store: checkpoint.map((offset, shard) => earlier(held[shard] ?? offset, offset)) }
}

/** What ingest reads of one shard. */
export async function* readForIngest(
  log: Shards,
  shard: number,
  start: Start,
  logger: Logger,
  signal: AbortSignal,
): AsyncGenerator<Source> {
  const { [shard]: source } = log.shards
  const { [shard]: checkpoint } = start.checkpoint
  const { [shard]: lacking } = start.store
  assert(source !== undefined && checkpoint !== undefined && lacking !== undefined, `the log has no shard ${shard}`)
  if (lacking < checkpoint) {
    for await (const batch of source.follow(lacking, signal)) {
      if (batch.missed > 0) logger.error({ missed: batch.missed }, 'the log does not hold all that the store lacks')
      const part = batch.next <= checkpoint ? batch : entriesBefore(batch, later(checkpoint, batch.firstOffset))
      if (part.count > 0) yield { shard, batch: part, isAccounted: true }
      if (batch.next >= checkpoint) break
    }
    if (!signal.aborted) logger.warn('the store has been given again what the log holds')
  }
  for await (const batch of source.follow(checkpoint, signal)) {
    if (batch.missed > 0) logger.error({ missed: batch.missed }, 'entries left the log before they were stored')
    yield { shard, batch, isAccounted: false }
  }
}

const earlier = (a: Offset, b: Offset) => (a < b ? a : b)
const later = (a: Offset, b: Offset) => (a > b ? a : b)

/** The position up to which an embedded store holds everything; the checkpoint if the log does not know its position. */
async function heldBy(text: string | undefined, log: Shards, checkpoint: Position, logger: Logger): Promise<Position> {
  if (text === undefined) {
    const { stored } = await log.ledger(INGEST_READER)
    if (stored === 0) return checkpoint
    logger.warn({ stored }, 'the store is empty, though messages of this log were stored: they are written to it again')
    return Promise.all(log.shards.map((shard) => shard.first()))
  }
  const end = await endOf(log)
  const held = heldOf(log, text, end)
  if (held !== undefined) {
    if (held.some((offset, shard) => offset < (checkpoint[shard] ?? offset))) {
      const positions = { store: text, log: formatPosition(log, checkpoint) }
      logger.warn(positions, 'the store lacks messages that were stored: they are written to it again from the log')
    }
    return held
  }
  logger.warn(
    { store: text, log: formatPosition(log, end) },
    'the store was written from another log, or from a later state of this one: was a backup restored? ' +
      'It keeps what it holds, but the ledger counts this log only',
  )
  return checkpoint
}

export const endOf = (log: Shards): Promise<Position> => Promise.all(log.shards.map((shard) => shard.end()))

/** The position that a store's checkpoint names; undefined if it is another log's, or of a later state of this one. */
export function heldOf(log: LogIdentity, text: string, end: Position): Position | undefined {
  const held = positionOf(log, text)
  return held?.every((offset, shard) => offset <= (end[shard] ?? offset)) ? held : undefined
}

/** Undefined if it is none of this log's. */
export function positionOf(log: LogIdentity, text: string): Position | undefined {
  try {
    return parsePosition(log, text)
  } catch (error) {
    if (error instanceof LogError) return undefined
    throw error
  }
}
