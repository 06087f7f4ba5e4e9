/**
 * Owns what can be told of `data.mdb` before LMDB maps it: a page in use that lies past the end of the file would end the
 * process with SIGBUS when it is touched, and a damaged one with SIGSEGV. Reads the two meta pages (lmdb 3.5's layout of
 * LMDB's data version 2), and has the trees looked through that the newer one names.
 */

import { closeSync, existsSync, fstatSync, openSync, readSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../../platform/errors.ts'
import { makeFile } from '../../platform/files.ts'
import { LogError } from '../log-error.ts'
import { INTEGER_KEYS, whatIsWrongInTrees } from './trees.ts'

const META = {
  pageFlags: 18,
  magic: 24,
  version: 28,
  pageSize: 48,
  freeTree: 48,
  freeRoot: 88,
  mainTree: 96,
  mainRoot: 136,
  lastPage: 144,
  transaction: 152,
}
const META_BYTES = 160
/** Both meta pages, of which LMDB's smallest have 4 KiB each on the machines that Node runs on. */
const FIRST_WRITE_BYTES = 8192
const MAGIC = 0xbeefc0de
const DATA_VERSION = 2
const PAGE_BYTES_MIN = 512
const PAGE_BYTES_MAX = 65_536
const META_PAGE = 8
const TREE_FLAGS = 4
const NO_PAGE = 0xffffffffffffffffn
const PROBE_BYTES = 1024 * 1024
/** A broker that is committing may be seen between two writes. */
const TRIES = 3

/** Made once the log has begun: from then on a data file that is not there, or empty, is one that was lost. */
const BEGUN = 'begun'

/**
 * Throws a `LogError`: `log-corrupt` if the file in `directory` cannot be what LMDB left, `log-failed` if a file of the log
 * may not be written, of which LMDB would die. A missing file is a new log, and so is one of less than LMDB's first write.
 */
export function checkDataFile(directory: string): void {
  const path = join(directory, 'data.mdb')
  const size = sizeOf(path)
  if (!existsSync(join(directory, BEGUN)) && size < FIRST_WRITE_BYTES) {
    // An empty one may be what another process is about to write to.
    if (size > 0) rmSync(path)
    probe(directory)
    return
  }
  assertWritable(join(directory, 'lock.mdb'))
  let wrong: string | undefined = size === 0 ? 'is gone or empty' : undefined
  for (let tries = 0; tries < TRIES && size > 0; tries++) {
    wrong = whatIsWrong(path)
    if (wrong === undefined) return
  }
  throw new LogError(
    'log-corrupt',
    `${path} ${wrong}: restore it from a copy, or move the folder away to begin a new log`,
  )
}

/** To be called when the log is open: it has begun. `id` is for whoever looks at the file. */
export function markBegun(directory: string, id: string): void {
  const path = join(directory, BEGUN)
  if (!existsSync(path)) makeFile(path, `${id}\n`)
}

/** Throws what the disk says if it has no room for the first commits: LMDB would die of it. */
function probe(directory: string): void {
  const path = join(directory, `probe.${process.pid}.tmp`)
  try {
    writeFileSync(path, Buffer.alloc(PROBE_BYTES), { flush: true })
  } finally {
    rmSync(path, { force: true })
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

function assertWritable(path: string): void {
  try {
    closeSync(openSync(path, 'r+'))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return
    throw new LogError('log-failed', `${path} cannot be written: ${messageOf(cause)}`, { cause })
  }
}

function whatIsWrong(path: string): string | undefined {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const head = readAt(file, 0)
    const pageSize = head.readUInt32LE(META.pageSize)
    if (head.readUInt32LE(META.magic) !== MAGIC) return 'is no LMDB file (its first page is damaged)'
    if (pageSize < PAGE_BYTES_MIN || pageSize > PAGE_BYTES_MAX || (pageSize & (pageSize - 1)) !== 0)
      return `says that its pages have ${pageSize} bytes`
    if (size < 2 * pageSize) return `is cut off at ${size} bytes, within its first two pages`
    const metas = [head, readAt(file, pageSize)]
    for (const meta of metas) {
      if (meta.readUInt32LE(META.magic) !== MAGIC || meta.readUInt32LE(META.version) !== DATA_VERSION)
        return 'has a damaged meta page'
      if (meta.readUInt32LE(META.pageSize) !== pageSize) return 'has a damaged meta page'
      // The flags of the free tree are those of the environment too, and LMDB does what they say.
      if (meta.readUInt16LE(META.pageFlags) !== META_PAGE) return 'has a damaged meta page'
      if (meta.readUInt16LE(META.freeTree + TREE_FLAGS) !== INTEGER_KEYS) return 'has a damaged meta page'
    }
    const newest = metas.reduce((a, b) => (transactionOf(b) > transactionOf(a) ? b : a))
    const last = newest.readBigUInt64LE(META.lastPage)
    if ((last + 1n) * BigInt(pageSize) > BigInt(size))
      return `is cut off: it has ${size} bytes, and its last page is number ${last}`
    for (const root of [META.freeRoot, META.mainRoot]) {
      const page = newest.readBigUInt64LE(root)
      if (page !== NO_PAGE && (page > last || page < 2n)) return 'has a damaged meta page'
    }
    const wrong = whatIsWrongInTrees({
      file,
      pageSize,
      lastPage: Number(last),
      transaction: transactionOf(newest),
      free: newest.subarray(META.freeTree, META.mainTree),
      main: newest.subarray(META.mainTree, META.lastPage),
    })
    // Once another process has committed, pages of this state of the log are used again.
    const moved = [0, pageSize].some((at) => transactionOf(readAt(file, at)) > transactionOf(newest))
    return moved ? undefined : wrong
  } finally {
    closeSync(file)
  }
}

function readAt(file: number, at: number): Buffer {
  const bytes = Buffer.alloc(META_BYTES)
  readSync(file, bytes, 0, META_BYTES, at)
  return bytes
}

const transactionOf = (meta: Buffer) => meta.readBigUInt64LE(META.transaction)
