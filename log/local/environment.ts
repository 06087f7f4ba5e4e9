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
import { LogError } from '../log.ts'

const FORMAT_VERSION = 1
const DATABASES_MAX = 8
const READERS_MAX = 126

export interface Environment {
  readonly root: RootDatabase
  /** First offset of a group commit -> its run. */
  readonly runs: Database<Buffer, number>
  /** What is true of the log as a whole. */
  readonly meta: Database<Buffer | string | number, string>
  /** Reader's name -> its account. */
  readonly accounts: Database<unknown, string>
  /** Sequence -> dead letter. */
  readonly deadLetters: Database<unknown, number>
  /** Device id -> presence. */
  readonly presence: Database<unknown, string>
  /** Tells this log's positions from those of another. */
  readonly logId: string
}

/** Opens or makes the log in `directory`. Throws a `LogError` `log-failed` that says what the disk refused. */
export async function openEnvironment(directory: string): Promise<Environment> {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const root = open({
      path: directory,
      maxDbs: DATABASES_MAX,
      maxReaders: READERS_MAX,
      overlappingSync: false,
      noSubdir: false,
    })
    // A reader killed with -9 keeps old pages from being used again until its slot is cleared.
    root.readerCheck()
    const meta = root.openDB<Buffer | string | number, string>({ name: 'meta', encoding: 'msgpack' })
    await initialise(meta)
    chmodSync(directory, 0o700)
    return {
      root,
      meta,
      runs: root.openDB<Buffer, number>({ name: 'runs', encoding: 'binary' }),
      accounts: root.openDB({ name: 'accounts', encoding: 'msgpack' }),
      deadLetters: root.openDB<unknown, number>({ name: 'dead-letters', encoding: 'msgpack' }),
      presence: root.openDB<unknown, string>({ name: 'presence', encoding: 'msgpack' }),
      logId: String(meta.get('id')),
    }
  } catch (cause) {
    if (cause instanceof LogError) throw cause
    throw new LogError('log-failed', `the log in ${directory} cannot be opened: ${messageOf(cause)}`, { cause })
  }
}

/** The first offset of the newest run; undefined when nothing was ever appended. */
export function newestRun(environment: Environment): number | undefined {
  for (const offset of environment.runs.getKeys({ reverse: true, limit: 1 })) return offset
  return undefined
}

async function initialise(meta: Environment['meta']): Promise<void> {
  await meta.transaction(() => {
    const version = meta.get('format')
    if (version === undefined) {
      meta.put('format', FORMAT_VERSION)
      meta.put('id', randomBytes(4).toString('hex'))
    } else if (version !== FORMAT_VERSION) {
      throw new LogError('log-failed', `the log has format ${version}; this version reads format ${FORMAT_VERSION}`)
    }
  })
}
