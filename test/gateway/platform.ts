/**
 * Owns a gateway for tests: real log, registry, identity and sockets on a free port, in a directory of its own. History
 * is what the test says; everything is stopped and removed after it.
 */

import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { Rules } from '../../gateway/alerts/rules.ts'
import { Gateway, type GatewayOptions } from '../../gateway/gateway.ts'
import { LIVE_SLOW_CLOSE_MS } from '../../gateway/live/session.ts'
import { chooseServer } from '../../gateway/server/choose.ts'
import type { Verifies } from '../../gateway/tokens.ts'
import { DeviceFiles } from '../../identity/device-files.ts'
import { Identity } from '../../identity/identity.ts'
import { Ingest } from '../../ingest/ingest.ts'
import { createStore, STORES, type StoreOptions } from '../../ingest/stores.ts'
import type { Commands } from '../../log/commands.ts'
import { LocalLog } from '../../log/local/local-log.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics, type Metrics } from '../../platform/metrics.ts'
import { CurrentSchemas } from '../../schemas/current-schemas.ts'
import type { History } from '../../schemas/history.ts'
import { type Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { pageWith } from '../history.ts'
import { scratchDirectory } from '../scratch.ts'
import { Changes, lastOf, until } from '../until.ts'
import { CheckedSocket } from './api/asyncapi.ts'
import { CheckedAnswers } from './api/openapi.ts'
import { isProtobuf, readReadings } from './protobuf-frame.ts'

export const HOUR_MS = 3_600_000
/** 2025-11-23T02:13:20Z */
export const NOW = 1_763_864_000_000

export interface TestPlatform {
  readonly gateway: Gateway
  /** Stops the gateway and starts another on the same log, on any port unless given. */
  restart(port?: number): Promise<void>
  readonly log: LocalLog
  readonly identity: Identity
  readonly registry: Registry
  /** Those in force; none at first. */
  readonly rules: Rules
  /** What files in `config/devices` say. */
  readonly devices: DeviceFiles
  readonly metrics: Metrics
  readonly url: string
  /** What the platform's clock shows; may be set. */
  readonly clock: { time: number; now(): number }
  /** Of an app that may read everything. */
  readonly token: string
  /** Appends one message; resolves when it is durable. */
  publish(device: string, stream: string, payload: Buffer | object): Promise<void>
  /** What `get` was given. */
  readonly answers: CheckedAnswers
  /** An answer that is not as docs/openapi.yaml says fails the test at its end. */
  get(
    path: string,
    options?: { token?: string | null; headers?: Record<string, string>; method?: string; body?: string },
  ): Promise<Response>
}

export interface TestPlatformOptions {
  readonly history?: Partial<History>
  /** What is in the log is stored there, and history comes from it. */
  readonly store?: (directory: string) => StoreOptions
  readonly ready?: () => string | undefined
  readonly options?: Partial<GatewayOptions>
  /** In place of the log's own. */
  readonly commands?: Partial<Commands>
  /** What a file in `config/devices` says. */
  readonly devices?: string
  /** In place of the installation's. */
  readonly identity?: Verifies
  /** Before the gateway starts. */
  /** The shipped one if it is not given. */
  readonly schemasDir?: string
  readonly prepare?: (log: LocalLog, registry: Registry) => Promise<unknown>
}

export type ServerKind = 'uws' | 'node'

/** Those that can be loaded here. */
export const SERVERS: readonly ServerKind[] = (await chooseServer('auto')).kind === 'uws' ? ['uws', 'node'] : ['node']

/** A test of the gateway that holds whatever serves it. */
export function onEachServer(name: string, run: (t: TestContext, server: ServerKind) => Promise<void>): void {
  for (const server of SERVERS) test(`${name} [${server}]`, (t) => run(t, server))
}

export const NO_HISTORY: History = {
  readings: async () => pageWith(),
  latest: async () => [],
}

export async function startPlatform(
  t: TestContext,
  server: ServerKind,
  given: TestPlatformOptions = {},
): Promise<TestPlatform> {
  const stops: (() => Promise<void>)[] = []
  // Before the directory's own: hooks run in the order they were given.
  t.after(async () => {
    for (const stop of stops.reverse()) await stop()
  })
  const answers = new CheckedAnswers()
  stops.push(() => answers.end())
  const directory = scratchDirectory(t)
  const clock = {
    time: NOW,
    now() {
      return this.time
    },
  }
  const logger = silentLogger()
  const metrics = createMetrics()
  const schemas = new CurrentSchemas({ directory: given.schemasDir ?? SHIPPED_SCHEMAS_DIR })
  const { registry } = schemas
  const identity = new Identity({ directory: `${directory}/keys` }, { clock })
  await identity.start()
  const log = new LocalLog(
    { directory: `${directory}/log`, writer: true, maxBytes: 2 ** 30, retentionMs: HOUR_MS },
    { clock, logger, metrics },
  )
  await log.start()
  stops.push(() => log.stop())
  await given.prepare?.(log, registry)
  let stored: History | undefined
  if (given.store !== undefined) {
    const options = { workers: 1, store: given.store(directory), schemas }
    const ingest = new Ingest(options, { log, clock, logger, metrics })
    await ingest.start()
    stops.push(() => ingest.stop())
    stored = ingest.history
    if (!STORES[options.store.kind].isEmbedded) {
      const remote = await createStore(options.store, { streams: registry.streams })
      await remote.start()
      stops.push(() => remote.stop())
      stored = remote.history
    }
  }
  const devices = new DeviceFiles()
  devices.use([{ file: 'devices.yaml', text: given.devices ?? '' }])
  const rules = new Rules()
  const makeGateway = (port: number) =>
    new Gateway(
      {
        host: '127.0.0.1',
        server,
        connectionsMax: 10_000,
        loopbackMetrics: true,
        platform: { version: '1.2.3', store: 'duckdb', dataDir: directory },
        alertsFile: `${directory}/alerts.json`,
        refuseForeign: false,
        ...given.options,
        port,
      },
      {
        log,
        presence: log.presence,
        commands: given.commands === undefined ? log.commands : ({ ...given.commands } as Commands),
        journal: log.journal,
        roles: log.roles,
        declared: devices.declared,
        full: () => log.full?.message,
        schemas,
        rules,
        storeShown: 'a store',
        history: stored ?? { ...NO_HISTORY, ...given.history },
        identity: given.identity ?? identity,
        ready: given.ready ?? (() => undefined),
        clock,
        logger,
        metrics,
      },
    )
  let gateway = makeGateway(given.options?.port ?? 0)
  stops.push(() => gateway.stop())
  await gateway.start()
  const url = () => `http${given.options?.tls ? 's' : ''}://127.0.0.1:${gateway.port}`
  const token = await identity.signApp(['devices/+/telemetry/#'], HOUR_MS)
  return {
    get gateway() {
      return gateway
    },
    restart: async (port = 0) => {
      await gateway.stop()
      metrics.clear()
      gateway = makeGateway(port)
      await gateway.start()
    },
    log,
    identity,
    registry,
    rules,
    devices,
    metrics,
    get url() {
      return url()
    },
    clock,
    token,
    answers,
    publish: (device, stream, payload) => publish(log, clock.now(), device, stream, payload),
    get: async (path, options = {}) => {
      const bearer = options.token === undefined ? token : options.token
      const authorization = bearer === null ? {} : { authorization: `Bearer ${bearer}` }
      const headers = { ...authorization, ...options.headers }
      const method = options.method ?? 'GET'
      const { body } = options
      const response = await fetch(`${url()}${path}`, { method, headers, ...(body !== undefined && { body }) })
      answers.take({ method, target: path, headers }, response)
      return response
    },
  }
}

export function publish(
  log: LocalLog,
  receivedAt: number,
  device: string,
  stream: string,
  payload: Buffer | object,
  flags = 0,
): Promise<void> {
  const bytes = Buffer.isBuffer(payload) ? payload : Buffer.from(JSON.stringify(payload))
  return new Promise((resolve, reject) => {
    log.append({ device, stream, receivedAt, flags, payload: bytes }, (error) => (error ? reject(error) : resolve()))
  })
}

export function environment(ts: number, temperature = 21.3): object {
  return { ts, temperature, humidity: 40.5, pressure: 1013.25, battery: 87, rssi: -61 }
}

/** Publishes messages of so many readings each until an app has left the live stream; resolves with how many readings they had. */
export async function overwhelm(platform: TestPlatform, perMessage = 500): Promise<number> {
  let sent = 0
  while (/gateway_behind_total 0\n/.test(await platform.metrics.metrics())) {
    if (sent > 2_000_000) throw new Error('nobody is behind')
    const batch = Array.from({ length: perMessage }, (_, index) => environment(NOW + sent + index))
    await platform.publish('a', 'environment', platform.registry.encode('environment', batch))
    sent += perMessage
  }
  return sent
}

/** Has time pass until an app that takes nothing has been closed for it. */
export async function untilCutOff(platform: TestPlatform): Promise<void> {
  await until(async () => {
    if (/closes_total\{code="4408"\} 1\n/.test(await platform.metrics.metrics())) return true
    platform.clock.time += LIVE_SLOW_CLOSE_MS
    await pause(100)
    return false
  })
}

export type Frame = Readonly<Record<string, unknown>> & { readonly type: string }

export interface FrameReading {
  readonly device: string
  readonly stream: string
  readonly ts: number
  readonly received?: number
  readonly values: Readonly<Record<string, unknown>>
}

/** An app on `/v1/live`, with every frame it received. What is not as docs/asyncapi.yaml says fails the test. */
export class App extends Changes {
  readonly socket: WebSocket
  readonly frames: Frame[] = []
  close: { readonly code: number; readonly reason: string } | undefined
  readonly #checked: CheckedSocket

  private constructor(socket: WebSocket) {
    super()
    this.socket = socket
    this.#checked = new CheckedSocket(socket)
    socket.on('message', (data, isBinary) => {
      this.frames.push(isBinary ? readBinary(data as Buffer) : JSON.parse(String(data)))
      this.change()
    })
    socket.on('close', (code, reason) => {
      this.close = { code, reason: reason.toString() }
      this.change()
    })
    socket.on('error', () => undefined)
  }

  /** Resolves when `welcome` has come. */
  static async connect(
    t: TestContext,
    platform: Pick<TestPlatform, 'url' | 'token'>,
    token = platform.token,
    protocol = 'telltale.v1',
  ): Promise<App> {
    const url = `${platform.url.replace('http', 'ws')}/v1/live?access_token=${token}`
    const app = new App(new WebSocket(url, protocol, { rejectUnauthorized: false }))
    t.after(() => {
      app.socket.terminate()
      app.#checked.throwIfWrong()
    })
    await app.until(() => app.frames.length > 0)
    return app
  }

  send(command: object | string): void {
    const text = typeof command === 'string' ? command : JSON.stringify(command)
    this.#checked.sent(text)
    this.socket.send(text)
  }

  /** Resolves when `state` holds, which is looked at after each frame and at the close. */
  override until(state: () => unknown, awaited = `${state}`): Promise<void> {
    const isSo = () => {
      this.#checked.throwIfWrong()
      if (state()) return true
      if (this.close) throw new Error(`closed with ${this.close.code} ${this.close.reason} while something was awaited`)
      return false
    }
    return super.until(isSo, awaited)
  }

  protected override came(): string {
    return lastOf(this.frames.map(({ type }) => type))
  }

  /** The first frame of `type` after the first `from`. */
  async next(type: string, from = 0): Promise<Frame> {
    const find = () => this.frames.slice(from).find((frame) => frame.type === type)
    await this.until(find, `a frame ${type}`)
    const frame = find()
    if (frame === undefined) throw new Error(`no ${type}`)
    return frame
  }

  /** Subscribes; resolves with the subscription's name when it is live, rejects if it is refused. */
  async subscribe(command: object): Promise<string> {
    const from = this.frames.length
    this.send({ type: 'subscribe', id: '1', ...command })
    const frame = (type: string) => this.frames.slice(from).find((one) => one.type === type)
    await this.until(() => frame('error') ?? frame('live'), 'the answer to a subscribe')
    const refused = frame('error')
    if (refused !== undefined) throw new Error(`refused: ${refused.message}`)
    return String(frame('subscribed')?.subscription)
  }

  readings(subscription?: string): FrameReading[] {
    return this.frames
      .filter((frame) => frame.type === 'readings' && (subscription ?? frame.subscription) === frame.subscription)
      .flatMap((frame) => frame.readings as FrameReading[])
  }

  async untilClosed(): Promise<{ readonly code: number; readonly reason: string }> {
    await this.until(() => this.close, 'the end of the connection')
    return this.close ?? { code: 0, reason: '' }
  }
}

/** Of `telltale.v1.protobuf` as the JSON that says the same. */
function readBinary(bytes: Buffer): Frame {
  return isProtobuf(bytes) ? { type: 'readings', ...readReadings(bytes) } : readRaw(bytes)
}

/** A frame of `telltale.v1.avro`, as docs/contract.md has it. */
function readRaw(bytes: Buffer): Frame {
  let at = 1
  const name = (length: number) => {
    at += length
    return bytes.toString('latin1', at - length, at)
  }
  const subscription = name(bytes.readUInt8(at++))
  at += 2
  const cursor = name(bytes.readUInt16LE(at - 2))
  const messages: object[] = []
  while (at < bytes.length) {
    const received = bytes.readDoubleLE(at)
    const skip = bytes.readUInt32LE(at + 8)
    at += 12
    const device = name(bytes.readUInt8(at++))
    const stream = name(bytes.readUInt8(at++))
    const length = bytes.readUInt32LE(at)
    at += 4 + length
    messages.push({ received, skip, device, stream, payload: bytes.subarray(at - length, at) })
  }
  return { type: bytes[0] === 1 ? 'raw' : 'unknown', subscription, cursor, messages }
}

/** A record of the stream `vibration`, whose `sensor` and `axis` are tags and whose time is in microseconds. */
export function vibration(ts: number, sensor = 's1', axis: 'x' | 'y' | 'z' = 'x'): object {
  const accelerations = { acceleration_rms: 1, acceleration_peak: 2, velocity_rms: 0.5 }
  return { ts: ts * 1000, sensor, axis, ...accelerations, dominant_frequency: null, temperature: null }
}
