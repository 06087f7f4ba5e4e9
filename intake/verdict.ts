/**
 * Owns what becomes of a PUBLISH, whoever took it:
 *
 *   accepted   acknowledged; it is on disk, or needs not be
 *   set aside  acknowledged, which says so by MQTT 5; it is in the log, with a dead letter, and goes to no subscriber
 *   dropped    acknowledged, gone, counted, told on the device's errors topic: refusing the acknowledgement would block an
 *              honest device's queue for ever
 *   refused    not acknowledged, and the connection ends: the sender keeps the message, and sends it again
 */

import { PAYLOAD_BYTES_MAX } from '../platform/limits.ts'

/** Why a message was acknowledged and dropped. */
export type DropCode = 'payload-too-large' | 'publish-forbidden' | 'rate-limited'

export interface Dropped {
  readonly kind: 'dropped'
  readonly code: DropCode
  /** Why, for a person. */
  readonly text: string
}

export type Verdict =
  | { readonly kind: 'accepted' }
  | Dropped
  | { readonly kind: 'set-aside'; readonly code: 'set-aside'; readonly text: string }
  | { readonly kind: 'refused'; readonly error: Error }

export const ACCEPTED: Verdict = { kind: 'accepted' }

export const dropped = (code: DropCode, text: string): Dropped => ({ kind: 'dropped', code, text })
export const setAside = (text: string): Verdict => ({ kind: 'set-aside', code: 'set-aside', text })
export const refused = (error: Error): Verdict => ({ kind: 'refused', error })

/** Of a topic that is shown to a person. */
const TOPIC_CHARS_SHOWN = 200

export const shownTopic = (topic: string): string => JSON.stringify(topic.slice(0, TOPIC_CHARS_SHOWN))

export const tooLarge = (bytes: number): Dropped =>
  dropped('payload-too-large', `a payload has ${bytes} bytes: allowed are ${PAYLOAD_BYTES_MAX}`)

/** What is kept of a message on a foreign topic is more than was published. */
export const keptTooLarge = (bytes: number): Dropped =>
  dropped(
    'payload-too-large',
    `a payload and what is kept with it have ${bytes} bytes: allowed are ${PAYLOAD_BYTES_MAX}`,
  )
