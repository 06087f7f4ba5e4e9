/**
 * Owns the messages that the tail could not read since their schema, or a map, was not there, until it is known what ingest has made of
 * them. It looks a little later: when the schema comes in between, ingest stores what no app has had, and nothing puts it through again.
 *
 *   noted --ingest is past it, and it can be read now--> looked for among the dead letters and what was put through again
 *           --ingest is past it, and it cannot--> let go                         --not there--> goes to apps, late
 *                                                                                --there--> let go: it comes again
 *
 * Always true: of a message that ingest has set aside nothing is sent here, for it is put through again by itself; and those of a
 * device that are late keep their order. Of one that the gateway of before could not read, and that was stored before this one started, apps
 * that come back have it from the store only. Bounds: `AWAITED_MAX`, `AWAITED_BYTES_MAX`; what is beyond is not noted, and told once.
 * While none is noted nothing is looked at.
 */

import { type Entry, REPLAYED } from '../../log/entry.ts'
import { type DeadLetterBox, INGEST_READER, type Shard } from '../../log/log.ts'
import type { Position } from '../../log/position.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Decoder } from '../../schemas/decoder.ts'
import { Rejection, type RejectionCode } from '../../schemas/reading.ts'
import { outcomeOf } from './telemetry.ts'

const AWAITED_MAX = 10_000
const AWAITED_BYTES_MAX = 16 * 2 ** 20
const LOOK_MS = 250
const LETTERS_PER_LOOK = 1_000
/** What may be known later. */
const WAITING: readonly string[] = ['unknown-schema', 'no-map'] satisfies RejectionCode[]

interface Awaited {
  readonly shard: number
  readonly entry: Entry
}

export interface AwaitedDependencies {
  readonly log: Pick<DeadLetterBox, 'deadLetters' | 'lastDeadLetter'> & {
    readonly shards: readonly Pick<Shard, 'checkpoint' | 'end'>[]
  }
  readonly decoder: Pick<Decoder, 'decode'>
  readonly logger: Logger
  /** Sends it to apps. */
  readonly late: (entries: readonly Awaited[]) => void
  /** How far the tail has come; resolves when it has moved. */
  readonly place: () => Position
  readonly moved: () => Promise<void>
}

export class AwaitedSchemas {
  readonly #dependencies: AwaitedDependencies
  readonly #noted = new Map<string, Awaited>()
  #bytes = 0
  #isTold = false
  /** Dead letters up to here are of messages before the tail's first. */
  #lettersBefore = 0
  #looking: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(dependencies: AwaitedDependencies) {
    this.#dependencies = dependencies
  }

  /** Before the tail reads. */
  async start(): Promise<void> {
    this.#lettersBefore = await this.#dependencies.log.lastDeadLetter()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#looking)
  }

  /** The tail could not read it. */
  note(shard: number, entry: Entry, { code }: Rejection): void {
    if (!WAITING.includes(code)) return
    if (this.#noted.size >= AWAITED_MAX || this.#bytes + entry.payload.length > AWAITED_BYTES_MAX) {
      if (!this.#isTold) {
        this.#dependencies.logger.warn(
          { messages: this.#noted.size },
          'more messages without a schema than are kept: if theirs comes before ingest has come to them, apps have them from the store only',
        )
      }
      this.#isTold = true
      return
    }
    this.#noted.set(keyOf(entry), { shard, entry: { ...entry, payload: Buffer.from(entry.payload) } })
    this.#bytes += entry.payload.length
    this.#lookSoon()
  }

  /** The tail has come to it. */
  passed(entry: Entry): void {
    if (this.#noted.size === 0 || (entry.flags & REPLAYED) === 0) return
    for (const [key, { entry: noted }] of this.#noted) {
      const isIt = noted.device === entry.device && noted.receivedAt === entry.receivedAt
      if (!isIt || noted.stream !== entry.stream || !noted.payload.equals(entry.payload)) continue
      this.#letGo(key)
      return
    }
  }

  #letGo(key: string): void {
    this.#bytes -= this.#noted.get(key)?.entry.payload.length ?? 0
    this.#noted.delete(key)
    if (this.#noted.size === 0) this.#isTold = false
  }

  #lookSoon(): void {
    this.#looking ??= setTimeout(() => {
      this.#look().then(
        () => this.#again(),
        (error) => {
          this.#dependencies.logger.warn(
            { err: error },
            `what came without a schema is looked at again: ${messageOf(error)}`,
          )
          this.#again()
        },
      )
    }, LOOK_MS).unref()
  }

  #again(): void {
    this.#looking = undefined
    if (this.#noted.size > 0 && !this.#isStopped) this.#lookSoon()
  }

  async #look(): Promise<void> {
    const { log, decoder, late, place, moved } = this.#dependencies
    const settled = await Promise.all(log.shards.map((shard) => shard.checkpoint(INGEST_READER)))
    const readable = new Set<string>()
    for (const [key, { shard, entry }] of this.#noted) {
      if (entry.offset >= (settled[shard] ?? 0)) continue
      if (outcomeOf(entry, decoder) instanceof Rejection) this.#letGo(key)
      else readable.add(key)
    }
    if (readable.size === 0) return
    await this.#letGoSetAside()
    const ends = await Promise.all(log.shards.map((shard) => shard.end()))
    // What was put through again before that passes by the tail.
    while (!this.#isStopped && ends.some((end, shard) => (place()[shard] ?? -1) < end)) await moved()
    if (this.#isStopped) return
    const due: Awaited[] = []
    for (const key of readable) {
      const noted = this.#noted.get(key)
      if (noted === undefined) continue
      due.push(noted)
      this.#letGo(key)
    }
    if (due.length > 0) late(due)
  }

  async #letGoSetAside(): Promise<void> {
    const { log } = this.#dependencies
    for (let after = this.#lettersBefore; ; ) {
      const letters = await log.deadLetters({ after, limit: LETTERS_PER_LOOK })
      for (const letter of letters) this.#letGo(keyOf(letter))
      const last = letters.at(-1)
      if (last === undefined) return
      after = last.sequence
    }
  }
}

/** A device's messages are all in one shard. */
const keyOf = ({ device, offset }: Pick<Entry, 'device' | 'offset'>) => `${device} ${offset}`
