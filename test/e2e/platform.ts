/** Owns a whole platform as its users run it: `node cli/telltale.js up` in a process of its own, and what to ask it. */

import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { StoreOptions } from '../../ingest/stores.ts'
import type { Ledger as Books, DeadLetterCounts } from '../../log/log.ts'
import type { Reading } from '../../schemas/reading.ts'
import { HTTP_API } from '../gateway/api/openapi.ts'
import { scratchDirectory } from '../scratch.ts'
import { freePort } from '../servers/server.ts'
import { until } from '../until.ts'

export type Ledger = Books & Pick<DeadLetterCounts, 'held' | 'replayed'>

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TELLTALE = fileURLToPath(new URL('../../cli/telltale.js', import.meta.url))
const OUTPUT_BYTES_MAX = 64 * 2 ** 20

export interface PlatformOptions {
  readonly store?: StoreOptions
  readonly roles?: string
  readonly environment?: Record<string, string>
  /** The Node to run; by default the one of the tests. */
  readonly node?: string
  /** The command line; by default the tree's. */
  readonly telltale?: string
  /** Runs the platform under another program, such as strace. */
  readonly under?: readonly string[]
}

type Environment = Record<string, string>

/** The variables that make the platform use this store. */
export function storeEnvironment(store: StoreOptions | undefined): Environment {
  if (store === undefined || store.kind === 'duckdb') return {}
  const { url, token, org, bucket, api } = store
  return { INFLUX_URL: url, INFLUX_TOKEN: token, INFLUX_ORG: org, INFLUX_BUCKET: bucket, INFLUX_API: api }
}

export class RunningPlatform {
  readonly directory: string
  readonly mqttPort: number
  readonly gatewayPort: number
  readonly #options: PlatformOptions
  readonly #environment: Environment
  readonly #telltale: string
  #child: ChildProcess | undefined
  /** All that the process printed. */
  output = ''
  /** Runs at the next start, and for commands. */
  node: string
  /** Likewise; all if undefined. */
  roles: string | undefined
  #appToken: string | undefined

  constructor(directory: string, ports: { mqtt: number; gateway: number }, options: PlatformOptions) {
    this.directory = directory
    this.mqttPort = ports.mqtt
    this.gatewayPort = ports.gateway
    this.#options = options
    this.node = options.node ?? process.execPath
    this.roles = options.roles
    this.#telltale = options.telltale ?? TELLTALE
    this.#environment = {
      ...plainEnvironment(),
      TELLTALE_DATA_DIR: directory,
      TELLTALE_MQTT_PORT: String(ports.mqtt),
      TELLTALE_GATEWAY_PORT: String(ports.gateway),
      TELLTALE_LOG_LEVEL: 'warn',
      ...storeEnvironment(options.store),
      ...options.environment,
    }
  }

  static async start(t: TestContext, options: PlatformOptions = {}): Promise<RunningPlatform> {
    const ports = { mqtt: await freePort(), gateway: await freePort() }
    let platform: RunningPlatform | undefined
    // Before its directory goes: what ends first is what was named first.
    t.after(() => platform?.kill())
    platform = new RunningPlatform(scratchDirectory(t), ports, options)
    await platform.start()
    return platform
  }

  get pid(): number {
    return this.#child?.pid ?? assert.fail('the platform does not run')
  }

  get url(): string {
    return `http://127.0.0.1:${this.gatewayPort}`
  }

  /** Starts the process and waits until it says that it is ready. */
  async start(): Promise<void> {
    const roles = this.roles === undefined ? [] : ['--roles', this.roles]
    const [program = '', ...args] = [...(this.#options.under ?? []), this.node, this.#telltale, 'up', ...roles]
    const child = spawn(program, args, { cwd: ROOT, env: this.#environment, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.output = ''
    await new Promise<void>((resolve, reject) => {
      const take = (chunk: Buffer) => {
        this.output += chunk
        if (this.output.includes('"msg":"started","version":')) resolve()
      }
      child.stdout?.on('data', take)
      child.stderr?.on('data', take)
      child.once('exit', (code) =>
        reject(new Error(`the platform ended with ${code} before it was ready:\n${this.output}`)),
      )
    })
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** SIGTERM; resolves with the exit status. */
  stop(): Promise<number | null> {
    return this.#end('SIGTERM')
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null
    const exited = once(child, 'exit')
    child.kill(signal)
    const [code] = await exited
    return code as number | null
  }

  /** Runs `telltale` with these arguments beside the platform; its standard output. Rejects if it fails. */
  async telltale(...args: string[]): Promise<string> {
    const options = { env: this.#environment, cwd: ROOT, maxBuffer: OUTPUT_BYTES_MAX }
    const { stdout } = await promisify(execFile)(this.node, [this.#telltale, ...args], options)
    return stdout
  }

  /** Runs the simulator with these options; its summary. */
  async simulate(...args: string[]): Promise<SimulatorSummary> {
    return JSON.parse(await this.telltale('simulate', '--json', ...args)) as SimulatorSummary
  }

  async deviceToken(device: string): Promise<string> {
    return (await this.telltale('token', 'device', device)).trim()
  }

  async appToken(): Promise<string> {
    this.#appToken ??= (await this.telltale('token', 'app', '--filter', 'devices/+/telemetry/#')).trim()
    return this.#appToken
  }

  /** What is not as docs/openapi.yaml says is an error. */
  async get<T>(path: string): Promise<T> {
    const headers = { authorization: `Bearer ${await this.appToken()}` }
    const response = await fetch(`${this.url}${path}`, { headers })
    const text = await response.text()
    assert.equal(response.status, 200, `${path}: ${text}`)
    HTTP_API.check({ method: 'GET', target: path, headers }, response, text)
    return JSON.parse(text) as T
  }

  ledger(): Promise<Ledger> {
    return this.get<Ledger>('/v1/ledger')
  }

  /** The ledger once nothing is pending. */
  async settled(): Promise<Ledger> {
    let ledger: Ledger | undefined
    await until(
      async () => {
        ledger = await this.ledger()
        assert(ledger.balanced, JSON.stringify(ledger))
        return ledger.pending === 0
      },
      () => `nothing is pending: ${JSON.stringify(ledger)}`,
    )
    return ledger ?? assert.fail()
  }

  async readings(query: string): Promise<readonly Reading[]> {
    return (await this.get<{ readings: Reading[] }>(`/v1/readings?${query}`)).readings
  }

  /** How many points of a stream the store holds, by asking its history for counts by the day. */
  async countStored(stream: string, column: string): Promise<number> {
    const day = 86_400_000
    // A device that sends more than a message a millisecond has times a little ahead of the clock.
    const span = `from=${Date.now() - 2 * day}&to=${Date.now() + day}`
    const query = `filter=devices/%2B/telemetry/${stream}&${span}&every=1d&fn=count&limit=10000`
    const windows = await this.readings(query)
    return windows.reduce((total, { values }) => total + Number(values[column] ?? 0), 0)
  }
}

export interface SimulatorSummary {
  readonly sent: number
  readonly acknowledged: number
  readonly unacknowledged: number
  readonly reconnects: number
  readonly resent: number
  readonly commands: number
  readonly ok: boolean
}

/** Nothing of the tests' own settings. */
export function plainEnvironment(): Environment {
  const entries = Object.entries(process.env).filter(([name]) => !/^(TELLTALE_|INFLUX_|NODE_TEST_CONTEXT)/.test(name))
  return Object.fromEntries(entries.map(([name, value]) => [name, value ?? '']))
}
