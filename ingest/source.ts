/**
 * Owns what ingest reads of the log, and from where.
 *
 *   start --the embedded store is behind the checkpoint--> restoring --checkpoint reached--> following
 *     '-----------------------------------------------------------------------------------------^
 *
 * Always true: a store that lost what was accounted for as stored (an older copy was put back, its file or its write-ahead
 * log was removed) is given it again, as far as the log still holds it; what is read for that is not accounted for twice.
 */

import { type Batch, skipEntries } from '../log/entry.ts'
import { type EntryReader, INGEST_READER, type Ledgers, LogError } from '../log/log.ts'
import type { Position } from '../log/position.ts'
import type { Logger } from '../platform/logger.ts'

export interface Source {
  readonly batch: Batch
  /** The books have it already: it is for the store only. */
  readonly isAccounted: boolean
}

/** What a store says of itself when it is open. */
export interface StoreAtStart {
  readonly isEmbedded: boolean
  /** Of an embedded store: the log's position up to which it holds everything; undefined while it holds nothing. */
  readonly checkpoint: string | undefined
}

export async function* readForIngest(
  log: EntryReader & Ledgers,
  store: StoreAtStart,
  logger: Logger,
  signal: AbortSignal,
): AsyncGenerator<Source> {
  const checkpoint = (await log.checkpoint(INGEST_READER)) ?? (await log.first())
  const lacking = store.isEmbedded ? await firstLacking(log, store.checkpoint, checkpoint, logger) : undefined
  if (lacking !== undefined) {
    for await (const batch of log.follow(lacking, signal)) {
      if (batch.missed > 0) logger.error({ missed: batch.missed }, 'the log does not hold all that the store lacks')
      const part = before(log, batch, checkpoint)
      if (part.count > 0) yield { batch: part, isAccounted: true }
      if (log.compare(batch.next, checkpoint) >= 0) break
    }
    if (!signal.aborted) logger.warn('the store has been given again what the log holds')
  }
  for await (const batch of log.follow(checkpoint, signal)) {
    if (batch.missed > 0) logger.error({ missed: batch.missed }, 'entries left the log before they were stored')
    yield { batch, isAccounted: false }
  }
}

/** From where on an embedded store lacks what was stored; undefined if it lacks nothing. */
async function firstLacking(
  log: EntryReader & Ledgers,
  held: string | undefined,
  checkpoint: Position,
  logger: Logger,
): Promise<Position | undefined> {
  if (held === undefined) {
    const { stored } = await log.ledger(INGEST_READER)
    if (stored === 0) return undefined
    logger.warn({ stored }, 'the store is empty, though messages of this log were stored: they are written to it again')
    return log.first()
  }
  try {
    if (log.compare(held as Position, await log.end()) <= 0) {
      if (log.compare(held as Position, checkpoint) >= 0) return undefined
      const positions = { store: held, log: checkpoint }
      logger.warn(positions, 'the store lacks messages that were stored: they are written to it again from the log')
      return held as Position
    }
  } catch (error) {
    if (!(error instanceof LogError)) throw error
  }
  logger.warn(
    { store: held, log: await log.end() },
    'the store was written from another log, or from a later state of this one: was a backup restored? ' +
      'It keeps what it holds, but the ledger counts this log only',
  )
  return undefined
}

/** The entries of `batch` that lie before `position`. */
function before(log: EntryReader & Ledgers, batch: Batch, position: Position): Batch {
  if (log.compare(batch.next, position) <= 0) return batch
  let count = 0
  while (log.compare(log.positionAfter(batch, batch.firstOffset + count), position) <= 0) count++
  return { ...batch, count, bytes: batch.bytes.subarray(0, skipEntries(batch.bytes, count)), next: position }
}
