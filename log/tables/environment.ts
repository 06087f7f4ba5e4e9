/**
 * Owns the LMDB environment of a local log: one directory, its databases, and the identity of the log.
 *
 * Always true: a commit is durable before it is visible (`overlappingSync: false`; traced: fdatasync and the O_DSYNC
 * write of the meta page come before the promise), so that a reader in any process sees only what a power cut leaves.
 */

import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync } from 'node:fs'
import { type Database, open, type RootDatabase } from 'lmdb'
import { messageOf } from '../../platform/errors.ts'
import { LogError } from '../log-error.ts'
import { checkDataFile, markBegun } from './data-file.ts'

const FORMAT_VERSION = 1
const DATABASES_MAX = 32
const READERS_MAX = 126
const META_PAGES = 2

/** Databases have the names of the first version on disk (`FORMAT.md`). */
export interface Environment {
  readonly root: RootDatabase
  /** First offset of a group commit -> its bytes. */
  readonly commits: Database<Buffer, number>
  /** What is true of the log as a whole. */
  readonly meta: Database<unknown, string>
  /** Reader's name -> its ledger. */
  readonly ledgers: Database<unknown, string>
  /** Reader's name, slash, device id -> the device's part of that ledger. */
  readonly deviceLedgers: Database<Buffer, string>
  /** Under the same keys: the hours of the device that are over (`device-records.ts`). */
  readonly deviceHours: Database<Buffer, string>
  /** Sequence -> dead letter. */
  readonly deadLetters: Database<Buffer, number>
  /** What each device has of them, see `dead-letter-shares.ts`. */
  readonly deadLetterShares: Database<unknown, (string | number)[]>
  /** Device id -> how many were ever set aside, by code (`dead-letter-codes.ts`). */
  readonly deadLetterCodes: Database<unknown, string>
  /** Checkpoint of ingest -> which of the entries behind it were set aside undecoded (`undecoded.ts`). */
  readonly undecoded: Database<Buffer, number>
  /** Number -> a move of the checkpoint of ingest, and when it was (`checkpoint-times.ts`). */
  readonly checkpointTimes: Database<Buffer, number>
  /** Number -> request to replay dead letters. */
  readonly replays: Database<unknown, number>
  /** Number -> what a device is to be told. */
  readonly notices: Database<unknown, number>
  /** Commands to devices, see `commands.ts`. */
  readonly commands: Database<unknown, (string | number)[]>
  /** Device id -> presence. */
  readonly presence: Database<unknown, string>
  /** Device id, and more (`journal.ts`) -> what was seen of it. */
  readonly journal: Database<unknown, string>
  /** Tells this log's positions from those of another. */
  readonly logId: string
  /** Waits for a commit. What the disk refused rejects with `log-failed`, and `onFailed` has been told. */
  readonly durable: <T>(promise: Promise<T>) => Promise<T>
  /** Tells `onFailed`: nothing may be written any more. */
  readonly fail: (error: LogError) => void
}

/** What lmdb rejects with when a commit failed; why is in a promise that rejects, and that somebody must wait for. */
interface CommitError extends Error {
  readonly commitError: Promise<unknown>
}

/**
 * Opens or makes the log in `directory`. Throws a `LogError`: `log-failed` says what the disk refused, `log-corrupt` what
 * is wrong with the file. `onFailed` is told of the first commit that fails: nothing may be written after it. `id`: of one that is made.
 */
export async function openEnvironment(
  directory: string,
  onFailed: (error: LogError) => void = () => undefined,
  id = randomBytes(4).toString('hex'),
): Promise<Environment> {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    checkDataFile(directory)
    const root = open({
      path: directory,
      maxDbs: DATABASES_MAX,
      maxReaders: READERS_MAX,
      overlappingSync: false,
      // With it, lmdb 3.5.6 makes a promise of its own for each batch, whose rejection nobody can catch.
      eventTurnBatching: false,
      noSubdir: false,
    })
    // A reader killed with -9 keeps old pages from being used again until its slot is cleared.
    root.readerCheck()
    const meta = root.openDB<unknown, string>({ name: 'meta', encoding: 'msgpack' })
    await initialise(meta, id)
    markBegun(directory, String(meta.get('id')))
    chmodSync(directory, 0o700)
    return {
      root,
      meta,
      commits: root.openDB<Buffer, number>({ name: 'runs', encoding: 'binary' }),
      ledgers: root.openDB({ name: 'accounts', encoding: 'msgpack' }),
      deviceLedgers: root.openDB<Buffer, string>({ name: 'device-accounts', encoding: 'binary' }),
      deviceHours: root.openDB<Buffer, string>({ name: 'device-hours', encoding: 'binary' }),
      deadLetters: root.openDB<Buffer, number>({ name: 'dead-letters', encoding: 'binary' }),
      deadLetterShares: root.openDB({ name: 'dead-letter-shares', encoding: 'msgpack' }),
      deadLetterCodes: root.openDB<unknown, string>({ name: 'dead-letter-codes', encoding: 'msgpack' }),
      undecoded: root.openDB<Buffer, number>({ name: 'undecoded', encoding: 'binary' }),
      checkpointTimes: root.openDB<Buffer, number>({ name: 'checkpoint-times', encoding: 'binary' }),
      replays: root.openDB<unknown, number>({ name: 'replays', encoding: 'msgpack' }),
      notices: root.openDB<unknown, number>({ name: 'notices', encoding: 'msgpack' }),
      commands: root.openDB({ name: 'commands', encoding: 'msgpack' }),
      presence: root.openDB<unknown, string>({ name: 'presence', encoding: 'msgpack' }),
      journal: root.openDB<unknown, string>({ name: 'journal', encoding: 'msgpack' }),
      logId: String(meta.get('id')),
      durable: (promise) => committed(promise, onFailed),
      fail: onFailed,
    }
  } catch (cause) {
    if (cause instanceof LogError) throw cause
    throw new LogError('log-failed', `the log in ${directory} cannot be opened: ${messageOf(cause)}`, { cause })
  }
}

/**
 * The value under `key`: a view of memory that lmdb uses again, good until the next read of any database.
 *
 * `getBinaryFast` overwrites the `length` of a buffer that is larger than the value. What `subarray` and the like take for
 * the end is that number up to Node 23, and the buffer's own since Node 24; the view's two are the same.
 */
export function peek<Key extends string | number>(database: Database<Buffer, Key>, key: Key): Buffer | undefined {
  const shared = database.getBinaryFast(key)
  return shared && Buffer.from(shared.buffer as ArrayBuffer, shared.byteOffset, shared.length)
}

/** The first offset of the newest commit; undefined when nothing was ever appended. */
export function newestCommit(environment: Environment): number | undefined {
  for (const offset of environment.commits.getKeys({ reverse: true, limit: 1 })) return offset
  return undefined
}

/** Bytes of the file up to the end of the last page that was ever in use. */
export function bytesReached({ root }: Environment): number {
  const { lastPageNumber, pageSize } = root.getStats() as RootStats
  return (lastPageNumber + 1) * pageSize
}

/** Bytes of the pages in use. */
export function bytesInUse(environment: Environment): number {
  const { root, logId, durable, fail, ...databases } = environment
  const main = root.getStats() as RootStats
  let pages = META_PAGES + pagesOfTree(main) + pagesOfTree(main.free)
  for (const database of Object.values(databases)) pages += pagesOfTree(database.getStats() as TreeStats)
  return pages * main.pageSize
}

interface RootStats extends TreeStats {
  readonly free: TreeStats
  readonly lastPageNumber: number
}

interface TreeStats {
  readonly pageSize: number
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}

function pagesOfTree(stats: TreeStats): number {
  return stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages
}

/** Bytes that the commits take on disk. */
export function bytesOfCommits(environment: Environment): number {
  const stats = environment.commits.getStats() as TreeStats
  return stats.pageSize * pagesOfTree(stats)
}

async function committed<T>(promise: Promise<T>, onFailed: (error: LogError) => void): Promise<T> {
  try {
    return await promise
  } catch (error) {
    if (!isCommitError(error)) throw error
    const cause = await error.commitError.catch((reason: unknown) => reason)
    const failure = new LogError('log-failed', `the disk did not take a commit of the log: ${messageOf(cause)}`, {
      cause,
    })
    onFailed(failure)
    throw failure
  }
}

function isCommitError(error: unknown): error is CommitError {
  return error instanceof Error && 'commitError' in error
}

async function initialise(meta: Environment['meta'], id: string): Promise<void> {
  await meta.transaction(() => {
    const version = meta.get('format')
    if (version === undefined) {
      meta.put('format', FORMAT_VERSION)
      meta.put('id', id)
    } else if (version !== FORMAT_VERSION) {
      throw new LogError('log-failed', `the log has format ${version}; this version reads format ${FORMAT_VERSION}`)
    }
  })
}
