/**
 * Owns how the tests run a real RabbitMQ (Debian's package `rabbitmq-server`): a node of its own name with its own epmd, on free loopback ports and in
 * one directory. Always true: nothing listens on a port that others may use, and `stop()` leaves no process: those of a node are known by the
 * directory in their environment.
 */

import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ChannelModel, connect } from 'amqplib'
import { freePort, MissingServer, type TestServer } from '../servers/server.ts'
import { until } from '../until.ts'

export const PROGRAM = '/usr/lib/rabbitmq/bin/rabbitmq-server'
const LAST_WORDS_CHARS = 2_000

export class Rabbitmq implements TestServer {
  readonly port: number
  readonly #directory: string
  readonly #ports: { readonly epmd: number; readonly distribution: number }
  #lastWords = ''

  private constructor(directory: string, port: number, epmd: number, distribution: number) {
    this.#directory = directory
    this.port = port
    this.#ports = { epmd, distribution }
    process.once('exit', this.#kill)
  }

  /** Throws `MissingServer` if it is not installed. */
  static async start(): Promise<Rabbitmq> {
    if (!existsSync(PROGRAM)) throw new MissingServer('needs rabbitmq-server (apt install rabbitmq-server)')
    const directory = await mkdtemp(join(tmpdir(), 'telltale-rabbitmq-'))
    await mkdir(join(directory, 'home'))
    const server = new Rabbitmq(directory, await freePort(), await freePort(), await freePort())
    await server.run()
    return server
  }

  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${this.port}`
  }

  /** Starts it on its directory, again after it was killed. */
  async run(): Promise<void> {
    const configuration = [
      `listeners.tcp.1 = 127.0.0.1:${this.port}`,
      'log.console = false',
      // The machine's disk is none of its business.
      'disk_free_limit.absolute = 1MB',
    ]
    writeFileSync(join(this.#directory, 'rabbitmq.conf'), configuration.join('\n'))
    writeFileSync(join(this.#directory, 'enabled_plugins'), '[].')
    const child = spawn(PROGRAM, { cwd: this.#directory, env: this.#environment(), stdio: ['ignore', 'pipe', 'pipe'] })
    const listen = (chunk: Buffer) => {
      this.#lastWords = (this.#lastWords + chunk.toString()).slice(-LAST_WORDS_CHARS)
    }
    child.stdout.on('data', listen)
    child.stderr.on('data', listen)
    await until(
      async () => child.exitCode !== null || (await this.#isReady()),
      () => `RabbitMQ is ready: ${this.#lastWords}`,
    )
    if (child.exitCode !== null) throw new Error(`RabbitMQ did not start: ${this.#lastWords}`)
  }

  /** As `kill -9` ends it, or a machine without power that had flushed. Resolves when all its processes are gone. */
  async kill(): Promise<void> {
    this.#kill()
    await until(() => this.#processes().length === 0)
  }

  async stop(): Promise<void> {
    await this.kill()
    process.off('exit', this.#kill)
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 3 })
  }

  /** A client of its own, to do what the product never does. */
  client(): Promise<ChannelModel> {
    return connect(this.url)
  }

  /** Stops the server where it is, or lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    for (const pid of this.#processes()) process.kill(pid, signal)
  }

  #environment(): NodeJS.ProcessEnv {
    const within = (name: string) => join(this.#directory, name)
    return {
      PATH: process.env.PATH,
      HOME: within('home'),
      ERL_EPMD_PORT: String(this.#ports.epmd),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_NODENAME: `telltale${this.port}@localhost`,
      RABBITMQ_DIST_PORT: String(this.#ports.distribution),
      RABBITMQ_MNESIA_BASE: within('mnesia'),
      RABBITMQ_LOG_BASE: within('log'),
      RABBITMQ_CONFIG_FILE: within('rabbitmq'),
      RABBITMQ_ENABLED_PLUGINS_FILE: within('enabled_plugins'),
      RABBITMQ_CONF_ENV_FILE: within('none'),
      RABBITMQ_PID_FILE: within('pid'),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
        '+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}',
    }
  }

  async #isReady(): Promise<boolean> {
    try {
      await (await this.client()).close()
      return true
    } catch {
      return false
    }
  }

  readonly #kill = () => {
    for (const pid of this.#processes()) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It has ended by itself.
      }
    }
  }

  /** Beginning with what starts the others: the server is not the child, but a descendant of it, and epmd is nobody's. */
  #processes(): number[] {
    const own = `HOME=${join(this.#directory, 'home')}\0`
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .sort((a, b) => a - b)
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(own)
        } catch {
          return false
        }
      })
  }
}
