/**
 * Owns one measured child process: its start, its readiness, its CPU time, its end. Always true: `stop()` leaves no
 * process behind; CPU time is that of the process, all its threads and all its descendants, read from `/proc` (Linux).
 * Bound: every wait has a deadline. Its last `OUTPUT_LINES_MAX` lines of output are kept for the error, older ones dropped.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

const OUTPUT_LINES_MAX = 40
const STOP_MS = 12_000
const POLL_MS = 20
/** `sysconf(_SC_CLK_TCK)`: 100 on every Linux that Node runs on; the unit of `/proc/<pid>/stat`. */
const TICKS_PER_SECOND = 100

export class MeasuredProcess {
  readonly name: string
  readonly #child: ChildProcess
  readonly #lines: string[] = []
  #ended: Promise<void>
  #hasEnded = false

  constructor(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.name = name
    this.#child = spawn(command, args, { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.on('error', (error) => this.#keep(error.message))
    this.#child.stdout?.on('data', (data) => this.#keep(String(data)))
    this.#child.stderr?.on('data', (data) => this.#keep(String(data)))
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', () => {
        this.#hasEnded = true
        resolve()
      })
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** The last lines it printed, of both streams. */
  get output(): string {
    return this.#lines.join('\n')
  }

  /** Resolves when `ready` does; rejects with the output if it does not within `deadlineMs`, or the process ends. */
  async untilReady(ready: () => Promise<boolean>, deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs
    while (!(await ready())) {
      if (this.#hasEnded) throw new Error(`${this.name} ended at its start:\n${this.output}`)
      if (performance.now() > deadline) throw new Error(`${this.name} not ready in ${deadlineMs} ms:\n${this.output}`)
      await delay(POLL_MS)
    }
  }

  /** Milliseconds of CPU used so far, user and system. */
  cpuMs(): number {
    if (this.#child.pid === undefined || this.#hasEnded) throw new Error(`${this.name} is gone:\n${this.output}`)
    return treeTicks(this.#child.pid) * (1000 / TICKS_PER_SECOND)
  }

  /** SIGTERM, then SIGKILL after a deadline. Idempotent. */
  async stop(): Promise<void> {
    if (!this.#hasEnded) this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.kill(), STOP_MS)
    await this.#ended
    clearTimeout(timer)
  }

  /** kill -9, its descendants too. */
  kill(): void {
    if (this.#hasEnded || this.#child.pid === undefined) return
    for (const pid of descendants(this.#child.pid).reverse()) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It has ended by itself in the meantime.
      }
    }
  }

  async ended(): Promise<void> {
    await this.#ended
  }

  #keep(text: string): void {
    this.#lines.push(...text.split('\n').filter((line) => line !== ''))
    this.#lines.splice(0, this.#lines.length - OUTPUT_LINES_MAX)
  }
}

/** `pid` first, then its children and theirs. */
function descendants(pid: number): number[] {
  const found = [pid]
  for (let index = 0; index < found.length; index++) {
    try {
      for (const thread of readdirSync(`/proc/${found[index]}/task`)) {
        const children = readFileSync(`/proc/${found[index]}/task/${thread}/children`, 'utf8').trim()
        if (children !== '') found.push(...children.split(' ').map(Number))
      }
    } catch {
      // It has ended; its time is in its parent's cutime.
    }
  }
  return found
}

function treeTicks(pid: number): number {
  let ticks = 0
  for (const each of descendants(pid)) {
    try {
      const stat = readFileSync(`/proc/${each}/stat`, 'utf8')
      // Fields after the name, which may hold blanks and brackets: utime is field 14, stime 15, cutime 16, cstime 17.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      for (const field of fields.slice(11, 15)) ticks += Number(field)
    } catch {
      // As above.
    }
  }
  return ticks
}

/** Something accepts TCP connections there. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
