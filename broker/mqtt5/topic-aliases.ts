/**
 * Owns the topic aliases of one connection (section 3.3.2.3.4): those the client sends, and those it is sent.
 *
 * Bound: `TOPIC_ALIASES_MAX` each way. A topic that finds no alias left is sent as it is, for ever.
 */

import { Disconnect } from '../reports/disconnects.ts'
import { PROTOCOL_ERROR, TOPIC_ALIAS_INVALID } from './reason-codes.ts'

/** Aliases that a client may send, and that it is sent at most. A device has a handful of topics. */
export const TOPIC_ALIASES_MAX = 16

export class InboundAliases {
  readonly #topics = new Map<number, string>()

  /** What an alias stands for. */
  known(alias: number): string | undefined {
    return this.#topics.get(alias)
  }

  /** The topic of a PUBLISH. Throws a `Disconnect` for an alias out of range, or that stands for nothing. */
  topicOf(topic: string, alias: number | undefined): string {
    if (alias === undefined) {
      if (topic === '') throw new Disconnect('protocol-error', 'a PUBLISH has neither topic nor alias', PROTOCOL_ERROR)
      return topic
    }
    if (alias === 0 || alias > TOPIC_ALIASES_MAX) {
      throw new Disconnect(
        'protocol-error',
        `topic alias ${alias} is not 1 to ${TOPIC_ALIASES_MAX}`,
        TOPIC_ALIAS_INVALID,
      )
    }
    if (topic !== '') {
      this.#topics.set(alias, topic)
      return topic
    }
    const known = this.#topics.get(alias)
    if (known === undefined) {
      throw new Disconnect('protocol-error', `topic alias ${alias} stands for nothing`, PROTOCOL_ERROR)
    }
    return known
  }
}

export class OutboundAliases {
  readonly #max: number
  readonly #aliases = new Map<string, number>()

  /** `max`: what the client allows. */
  constructor(max: number) {
    this.#max = Math.min(max, TOPIC_ALIASES_MAX)
  }

  /** How to write a topic now. Whoever asks writes it, so that the client knows the alias the next time. */
  of(topic: string): { readonly topic: string; readonly alias: number | undefined } {
    const known = this.#aliases.get(topic)
    if (known !== undefined) return { topic: '', alias: known }
    if (this.#aliases.size >= this.#max) return { topic, alias: undefined }
    const alias = this.#aliases.size + 1
    this.#aliases.set(topic, alias)
    return { topic, alias }
  }
}
