/** Owns making small files that are whole or not there, however the process or the machine ends; and how many may be open. */

import {
  chownSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { devNull } from 'node:os'
import { dirname } from 'node:path'

/**
 * Makes `file` with `text`, flushed; false if there is one already. Throws what the system says (`ENOSPC`, `EACCES`), and
 * then nothing is left. For the owner alone unless `mode` says otherwise.
 */
export function makeFile(file: string, text: string, mode = 0o600): boolean {
  const temporary = `${file}.${process.pid}.tmp`
  try {
    writeFileSync(temporary, text, { mode, flush: true })
    giveToOwner(temporary)
    // Unlike a rename it fails if another process was first.
    linkSync(temporary, file)
    flushDirectory(dirname(file))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(temporary, { force: true })
  }
}

/** Puts `text` in the place of what `file` held, or makes it: at any time one of both is there, whole. Flushed. Likewise. */
export function replaceFile(file: string, text: string, mode = 0o600): void {
  const temporary = `${file}.${process.pid}.tmp`
  try {
    writeFileSync(temporary, text, { mode, flush: true })
    giveToOwner(temporary)
    renameSync(temporary, file)
    flushDirectory(dirname(file))
  } finally {
    rmSync(temporary, { force: true })
  }
}

/** Makes a directory, mode 0700, where there is none. */
export function makeDirectory(directory: string): void {
  if (mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined) giveToOwner(directory)
}

/** Likewise, mode 0755: what is in it is for others to read, too. */
export function makeSharedDirectory(directory: string): void {
  if (mkdirSync(directory, { recursive: true, mode: 0o755 }) !== undefined) giveToOwner(directory)
}

/** What root makes in somebody else's directory is that one's, who could not read it otherwise: a service's, beside its own. */
function giveToOwner(path: string): void {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = statSync(dirname(path))
  if (uid !== 0) chownSync(path, uid, gid)
}

/** Has the names in it survive a power cut. */
function flushDirectory(directory: string): void {
  const file = openSync(directory, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** How many files and sockets this process may have open (getrlimit(2), `RLIMIT_NOFILE`); infinite where the system does not say. */
export function openFilesMax(): number {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? []
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/**
 * Has Linux make the process's table of open files as large as `count` of them take, or as many as may be open. It doubles the
 * table when that is full, and whoever opens a file then waits until all cores have taken note (`expand_fdtable` calls
 * `synchronize_rcu` if there are threads): for milliseconds, when connections come. At a start nobody waits for this process yet.
 */
export function growFileTable(count: number): void {
  if (process.platform !== 'linux') return
  const files: number[] = []
  try {
    // The lowest number that is free is taken.
    do files.push(openSync(devNull, 'r'))
    while ((files.at(-1) ?? count) < count)
  } catch (error) {
    if (!['EMFILE', 'ENFILE'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    for (const file of files) closeSync(file)
  }
}
