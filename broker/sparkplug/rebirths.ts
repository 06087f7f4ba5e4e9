/**
 * Owns asking edge nodes of Sparkplug to be born again (`Node Control/Rebirth`, 3.0 section 6.4.19): something of what they say is
 * not known, or has not come.
 *
 * Bounds: an edge node is asked once in `REBIRTH_INTERVAL_MS`, and `REBIRTHS_PER_SECOND_MAX` are asked in all; for one more it is
 * asked at a later message.
 */

import { commandTopic } from '../../maps/sparkplug/topic.ts'
import type { Clock } from '../../platform/clock.ts'
import { Throttle } from '../../platform/throttle.ts'
import { TokenBucket } from '../../platform/token-bucket.ts'

const REBIRTH_INTERVAL_MS = 10_000
const REBIRTHS_PER_SECOND_MAX = 100
/** Name, datatype and value of its one metric: fields 1, 4 and 14 (3.0, section 6.4); its timestamp is field 3. */
const NAME = Buffer.from('\x0a\x14Node Control/Rebirth')
const IS_TRUE = Buffer.from([0x20, 11, 0x70, 1])

export class Rebirths {
  readonly #clock: Clock
  readonly #send: (topic: string, payload: Buffer) => void
  readonly #ofNode = new Throttle({ burst: 1, perSecond: 1_000 / REBIRTH_INTERVAL_MS, waitingMax: 0 })
  readonly #all = new TokenBucket({ capacity: REBIRTHS_PER_SECOND_MAX, perSecond: REBIRTHS_PER_SECOND_MAX })

  constructor(send: (topic: string, payload: Buffer) => void, { clock }: { readonly clock: Clock }) {
    this.#send = send
    this.#clock = clock
  }

  /** Whether it was asked now. */
  ask(group: string, node: string): boolean {
    const now = this.#clock.now()
    const topic = commandTopic(group, node)
    if (this.#all.tokens(now) < 1 || this.#ofNode.wait(now, topic) === undefined) return false
    this.#all.take(now)
    this.#send(topic, rebirth(now))
    return true
  }
}

function rebirth(now: number): Buffer {
  const timestamp = varint(Math.floor(now))
  const metric = Buffer.concat([NAME, Buffer.from([0x18]), timestamp, IS_TRUE])
  return Buffer.concat([Buffer.from([0x08]), timestamp, Buffer.from([0x12, metric.length]), metric])
}

function varint(number: number): Buffer {
  const bytes: number[] = []
  let left = number
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80)
  return Buffer.from([...bytes, left])
}
