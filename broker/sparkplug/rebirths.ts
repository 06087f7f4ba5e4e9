/**
 * Owns asking edge nodes of Sparkplug to be born again (`Node Control/Rebirth`, 3.0 section 6.4.19): something of what they say is
 * not known, or has not come.
 *
 *   quiet --ask--> asked --ask--> waiting --its time has come--> asked
 *     ^              |               |
 *     '----born------+---born, gone--'
 *
 * Always true: what was wanted is asked, at once or when its time has come, unless the edge node was born since, or went.
 * Bounds: until it has been born an edge node is asked once in `REBIRTH_INTERVAL_MS`; then again at once, `REBIRTHS_AT_ONCE` times in a
 * row, for one whose births mend nothing would be asked as fast as it is born. `REBIRTHS_PER_SECOND_MAX` are asked in all, and
 * `WAITING_MAX` wait; full: it is asked at a later message.
 */

import { commandTopic, nodeIdOf, type SparkplugTopic } from '../../maps/sparkplug/topic.ts'
import type { Clock } from '../../platform/clock.ts'
import { TokenBucket } from '../../platform/token-bucket.ts'
import { EDGE_NODES_MAX } from './edge-nodes.ts'

const REBIRTH_INTERVAL_MS = 10_000
const REBIRTHS_AT_ONCE = 3
const REBIRTHS_PER_SECOND_MAX = 100
const WAITING_MAX = EDGE_NODES_MAX
/** How often those that wait are looked at. */
const LOOK_INTERVAL_MS = 100
/** Name, datatype and value of its one metric: fields 1, 4 and 14 (3.0, section 6.4); its timestamp is field 3. */
const NAME = Buffer.from('\x0a\x14Node Control/Rebirth')
const IS_TRUE = Buffer.from([0x20, 11, 0x70, 1])

type Named = Pick<SparkplugTopic, 'group' | 'node'>

/** An edge node that was asked. */
interface Asked {
  readonly bucket: TokenBucket
  /** Milliseconds. */
  at: number
  isBorn: boolean
}

export class Rebirths {
  readonly #clock: Clock
  readonly #send: (topic: string, payload: Buffer) => void
  /** By id. Who was asked longest ago comes first. */
  readonly #asked = new Map<string, Asked>()
  /** The topics on which they are asked, by id. */
  readonly #waiting = new Map<string, string>()
  readonly #all = new TokenBucket({ capacity: REBIRTHS_PER_SECOND_MAX, perSecond: REBIRTHS_PER_SECOND_MAX })
  #looking: NodeJS.Timeout | undefined

  constructor(send: (topic: string, payload: Buffer) => void, { clock }: { readonly clock: Clock }) {
    this.#send = send
    this.#clock = clock
  }

  /** It is wanted: now, or when its time has come. */
  ask(node: Named): void {
    const id = nodeIdOf(node)
    if (this.#waiting.has(id)) return
    const topic = commandTopic(node.group, node.node)
    const now = this.#clock.now()
    this.#forget(now)
    if (this.#tryAsk(id, topic, now) || this.#waiting.size >= WAITING_MAX) return
    this.#waiting.set(id, topic)
    this.#looking ??= setInterval(() => this.#look(), LOOK_INTERVAL_MS).unref()
  }

  /** It was born, so nothing that was wanted before is. */
  born(node: Named): void {
    const id = nodeIdOf(node)
    this.gone(id)
    const asked = this.#asked.get(id)
    if (asked !== undefined) asked.isBorn = true
  }

  /** It begins with a birth when it is back. */
  gone(id: string): void {
    this.#waiting.delete(id)
    if (this.#waiting.size === 0) this.stop()
  }

  /** Nobody who waits is asked any more. */
  stop(): void {
    clearInterval(this.#looking)
    this.#looking = undefined
    this.#waiting.clear()
  }

  #look(): void {
    const now = this.#clock.now()
    for (const [id, topic] of this.#waiting) {
      if (this.#all.tokens(now) < 1) return
      if (this.#tryAsk(id, topic, now)) this.gone(id)
    }
  }

  /** Whether it was asked. */
  #tryAsk(id: string, topic: string, now: number): boolean {
    const asked = this.#asked.get(id)
    // Also when the clock was set back since.
    const isOver = asked === undefined || asked.isBorn || Math.abs(now - asked.at) >= REBIRTH_INTERVAL_MS
    const bucket =
      asked?.bucket ?? new TokenBucket({ capacity: REBIRTHS_AT_ONCE, perSecond: 1_000 / REBIRTH_INTERVAL_MS })
    if (!isOver || bucket.tokens(now) < 1 || this.#all.tokens(now) < 1) return false
    bucket.take(now)
    this.#all.take(now)
    this.#asked.delete(id)
    this.#asked.set(id, { bucket, at: now, isBorn: false })
    this.#send(topic, rebirth(now))
    return true
  }

  /** Of whom all may begin anew. */
  #forget(now: number): void {
    for (const [id, { bucket, at }] of this.#asked) {
      if (at <= now && bucket.tokens(now) < REBIRTHS_AT_ONCE) return
      this.#asked.delete(id)
    }
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
