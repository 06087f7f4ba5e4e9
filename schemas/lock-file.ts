/**
 * Owns writing `lock.json`. Any process may: each reads it again once it is its turn, so of two that add at once neither takes an
 * id of the other's. Always true: the file is whole, whenever a process ends.
 */

import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, systemClock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import { makeFile, replaceFile } from '../platform/files.ts'
import { SchemaError } from './definition.ts'
import { Lock } from './lock.ts'
import { LOCK_FILE, readSchemaFiles, type SchemaFiles } from './schema-files.ts'

/** Whose turn it is; one that is older was left by a process that ended. */
const TURN_FILE = '.lock.turn'
const TURN_MS_MAX = 10_000

/**
 * Writes what `change` makes of the lock and the files as they are now. Undefined if it is another process's turn: try again.
 * Throws `SchemaError` `lock-unwritable` where the folder cannot be written to.
 */
export function changeLock(
  directory: string,
  change: (lock: Lock, files: SchemaFiles) => Lock,
  clock: Clock = systemClock,
): Lock | undefined {
  const turn = join(directory, TURN_FILE)
  try {
    const taken = statSync(turn, { throwIfNoEntry: false })
    if (taken !== undefined && clock.now() - taken.mtimeMs > TURN_MS_MAX) rmSync(turn, { force: true })
    if (!makeFile(turn, `${process.pid}\n`)) return undefined
    try {
      const files = readSchemaFiles(directory)
      const changed = change(Lock.read(files), files)
      if (changed.text !== files.lock) replaceFile(join(directory, LOCK_FILE), changed.text, 0o644)
      return changed
    } finally {
      rmSync(turn, { force: true })
    }
  } catch (cause) {
    if (cause instanceof SchemaError) throw cause
    const message = `${join(directory, LOCK_FILE)}: cannot be written: ${messageOf(cause)}`
    throw new SchemaError('lock-unwritable', message, { cause })
  }
}
