/**
 * Owns the writing end of a local log: group commit. While one commit is being flushed, the next one fills.
 *
 *   idle --append--> filling --end of the event turn--> pausing --paced, full or stopping--> flushing (and filling again)
 *                                                          ^                                    |
 *                                                          '------ more came meanwhile -------- durable --> callbacks, in order
 *
 * `pacing.ts` says how long a pause is: none unless there is load.
 *
 * An entry that is set aside is committed with its dead letter in one transaction, together with the others that come then.
 *
 * Always true: `onDurable` is called once for each append, of an entry or of a run of them, in append order, and without an error only after the flush.
 * Bound: `LOG_PENDING_BYTES_MAX` wait in memory; beyond it, and beyond the log's own size, an append is refused.
 */

import assert from 'node:assert/strict'
import { messageOf } from '../../platform/errors.ts'
import { LOG_COMMIT_BYTES_MAX, LOG_PENDING_BYTES_MAX } from '../../platform/limits.ts'
import { entryBytes, type NewEntry, type NewRun, runBytes } from '../entry.ts'
import type { NewDeadLetter, SetAsideReason } from '../log.ts'
import { LogError } from '../log-error.ts'
import type { Offset } from '../position.ts'
import { bytesOfLetters } from '../tables/dead-letters.ts'
import type { Environment } from '../tables/environment.ts'
import { COMMIT_HEADER_BYTES, CommitBuilder } from './commit.ts'
import { Pacing } from './pacing.ts'
import type { Preallocation } from './preallocation.ts'

type OnDurable = (error?: LogError) => void

/** One is written while the other fills. */
const COMMITS_IN_TURN = 2
/** Dead letters that are written with one commit; each may take 40 us (`DeadLetterShares`), and all else waits for them. */
const LETTERS_PER_COMMIT_MAX = 500
const NONE: readonly NewDeadLetter[] = []

interface Filling {
  readonly commit: CommitBuilder
  readonly callbacks: OnDurable[]
  /** Of its entries, those that are to be set aside. */
  readonly setAside: FillingLetter[]
}

interface FillingLetter extends SetAsideReason {
  /** Where its entry is: bytes, and entries, before it in the commit. */
  readonly at: number
  readonly index: number
  /** It is, on disk. */
  isSetAside: boolean
}

/**
 * Adds what is to be appended, and changes whatever else of the log must change with it. `add` is false when the commit is
 * full; `keptFrom` is when retention starts to count, milliseconds.
 */
export type Fill = (add: (entry: NewEntry, keptFrom: number) => boolean) => void

interface Pause {
  readonly end: () => void
  /** When an entry came last, by `performance.now()`; when it began, if none did. */
  joinedAt: number
}

interface Transaction {
  readonly fill: Fill
  readonly onDurable: OnDurable
}

export interface DurableCommit {
  readonly firstOffset: number
  readonly count: number
  /** Of the whole value. */
  readonly byteLength: number
  readonly entries: Buffer
  /** Of its entries, those that were set aside, and the old dead letters that had to go for theirs. */
  readonly setAside: number
  readonly expired: number
}

export interface AppenderOptions {
  readonly environment: Environment
  /** The offset of the next entry. */
  readonly end: number
  readonly preallocation: Pick<Preallocation, 'ready' | 'readyFor' | 'readyUntil'>
  /** What pacing may add to the time until a message is durable, at most. */
  readonly waitMaxMs: number
  /** Writes dead letters, within a transaction; returns how many old ones had to go. */
  readonly setAside: (letters: readonly NewDeadLetter[]) => number
  /** Called after each durable commit, before its callbacks. What it is given is a view, used again afterwards. */
  readonly onCommit: (commit: DurableCommit) => void
}

export class Appender {
  readonly #options: AppenderOptions
  readonly #pacing: Pacing
  readonly #spare: CommitBuilder[] = []
  /** Filling, oldest first; more than one only when a commit's size is reached within one flush. */
  #waiting: Filling[] = []
  readonly #transactions: Transaction[] = []
  #pendingBytes = 0
  #flushing: Promise<void> | undefined
  #scheduled = false
  /** While the commit that could begin waits for more. */
  #pause: Pause | undefined
  #end: number
  #stopped = false
  /** Why nothing is taken now; undefined while there is room. Kept by `Writing`, so that no append has to ask. */
  full: LogError | undefined

  constructor(options: AppenderOptions) {
    this.#options = options
    this.#pacing = new Pacing(options.waitMaxMs)
    this.#end = options.end
  }

  /** The offset after the newest entry that is durable. */
  get end(): number {
    return this.#end
  }

  append(entry: NewEntry, onDurable: OnDurable): void {
    this.#roomFor(entryBytes(entry), onDurable)?.commit.add(entry)
  }

  appendSetAside(
    entry: NewEntry,
    { code, reason }: SetAsideReason,
    onDurable: (error: LogError | undefined, isSetAside: boolean) => void,
  ): void {
    let letter: FillingLetter | undefined
    const filling = this.#roomFor(entryBytes(entry), (error) => onDurable(error, letter?.isSetAside === true))
    if (filling === undefined) return
    const { commit, setAside } = filling
    letter = { code, reason, at: commit.length, index: commit.count, isSetAside: false }
    setAside.push(letter)
    commit.add(entry)
  }

  /** All its entries are in one commit. */
  appendRun(run: NewRun, onDurable: OnDurable): void {
    this.#roomFor(runBytes(run), onDurable)?.commit.addRun(run)
  }

  /** The commit that takes entries of so many bytes, and tells when they are durable; undefined when they are refused. */
  #roomFor(bytes: number, onDurable: OnDurable): Filling | undefined {
    assert(bytes <= LOG_COMMIT_BYTES_MAX, 'what is appended at once fits in a commit')
    const refusal = this.#refusal(bytes)
    if (refusal !== undefined) {
      onDurable(refusal)
      return undefined
    }
    let filling = this.#waiting.at(-1)
    if (
      filling === undefined ||
      !filling.commit.hasRoomFor(bytes) ||
      filling.setAside.length >= LETTERS_PER_COMMIT_MAX
    ) {
      filling = { commit: this.#spare.pop() ?? new CommitBuilder(), callbacks: [], setAside: [] }
      this.#waiting.push(filling)
      // The one before it is full.
      this.#pause?.end()
    }
    if (this.#pause !== undefined) this.#pause.joinedAt = performance.now()
    filling.callbacks.push(onDurable)
    this.#pendingBytes += bytes
    this.#schedule()
    return filling
  }

  /** A commit of its own, filled when its turn comes, in one transaction with what `fill` changes; resolves when durable. */
  transact(fill: Fill): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#stopped) return reject(new LogError('log-busy', 'the log is being closed'))
      this.#transactions.push({ fill, onDurable: (error) => (error === undefined ? resolve() : reject(error)) })
      this.#pause?.end()
      this.#schedule()
    })
  }

  /** Takes nothing more; resolves when what was taken is durable or has failed. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#pause?.end()
    if (this.#scheduled) await new Promise((resolve) => setImmediate(resolve))
    await this.#flushing
  }

  #schedule(): void {
    if (this.#flushing !== undefined || this.#scheduled) return
    this.#scheduled = true
    // All sockets that are readable in this turn share the commit.
    setImmediate(() => {
      this.#scheduled = false
      this.#flushing = this.#flushAll()
    })
  }

  #refusal(bytes: number): LogError | undefined {
    if (this.#stopped) return new LogError('log-busy', 'the log is being closed')
    if (this.#pendingBytes + bytes > LOG_PENDING_BYTES_MAX) {
      return new LogError('log-busy', `${this.#pendingBytes} bytes wait for the disk: it is slower than what comes in`)
    }
    return this.full
  }

  async #flushAll(): Promise<void> {
    while (this.#waiting.length > 0 || this.#transactions.length > 0) {
      await this.#pace()
      const filled = this.#waiting.shift()
      if (filled !== undefined) await this.#flush(filled)
      const transaction = this.#transactions.shift()
      if (transaction !== undefined) await this.#transact(transaction)
    }
    this.#flushing = undefined
  }

  /** Resolves when the next commit is to begin. */
  async #pace(): Promise<void> {
    const mayWait = this.#waiting.length === 1 && this.#transactions.length === 0 && !this.#stopped
    const beganAt = performance.now()
    const waitMs = mayWait ? this.#pacing.wait(beganAt) : 0
    if (waitMs === 0) return this.#pacing.began(beganAt)
    let timer: NodeJS.Timeout | undefined
    const pause: Pause = await new Promise((resolve) => {
      const end = () => resolve(begun)
      const begun = { end, joinedAt: beganAt }
      this.#pause = begun
      timer = setTimeout(end, waitMs)
    })
    clearTimeout(timer)
    this.#pause = undefined
    const now = performance.now()
    this.#pacing.waited(now - beganAt, now - pause.joinedAt)
    this.#pacing.began(now)
  }

  async #flush({ commit, callbacks, setAside }: Filling): Promise<void> {
    const { length } = commit
    let error: LogError | undefined
    try {
      const letters = setAside.length === 0 ? NONE : await this.#lettersOf(commit, setAside)
      const value = commit.finish()
      const { preallocation } = this.#options
      if (preallocation.readyUntil < performance.now()) await preallocation.ready()
      const { commits, durable } = this.#options.environment
      if (letters.length === 0) {
        await durable(commits.put(this.#end, value))
        this.#advance(commit.count, value)
      } else {
        const expired = await durable(this.#putWithLetters(value, letters))
        for (const letter of setAside) letter.isSetAside = true
        this.#advance(commit.count, value, letters.length, expired)
      }
    } catch (cause) {
      error = cause instanceof LogError ? cause : new LogError('log-failed', messageOf(cause), { cause })
    }
    this.#pendingBytes -= length - COMMIT_HEADER_BYTES
    this.#release(commit)
    for (const onDurable of callbacks) onDurable(error)
  }

  /** The dead letters of a commit, whose entries are flagged; none if there is no room for them now. */
  async #lettersOf(commit: CommitBuilder, setAside: readonly FillingLetter[]): Promise<readonly NewDeadLetter[]> {
    const letters = setAside.map(({ at, index, code, reason }) => {
      const { flags: _, ...entry } = commit.entryAt(at, (this.#end + index) as Offset)
      return { ...entry, code, reason }
    })
    try {
      await this.#options.preallocation.readyFor(bytesOfLetters(letters))
    } catch (error) {
      if (error instanceof LogError && error.code === 'log-full') return NONE
      throw error
    }
    for (const { at } of setAside) commit.setAside(at)
    return letters
  }

  #putWithLetters(value: Buffer, letters: readonly NewDeadLetter[]): Promise<number> {
    const { environment, setAside } = this.#options
    return environment.root.transaction(() => {
      environment.commits.put(this.#end, value)
      return setAside(letters)
    })
  }

  async #transact({ fill, onDurable }: Transaction): Promise<void> {
    const { root, commits, durable } = this.#options.environment
    const commit = this.#spare.pop() ?? new CommitBuilder()
    let value: Buffer | undefined
    let error: LogError | undefined
    try {
      await this.#options.preallocation.ready()
      await durable(
        root.transaction(() => {
          fill((entry, keptFrom) => commit.add(entry, keptFrom))
          if (commit.count === 0) return
          value = commit.finish()
          commits.put(this.#end, value)
        }),
      )
      if (value !== undefined) this.#advance(commit.count, value)
    } catch (cause) {
      error = cause instanceof LogError ? cause : new LogError('log-failed', messageOf(cause), { cause })
    }
    this.#release(commit)
    onDurable(error)
  }

  #advance(count: number, value: Buffer, setAside = 0, expired = 0): void {
    const firstOffset = this.#end
    this.#end += count
    const entries = value.subarray(COMMIT_HEADER_BYTES)
    this.#options.onCommit({ firstOffset, count, byteLength: value.length, entries, setAside, expired })
  }

  #release(commit: CommitBuilder): void {
    commit.reset()
    if (this.#spare.length < COMMITS_IN_TURN) this.#spare.push(commit)
  }
}
