/**
 * Owns the embedded store: one DuckDB file, a table a stream, one transaction a batch, rows and checkpoint together.
 *
 * The checkpoint is not needed to write once what is replayed (see `table.ts`); it tells whether the log is still the one
 * that the rows came from.
 *
 * Always true: a batch is in the file whole or not at all, and durable when `write` resolves (DuckDB flushes its
 * write-ahead log on commit). All access is from the thread that started it: `DuckDBInstance.fromCache` keeps one cache a
 * thread, so two threads of a process got two instances of one file, each blind to what the other wrote (tried with
 * 1.5.6) and free to damage it.
 * An entry that it refuses for a value of it is named in the outcome, and the others are written.
 * A full disk fails the write, which is tried again. One that is met while DuckDB moves its write-ahead log into the file
 * makes it refuse everything from then on (a FATAL error, tried with 1.5.6): the file is opened anew before the next write.
 * Bounds: `DUCKDB_MEMORY_BYTES_MAX`, `DUCKDB_THREADS_MAX`, `DUCKDB_WAL_BYTES_MAX`.
 */

import { rmSync, statSync } from 'node:fs'
import { readlink, realpath } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { messageOf } from '../../platform/errors.ts'
import type { History, HistoryPage, HistoryQuery, Selection } from '../../schemas/history.ts'
import type { Reading, Stream } from '../../schemas/reading.ts'
import {
  type PointStore,
  type StoreBatch,
  type StoreDependencies,
  type StoreEntry,
  StoreError,
  Superseded,
  type SupersededReadings,
  type WriteOutcome,
} from '../store.ts'
import { UnfitValue } from './append.ts'
import { DuckdbHistory } from './history.ts'
import { identifier } from './sql.ts'
import { StreamTable } from './table.ts'

export interface DuckdbOptions {
  readonly kind: 'duckdb'
  /** The database file. */
  readonly path: string
}

/** Memory that DuckDB may take for its buffers and queries; beyond it, it spills to disk or the query fails. */
const DUCKDB_MEMORY_BYTES_MAX = 512 * 1024 * 1024
/** Threads of DuckDB's own. */
const DUCKDB_THREADS_MAX = 2
/** Size of DuckDB's write-ahead log at which it is moved into the database file. */
export const DUCKDB_WAL_BYTES_MAX = 16 * 1024 * 1024

/** What DuckDB (1.5.6) says where a value is at fault, and neither the disk nor its memory. */
const ABOUT_DATA = /^(Conversion|Constraint|Invalid Input|Out of Range|Mismatch Type|Invalid Type) Error/

/** No stream's name has a space in it. */
const CHECKPOINT = identifier('log checkpoint')

interface Open {
  readonly instance: DuckDBInstance
  readonly path: string
  readonly inode: number
  readonly writer: DuckDBConnection
  readonly history: DuckdbHistory
  readonly tables: ReadonlyMap<string, StreamTable>
}

export class DuckdbStore implements PointStore, History {
  readonly name = 'duckdb'
  readonly history: History = this
  readonly #path: string
  readonly #streams: readonly Stream[]
  #open: Open | undefined
  /** DuckDB refuses everything until the file is opened anew. */
  #broken = false

  constructor(options: DuckdbOptions, deps: StoreDependencies) {
    this.#path = options.path
    this.#streams = deps.streams
  }

  /** Rejects with `store-failed` if the file cannot be opened, or holds a column that the schemas contradict. */
  async start(): Promise<void> {
    let instance: DuckDBInstance | undefined
    try {
      const path = await linkTarget(this.#path)
      // A first start on a full disk leaves a file without a byte, which DuckDB does not take for one of its own.
      if (statSync(path, { throwIfNoEntry: false })?.size === 0) rmSync(path)
      instance = await DuckDBInstance.create(path, {
        memory_limit: `${DUCKDB_MEMORY_BYTES_MAX}B`,
        threads: `${DUCKDB_THREADS_MAX}`,
        checkpoint_threshold: `${DUCKDB_WAL_BYTES_MAX}B`,
      })
      const writer = await instance.connect()
      const tables = new Map(this.#streams.map((stream) => [stream.name, new StreamTable(stream, writer)]))
      for (const table of tables.values()) await table.prepare()
      await writer.run(`CREATE TABLE IF NOT EXISTS ${CHECKPOINT} (position VARCHAR NOT NULL)`)
      const { ino: inode } = statSync(path)
      this.#open = { instance, path, inode, writer, tables, history: new DuckdbHistory(instance, this.#streams) }
    } catch (error) {
      instance?.closeSync()
      throw storeFailed(`the store ${this.#path} cannot be opened (docs/deploy.md, "Another store")`, error)
    }
  }

  async write(batch: StoreBatch, signal: AbortSignal): Promise<WriteOutcome> {
    if (this.#broken) await this.#openAnew()
    try {
      return { rejected: [], superseded: await this.#transact(batch, 'COMMIT', signal) }
    } catch (error) {
      // The columns were typed when the schemas were read: there should be no value that DuckDB refuses.
      if (signal.aborted || !isAboutData(error)) throw error
      const refused = await this.#refused(batch.entries, signal)
      if (refused.size === 0) throw error
      const taken = batch.entries.filter((_entry, index) => !refused.has(index))
      const superseded = await this.#transact({ ...batch, entries: taken }, 'COMMIT', signal)
      const readingsOf = (index: number) => batch.entries[index]?.readings.length ?? 0
      return {
        superseded,
        rejected: [...refused].map(([index, reason]) => ({ index, refused: readingsOf(index), reason })),
      }
    }
  }

  /** The entries that are refused each by itself, by index, and why. */
  async #refused(entries: readonly StoreEntry[], signal: AbortSignal): Promise<Map<number, string>> {
    const refused = new Map<number, string>()
    const look = async (from: number, to: number): Promise<void> => {
      try {
        await this.#transact({ entries: entries.slice(from, to) }, 'ROLLBACK', signal)
      } catch (error) {
        if (signal.aborted || !isAboutData(error)) throw error
        if (to - from === 1) refused.set(from, messageOf((error as StoreError).cause))
        else {
          const middle = from + ((to - from) >> 1)
          await look(from, middle)
          await look(middle, to)
        }
      }
    }
    await look(0, entries.length)
    return refused
  }

  async #transact(
    { entries, checkpoint, isRepeat = false }: StoreBatch,
    end: 'COMMIT' | 'ROLLBACK',
    signal: AbortSignal,
  ): Promise<readonly SupersededReadings[]> {
    const { writer, tables } = this.#opened()
    const byStream = new Map<string, Reading[]>()
    for (const { stream, readings } of entries) {
      let all = byStream.get(stream.name)
      if (all === undefined) {
        all = []
        byStream.set(stream.name, all)
      }
      for (const reading of readings) all.push(reading)
    }
    if (byStream.size === 0 && checkpoint === undefined) return []
    this.#assertItsFile()
    // A thread must not be ended while DuckDB works in it: that aborts the process. So an abort interrupts the work.
    const onAbort = () => writer.interrupt()
    signal.addEventListener('abort', onAbort, { once: true })
    const superseded = new Superseded()
    try {
      await writer.run('BEGIN TRANSACTION')
      for (const [stream, readings] of byStream) await tables.get(stream)?.write(readings, superseded, isRepeat)
      if (checkpoint !== undefined) await keepCheckpoint(writer, checkpoint)
      await writer.run(end)
      return superseded.list
    } catch (error) {
      for (const table of tables.values()) table.discard()
      await writer.run('ROLLBACK').catch(() => undefined)
      const refusesAll = () => true
      this.#broken = await this.checkpoint().then(() => false, refusesAll)
      throw storeFailed(`writing to ${this.#path} failed`, error)
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Throws `store-lost` if the file has been removed, or another put in its place: what is written would be found by nobody. */
  #assertItsFile(): void {
    const { path, inode } = this.#opened()
    if (statSync(path, { throwIfNoEntry: false })?.ino === inode) return
    throw new StoreError('store-lost', `${path} was removed or replaced while it was in use`, { retry: 'slowly' })
  }

  async checkpoint(): Promise<string | undefined> {
    const kept = await this.#opened().writer.runAndReadAll(`SELECT position FROM ${CHECKPOINT}`)
    return kept.getRows()[0]?.map(String)[0]
  }

  async readings(query: HistoryQuery, signal: AbortSignal): Promise<HistoryPage> {
    return this.#opened().history.readings(query, signal)
  }

  async latest(selections: readonly Selection[], limit: number): Promise<readonly Reading[]> {
    return this.#opened().history.latest(selections, limit)
  }

  async stop(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    if (open === undefined) return
    for (const table of open.tables.values()) table.discard()
    await open.history.close()
    open.writer.closeSync()
    open.instance.closeSync()
  }

  /** Rejects as `start` does; then it is still broken. */
  async #openAnew(): Promise<void> {
    await this.stop()
    await this.start()
    this.#broken = false
  }

  #opened(): Open {
    if (this.#open === undefined) throw storeFailed(`the store ${this.#path} is not open`, undefined)
    return this.#open
  }
}

/**
 * The file that `path` leads to, also where it does not exist yet. DuckDB (1.5.6) follows a link only to a file that is
 * there: at the first start its write-ahead log would be beside the link, and at the next it is looked for beside the file.
 */
async function linkTarget(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return path
    const target = await readlink(path).catch(() => undefined)
    return target === undefined ? path : linkTarget(resolve(dirname(path), target))
  }
}

async function keepCheckpoint(writer: DuckDBConnection, position: string): Promise<void> {
  await writer.run(`DELETE FROM ${CHECKPOINT}`)
  await writer.run(`INSERT INTO ${CHECKPOINT} VALUES (?)`, [position])
}

function isAboutData(error: unknown): boolean {
  if (!(error instanceof StoreError)) return false
  const { cause } = error
  return cause instanceof UnfitValue || (cause instanceof Error && ABOUT_DATA.test(cause.message))
}

function storeFailed(what: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error
  const why = error === undefined ? '' : `: ${messageOf(error)}`
  return new StoreError('store-failed', what + why, { retry: 'soon', cause: error })
}
