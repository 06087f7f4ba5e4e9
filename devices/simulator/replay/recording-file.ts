/**
 * Owns the file that a recording is written to, NDJSON. Always true: it holds whole lines, for they are written together and what did not
 * get onto the disk whole is taken away again; a process that is killed leaves all that was written before. An existing file is never
 * written over.
 */

import { closeSync, fsyncSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs'
import { messageOf } from '../../../platform/errors.ts'
import type { Reading } from '../../../schemas/reading.ts'
import { RecordingError } from './recorded.ts'

export class RecordingFile {
  readonly #name: string
  readonly #handle: number
  /** Of whole lines. */
  #bytes = 0

  /** Throws a `RecordingError`. */
  constructor(name: string) {
    this.#name = name
    try {
      this.#handle = openSync(name, 'wx')
    } catch (error) {
      const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST'
      throw new RecordingError(
        name,
        undefined,
        isThere ? 'is there already: name another file' : `cannot be written: ${messageOf(error)}`,
      )
    }
  }

  get bytes(): number {
    return this.#bytes
  }

  readings(readings: readonly Reading[]): void {
    let lines = ''
    for (const { device, stream, ts, received, values } of readings) {
      lines += `${JSON.stringify({ device, stream, ts, received, values })}\n`
    }
    this.#write(lines)
  }

  gap(reason: string, missed: number): void {
    this.#write(`${JSON.stringify({ gap: { reason, missed } })}\n`)
  }

  /** A file without a line is taken away: it would be in the way of the next try. */
  close(): void {
    try {
      fsyncSync(this.#handle)
    } finally {
      closeSync(this.#handle)
    }
    if (this.#bytes === 0) rmSync(this.#name)
  }

  #write(lines: string): void {
    const bytes = Buffer.from(lines)
    try {
      for (let written = 0; written < bytes.length; ) {
        written += writeSync(this.#handle, bytes, written, bytes.length - written, this.#bytes + written)
      }
    } catch (error) {
      ftruncateSync(this.#handle, this.#bytes)
      throw new RecordingError(this.#name, undefined, `cannot be written: ${messageOf(error)}`)
    }
    this.#bytes += bytes.length
  }
}
