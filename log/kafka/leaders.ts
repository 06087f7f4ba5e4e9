/**
 * Owns which broker leads each partition, and who is asked when one has moved or does not answer: a request goes to the leader; what
 * may pass is asked again, of the leader as it is known by then, until the asker's patience ends.
 *
 * Always true: of those who find out at once that a leader has moved, one asks the brokers where to. What fails in the end is a `LogError`
 * `log-unreachable` that names the broker and what happened.
 */

import { setTimeout as pause } from 'node:timers/promises'
import { LogError } from '../log-error.ts'
import { type BrokerAddress, formatBroker } from './address.ts'
import type { KafkaClient } from './client.ts'
import { BrokerError, type ClusterPicture, type TopicPartition } from './requests.ts'

const RETRY_PAUSE_MS = 200

export class Leaders {
  readonly #client: KafkaClient
  readonly #bootstrap: readonly BrokerAddress[]
  readonly #topics: readonly string[]
  readonly #where: string
  #picture: ClusterPicture | undefined
  #lastBrokers: readonly BrokerAddress[] = []
  #looking: Promise<ClusterPicture> | undefined

  constructor(client: KafkaClient, bootstrap: readonly BrokerAddress[], topics: readonly string[], where: string) {
    this.#client = client
    this.#bootstrap = bootstrap
    this.#topics = topics
    this.#where = where
  }

  /** The cluster as the broker that answers first sees it. */
  look(): Promise<ClusterPicture> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** As `look`; rejects with a `LogError`. */
  async lookOnce(): Promise<ClusterPicture> {
    return await this.look().catch((error) => this.refuse(error))
  }

  async leaderOf({ topic, partition }: TopicPartition): Promise<BrokerAddress> {
    const picture = this.#picture ?? (await this.look())
    const leader = picture.topics.get(topic)?.[partition]?.leader
    if (leader === undefined) throw new BrokerError(`no broker leads partition ${partition} of ${topic}`)
    return leader
  }

  /** Asks the leader of `place`, for up to `patienceMs` and as long as one request takes. An answer that is not passing is thrown as it is. */
  async ask<R>(
    place: TopicPartition,
    patienceMs: number,
    request: (leader: BrokerAddress) => Promise<R>,
    signal?: AbortSignal,
  ): Promise<R> {
    const until = performance.now() + patienceMs
    for (;;) {
      const picture = this.#picture
      try {
        return await request(await this.leaderOf(place))
      } catch (error) {
        if (!(error instanceof BrokerError)) throw error
        // Unless another one has already looked again.
        if (this.#picture === picture) this.#picture = undefined
        const isOver = signal?.aborted === true || this.#client.isClosed || performance.now() >= until
        if (!error.isPassing || isOver) throw error
      }
      await pause(RETRY_PAUSE_MS, undefined, { ...(signal && { signal }) }).catch(() => {})
    }
  }

  /** What a failed request is for those who use the log. */
  refuse(error: unknown): never {
    if (!(error instanceof BrokerError)) throw error
    throw new LogError('log-unreachable', `the log at ${this.#where} does not answer: ${error.message}`, {
      cause: error,
    })
  }

  async #look(): Promise<ClusterPicture> {
    // All at once: one that is stopped or cut off would hold up the look until it is timed out.
    try {
      const picture = await Promise.any(this.#known.map((broker) => this.#client.metadata(broker, this.#topics)))
      this.#picture = picture
      this.#lastBrokers = picture.brokers
      return picture
    } catch (error) {
      const errors = error instanceof AggregateError ? error.errors : [error]
      if (!errors.every((each) => each instanceof BrokerError)) throw error
      const isPassing = errors.some((each) => each.isPassing)
      throw new BrokerError(errors.map(({ message }) => message).join('; '), errors[0]?.answer, isPassing, error)
    }
  }

  /** Those that were named to us, and those that the last answer named: the addresses of the first may be old by now. */
  get #known(): BrokerAddress[] {
    const byName = new Map([...this.#bootstrap, ...this.#lastBrokers].map((each) => [formatBroker(each), each]))
    return [...byName.values()]
  }
}
