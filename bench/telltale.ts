/**
 * Owns a Telltale under measurement: `telltale up` as a user starts it, in a child process, with a data directory and
 * ports of its own, tokens required.
 */

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort } from '../test/servers/server.ts'
import { Child } from './child.ts'
import { cpuMs } from './proc.ts'

const CLI = fileURLToPath(new URL('../cli/telltale.js', import.meta.url))
const READY_MS = 30_000
const LEDGER_POLL_MS = 100
/** A process that closed its sockets by dying is known to be dead after this long. */
const ENDING_MS = 500
/** Ids a `telltale token` command line takes at once. */
const TOKENS_PER_CALL = 500

export interface LedgerCounts {
  readonly accepted: number
  readonly stored: number
  readonly deadLettered: number
  readonly pending: number
  readonly balanced: boolean
}

export class Telltale {
  readonly mqttPort: number
  readonly gatewayPort: number
  readonly #env: Readonly<Record<string, string>>
  readonly #directory: string
  readonly #child: Child
  /** At the end, however the bench ends. */
  readonly #remove = () => rmSync(this.#directory, { recursive: true, force: true, maxRetries: 3 })

  readonly #ownsDirectory: boolean

  private constructor(
    directory: string,
    ports: readonly [number, number],
    roles: string,
    env: Record<string, string>,
    ownsDirectory = true,
    nodeArgs: readonly string[] = [],
  ) {
    this.#directory = directory
    this.#ownsDirectory = ownsDirectory
    if (ownsDirectory) process.on('exit', this.#remove)
    ;[this.mqttPort, this.gatewayPort] = ports
    this.#env = {
      TELLTALE_DATA_DIR: join(directory, 'data'),
      TELLTALE_MQTT_PORT: String(this.mqttPort),
      TELLTALE_GATEWAY_PORT: String(this.gatewayPort),
      TELLTALE_LOG_LEVEL: 'warn',
      ...env,
    }
    this.#child = new Child('telltale', [...nodeArgs, CLI, 'up', '--roles', roles], this.#env)
  }

  /** Resolves when it says that it has started; `nodeArgs` are Node's own. */
  static async start(
    roles: string,
    env: Record<string, string> = {},
    nodeArgs: readonly string[] = [],
  ): Promise<Telltale> {
    const directory = mkdtempSync(join(tmpdir(), 'telltale-bench-'))
    const telltale = new Telltale(directory, [await freePort(), await freePort()], roles, env, true, nodeArgs)
    await telltale.#started()
    return telltale
  }

  /** Other roles of the same installation, in a process of their own; to be stopped before this one. */
  async startBeside(roles: string, env: Record<string, string> = {}): Promise<Telltale> {
    const ports = [this.mqttPort, await freePort()] as const
    const telltale = new Telltale(this.#directory, ports, roles, env, false)
    await telltale.#started()
    return telltale
  }

  async #started(): Promise<void> {
    try {
      await this.#child.line((line) => line.includes('"msg":"started","version":'), READY_MS)
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** For another process that reads the same log. */
  get dataDirectory(): string {
    return join(this.#directory, 'data')
  }

  /** By which another command of this tree finds it, and its keys. */
  get settings(): Readonly<Record<string, string>> {
    return this.#env
  }

  /** Runs a measure; when it fails because telltale has ended, the error is what telltale said last. */
  async during<T>(measure: () => Promise<T>): Promise<T> {
    try {
      return await measure()
    } catch (error) {
      await delay(ENDING_MS)
      this.#child.requireRunning()
      throw error
    }
  }

  get pid(): number {
    return this.#child.pid
  }

  cpuMs(): number {
    return cpuMs(this.#child.pid)
  }

  /** A token for each device, by `telltale token device`. */
  async deviceTokens(devices: readonly string[]): Promise<string[]> {
    const tokens: string[] = []
    for (let from = 0; from < devices.length; from += TOKENS_PER_CALL)
      tokens.push(...(await this.#token(['device', ...devices.slice(from, from + TOKENS_PER_CALL)])))
    return tokens
  }

  async appToken(): Promise<string> {
    const [token = ''] = await this.#token(['app', '--filter', 'devices/+/telemetry/#'])
    return token
  }

  async ledger(token: string): Promise<LedgerCounts> {
    const url = `http://127.0.0.1:${this.gatewayPort}/v1/ledger`
    const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } })
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`)
    return (await answer.json()) as LedgerCounts
  }

  /** Waits until nothing is pending and everything accepted, at least `accepted`, is stored. */
  async untilStored(accepted: number, token: string, deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs
    for (;;) {
      const books = await this.ledger(token)
      if (books.accepted >= accepted && books.pending === 0) {
        if (books.stored !== books.accepted || !books.balanced)
          throw new Error(`not everything was stored: ${JSON.stringify(books)}`)
        return
      }
      if (performance.now() > deadline) throw new Error(`not stored in ${deadlineMs} ms: ${JSON.stringify(books)}`)
      await delay(LEDGER_POLL_MS)
    }
  }

  async stop(): Promise<void> {
    await this.#child.stop()
    if (!this.#ownsDirectory) return
    process.off('exit', this.#remove)
    this.#remove()
  }

  async #token(args: readonly string[]): Promise<string[]> {
    const env = { PATH: process.env.PATH, ...this.#env }
    const { stdout } = await promisify(execFile)(process.execPath, [CLI, 'token', ...args], { env })
    return stdout.trim().split('\n')
  }
}

/** The value of one of a gateway's metrics. */
export async function gatewayMetric(gatewayPort: number, name: string): Promise<number> {
  const url = `http://127.0.0.1:${gatewayPort}/metrics`
  const answer = await fetch(url)
  const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(await answer.text())?.[1]
  if (!answer.ok || value === undefined) throw new Error(`${url} has no ${name}: ${answer.status}`)
  return Number(value)
}
