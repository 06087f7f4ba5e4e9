/**
 * Owns the messages that the tail could not read since their schema, or a map, was not there, until it is known what ingest has made of
 * them. It looks a little later: when the schema comes in between, ingest stores what no app has had, and nothing puts it through again.
 *
 *   noted --ingest has stored it, and it can be read now--> goes to apps, late
 *         --ingest has set it aside--> let go: it comes again
 *         --ingest is past it, and it cannot be read, or retention has removed it--> let go
 *
 * Always true: of a message that ingest has set aside nothing is sent here, for it is put through again by itself; and those of a
 * device that are late keep their order. Of one that the gateway of before could not read, and that was stored before this one started, apps
 * that come back have it from the store only. Bounds: `AWAITED_MAX`, `AWAITED_BYTES_MAX`; what is beyond is not noted, and told once.
 * While none is noted nothing is looked at.
 */

import type { Entry } from '../../log/entry.ts'
import { INGEST_READER, type Shard } from '../../log/log.ts'
import type { Offset } from '../../log/position.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Decoder } from '../../schemas/decoder.ts'
import { Rejection, type RejectionCode } from '../../schemas/reading.ts'
import { outcomeOf } from './telemetry.ts'

const AWAITED_MAX = 10_000
const AWAITED_BYTES_MAX = 16 * 2 ** 20
const LOOK_MS = 250
/** What may be known later. */
const WAITING: readonly string[] = ['unknown-schema', 'no-map'] satisfies RejectionCode[]

interface Awaited {
  readonly shard: number
  readonly entry: Entry
}

export interface AwaitedDependencies {
  readonly log: { readonly shards: readonly Pick<Shard, 'checkpoint' | 'undecoded' | 'first'>[] }
  readonly decoder: Pick<Decoder, 'decode'>
  readonly logger: Logger
  /** Sends it to apps. */
  readonly late: (entries: readonly Awaited[]) => void
}

export class AwaitedSchemas {
  readonly #dependencies: AwaitedDependencies
  readonly #noted = new Set<Awaited>()
  #bytes = 0
  #isTold = false
  #looking: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(dependencies: AwaitedDependencies) {
    this.#dependencies = dependencies
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
    this.#noted.add({ shard, entry: { ...entry, payload: Buffer.from(entry.payload) } })
    this.#bytes += entry.payload.length
    this.#lookSoon()
  }

  #letGo(noted: Awaited): void {
    this.#noted.delete(noted)
    this.#bytes -= noted.entry.payload.length
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
    const { log, decoder, late } = this.#dependencies
    for (const [index, shard] of log.shards.entries()) {
      const noted = [...this.#noted].filter((each) => each.shard === index)
      const next = (await shard.checkpoint(INGEST_READER)) ?? 0
      const passed = noted.filter(({ entry }) => entry.offset < next)
      const [first, last] = [passed[0], passed.at(-1)]
      if (first === undefined || last === undefined) continue
      const undecoded = await shard.undecoded(first.entry.offset, (last.entry.offset + 1) as Offset)
      // Of what is gone by now it may have been forgotten.
      const known = await shard.first()
      if (this.#isStopped) return
      const due: Awaited[] = []
      for (const each of passed) {
        const { entry } = each
        this.#letGo(each)
        if (entry.offset < known || undecoded.has(entry.offset)) continue
        if (!(outcomeOf(entry, decoder) instanceof Rejection)) due.push(each)
      }
      if (due.length > 0) late(due)
    }
  }
}
