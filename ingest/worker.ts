/**
 * Owns one worker thread: decode a group, write it, say what became of it. One group is being written while the next is
 * decoded; writes are one after another, in the order of the groups. How many groups are here is bounded by the
 * coordinator. Loses nothing: what was not reported done is handed out again.
 */

import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'
import { mapMaker } from '../maps/maps.ts'
import type { Unkept } from '../maps/unkept-columns.ts'
import { messageOf, TelltaleError } from '../platform/errors.ts'
import { whyUnloadable } from '../platform/unloadable.ts'
import { CurrentSchemas } from '../schemas/current-schemas.ts'
import type { Reading, Stream } from '../schemas/reading.ts'
import { writeUntilStored } from './retry.ts'
import { decodeShare, type Share, settleShare } from './share.ts'
import { type PointStore, StoreError } from './store.ts'
import { createStore, STORES } from './stores.ts'
import type { FromWorker, HistoryAnswer, HistoryQuestion, ToWorker, WorkerSetup } from './worker-messages.ts'

assert(parentPort, 'this file is for a worker thread')
const port = parentPort
const setup: WorkerSetup = workerData
const say = (message: FromWorker) => port.postMessage(message)

interface OpenPage {
  /** Nobody wants it any more. */
  readonly left: AbortController
  /** Undefined while the store is being asked. */
  pieces: AsyncIterator<readonly Reading[]> | undefined
}

class Worker {
  readonly #schemas: CurrentSchemas
  readonly #store: PointStore
  readonly #stop = new AbortController()
  /** Pages of history that were not taken to their end. */
  readonly #pages = new Map<number, OpenPage>()
  /** The writes so far; rejects when one ended in our own mistake, which ends the thread. */
  #writes: Promise<void> = Promise.resolve()

  constructor(schemas: CurrentSchemas, store: PointStore) {
    this.#schemas = schemas
    this.#store = store
    // Between what was decoded before and what is decoded by them.
    schemas.onChange(() => {
      const { streams } = schemas.registry
      this.#writes = this.#writes.then(() => this.#useStreams(streams))
    })
  }

  take(message: ToWorker): void {
    switch (message.kind) {
      case 'group': {
        const share = decodeShare(message, this.#schemas, setup)
        this.#writes = this.#writes.then(() => this.#write(message.sequence, share))
        break
      }
      case 'question':
        void this.#answer(message.id, () => this.#ask(message.id, message.question))
        break
      case 'more':
        void this.#answer(message.id, () => this.#more(message.id))
        break
      case 'leave':
        this.#leave(message.id)
        break
      case 'schemas':
        this.#schemas.adopt(message.files)
        break
      case 'stop':
        void this.#end()
        break
    }
  }

  async #write(sequence: number, share: Share): Promise<void> {
    if (this.#stop.signal.aborted) return
    const started = performance.now()
    try {
      // An embedded store keeps the checkpoint even of a group without a reading.
      const outcome =
        share.batch.entries.length === 0 && !STORES[setup.store.kind].isEmbedded
          ? { rejected: [], superseded: [] }
          : await writeUntilStored(this.#store, share.batch, this.#stop.signal, {
              random: Math.random,
              onRetry: ({ code, message, retry }, waitMs) =>
                say({ kind: 'trouble', trouble: { code, message, retry, waitMs } }),
            })
      const writeMs = share.batch.entries.length === 0 ? 0 : performance.now() - started
      say({ kind: 'done', outcome: { sequence, ...settleShare(share, outcome), writeMs } })
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error
    }
  }

  async #useStreams(streams: readonly Stream[]): Promise<void> {
    if (this.#stop.signal.aborted) return
    try {
      await this.#store.useStreams(streams)
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      const { code, message, retry } = error
      say({ kind: 'trouble', trouble: { code, message, retry, waitMs: 0 } })
    }
  }

  async #ask(id: number, question: HistoryQuestion): Promise<HistoryAnswer> {
    const { history } = this.#store
    if (question.about === 'latest') return history.latest(question.selections, question.limit)
    const page: OpenPage = { left: new AbortController(), pieces: undefined }
    this.#pages.set(id, page)
    if (question.about === 'received') {
      assert(history.received, `the store ${this.#store.name} keeps no places`)
      const received = await history.received(question.query, page.left.signal)
      this.#pages.delete(id)
      return received
    }
    const { pieces, ...head } = await history.readings(question.query, page.left.signal)
    page.pieces = pieces[Symbol.asyncIterator]()
    return head
  }

  async #more(id: number): Promise<HistoryAnswer> {
    const next = await this.#pages.get(id)?.pieces?.next()
    if (next !== undefined && !next.done) return next.value
    this.#pages.delete(id)
    return undefined
  }

  #leave(id: number): void {
    this.#pages.get(id)?.left.abort()
    this.#pages.delete(id)
  }

  async #answer(id: number, make: () => Promise<HistoryAnswer>): Promise<void> {
    try {
      say({ kind: 'answer', id, answer: await make() })
    } catch (error) {
      this.#pages.delete(id)
      const code = error instanceof TelltaleError ? error.code : 'store-unavailable'
      say({ kind: 'no-answer', id, code, message: messageOf(error) })
    }
  }

  /** Gives up what is under way and closes the store. */
  async settle(): Promise<void> {
    this.#stop.abort()
    await this.#writes.catch(() => undefined)
    await this.#store.stop()
  }

  async #end(): Promise<void> {
    await this.settle()
    port.close()
  }
}

/** Our own mistake: this thread ends with it, and another takes over. Ending while DuckDB works aborts the whole process. */
async function die(worker: Worker, error: Error): Promise<void> {
  // What comes meanwhile is for the successor.
  port.removeAllListeners('message')
  await worker.settle().catch(() => undefined)
  setImmediate(() => {
    throw error
  })
}

try {
  const { schemas: files, readingTimeMinMs, learnt } = setup
  const tellUnkept = (unkept: Unkept) => say({ kind: 'unkept', unkept })
  const foreign = { make: mapMaker(learnt, { isBinding: false, unkept: tellUnkept }) }
  const schemas = new CurrentSchemas({ directory: files.directory, readingTimeMinMs, files, foreign })
  const store = await createStore(setup.store, { streams: schemas.registry.streams })
  await store.start()
  const worker = new Worker(schemas, store)
  process.once('uncaughtException', (error) => void die(worker, error))
  port.on('message', (message: ToWorker) => worker.take(message))
  say({ kind: 'ready', checkpoint: await store.checkpoint?.() })
} catch (error) {
  const code = error instanceof TelltaleError ? error.code : 'worker-failed'
  say({ kind: 'failed', code, message: whyUnloadable(error) ?? messageOf(error) })
}
