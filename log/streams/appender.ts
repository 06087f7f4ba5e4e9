/**
 * Owns appending to the `log` stream of one shard: group commit. While one append is under way, the next one fills.
 *
 *   idle --append--> filling --end of the event turn--> under way (and filling again) --answered--> callbacks, in order
 *                                                          ^---not answered: the same again---|
 *
 * Always true: `onDurable` is called once for each append, in their order, and without an error only when the engine has answered. One append under
 * way may be in the stream twice when its answer was lost: its messages are accepted twice then, and stored once.
 * Bound: `pending` counts the bytes that wait, of all shards; beyond `LOG_PENDING_BYTES_MAX` an append is refused with `log-busy`.
 */

import { LOG_COMMIT_BYTES_MAX, LOG_PENDING_BYTES_MAX } from '../../platform/limits.ts'
import { LogError } from '../log-error.ts'
import type { Reachability } from './reachability.ts'
import type { NewRecord, Stream } from './streams.ts'

/** Of one append: what every engine takes at once. */
const APPEND_BYTES_MAX = Math.floor(LOG_COMMIT_BYTES_MAX * 0.75)
const APPEND_RECORDS_MAX = 5_000

type OnDurable = (error?: LogError) => void

interface Waiting {
  readonly records: readonly NewRecord[]
  readonly onDurable: OnDurable
}

/** Bytes that wait, of all shards of this process. */
export interface Pending {
  bytes: number
}

export interface StreamAppenderDependencies {
  readonly stream: Stream
  readonly reachability: Reachability
  readonly pending: Pending
  /** Why nothing is taken now; undefined while there is room. */
  readonly full: () => LogError | undefined
  /** What nobody can go on after. */
  readonly onFailed: (error: LogError) => void
  /** So many messages, and bytes, were made durable by one append. */
  readonly onAppended: (messages: number, bytes: number) => void
}

export class StreamAppender {
  readonly #deps: StreamAppenderDependencies
  readonly #stopping = new AbortController()
  #waiting: Waiting[] = []
  #appending: Promise<void> | undefined

  constructor(deps: StreamAppenderDependencies) {
    this.#deps = deps
  }

  append(records: readonly NewRecord[], onDurable: OnDurable): void {
    const { pending, full } = this.#deps
    const refused = this.#stopping.signal.aborted ? new LogError('log-failed', 'the log is not open') : full()
    const bytes = bytesOf(records)
    if (refused !== undefined) queueMicrotask(() => onDurable(refused))
    else if (pending.bytes + bytes > LOG_PENDING_BYTES_MAX)
      queueMicrotask(() => onDurable(new LogError('log-busy', `${pending.bytes} bytes wait for the log already`)))
    else {
      pending.bytes += bytes
      this.#waiting.push({ records, onDurable })
      this.#appending ??= new Promise((resolve) => setImmediate(resolve))
        .then(() => this.#append())
        .catch((error: unknown) => this.#fail(error))
    }
  }

  /** Resolves when nothing waits. */
  async drained(): Promise<void> {
    await this.#appending
  }

  /** What still waits is not appended, and nobody is told that it was. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#appending
  }

  async #append(): Promise<void> {
    const { stream, reachability, pending, onAppended } = this.#deps
    const { signal } = this.#stopping
    while (this.#waiting.length > 0 && !signal.aborted) {
      const whole = this.#next()
      // A run may be larger than an append: it is durable when the last part of it is.
      const records = whole.flatMap((each) => each.records)
      let at = 0
      while (at < records.length && !signal.aborted) {
        const part = records.slice(at, at + countThatFit(records, at))
        if (await reachability.tried(this, () => stream.append(part), signal)) at += part.length
      }
      if (at < records.length) break
      this.#waiting = this.#waiting.slice(whole.length)
      const bytes = bytesOf(records)
      pending.bytes -= bytes
      onAppended(records.length, bytes)
      for (const { onDurable } of whole) onDurable()
    }
    this.#appending = undefined
  }

  /** Of the engine something else came than that it does not answer: what waits is not acknowledged. */
  #fail(error: unknown): void {
    this.#deps.onFailed(error instanceof LogError ? error : new LogError('log-failed', String(error), { cause: error }))
  }

  #next(): Waiting[] {
    let bytes = 0
    let count = 0
    const whole: Waiting[] = []
    for (const each of this.#waiting) {
      bytes += bytesOf(each.records)
      count += each.records.length
      if (whole.length > 0 && (bytes > APPEND_BYTES_MAX || count > APPEND_RECORDS_MAX)) break
      whole.push(each)
    }
    return whole
  }
}

function countThatFit(records: readonly NewRecord[], from: number): number {
  let bytes = 0
  for (let at = from; at < records.length; at++) {
    bytes += records[at]?.value.byteLength ?? 0
    if (at > from && (bytes > APPEND_BYTES_MAX || at - from === APPEND_RECORDS_MAX)) return at - from
  }
  return records.length - from
}

const bytesOf = (records: readonly NewRecord[]) => records.reduce((sum, { value }) => sum + value.byteLength, 0)
