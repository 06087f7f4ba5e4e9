/**
 * Owns the foreign topics on which messages came that no map is for, each with the newest payload, for whoever is to write a map: kept in
 * a file that `telltale map propose` reads.
 *
 * Bounds: `UNMAPPED_TOPICS_MAX` topics, `UNMAPPED_TOPICS_PER_SENDER_MAX` of one sender; for one more the one that was quiet for longest
 * goes. Of a payload `SAMPLE_BYTES_MAX` are kept. Losing: what came in the last `WRITE_INTERVAL_MS` before a crash; it comes again.
 */

import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { UnmappedTopic } from './proposal.ts'

const UNMAPPED_TOPICS_MAX = 1_000
const UNMAPPED_TOPICS_PER_SENDER_MAX = 200
const SAMPLE_BYTES_MAX = 2_048
const TOPIC_BYTES_MAX = 512
const WRITE_INTERVAL_MS = 1_000

export class UnmappedTopics {
  readonly #file: string
  readonly #clock: Clock
  readonly #logger: Logger
  /** The one that was quiet for longest first. */
  readonly #topics = new Map<string, UnmappedTopic>()
  readonly #perSender = new Map<string, number>()
  #writing: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(file: string, { clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#file = file
    this.#clock = clock
    this.#logger = logger
  }

  note(sender: string, topic: string, payload: Buffer): void {
    if (Buffer.byteLength(topic) > TOPIC_BYTES_MAX) return
    const known = this.#topics.get(topic)
    if (known !== undefined) this.#forget(known)
    else this.#makeRoom(sender)
    const messages = (known?.messages ?? 0) + 1
    const sample = Buffer.from(payload.subarray(0, SAMPLE_BYTES_MAX)).toString('base64')
    const isWhole = payload.length <= SAMPLE_BYTES_MAX
    this.#topics.set(topic, { topic, sender, messages, lastAt: this.#clock.now(), payload: sample, isWhole })
    this.#perSender.set(sender, (this.#perSender.get(sender) ?? 0) + 1)
    this.#timer ??= setTimeout(() => this.#write(), WRITE_INTERVAL_MS).unref()
  }

  /** Resolves when what is known is in the file. */
  async stop(): Promise<void> {
    if (this.#timer !== undefined) this.#write()
    await this.#writing
  }

  #makeRoom(sender: string): void {
    const own = (this.#perSender.get(sender) ?? 0) >= UNMAPPED_TOPICS_PER_SENDER_MAX
    if (!own && this.#topics.size < UNMAPPED_TOPICS_MAX) return
    for (const topic of this.#topics.values()) {
      if (own && topic.sender !== sender) continue
      this.#forget(topic)
      return
    }
  }

  #forget({ topic, sender }: UnmappedTopic): void {
    this.#topics.delete(topic)
    const left = (this.#perSender.get(sender) ?? 1) - 1
    if (left === 0) this.#perSender.delete(sender)
    else this.#perSender.set(sender, left)
  }

  #write(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const text = JSON.stringify([...this.#topics.values()])
    const before = this.#writing ?? Promise.resolve()
    this.#writing = before
      .then(() => this.#replace(text))
      .catch((error: unknown) => {
        this.#logger.warn({ err: error }, 'topics without a map could not be written down')
      })
  }

  /** Not flushed: after a power cut it comes again. */
  async #replace(text: string): Promise<void> {
    await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 })
    await writeFile(`${this.#file}.tmp`, text, { mode: 0o600 })
    await rename(`${this.#file}.tmp`, this.#file)
  }
}
