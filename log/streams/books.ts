/**
 * Owns the books of one shard as a process uses them: what it asks for is appended, and known to have come to something when it comes back in
 * the stream, among what others have asked for.
 *
 *   ask() --> waiting --appended, with all that waited--> in the stream --folded--> answered
 *                 ^-------the engine did not answer-------|   (appended again: it may be there twice, and counts once)
 *
 * Bounds: `WAITING_MAX` changes, and their bytes, that are not in the stream yet; one more is refused with `log-busy`. What ingest has passed, and the letters of
 * it, are bounded by ingest, which waits for each, and are never refused. Nothing is given up while the engine is away.
 */

import assert from 'node:assert/strict'
import type { Clock } from '../../platform/clock.ts'
import { LogError } from '../log-error.ts'
import { type Change, changeBytes } from './change.ts'
import type { Reachability } from './reachability.ts'
import type { Replica } from './replica.ts'
import type { NewRecord, Stream } from './streams.ts'

const WAITING_MAX = 50_000
const WAITING_BYTES_MAX = 16 * 1024 * 1024
/** Of one append. */
const APPEND_BYTES_MAX = 768 * 1024
const APPEND_RECORDS_MAX = 1_000
const READ_BYTES_MAX = 4 * 1024 * 1024
const READ_RECORDS_MAX = 5_000
/** How long one look for what is new waits. */
const READ_WAIT_MS = 10_000

export interface BooksDependencies {
  readonly stream: Stream
  readonly replica: Replica
  readonly reachability: Reachability
  readonly clock: Clock
  /** Names this process among all that ever were. */
  readonly asker: string
  readonly shard: number
  /** What nobody can go on after. */
  readonly onFailed: (error: LogError) => void
}

interface Asked {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: LogError) => void
}

export class Books {
  readonly #deps: BooksDependencies
  readonly #stopping = new AbortController()
  #waiting: NewRecord[] = []
  #waitingBytes = 0
  #appending: Promise<void> | undefined
  #reading: Promise<void> = Promise.resolve()
  /** By id, what is not answered. */
  readonly #asked = new Map<string, Asked>()
  #last = 0
  #failure: LogError | undefined
  /** Who asks for them, where reading is asked for by this. */
  readonly #appends = {}

  constructor(deps: BooksDependencies) {
    this.#deps = deps
  }

  /** Brings the replica up to where the stream ends now. Rejects with a `LogError` if that cannot be. */
  async catchUp(): Promise<void> {
    const { stream, replica } = this.#deps
    const end = await stream.end()
    while (replica.folded < end) await this.#look(0)
  }

  /** Follows the stream from now on, until `stop`. */
  start(): void {
    this.#reading = this.#read()
  }

  /** What still waits is refused. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#reading
    await this.#appending
    this.#refuseAll(closed())
  }

  /** Resolves with what the change came to. Rejects with `log-busy`, or `log-failed` when the log is closed. */
  ask(change: Change): Promise<unknown> {
    const refused = this.#refusal(change)
    if (refused !== undefined) return Promise.reject(refused)
    const id = this.#queue(change)
    return new Promise((resolve, reject) => this.#asked.set(id, { resolve, reject }))
  }

  /** Has it appended before what is asked for next, and gives its id. Throws likewise. */
  tell(change: Change): string {
    const refused = this.#refusal(change)
    if (refused !== undefined) throw refused
    return this.#queue(change)
  }

  #refusal({ kind }: Change): LogError | undefined {
    if (this.#stopping.signal.aborted) return closed()
    if (this.#failure !== undefined) return this.#failure
    if (kind === 'pass' || kind === 'letter') return undefined
    if (this.#waiting.length < WAITING_MAX && this.#waitingBytes < WAITING_BYTES_MAX) return undefined
    return new LogError('log-busy', `${this.#waiting.length} changes wait for the books of the log already`)
  }

  #queue(change: Change): string {
    const { asker, clock, shard } = this.#deps
    const id = `${asker}-${(++this.#last).toString(36)}`
    const value = changeBytes({ id, at: clock.now(), change })
    this.#waiting.push({ key: `${shard}`, value })
    this.#waitingBytes += value.length
    this.#appending ??= Promise.resolve()
      .then(() => this.#append())
      .catch((error: unknown) => this.#fail(error))
    return id
  }

  async #append(): Promise<void> {
    const { stream, reachability } = this.#deps
    const { signal } = this.#stopping
    while (this.#waiting.length > 0 && !signal.aborted) {
      const records = this.#waiting.slice(0, countThatFit(this.#waiting))
      if (await reachability.tried(this.#appends, () => stream.append(records), signal)) this.#taken(records)
    }
    this.#appending = undefined
  }

  #taken(records: readonly NewRecord[]): void {
    this.#waiting = this.#waiting.slice(records.length)
    this.#waitingBytes -= records.reduce((sum, { value }) => sum + value.byteLength, 0)
  }

  async #read(): Promise<void> {
    const { reachability } = this.#deps
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await reachability.tried(this, () => this.#look(READ_WAIT_MS), signal)
      } catch (error) {
        if (!signal.aborted) this.#fail(error)
        return
      }
    }
  }

  async #look(waitMs: number): Promise<void> {
    const { stream, replica } = this.#deps
    const { signal } = this.#stopping
    const limits = { bytesMax: READ_BYTES_MAX, recordsMax: READ_RECORDS_MAX, waitMs, signal }
    const records = await stream.read(replica.folded, limits)
    if (records.length > 0) await replica.fold(records)
    this.#answer()
  }

  /** Of the engine something else came than that it does not answer. */
  #fail(error: unknown): void {
    const failure = error instanceof LogError ? error : new LogError('log-failed', String(error), { cause: error })
    this.#failure = failure
    // Nobody reads the answers any more.
    this.#refuseAll(failure)
    this.#deps.onFailed(failure)
  }

  #refuseAll(error: LogError): void {
    for (const { reject } of this.#asked.values()) reject(error)
    this.#asked.clear()
  }

  #answer(): void {
    for (const [id, { resolve }] of this.#asked) {
      const came = this.#deps.replica.result(id)
      if (came === undefined) continue
      this.#asked.delete(id)
      resolve(came.result)
    }
  }
}

const closed = () => new LogError('log-failed', 'the log is not open')

function countThatFit(records: readonly NewRecord[]): number {
  let bytes = 0
  for (const [index, { value }] of records.entries()) {
    bytes += value.byteLength
    if (index > 0 && (bytes > APPEND_BYTES_MAX || index === APPEND_RECORDS_MAX)) return index
  }
  assert(records.length > 0)
  return records.length
}
