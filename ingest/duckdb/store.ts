/**
 * Owns the embedded store: one DuckDB file, a table a stream, one transaction a batch, rows and checkpoint together.
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

import assert from 'node:assert/strict'
import { rmSync, statSync } from 'node:fs'
import { readlink, realpath } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { messageOf } from '../../platform/errors.ts'
import type {
  History,
  HistoryPage,
  HistoryQuery,
  LogPosition,
  ReceivedPage,
  ReceivedQuery,
  Selection,
} from '../../schemas/history.ts'
import type { Reading, Stream } from '../../schemas/reading.ts'
import { positionOf } from '../source.ts'
import {
  type PointStore,
  type RejectedEntry,
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
import { type Kept, keptAfter, lackingIn, openCheckpoint, readCheckpoint, writeCheckpoint } from './log-checkpoint.ts'
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

interface Open {
  readonly instance: DuckDBInstance
  readonly path: string
  readonly inode: number
  readonly writer: DuckDBConnection
  readonly history: DuckdbHistory
  readonly tables: Map<string, StreamTable>
  /** As of the newest commit. */
  kept: Kept
}

export class DuckdbStore implements PointStore, History {
  readonly name = 'duckdb'
  readonly history: History = this
  readonly #path: string
  #streams: readonly Stream[]
  /** Streams that came while it was open, and that it cannot keep: why. */
  readonly #unkept = new Map<string, string>()
  #open: Open | undefined
  #wasOpen = false
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
      const tables = new Map<string, StreamTable>()
      this.#unkept.clear()
      for (const stream of this.#streams) {
        const fault = await prepare(tables, new StreamTable(stream, writer))
        // Of one that came while it was open it is known; the others go on being stored.
        if (fault !== undefined && !this.#wasOpen) throw fault
        if (fault !== undefined) this.#unkept.set(stream.name, messageOf(fault))
      }
      const kept = await openCheckpoint(writer)
      const { ino: inode } = statSync(path)
      this.#wasOpen = true
      this.#open = { instance, path, inode, writer, tables, kept, history: new DuckdbHistory(instance, this.#streams) }
    } catch (error) {
      instance?.closeSync()
      throw storeFailed(`the store ${this.#path} cannot be opened (docs/deploy.md, "Another store")`, error)
    }
  }

  /**
   * Rejects with `store-failed` for a stream with a column that the table of its name contradicts. What else is in the way, as a full
   * disk is, is no stream's fault: the file is opened anew, with these streams, before the next write.
   */
  async useStreams(streams: readonly Stream[]): Promise<void> {
    this.#streams = streams
    this.#unkept.clear()
    const open = this.#open
    // Then they are prepared when it is opened.
    if (open === undefined || this.#broken) return
    open.history.useStreams(streams)
    const faults: StoreError[] = []
    for (const stream of streams) {
      const before = open.tables.get(stream.name)
      if (before?.stream === stream) continue
      before?.discard()
      open.tables.delete(stream.name)
      try {
        const fault = await prepare(open.tables, new StreamTable(stream, open.writer))
        if (fault === undefined) continue
        this.#unkept.set(stream.name, messageOf(fault))
        faults.push(fault)
      } catch (error) {
        this.#broken = true
        throw storeFailed(`the store ${this.#path} cannot take other streams yet`, error)
      }
    }
    if (faults.length > 0) throw storeFailed(`the store ${this.#path} cannot keep a stream`, faults[0])
  }

  async write(given: StoreBatch, signal: AbortSignal): Promise<WriteOutcome> {
    if (this.#broken) await this.#openAnew()
    const unkept = given.entries.flatMap(({ stream, readings }, index): RejectedEntry[] => {
      const reason = this.#unkept.get(stream.name)
      return reason === undefined ? [] : [{ index, refused: readings.length, reason }]
    })
    if (unkept.length === 0) return this.#write(given, signal)
    const indexes = given.entries.flatMap(({ stream }, index) => (this.#unkept.has(stream.name) ? [] : [index]))
    const kept = { ...given, entries: given.entries.filter(({ stream }) => !this.#unkept.has(stream.name)) }
    const { rejected, superseded } = await this.#write(kept, signal)
    const others = rejected.map((entry) => ({ ...entry, index: indexes[entry.index] ?? entry.index }))
    return { rejected: [...unkept, ...others], superseded }
  }

  async #write(batch: StoreBatch, signal: AbortSignal): Promise<WriteOutcome> {
    if (batch.isOtherLog) await this.#forgetPlaces()
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
    { entries, source, isRepeat = false }: StoreBatch,
    end: 'COMMIT' | 'ROLLBACK',
    signal: AbortSignal,
  ): Promise<readonly SupersededReadings[]> {
    const open = this.#opened()
    const { writer, tables } = open
    const byStream = new Map<string, StoreEntry[]>()
    for (const entry of entries) {
      const ofStream = byStream.get(entry.stream.name)
      if (ofStream === undefined) byStream.set(entry.stream.name, [entry])
      else ofStream.push(entry)
    }
    if (byStream.size === 0 && source === undefined) return []
    this.#assertItsFile()
    // A thread must not be ended while DuckDB works in it: that aborts the process. So an abort interrupts the work.
    const onAbort = () => writer.interrupt()
    signal.addEventListener('abort', onAbort, { once: true })
    const superseded = new Superseded()
    const kept = source === undefined ? open.kept : keptAfter(open.kept, source)
    try {
      await writer.run('BEGIN TRANSACTION')
      for (const [stream, all] of byStream) {
        const table = tables.get(stream)
        assert(table, `there is no table for ${stream}`)
        await table.write(all, source?.shard, superseded, isRepeat)
      }
      if (source !== undefined) await writeCheckpoint(writer, kept)
      await writer.run(end)
      if (end === 'COMMIT') open.kept = kept
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

  /** If it fails the tables are not as they were described: the file is opened anew. */
  async #forgetPlaces(): Promise<void> {
    const open = this.#opened()
    const { writer, tables } = open
    const kept = { ...open.kept, held: [] }
    try {
      await writer.run('BEGIN TRANSACTION')
      for (const table of tables.values()) await table.forgetPlaces()
      await writeCheckpoint(writer, kept)
      await writer.run('COMMIT')
      open.kept = kept
    } catch (error) {
      this.#broken = true
      throw storeFailed(`writing to ${this.#path} failed`, error)
    }
  }

  async checkpoint(): Promise<string | undefined> {
    return (await readCheckpoint(this.#opened().writer)).position
  }

  async readings(query: HistoryQuery, signal: AbortSignal): Promise<HistoryPage> {
    const { upTo, ...rest } = query
    if (upTo === undefined) return this.#opened().history.readings(query, signal)
    const position = this.#takenOf(upTo)
    const page = await this.#opened().history.readings({ ...rest, upTo: { ...upTo, position } }, signal)
    return { ...page, upTo: position }
  }

  /** Up to where the store has taken every message before a position of the log; of another log it has taken none. */
  #takenOf({ log, position }: LogPosition): readonly number[] {
    const taken = positionOf({ id: log, shards: position }, this.#opened().kept.position ?? '')
    return position.map((offset, shard) => Math.min(offset, taken?.[shard] ?? 0))
  }

  async received(query: ReceivedQuery, signal: AbortSignal): Promise<ReceivedPage> {
    const { history, kept } = this.#opened()
    const { log, from, before } = query
    const isOfItsLog = positionOf({ id: log, shards: before }, kept.position ?? '') !== undefined
    const lacking = lackingIn(isOfItsLog ? kept.held : [], from, before)
    if (!isOfItsLog) return { readings: [], truncated: false, lacking }
    return history.received(query, lacking, signal)
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

/** Has the table among the others; what it contradicts, if it does. */
async function prepare(tables: Map<string, StreamTable>, table: StreamTable): Promise<StoreError | undefined> {
  try {
    await table.prepare()
    tables.set(table.stream.name, table)
    return undefined
  } catch (error) {
    if (error instanceof StoreError) return error
    throw error
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
