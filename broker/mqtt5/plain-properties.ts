/**
 * Owns which properties a PUBLISH of telemetry may have on the short way (`PlainTelemetry`): none, which is one byte; an alias in
 * the place of its topic, and nothing else; or such as mean nothing to the log but for the content type, as long as no subscriber wants them.
 *
 * Always true: what is let pass has been checked as on the long way. A device sends the same properties with each message, or of
 * one form: those that are as the last ones were, byte by byte, are not read again. An alias that is given is the long way's.
 * Bound: `PROPERTIES_BYTES_MAX`; longer ones go the long way.
 */

import { framingOf, NOT_TOLD } from '../../schemas/content-type.ts'
import { readProperties } from './properties.ts'
import type { InboundAliases } from './topic-aliases.ts'

/** A length in one byte. */
const PROPERTIES_BYTES_MAX = 127
const TOPIC_ALIAS = 0x23
/** Its identifier, and a number of two bytes. */
const TOPIC_ALIAS_BYTES = 3
/** Beyond the end of any packet. */
const NOT_PLAIN = Number.POSITIVE_INFINITY

export class PlainProperties {
  readonly #aliases: InboundAliases
  readonly #areWanted: () => boolean
  /** The last ones that were checked, without their length, and what their content type says. */
  #last: Buffer | undefined
  #lastFraming = NOT_TOLD
  framing = NOT_TOLD

  /** `areWanted`: whether a subscriber may have to be sent them. */
  constructor(aliases: InboundAliases, areWanted: () => boolean) {
    this.#aliases = aliases
    this.#areWanted = areWanted
  }

  /** The topic that an alias stands for, in properties that are nothing else. */
  aliasedTopic(bytes: Buffer, at: number): string | undefined {
    if (bytes[at] !== TOPIC_ALIAS_BYTES || bytes[at + 1] !== TOPIC_ALIAS) return undefined
    return this.#aliases.known(((bytes[at + 2] as number) << 8) + (bytes[at + 3] as number))
  }

  /** Where the payload of a packet begins whose properties begin at `at`; beyond its end if it is not plain. */
  payloadAt(bytes: Buffer, at: number, isAliased: boolean): number {
    const length = bytes[at] as number
    this.framing = NOT_TOLD
    if (length === 0) return at + 1
    if (isAliased) return at + 1 + TOPIC_ALIAS_BYTES
    const from = at + 1
    const isPlain = length <= PROPERTIES_BYTES_MAX && this.#isPlain(bytes, from, from + length)
    if (!isPlain || this.#areWanted()) return NOT_PLAIN
    this.framing = this.#lastFraming
    return from + length
  }

  #isPlain(bytes: Buffer, from: number, to: number): boolean {
    if (to > bytes.length) return false
    const last = this.#last
    if (last !== undefined && last.length === to - from && last.compare(bytes, from, to) === 0) return true
    try {
      const properties = bytes.subarray(from, to)
      const { topicAlias, responseTopic, contentType } = readProperties(properties, 'publish')
      if (topicAlias !== undefined || responseTopic !== undefined) return false
      this.#last = Buffer.from(properties)
      this.#lastFraming = framingOf(contentType)
      return true
    } catch {
      // The long way says what is wrong.
      return false
    }
  }
}
