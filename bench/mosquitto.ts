/**
 * Owns a Mosquitto of one's own: the peer broker, on a free loopback port, keeping nothing on disk (its usual setup). It
 * is found in the PATH or where Debian puts it.
 */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { accepts, MeasuredProcess } from './process.ts'

const READY_MS = 5_000

export const mosquittoBinary = (): string | undefined =>
  [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/sbin']
    .map((directory) => join(directory, 'mosquitto'))
    .find((file) => existsSync(file))

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}

export class Mosquitto {
  readonly port: number
  readonly #directory = mkdtempSync(join(tmpdir(), 'telltale-mosquitto-'))
  #process: MeasuredProcess | undefined

  constructor(port: number) {
    this.port = port
  }

  get process(): MeasuredProcess {
    if (this.#process === undefined) throw new Error('mosquitto has not been started')
    return this.#process
  }

  /** Extra lines of `mosquitto.conf` after its own. May be called again after `process.kill()`. */
  async start(settings: readonly string[] = []): Promise<void> {
    const binary = mosquittoBinary()
    if (binary === undefined) throw new Error('mosquitto is not installed')
    const file = join(this.#directory, 'mosquitto.conf')
    const anonymous = settings.some((line) => line.startsWith('allow_anonymous')) ? [] : ['allow_anonymous true']
    const lines = [`listener ${this.port} 127.0.0.1`, ...anonymous, 'persistence false', 'log_type error', ...settings]
    writeFileSync(file, `${lines.join('\n')}\n`)
    this.#process = new MeasuredProcess('mosquitto', binary, ['-c', file])
    await this.#process.untilReady(() => accepts(this.port), READY_MS)
  }

  async stop(): Promise<void> {
    await this.#process?.stop()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
