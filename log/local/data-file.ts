/**
 * Owns what can be told of `data.mdb` before LMDB maps it: a page in use that lies past the end of the file would end the
 * process with SIGBUS when it is touched, and a damaged one with SIGSEGV. Reads the two meta pages (lmdb 3.5's layout of
 * LMDB's data version 2), and has the trees looked through that the newer one names.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { LogError } from '../log.ts'
import { whatIsWrongInTrees } from './trees.ts'

const META = {
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
const MAGIC = 0xbeefc0de
const DATA_VERSION = 2
const PAGE_BYTES_MIN = 512
const PAGE_BYTES_MAX = 65_536
const NO_PAGE = 0xffffffffffffffffn
/** A broker that is committing may be seen between two writes. */
const TRIES = 3

/** Throws a `LogError` `log-corrupt` if the file in `directory` cannot be what LMDB left; a missing file is a new log. */
export function checkDataFile(directory: string): void {
  const path = join(directory, 'data.mdb')
  let wrong: string | undefined
  for (let tries = 0; tries < TRIES; tries++) {
    wrong = whatIsWrong(path)
    if (wrong === undefined) return
  }
  throw new LogError(
    'log-corrupt',
    `${path} ${wrong}: restore it from a copy, or move the folder away to begin a new log`,
  )
}

function whatIsWrong(path: string): string | undefined {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const { size } = fstatSync(file)
    if (size === 0) return undefined // A start that was killed before its first write: LMDB begins anew.
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
