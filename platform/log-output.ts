/**
 * Owns where log lines go in the end: standard error, which may be a file on a full disk or a pipe that nobody reads. Neither
 * may stop the process, so a line that is not taken at once is dropped; the next one that is taken is preceded by how
 * many were. (pino's own destination tries again for ever, with the process standing still.)
 *
 * Always true: no line has a whole token in it, whoever put it where a name belongs.
 * Bound: nothing is kept but the rest of a line whose beginning was taken.
 */

import { constants, fstatSync, openSync, writeSync } from 'node:fs'
import type { Clock } from './clock.ts'

/** A JWT, or most of one: it begins with `{"` in base64url. */
const TOKEN = /\beyJ[\w-]{8,}(\.[\w-]*){1,2}/g

export class LogOutput {
  readonly #file: number
  readonly #clock: Clock
  #rest: Buffer | undefined
  #dropped = 0

  /** Writes to the open file `file`. */
  constructor(file: number, { clock }: { readonly clock: Clock }) {
    this.#file = withoutWaiting(file)
    this.#clock = clock
  }

  /** Takes one line with its end. */
  write(line: string): void {
    const text = line.includes('eyJ') ? line.replaceAll(TOKEN, 'eyJ***') : line
    if (!this.#finishRest() || !this.#report() || !this.#put(Buffer.from(text))) this.#dropped++
  }

  #finishRest(): boolean {
    if (this.#rest !== undefined) this.#put(this.#rest)
    return this.#rest === undefined
  }

  #report(): boolean {
    if (this.#dropped === 0) return true
    const time = new Date(this.#clock.now()).toISOString()
    const msg = `${this.#dropped} log lines were dropped: standard error did not take them`
    if (!this.#put(Buffer.from(`${JSON.stringify({ level: 40, time, dropped: this.#dropped, msg })}\n`))) return false
    this.#dropped = 0
    return this.#rest === undefined
  }

  /** False if nothing was taken; of what was not taken whole, the rest comes next. */
  #put(bytes: Buffer): boolean {
    try {
      const written = writeSync(this.#file, bytes)
      this.#rest = written < bytes.length ? bytes.subarray(written) : undefined
      return true
    } catch {
      // ENOSPC, EAGAIN, EPIPE, EIO: whatever it is, there is no other place to say it, and the line is counted.
      return false
    }
  }
}

/** A pipe is opened once more, for this process alone: whoever else has it may want to wait. */
function withoutWaiting(file: number): number {
  if (!fstatSync(file).isFIFO()) return file
  try {
    return openSync(`/proc/self/fd/${file}`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    // Without /proc it may wait.
    return file
  }
}
