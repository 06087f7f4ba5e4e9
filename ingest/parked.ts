/**
 * Owns the way back of messages that came before their schema, or whose map was away: set aside as `unknown-schema` or `no-map`, they wait
 * among the dead letters, and are put through again by themselves once it is there.
 *
 *   looking through all --at the end--> following what is set aside --other schemas in force--> looking through all ...
 *
 * Always true: a message is put through only when workers decode what comes by its schema, so none comes back for that; and those of
 * a device in the order in which they came, for they are asked for in that order, one request after another. It is a replay as a
 * person's (`log/local/replays.ts`): a letter is held or in the log again, however a process ends, and a start looks through all.
 * Bounds: `DEAD_LETTER_SEQUENCES_MAX` letters a request, one request at a time; `LETTERS_PER_READ_MAX` are read at a time, and dead letters
 * are bounded themselves.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { type DeadLetterPlace, firstPlace, placeBehind } from '../log/dead-letter-place.ts'
import type { DeadLetter, DeadLetterBox, Shards } from '../log/log.ts'
import { LogError } from '../log/log-error.ts'
import { messageOf } from '../platform/errors.ts'
import { DEAD_LETTER_SEQUENCES_MAX } from '../platform/limits.ts'
import type { Logger } from '../platform/logger.ts'
import { Decoder } from '../schemas/decoder.ts'
import { Rejection, type RejectionCode } from '../schemas/reading.ts'
import type { Registry } from '../schemas/registry.ts'

/** A request that no process carries out is kept: it is looked so often whether one has, and asked again after so long. */
const ASKED_LOOK_MS = 1_000
const ASKED_LOOKS_MAX = 600
const LETTERS_PER_READ_MAX = 100
/** What may be known later. */
const WAITING: readonly string[] = ['unknown-schema', 'no-map'] satisfies RejectionCode[]

export interface ParkedDependencies {
  readonly log: Pick<DeadLetterBox, 'deadLetters' | 'followDeadLetters' | 'deadLetter' | 'replay'> &
    Pick<Shards, 'shards'>
  readonly logger: Logger
  readonly replayed: (messages: number) => void
}

export class Parked {
  readonly #deps: ParkedDependencies
  readonly #stopping = new AbortController()
  /** Ends the look that is under way, for another begins. */
  #looking = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(deps: ParkedDependencies) {
    this.#deps = deps
  }

  /** Whatever the workers are given from now on they decode by these. */
  look(registry: Registry): void {
    this.#looking.abort()
    const looking = new AbortController()
    this.#looking = looking
    const signal = AbortSignal.any([looking.signal, this.#stopping.signal])
    this.#running = this.#running.then(() => this.#look(new Decoder(registry), signal))
  }

  /** Another process does it. */
  rest(): void {
    this.#looking.abort()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #look(decoder: Decoder, signal: AbortSignal): Promise<void> {
    const { log, logger } = this.#deps
    while (!signal.aborted) {
      try {
        let after = firstPlace(log.shards.length)
        do after = await this.#lookThrough(after, decoder, signal)
        while (await this.#isMore(after, signal))
        // It ends by itself when the log is closed.
        return
      } catch (error) {
        if (signal.aborted) return
        logger.error(
          { err: error },
          `messages that wait for their schema are looked through again: ${messageOf(error)}`,
        )
        await delay(ASKED_LOOK_MS, undefined, { signal, ref: false }).catch(() => undefined)
      }
    }
  }

  /** Puts through what is there now after this place; resolves with that behind all that was looked at. */
  async #lookThrough(after: DeadLetterPlace, decoder: Decoder, signal: AbortSignal): Promise<DeadLetterPlace> {
    const { log } = this.#deps
    let place = after
    let known: number[] = []
    while (!signal.aborted) {
      const letters = await log.deadLetters({ after: place, limit: LETTERS_PER_READ_MAX })
      for (const letter of letters) {
        place = placeBehind(place, letter.sequence)
        if (isKnown(letter, decoder)) known.push(letter.sequence)
      }
      const isOver = letters.length === 0
      if (known.length > 0 && (isOver || known.length > DEAD_LETTER_SEQUENCES_MAX - LETTERS_PER_READ_MAX)) {
        await this.#replay(known, signal)
        known = []
      }
      if (isOver) break
    }
    return place
  }

  /** Resolves when another has come, or with false when none will. */
  async #isMore(after: DeadLetterPlace, signal: AbortSignal): Promise<boolean> {
    for await (const _ of this.#deps.log.followDeadLetters(after, signal)) return !signal.aborted
    return false
  }

  async #replay(sequences: readonly number[], signal: AbortSignal): Promise<void> {
    const { log, logger, replayed } = this.#deps
    try {
      // Who stops does not wait for it: the request is kept.
      const messages = await Promise.race([log.replay({ sequences }), aborted(signal)])
      if (messages === undefined) return
      replayed(messages)
      logger.info({ messages }, 'messages that came before their schema are put through again')
    } catch (error) {
      if (!(error instanceof LogError) || error.code !== 'log-busy') throw error
      const first = sequences[0] ?? 0
      for (let looks = 0; looks < ASKED_LOOKS_MAX && !signal.aborted; looks++) {
        if ((await log.deadLetter(first)) === undefined) break
        await delay(ASKED_LOOK_MS, undefined, { signal, ref: false }).catch(() => undefined)
      }
    }
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }))
}

function isKnown(letter: DeadLetter, decoder: Decoder): boolean {
  if (!WAITING.includes(letter.code)) return false
  const decoded = decoder.decode({ ...letter, payload: Buffer.from(letter.payload) })
  return !(decoded instanceof Rejection) || !WAITING.includes(decoded.code)
}
