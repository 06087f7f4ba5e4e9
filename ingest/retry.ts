/**
 * Owns how long a store is tried: for ever. The log holds what is not stored yet, so a write is given up only when the
 * role stops. Waits are the store's own `Retry-After`, or grow and are jittered, so that many workers do not come
 * back at once. They grow with failures in a row: one that comes after a part was done is the first of a new row.
 */

import { setTimeout as pause } from 'node:timers/promises'
import { type PointStore, type StoreBatch, StoreError, type WriteOutcome } from './store.ts'

/** Wait before the first retry of a write; doubles up to the next limit; jittered down to a half. */
const STORE_RETRY_FIRST_MS = 200
const STORE_RETRY_MS_MAX = 30_000
/** Pace of retries that a person must end (credentials, bucket). */
const STORE_RETRY_SLOWLY_MS = 15_000
/** A longer `Retry-After` is cut to this. */
const STORE_RETRY_AFTER_MS_MAX = 300_000

export interface Retrier {
  /** 0 <= random() < 1. */
  readonly random: () => number
  /** A write failed and will be tried again after `waitMs`. */
  onRetry(error: StoreError, waitMs: number): void
}

/**
 * Resolves when the batch is written. Rejects with `store-stopped` when `signal` aborts, and with what the store threw
 * if that is no `StoreError`: our own mistake, not the world's.
 */
export async function writeUntilStored(
  store: PointStore,
  batch: StoreBatch,
  signal: AbortSignal,
  retrier: Retrier,
): Promise<WriteOutcome> {
  for (let failures = 0; ; failures++) {
    try {
      return await store.write(batch, signal)
    } catch (error) {
      if (signal.aborted) throw stopped(error)
      if (!(error instanceof StoreError)) throw error
      if (error.progressed) failures = 0
      const waitMs = retryWaitMs(error, failures, retrier.random())
      retrier.onRetry(error, waitMs)
      await pause(waitMs, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) throw stopped(error)
    }
  }
}

/** The wait before the next attempt after `failures` earlier ones, milliseconds. */
export function retryWaitMs(error: StoreError, failures: number, random: number): number {
  if (error.retryAfterMs !== undefined) {
    return Math.min(Math.max(error.retryAfterMs, STORE_RETRY_FIRST_MS), STORE_RETRY_AFTER_MS_MAX)
  }
  const full =
    error.retry === 'slowly'
      ? STORE_RETRY_SLOWLY_MS
      : Math.min(STORE_RETRY_MS_MAX, STORE_RETRY_FIRST_MS * 2 ** Math.min(failures, 30))
  return full * (0.5 + random / 2)
}

function stopped(cause: unknown): StoreError {
  return new StoreError('store-stopped', 'the write was given up because ingest stops', { retry: 'soon', cause })
}
