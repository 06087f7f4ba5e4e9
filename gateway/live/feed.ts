/**
 * Owns the door to what becomes of a subscription's messages: frames with all their readings (`PlainFeed`), with what they are
 * reduced to (`ReducedFeed`), or with the messages as they came (`RawFeed`). The live tail has one feed for each group of apps that
 * asked alike; an app that is sent the past has one of its own meanwhile.
 */

import { LIVE_FRAME_CHARS_MAX } from '../../platform/limits.ts'
import type { Frame } from '../server/server.ts'
import type { Cursor } from './cursor.ts'
import { type Encoded, JSON_TEXT } from './encoding.ts'
import type { Message, Part } from './message.ts'

/** What a feed makes its frames for. */
export interface FeedTarget extends Part {
  /** The subscription's name. */
  readonly name: string
  /** What is taken is what a store has of the time of a gap. */
  readonly byTime?: boolean
}

export interface FeedOutput {
  /** The text of a cursor. */
  readonly cursorText: (cursor: Cursor) => string
  /** Sends a frame of so many readings, or messages. */
  readonly publish: (frame: Frame, readings: number) => void
}

export interface Feed {
  /** The place after which nothing was published yet, if anything that was taken waits for a later frame. */
  readonly pendingSince: Cursor | undefined
  /** Messages come in the order of their shard. Whether anything of it is wanted. */
  take(message: Message): boolean
  /** Ends a turn, all of whose messages were taken: `place` lies after them. */
  flush(place: Cursor): void
  /** What time alone brings about. */
  tick(now: number, place: Cursor): void
  /** Publishes all that was taken. */
  finish(place: Cursor): void
  /** Lets go of what was taken: nobody wants it any more. */
  drop(): void
}

/** Every reading, in frames of at most `LIVE_FRAME_CHARS_MAX`, at the end of each turn. */
export class PlainFeed implements Feed {
  readonly pendingSince = undefined
  readonly #target: FeedTarget
  readonly #output: FeedOutput
  #readings: Encoded[] = []
  #chars = 0

  constructor(target: FeedTarget, output: FeedOutput) {
    this.#target = target
    this.#output = output
  }

  take(message: Message): boolean {
    let isWanted = false
    for (let index = message.skip; index < message.readings.length; index++) {
      const encoded = message.encoded(index, this.#target)
      if (encoded === undefined) continue
      isWanted = true
      if (this.#readings.length > 0 && this.#chars + encoded.length > LIVE_FRAME_CHARS_MAX) {
        this.#publish(message.before(index))
      }
      this.#readings.push(encoded)
      this.#chars += encoded.length
    }
    return isWanted
  }

  flush(place: Cursor): void {
    if (this.#readings.length > 0) this.#publish(place)
  }

  tick(): void {}

  finish(place: Cursor): void {
    this.flush(place)
  }

  drop(): void {}

  #publish(place: Cursor): void {
    const { cursorText, publish } = this.#output
    const { encoding = JSON_TEXT } = this.#target
    publish(encoding.frame(this.#target, cursorText(place), this.#readings), this.#readings.length)
    this.#readings = []
    this.#chars = 0
  }
}
