/**
 * Owns one child process of the bench. Always true: `stop()` leaves neither it nor its descendants behind, and a bench
 * that ends by any way kills what it started; every wait has a deadline. Of its standard error the last `ERROR_CHARS_MAX`
 * characters are kept, for the message when it fails.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { descendants } from './proc.ts'

const ERROR_CHARS_MAX = 4_000
const STOP_MS = 12_000

const running = new Set<Child>()
process.on('exit', () => {
  for (const child of running) child.kill()
})

export class Child {
  readonly name: string
  readonly #process: ChildProcess
  readonly #lines: string[] = []
  readonly #ended: Promise<void>
  #errors = ''
  #hasEnded = false
  #wake: () => void = () => {}

  /** `program`: Node itself unless given. */
  constructor(
    name: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    program = process.execPath,
  ) {
    this.name = name
    this.#process = spawn(program, args, {
      // Nothing of the caller's own TELLTALE_ or INFLUX_ settings may leak into what is measured.
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    running.add(this)
    this.#process.on('error', (error) => this.#keep(error.message))
    this.#process.stderr?.on('data', (data) => this.#keep(String(data)))
    this.#process.stdin?.on('error', () => {})
    if (this.#process.stdout) {
      createInterface({ input: this.#process.stdout }).on('line', (line) => {
        this.#lines.push(line)
        this.#wake()
      })
    }
    this.#ended = new Promise((resolve) => {
      this.#process.once('close', () => {
        this.#hasEnded = true
        running.delete(this)
        this.#wake()
        resolve()
      })
    })
  }

  get pid(): number {
    this.requireRunning()
    return this.#process.pid ?? 0
  }

  /** Throws what it said last when it has ended. */
  requireRunning(): void {
    if (this.#process.pid !== undefined && !this.#hasEnded) return
    const how = this.#process.signalCode ?? `status ${this.#process.exitCode}`
    throw new Error(`${this.name} has ended (${how}): ${this.#errors}`)
  }

  /** The next line of its standard output for which `wanted` is true; those before it are dropped. */
  async line(wanted: (line: string) => boolean, deadlineMs: number): Promise<string> {
    const deadline = performance.now() + deadlineMs
    for (;;) {
      for (let line = this.#lines.shift(); line !== undefined; line = this.#lines.shift()) if (wanted(line)) return line
      const left = deadline - performance.now()
      if (this.#hasEnded) throw new Error(`${this.name} ended early: ${this.#errors}`)
      if (left <= 0) throw new Error(`${this.name} said nothing within ${deadlineMs} ms: ${this.#errors}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  send(line: string): void {
    this.#process.stdin?.write(`${line}\n`)
  }

  /** SIGTERM, then SIGKILL after a deadline. Idempotent. */
  async stop(): Promise<void> {
    if (this.#hasEnded) return
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => this.kill(), STOP_MS)
    await this.#ended
    clearTimeout(timer)
  }

  /** kill -9, its descendants first. */
  kill(): void {
    if (this.#process.pid === undefined || this.#hasEnded) return
    for (const pid of descendants(this.#process.pid).reverse()) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It has ended by itself in the meantime.
      }
    }
  }

  #keep(text: string): void {
    this.#errors = (this.#errors + text).slice(-ERROR_CHARS_MAX)
  }
}
