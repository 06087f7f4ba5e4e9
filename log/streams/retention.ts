/**
 * Owns how much of the messages is kept, and when no more are taken. The engine removes nothing by itself: it would remove what nobody has read.
 *
 *   taking --more bytes than allowed, and nothing that is accounted for is left to remove--> full --room again--> taking
 *
 * Always true: what ingest has not accounted for stays. Bound: one look every `RETENTION_INTERVAL_MS`, by every process that takes messages; to remove
 * twice changes nothing.
 */

import type { Clock } from '../../platform/clock.ts'
import { LOG_LOW_WATER_RATIO, RETENTION_INTERVAL_MS } from '../../platform/limits.ts'
import type { Logger } from '../../platform/logger.ts'
import { INGEST_READER } from '../log.ts'
import { LogError } from '../log-error.ts'
import type { Reachability } from './reachability.ts'
import type { Replica } from './replica.ts'
import type { Stream, Streams } from './streams.ts'

export interface RetentionDependencies {
  readonly streams: Streams
  readonly shards: readonly { readonly stream: Stream; readonly replica: Replica }[]
  readonly reachability: Reachability
  readonly maxBytes: number
  readonly retentionMs: number
  readonly clock: Clock
  readonly logger: Logger
}

export class StreamRetention {
  readonly #deps: RetentionDependencies
  readonly #stopping = new AbortController()
  #timer: NodeJS.Timeout | undefined
  /** What the messages took when some were removed last for their size: an engine may free it later, and nothing more is removed for it until then. */
  #removedAt = Number.POSITIVE_INFINITY
  #looking: Promise<unknown> = Promise.resolve()
  /** What the messages took on disk when it was last looked. */
  bytes = 0
  full: LogError | undefined

  constructor(deps: RetentionDependencies) {
    this.#deps = deps
  }

  async start(): Promise<void> {
    await this.#look()
    this.#timer = setInterval(() => {
      this.#looking = this.#deps.reachability
        .tried(this, () => this.#look(), this.#stopping.signal)
        .catch((error) => this.#deps.logger.error({ err: error }, 'retention failed, and is tried again'))
    }, RETENTION_INTERVAL_MS).unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#stopping.abort()
    await this.#looking
  }

  async #look(): Promise<void> {
    const { streams, shards, maxBytes, retentionMs, clock, logger } = this.#deps
    this.bytes = (await streams.sizeOf('log')).bytes
    const lowWater = maxBytes * LOG_LOW_WATER_RATIO
    const isFreed = this.bytes < this.#removedAt || this.bytes >= maxBytes
    const excess = this.bytes <= lowWater || !isFreed ? 0 : (this.bytes - lowWater) / this.bytes
    this.#removedAt = excess > 0 || !isFreed ? this.bytes : Number.POSITIVE_INFINITY
    const oldest = clock.now() - retentionMs
    let removable = 0
    for (const { stream, replica } of shards) {
      const accounted = replica.ledgers.next(INGEST_READER)
      const first = await stream.first()
      const byTime = oldest > 0 ? await stream.at(oldest) : 0
      const bySize = first + Math.ceil((accounted - first) * excess)
      const before = Math.min(accounted, Math.max(byTime, bySize))
      removable += Math.max(0, accounted - first)
      if (before > first) await stream.removeBefore(before)
    }
    const isFull = this.bytes >= maxBytes && removable === 0
    if (isFull && this.full === undefined) logger.error({ bytes: this.bytes, maxBytes }, FULL)
    if (!isFull && this.full !== undefined) logger.warn('the log has room again')
    this.full = isFull ? new LogError('log-full', `the log holds ${this.bytes} bytes: ${FULL}`) : undefined
  }
}

const FULL =
  'the log is full of messages that are not stored yet, so new ones are refused: is ingest running, and its store?'
