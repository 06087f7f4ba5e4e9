/** Owns a Python that answers a line of JSON with another. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export class Python {
  readonly #child
  readonly #lines: AsyncIterator<string>

  /** `script` stands beside this file. */
  constructor(program: string, script: string) {
    this.#child = spawn(program, ['-B', new URL(script, import.meta.url).pathname], {
      // `-B`: it leaves no files here. Protobuf's C++ prints a line for each text that is no UTF-8.
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]()
  }

  async ask<T>(question: object): Promise<T> {
    this.#child.stdin.write(`${JSON.stringify(question)}\n`)
    const { value } = await this.#lines.next()
    return JSON.parse(value ?? assert.fail('Python has ended')) as T
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.stdin.end()
    await ended
  }
}
