/**
 * Owns the promise that one process appends to a log directory: a file that names the process which holds it.
 *
 * Always true: the lock of a process that is gone (kill -9, power cut) is taken over; a process is told from a later one
 * with the same id by its start time, where the system gives one (Linux `/proc`).
 */

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LogError } from '../log.ts'

interface Holder {
  readonly pid: number
  readonly startedAt: string | undefined
}

export class WriterLock {
  readonly #file: string
  #held = false

  constructor(directory: string) {
    this.#file = join(directory, 'writer.lock')
  }

  /** Throws a `LogError` `log-locked` that names the process which appends to this log now. */
  acquire(): void {
    const holder = this.#holder()
    if (holder !== undefined && isAlive(holder)) {
      throw new LogError(
        'log-locked',
        `process ${holder.pid} appends to this log already: stop it first (${this.#file})`,
      )
    }
    rmSync(this.#file, { force: true })
    const self: Holder = { pid: process.pid, startedAt: startOf(process.pid) }
    try {
      writeFileSync(this.#file, JSON.stringify(self), { flag: 'wx' })
    } catch (cause) {
      throw new LogError('log-locked', `another process took the log's lock just now (${this.#file})`, { cause })
    }
    this.#held = true
  }

  release(): void {
    if (!this.#held) return
    this.#held = false
    rmSync(this.#file, { force: true })
  }

  #holder(): Holder | undefined {
    let text: string
    try {
      text = readFileSync(this.#file, 'utf8')
    } catch {
      return undefined // No file: nobody holds it.
    }
    try {
      return JSON.parse(text) as Holder
    } catch {
      return undefined // A torn file: its writer died while taking the lock.
    }
  }
}

function isAlive(holder: Holder): boolean {
  const startedAt = startOf(holder.pid)
  if (startedAt !== undefined || holder.startedAt !== undefined) return startedAt === holder.startedAt
  try {
    process.kill(holder.pid, 0)
    return holder.pid !== process.pid
  } catch {
    return false
  }
}

/** The boot's id and the process's start in clock ticks since boot (proc(5), field 22 of stat); undefined if it is not running. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    return `${boot}/${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
  } catch {
    return undefined
  }
}
