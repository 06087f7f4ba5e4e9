/**
 * Owns one worker thread as the coordinator sees it.
 *
 *   new --start()--> running --stop()--> ended
 *                       |--(error, exit)--> dead, told once by `onDeath`
 *
 * Bound: `INGEST_HISTORY_REQUESTS_MAX` questions of history at a time; one more is refused. A page comes a piece a message, each
 * when it is asked for.
 */

import { Worker } from 'node:worker_threads'
import type { Unkept } from '../maps/unkept-columns.ts'
import { messageOf, TelltaleError } from '../platform/errors.ts'
import { INGEST_CLOSE_MS } from '../platform/limits.ts'
import type { HistoryPage, HistoryQuery, ReceivedPage, ReceivedQuery, Selection } from '../schemas/history.ts'
import type { Reading } from '../schemas/reading.ts'
import type { SchemaFiles } from '../schemas/schema-files.ts'
import type { Group } from './group.ts'
import type { StoreAtStart } from './source.ts'
import { STORES } from './stores.ts'
import type { FromWorker, GroupOutcome, HistoryAnswer, StoreTrouble, ToWorker, WorkerSetup } from './worker-messages.ts'

/** `worker-from-source.js` is not built, and for tests only. */
const START = import.meta.url.endsWith('.ts') ? './worker-from-source.js' : './worker-start.js'
/** History questions at the worker that owns the embedded store; one more is refused. */
const INGEST_HISTORY_REQUESTS_MAX = 64
/** How long a start waits for a worker: its schemas and store. */
const INGEST_WORKER_START_MS = 30_000

export interface WorkerEvents {
  onDone(outcome: GroupOutcome): void
  onTrouble(trouble: StoreTrouble): void
  onUnkept(unkept: Unkept): void
  /** It ended without being asked to. */
  onDeath(error: Error): void
}

interface Asked {
  resolve(answer: HistoryAnswer): void
  reject(error: Error): void
}

export class WorkerThread {
  readonly #worker: Worker
  readonly #events: WorkerEvents
  /** Its store is a file that it alone has open. */
  readonly isEmbedded: boolean
  readonly #asked = new Map<number, Asked>()
  readonly #exited: Promise<void>
  #nextQuestion = 0
  /** Up to which position of the log an embedded store held the points when the thread started. */
  checkpoint: string | undefined
  #started: { resolve(): void; reject(error: Error): void } | undefined
  #ending = false

  constructor(setup: WorkerSetup, events: WorkerEvents) {
    this.#events = events
    this.isEmbedded = STORES[setup.store.kind].isEmbedded
    this.#worker = new Worker(new URL(START, import.meta.url), { workerData: setup, name: 'ingest' })
    this.#exited = new Promise((resolve) => this.#worker.once('exit', () => resolve()))
    this.#worker.on('message', (message: FromWorker) => this.#hear(message))
    this.#worker.once('error', (error) => this.#die(error instanceof Error ? error : new Error(messageOf(error))))
    this.#worker.once('exit', (code) => this.#die(new Error(`an ingest worker ended with status ${code}`)))
  }

  /** Resolves when its schemas are loaded and its store is open; rejects with the reason if that fails. */
  async start(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        this.#started = { resolve, reject }
        const late = () => reject(new Error(`an ingest worker was not ready within ${INGEST_WORKER_START_MS} ms`))
        timer = setTimeout(late, INGEST_WORKER_START_MS)
      })
    } catch (error) {
      this.#ending = true
      // One that could not open its embedded store ends by itself; one that opens it too late closes it again.
      if (this.isEmbedded) this.#post({ kind: 'stop' })
      else await this.#worker.terminate()
      throw error
    } finally {
      this.#started = undefined
      clearTimeout(timer)
    }
  }

  /** `isRepeat`: the store may hold some of it already. `isOtherLog`: what it holds is of another log. */
  take(
    group: Pick<Group, 'sequence' | 'bytes' | 'shard' | 'firstOffset' | 'checkpoint'>,
    isRepeat = false,
    isOtherLog = false,
  ): void {
    const { sequence, bytes, shard, firstOffset, checkpoint } = group
    this.#post({ kind: 'group', sequence, bytes, shard, firstOffset, checkpoint, isRepeat, isOtherLog })
  }

  /** What is taken after this is decoded by these. */
  useSchemas(files: SchemaFiles): void {
    this.#post({ kind: 'schemas', files })
  }

  /** The store as it was when the thread started. */
  get store(): StoreAtStart {
    return { isEmbedded: this.isEmbedded, checkpoint: this.checkpoint }
  }

  /** Asks the store that this thread has open, as `History` does. */
  async readings(query: HistoryQuery, signal: AbortSignal): Promise<HistoryPage> {
    const id = this.#questionLeftOn(signal)
    const question = { about: 'readings', query } as const
    const head = (await this.#ask({ kind: 'question', id, question })) as Omit<HistoryPage, 'pieces'>
    return { ...head, pieces: this.#pieces(id, signal) }
  }

  /** Likewise. */
  async received(query: ReceivedQuery, signal: AbortSignal): Promise<ReceivedPage> {
    const id = this.#questionLeftOn(signal)
    return (await this.#ask({ kind: 'question', id, question: { about: 'received', query } })) as ReceivedPage
  }

  /** The id of a question that the worker need not answer any more once `signal` aborts. */
  #questionLeftOn(signal: AbortSignal): number {
    signal.throwIfAborted()
    const id = this.#nextQuestion++
    signal.addEventListener('abort', () => this.#post({ kind: 'leave', id }), { once: true })
    return id
  }

  /** Likewise. */
  async latest(selections: readonly Selection[], limit: number): Promise<readonly Reading[]> {
    const question = { about: 'latest', selections, limit } as const
    return (await this.#ask({ kind: 'question', id: this.#nextQuestion++, question })) as readonly Reading[]
  }

  async *#pieces(id: number, signal: AbortSignal): AsyncGenerator<readonly Reading[]> {
    for (;;) {
      signal.throwIfAborted()
      const piece = (await this.#ask({ kind: 'more', id })) as readonly Reading[] | undefined
      if (piece === undefined) return
      yield piece
    }
  }

  #ask(message: Extract<ToWorker, { kind: 'question' | 'more' }>): Promise<HistoryAnswer> {
    if (this.#ending) return Promise.reject(gone())
    if (this.#asked.size >= INGEST_HISTORY_REQUESTS_MAX) {
      return Promise.reject(new TelltaleError('store-unavailable', 'too many history queries at once: try again later'))
    }
    return new Promise((resolve, reject) => {
      this.#asked.set(message.id, { resolve, reject })
      this.#post(message)
    })
  }

  /**
   * Gives up what is under way, closes the store, ends the thread; by force after `INGEST_CLOSE_MS`, but never with an
   * embedded store: ending a thread in which DuckDB works aborts the whole process (tried), and it lets itself be
   * interrupted.
   */
  async stop(): Promise<void> {
    this.#ending = true
    this.#post({ kind: 'stop' })
    const force = () => void (this.isEmbedded || this.#worker.terminate())
    const timer = setTimeout(force, INGEST_CLOSE_MS)
    await this.#exited
    clearTimeout(timer)
    this.#refuseAsked()
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message)
  }

  #hear(message: FromWorker): void {
    switch (message.kind) {
      case 'ready':
        this.checkpoint = message.checkpoint
        this.#started?.resolve()
        break
      case 'failed':
        this.#started?.reject(new TelltaleError(message.code, message.message))
        break
      case 'done':
        this.#events.onDone(message.outcome)
        break
      case 'trouble':
        this.#events.onTrouble(message.trouble)
        break
      case 'unkept':
        this.#events.onUnkept(message.unkept)
        break
      case 'answer':
        this.#settle(message.id)?.resolve(message.answer)
        break
      case 'no-answer':
        this.#settle(message.id)?.reject(new TelltaleError(message.code, message.message))
        break
    }
  }

  #settle(id: number): Asked | undefined {
    const asked = this.#asked.get(id)
    this.#asked.delete(id)
    return asked
  }

  /** An `error` is followed by an `exit`: told once. */
  #die(error: Error): void {
    this.#refuseAsked()
    if (this.#started !== undefined) this.#started.reject(error)
    else if (!this.#ending) {
      this.#ending = true
      this.#events.onDeath(error)
    }
  }

  #refuseAsked(): void {
    for (const { reject } of this.#asked.values()) reject(gone())
    this.#asked.clear()
  }
}

function gone(): TelltaleError {
  return new TelltaleError('store-unavailable', 'the thread that holds the embedded store has ended')
}
