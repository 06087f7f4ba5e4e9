/**
 * Owns following one shard's messages: a loop reads what is new, once for all in this process who follow, and who is behind reads for himself
 * until he is there.
 *
 *   idle --somebody follows--> reading from the end --nobody follows any more--> idle
 */

import { LOG_READ_BYTES_MAX, LOG_READ_ENTRIES_MAX } from '../../platform/limits.ts'
import type { Batch } from '../entry.ts'
import type { Offset } from '../position.ts'
import { RecentCommits } from '../tables/recent-commits.ts'
import { Signal } from '../tables/signal.ts'
import type { Reachability } from './reachability.ts'
import type { ReadLimits } from './streams.ts'

/** How long one look for what is new waits. */
const READ_WAIT_MS = 10_000
const LIMITS = { bytesMax: LOG_READ_BYTES_MAX, recordsMax: LOG_READ_ENTRIES_MAX }

export interface TailDependencies {
  readonly end: () => Promise<number>
  readonly read: (from: Offset, limits: ReadLimits) => Promise<Batch | undefined>
  readonly reachability: Reachability
}

export class Tail {
  readonly #deps: TailDependencies
  readonly #recent = new RecentCommits()
  readonly #moved = new Signal()
  readonly #closing = new AbortController()
  #followers = 0
  #reading: AbortController | undefined
  /** Why the loop cannot go on: whoever follows is told. */
  #failure: { readonly error: unknown } | undefined
  /** Up to where the loop has read; undefined while it does not know. */
  #end: number | undefined

  constructor(deps: TailDependencies) {
    this.#deps = deps
  }

  async *follow(from: Offset, signal: AbortSignal): AsyncGenerator<Batch> {
    const ending = AbortSignal.any([signal, this.#closing.signal])
    const wake = () => this.#moved.raise()
    const who = {}
    ending.addEventListener('abort', wake, { once: true })
    this.#join()
    try {
      for (let offset = from; !ending.aborted; ) {
        const seen = this.#moved.raised
        if (this.#failure !== undefined) throw this.#failure.error
        const batch = this.#recent.from(offset) ?? (await this.#behind(who, offset, ending))
        if (batch === undefined) await this.#moved.wait(seen)
        else {
          offset = batch.next
          yield batch
        }
      }
    } finally {
      this.#leave()
      ending.removeEventListener('abort', wake)
    }
  }

  close(): void {
    this.#closing.abort()
  }

  async #behind(who: object, offset: Offset, signal: AbortSignal): Promise<Batch | undefined> {
    if (this.#end === undefined || offset >= this.#end) return undefined
    let batch: Batch | undefined
    await this.#deps.reachability.tried(
      who,
      async () => {
        batch = await this.#deps.read(offset, { ...LIMITS, waitMs: 0 })
      },
      signal,
    )
    // Nothing came though something is there: it is looked for again.
    if (batch === undefined) this.#moved.raise()
    return batch
  }

  #join(): void {
    this.#recent.join()
    if (this.#followers++ > 0) return
    this.#reading = new AbortController()
    this.#failure = undefined
    this.#read(AbortSignal.any([this.#reading.signal, this.#closing.signal])).catch((error: unknown) => {
      this.#failure = { error }
      this.#moved.raise()
    })
  }

  #leave(): void {
    this.#recent.leave()
    if (--this.#followers > 0) return
    this.#reading?.abort()
    this.#end = undefined
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { end, read, reachability } = this.#deps
    while (!signal.aborted) {
      await reachability.tried(
        this,
        async () => {
          if (this.#end === undefined) {
            const now = await end()
            if (signal.aborted) return
            this.#end = now
          }
          this.#moved.raise()
          const batch = await read(this.#end as Offset, { ...LIMITS, waitMs: READ_WAIT_MS, signal })
          if (batch === undefined || signal.aborted) return
          this.#recent.add(batch.firstOffset, batch.count, batch.bytes)
          this.#end = batch.next
          this.#moved.raise()
        },
        signal,
      )
    }
  }
}
