/**
 * Owns which shards of a log this process ingests where several do: each has a part of them, by claims in the log.
 *
 *   free --claimed--> ours --more than our part, for another has come--> given back, when what is in hand is done
 *                      '--the others took this process for gone--> lost at once; another has claimed it, or will
 *
 * Always true: all have parts of the same size, the older ones one more where it does not come out even; each shard is claimed by one. One that
 * believes to have a shard that another has changes nothing: progress counts from where the reader is, and only there.
 * Bound: a look each `LOOK_MS`, at what this process knows; nothing is asked of the log while nothing changes.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../log/log.ts'
import { LogError } from '../log/log-error.ts'
import type { Logger } from '../platform/logger.ts'

const LOOK_MS = 1_000

export interface LeasesDependencies {
  readonly log: Pick<Log, 'shards' | 'members' | 'roles' | 'claim' | 'release'>
  /** An embedded store is one process's, which has all shards; the others stand by. */
  readonly isWhole: boolean
  readonly logger: Logger
  readonly begin: (shards: readonly number[]) => Promise<void>
  /** Resolves when nothing of it is in hand. */
  readonly end: (shard: number) => Promise<void>
  readonly lose: (shard: number) => void
  /** After each look. */
  readonly looked: () => void
  /** Of the log something else came than that it does not answer. */
  readonly failed: (error: unknown) => void
}

export class Leases {
  readonly #deps: LeasesDependencies
  readonly #held = new Set<number>()
  /** Held, and to be begun again: another process has passed something of it. */
  readonly #passed = new Set<number>()
  readonly #stopping = new AbortController()
  /** The name under which this process has what it holds. */
  #self = ''

  constructor(deps: LeasesDependencies) {
    this.#deps = deps
  }

  /** Whether no other process can have what is held here. */
  get areSure(): boolean {
    const { members } = this.#deps.log
    return members.isHeard && members.self === this.#self
  }

  start(): void {
    void this.#keepLooking()
  }

  /** Begins nothing more. What is held stays so until this process has left the log: what is in hand is still to be counted. */
  stop(): void {
    this.#stopping.abort()
  }

  /** It is begun again at the next look, if it is still ours. */
  passed(shard: number): void {
    this.#passed.add(shard)
  }

  async #keepLooking(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await this.#look()
      } catch (error) {
        if (signal.aborted) return
        // So much waits for the log that this must not: the next look asks again.
        if (!(error instanceof LogError && error.code === 'log-busy')) {
          this.#deps.failed(error)
          return
        }
      }
      this.#deps.looked()
      await delay(LOOK_MS, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  async #look(): Promise<void> {
    const { log, begin, end, logger } = this.#deps
    if (log.members.self !== this.#self) this.#loseAll()
    const part = this.#part()
    for (const shard of [...this.#held].slice(part)) {
      await end(shard)
      await log.release(claimOf(shard))
      this.#held.delete(shard)
      logger.info({ shard }, 'another process ingests a shard that was ingested here')
    }
    const taken = [...this.#passed].filter((shard) => this.#held.has(shard))
    this.#passed.clear()
    for (const shard of log.shards.keys()) {
      if (this.#held.size >= part) break
      if (this.#held.has(shard) || !(await log.claim(claimOf(shard)))) continue
      if (this.#stopping.signal.aborted) return
      this.#held.add(shard)
      taken.push(shard)
      logger.info({ shard }, 'a shard is ingested here')
    }
    if (taken.length > 0) await begin(taken)
  }

  #loseAll(): void {
    this.#self = this.#deps.log.members.self
    for (const shard of this.#held) this.#deps.lose(shard)
    this.#held.clear()
  }

  /** How many shards are this process's. */
  #part(): number {
    const { log, isWhole } = this.#deps
    const { length: shards } = log.shards
    const all = log.roles.all().filter(({ role, isRunning }) => role === 'ingest' && isRunning)
    all.sort((a, b) => a.since - b.since || (a.member < b.member ? -1 : 1))
    const rank = all.findIndex(({ member }) => member === this.#self)
    if (rank < 0) return 0
    if (isWhole) return rank === 0 ? shards : 0
    return Math.floor(shards / all.length) + (rank < shards % all.length ? 1 : 0)
  }
}

const claimOf = (shard: number) => `ingest ${shard}`
