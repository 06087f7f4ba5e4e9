/**
 * Owns the QoS 2 messages that a session has sent and not released: method A of MQTT 3.1.1 section 4.3.3.
 *
 *   unknown --admit--> appending --durable--> received --PUBREL--> unknown
 *                          |--refused, and a repeat waits--> appending (for the repeat)
 *                          |--refused--> unknown
 *   appending, received --another message under the id--> appending (the other message)
 *
 * A client that has lost its ids between PUBREC and PUBREL numbers from 1 again: what it sends then is new, though the id is
 * known. So a repeat is known by its topic and payload. DUP says nothing: paho.golang sets it on what it never sent.
 *
 * Always true: until its PUBREL a message is appended once and published once, on whichever of the session's connections it
 * comes. The ids belong to the session and not to the client id: a clean one begins with none, whatever a connection before it
 * is still appending.
 * Bound: `AWAITING_PUBREL_MAX` ids, of each a hash; repeats that wait are the caller's to bound. Losing: for one more the oldest is forgotten, and counted. Its message is on
 * disk; only if just that one is sent again, it is appended again.
 */

import { createHash } from 'node:crypto'
import type { NotTaken } from './not-taken.ts'

/** Ids that await their PUBREL; for one more the oldest is forgotten. Clients have 10 to 100 messages under way. */
export const AWAITING_PUBREL_MAX = 1_000
/** What is kept of one, about. */
const ID_BYTES = 200

type Done = (error?: Error | null) => void
type Appended = (error: Error | null | undefined, notTaken: NotTaken | undefined) => void

/** What a message is known by. */
interface Identified {
  readonly messageId?: number | undefined
  readonly topic: string
  readonly payload: Buffer
  /** Bytes of its packet. */
  readonly length?: number
}

export interface Handling {
  readonly append: (appended: Appended) => void
  /** The message is the same as one that is being appended, and waits for that. */
  readonly waits: () => void
  /** The message is the same as one that was admitted, or acknowledged so: it goes to nobody. */
  readonly repeated: (notTaken: NotTaken | undefined) => void
  /** Is told when the message is durable, or why it is not. */
  readonly done: Done
}

interface Entry {
  readonly hash: string
  /** Those who wait for the append, while it lasts; the first of them has begun it. */
  waiting: Handling[] | undefined
  /** How it was acknowledged, if not as taken: its sender may not have heard of it. */
  notTaken: NotTaken | undefined
}

export interface AwaitingPubrelEvents {
  /** So many more bytes are kept, or fewer. */
  readonly grow: (bytes: number) => void
  readonly forgotten: () => void
}

export class AwaitingPubrel {
  readonly #events: AwaitingPubrelEvents
  /** By packet id, the oldest first. */
  readonly #entries = new Map<number, Entry>()

  constructor(events: AwaitingPubrelEvents) {
    this.#events = events
  }

  admit(message: Identified, handling: Handling): void {
    const { messageId: id = 0 } = message
    const hash = hashOf(message)
    const known = this.#entries.get(id)
    if (known?.hash !== hash) this.#begin(id, hash, handling)
    else if (known.waiting !== undefined) {
      handling.waits()
      known.waiting.push(handling)
    } else {
      handling.repeated(known.notTaken)
      handling.done()
    }
  }

  #begin(id: number, hash: string, handling: Handling): void {
    const entry: Entry = { hash, waiting: [handling], notTaken: undefined }
    this.#delete(id)
    this.#entries.set(id, entry)
    this.#events.grow(ID_BYTES)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > AWAITING_PUBREL_MAX && oldest !== undefined) {
      this.#delete(oldest)
      this.#events.forgotten()
    }
    this.#append(id, entry, handling)
  }

  #append(id: number, entry: Entry, { append, done }: Handling): void {
    append((error, notTaken) => {
      const [, ...repeats] = entry.waiting ?? []
      const [next] = repeats
      if (!error) {
        entry.waiting = undefined
        entry.notTaken = notTaken
        done()
        for (const each of repeats) {
          each.repeated(notTaken)
          each.done()
        }
      } else {
        entry.waiting = repeats
        // The connection that it came on may be gone: that of a repeat is another. (Many may be gone: not in one stack.)
        if (next !== undefined) queueMicrotask(() => this.#append(id, entry, next))
        else if (this.#entries.get(id) === entry) this.#delete(id)
        done(error)
      }
    })
  }

  /** Whether the message of this id was received and not released. */
  has(id: number): boolean {
    const entry = this.#entries.get(id)
    return entry !== undefined && entry.waiting === undefined
  }

  release(id: number): void {
    if (this.has(id)) this.#delete(id)
  }

  #delete(id: number): void {
    if (this.#entries.delete(id)) this.#events.grow(-ID_BYTES)
  }
}

/** Of what is larger than it may be, the payload was not kept: its length is. */
function hashOf({ topic, payload, length = 0 }: Identified): string {
  return createHash('sha256').update(`${length} ${topic}\0`).update(payload).digest('base64')
}
