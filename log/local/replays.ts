/**
 * Owns the way of dead letters back into the log. Any process may ask; the one that appends does it.
 *
 *   asked (durable) --some letters, in one transaction with their commit and the request's progress--> asked ... --> done
 *   done --seen by the one who asked--> gone
 *
 * Always true: a letter is in the dead letters or in the log again, never in both or neither, however a process ends: its
 * removal, its new entry, the counts and the request change in one transaction.
 * Bounds: `REPLAY_REQUESTS_MAX` requests; one more is refused. A transaction looks at `DEAD_LETTER_LOOKS_MAX` letters and
 * appends one commit's bytes; messages of devices go in between. A full log makes a replay wait.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import { DEAD_LETTER_SEQUENCES_MAX, REPLAY_PATIENCE_MS, RETENTION_INTERVAL_MS } from '../../platform/limits.ts'
import type { Logger } from '../../platform/logger.ts'
import { DELIVERED_LIVE, type NewEntry, REPLAYED } from '../entry.ts'
import type { DeadLetter, DeadLetterFilter } from '../log.ts'
import { LogError } from '../log-error.ts'
import type { DeadLetters } from '../tables/dead-letters.ts'
import type { Environment } from '../tables/environment.ts'
import type { SharedSignal } from '../tables/shared-signal.ts'
import type { Appender } from './appender.ts'

/** Requests to replay that wait for the process that appends; one more is refused. */
const REPLAY_REQUESTS_MAX = 64

interface Request {
  readonly filter: DeadLetterFilter
  /** The newest letter when it was asked: what is set aside later, a replayed message among it, is not meant. */
  readonly upTo: number
  /** Letters up to here are looked through. */
  readonly after: number
  readonly replayed: number
  /** When it was done, milliseconds: if nobody has taken the answer soon after, nobody will. */
  readonly doneAt?: number
}

const LAST_REQUEST = 'last-replay'
const isDone = ({ after, upTo }: Request) => after >= upTo

export class Replays {
  readonly #environment: Environment
  readonly #deadLetters: DeadLetters
  readonly #clock: Clock
  /** Told when a request was made, or went on, among other things. */
  readonly #changed: SharedSignal
  #stopped = false

  constructor(environment: Environment, deadLetters: DeadLetters, changed: SharedSignal, clock: Clock) {
    this.#environment = environment
    this.#changed = changed
    this.#deadLetters = deadLetters
    this.#clock = clock
  }

  /** Asks, and waits until it is done; see `Log.replay`. */
  async replay(filter: DeadLetterFilter): Promise<number> {
    const id = await this.#ask(filter)
    let movedAt = performance.now()
    let at = -1
    let quiet = 0
    for (let replayed = 0; ; ) {
      if (this.#stopped) throw new LogError('log-busy', 'the log is being closed; the replay goes on at the next start')
      const seen = this.#changed.raised
      const request = this.#request(id)
      if (request === undefined) return replayed
      replayed = request.replayed
      if (isDone(request)) {
        await this.#environment.durable(this.#environment.replays.remove(id))
        return replayed
      }
      if (request.after !== at) {
        at = request.after
        quiet = 0
        movedAt = performance.now()
      }
      if (performance.now() - movedAt > REPLAY_PATIENCE_MS) {
        throw new LogError(
          'log-busy',
          `${replayed} dead letters were replayed, then the process that appends to the log did not go on: is the log full? ` +
            'The request is kept, and carried out when that process can',
        )
      }
      await this.#changed.waitOrLook(seen, quiet++)
    }
  }

  /** Carries out requests, in the process that appends, until `signal` aborts. */
  async serve(
    appender: Appender,
    full: () => LogError | undefined,
    signal: AbortSignal,
    logger: Logger,
  ): Promise<void> {
    for (let quiet = 0; !signal.aborted; quiet++) {
      const seen = this.#changed.raised
      try {
        if (full() === undefined && (await this.#step(appender, logger))) {
          quiet = -1
          continue
        }
      } catch (error) {
        if (signal.aborted) return
        logger.error({ err: error }, `a replay of dead letters failed and is tried again: ${messageOf(error)}`)
        await delay(RETENTION_INTERVAL_MS, undefined, { signal, ref: false }).catch(() => undefined)
      }
      await this.#changed.waitOrLook(seen, quiet)
    }
  }

  /** Lets those go who wait. */
  stop(): void {
    this.#stopped = true
    this.#changed.raise()
  }

  async #ask(filter: DeadLetterFilter): Promise<number> {
    const { root, replays, meta, durable } = this.#environment
    const named = filter.sequences?.length ?? 0
    if (named > DEAD_LETTER_SEQUENCES_MAX) {
      throw new LogError(
        'log-busy',
        `${named} dead letters are named at once: allowed are ${DEAD_LETTER_SEQUENCES_MAX}`,
      )
    }
    const now = this.#clock.now()
    const asked = root.transaction(() => {
      const known = this.#requests()
      const forgotten = known.filter(({ request: { doneAt = Infinity } }) => doneAt < now - REPLAY_PATIENCE_MS)
      for (const { key } of forgotten) replays.remove(key)
      if (known.length - forgotten.length >= REPLAY_REQUESTS_MAX) return undefined
      const next = Number(meta.get(LAST_REQUEST) ?? 0) + 1
      meta.put(LAST_REQUEST, next)
      const upTo = this.#deadLetters.last()
      replays.put(next, { filter, upTo, after: 0, replayed: 0, ...(upTo === 0 && { doneAt: now }) } satisfies Request)
      return next
    })
    const id = await durable(asked)
    this.#changed.tell()
    if (id === undefined) throw new LogError('log-busy', `${REPLAY_REQUESTS_MAX} replays wait already: try again later`)
    return id
  }

  /** One transaction's worth of the oldest request; false when there is none. */
  async #step(appender: Appender, logger: Logger): Promise<boolean> {
    const waiting = this.#waiting()
    if (waiting === undefined) return false
    await appender.transact((add) => {
      // Read again: this runs later, within the transaction.
      const request = this.#environment.replays.get(waiting) as Request | undefined
      if (request === undefined || isDone(request)) return
      const { found, next } = this.#deadLetters.look(request.filter, request.after, request.upTo)
      const now = this.#clock.now()
      const refused = found.findIndex((letter) => !add(entryOf(letter), now))
      const taken = refused < 0 ? found : found.slice(0, refused)
      this.#deadLetters.remove(taken, 'replayed')
      const after = refused < 0 ? next : (taken.at(-1)?.sequence ?? request.after)
      const replayed = request.replayed + taken.length
      const done = after >= request.upTo
      const progress = { ...request, after, replayed, ...(done && { doneAt: now }) } satisfies Request
      this.#environment.replays.put(waiting, progress)
      if (done) logger.info({ replayed }, 'dead letters were replayed')
    })
    this.#changed.tell()
    return true
  }

  #waiting(): number | undefined {
    this.#environment.root.resetReadTxn()
    for (const { key, request } of this.#requests()) if (!isDone(request)) return key
    return undefined
  }

  #request(id: number): Request | undefined {
    this.#environment.root.resetReadTxn()
    return this.#environment.replays.get(id) as Request | undefined
  }

  #requests(): { key: number; request: Request }[] {
    return [...this.#environment.replays.getRange()].map(({ key, value }) => ({ key, request: value as Request }))
  }
}

/** Judged by the time it first came: the same message, so the same verdict, unless the schemas have changed. */
function entryOf({ device, stream, receivedAt, payload, framing = 0, decoded }: DeadLetter): NewEntry {
  return { device, stream, receivedAt, payload, framing, flags: decoded ? REPLAYED | DELIVERED_LIVE : REPLAYED }
}
