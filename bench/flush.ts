/**
 * Owns what a flush to this disk takes: the median of many `fdatasync`s, each after 4 KiB were written over what a file in the folder
 * holds already, as the log writes over space that it has taken ahead.
 */

import { closeSync, fdatasyncSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const FLUSHES = 300
const PAGE_BYTES = 4096
const PAGES = 64

/** Milliseconds of each. */
export function flushesMs(folder: string): number[] {
  const path = join(folder, 'flush')
  const file = openSync(path, 'w')
  const page = Buffer.alloc(PAGE_BYTES, 1)
  const taken: number[] = []
  try {
    writeSync(file, Buffer.alloc(PAGES * PAGE_BYTES))
    fsyncSync(file)
    for (let flush = 0; flush < FLUSHES; flush++) {
      const from = performance.now()
      writeSync(file, page, 0, PAGE_BYTES, (flush % PAGES) * PAGE_BYTES)
      fdatasyncSync(file)
      taken.push(performance.now() - from)
    }
    return taken
  } finally {
    closeSync(file)
    rmSync(path)
  }
}
