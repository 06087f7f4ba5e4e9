/** Owns a broker on free ports over a real log, and clients to try it with. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import mqttPacket, { type IConnectPacket, type Packet } from 'mqtt-packet'
import { Broker, type BrokerOptions } from '../../broker/broker.ts'
import type { PayloadCheck } from '../../broker/session/payload-check.ts'
import { Identity } from '../../identity/identity.ts'
import { type Entry, readEntries } from '../../log/entry.ts'
import { LocalLog } from '../../log/local/local-log.ts'
import type { Log } from '../../log/log.ts'
import { type Clock, systemClock } from '../../platform/clock.ts'
import { type Logger, silentLogger } from '../../platform/logger.ts'
import { createMetrics, type Metrics } from '../../platform/metrics.ts'
import { only } from '../log/only.ts'
import { scratchDirectory } from '../scratch.ts'
import { Changes, lastOf } from '../until.ts'

const HOUR_MS = 3_600_000
export const READING = Buffer.from('{"ts":1763900000123,"temperature":21.3}')

export interface Bench {
  readonly broker: Broker
  readonly log: LocalLog
  readonly identity: Identity
  readonly metrics: Metrics
  readonly port: number
  /** All entries of the log. */
  entries(): Promise<Entry[]>
  /** A counter's value, by name and labels as Prometheus prints them. */
  metric(series: string): Promise<number>
  device(id: string, more?: IClientOptions): Promise<MqttClient>
  app(filters: string[], more?: IClientOptions): Promise<MqttClient>
  stop(): Promise<void>
}

export interface BenchOptions {
  readonly directory?: string
  readonly listeners?: Partial<BrokerOptions>
  readonly auth?: 'token' | 'off'
  readonly clock?: Clock
  readonly logger?: Logger
  readonly check?: PayloadCheck
  /** One that is open; its own unless given. */
  readonly log?: LocalLog
  /** Stands between the broker and its log. */
  readonly through?: (log: Log) => Log
}

export async function startBroker(t: Pick<TestContext, 'after'>, options: BenchOptions = {}): Promise<Bench> {
  const directory = options.directory ?? scratchDirectory(t)
  const clock = options.clock ?? systemClock
  const logger = options.logger ?? silentLogger()
  const metrics = createMetrics()
  const identity = new Identity({ directory: join(directory, 'keys') }, { clock })
  await identity.start()
  const logOptions = { directory: join(directory, 'log'), writer: true, maxBytes: 2 ** 30, retentionMs: HOUR_MS }
  const log = options.log ?? new LocalLog(logOptions, { clock: systemClock, logger, metrics })
  if (options.log === undefined) await log.start()
  const listeners = { host: '127.0.0.1', port: 0, tlsPort: undefined, webSocketPort: undefined, tls: undefined }
  const given = options.through?.(log) ?? log
  const broker = new Broker(
    { ...listeners, ...options.listeners },
    {
      log: given,
      presence: given.presence,
      members: given.members,
      commands: given.commands,
      journal: log.journal,
      identity: options.auth === 'off' ? undefined : identity,
      check: options.check,
      clock,
      logger,
      metrics,
    },
  )
  const clients: MqttClient[] = []
  const stop = async () => {
    await Promise.all(clients.splice(0).map((client) => client.endAsync(true)))
    await broker.stop()
    if (options.log === undefined) await log.stop()
  }
  t.after(stop)
  await broker.start()
  const port = broker.addresses[0]?.port ?? 0
  const open = async (client: IClientOptions) => {
    const opened = await connectAsync({ host: '127.0.0.1', port, reconnectPeriod: 0, protocolVersion: 4, ...client })
    opened.on('error', () => undefined)
    clients.push(opened)
    return opened
  }
  return {
    broker,
    log,
    identity,
    metrics,
    port,
    stop,
    entries: async () => {
      const batch = await only(log).read(await only(log).first())
      return batch === undefined ? [] : readEntries(batch)
    },
    metric: async (series) => {
      const line = (await metrics.metrics()).split('\n').find((each) => each.startsWith(`${series} `))
      return Number(line?.slice(series.length + 1) ?? 0)
    },
    device: async (id, more) =>
      open({ clientId: id, username: id, password: await identity.signDevice(id, HOUR_MS), ...more }),
    app: async (filters, more) =>
      open({ clientId: 'app', username: 'app', password: await identity.signApp(filters, HOUR_MS), ...more }),
  }
}

/** A connection on which packets are written and read one by one, and any bytes at all. */
export class RawClient extends Changes {
  readonly socket: Socket
  readonly packets: Packet[] = []
  closed = false
  readonly #protocolVersion: 4 | 5

  constructor(socket: Socket, protocolVersion: 4 | 5 = 4) {
    super()
    this.socket = socket
    this.#protocolVersion = protocolVersion
    const parser = mqttPacket.parser({ protocolVersion })
    parser.on('packet', (packet) => {
      this.packets.push(packet)
      this.change()
    })
    socket.on('data', (chunk) => parser.parse(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.closed = true
      this.change()
    })
  }

  static async open(t: TestContext, port: number, protocolVersion: 4 | 5 = 4): Promise<RawClient> {
    const socket = connectTcp(port, '127.0.0.1')
    await once(socket, 'connect')
    t.after(() => socket.destroy())
    return new RawClient(socket, protocolVersion)
  }

  send(...packets: Packet[]): void {
    const options = { protocolVersion: this.#protocolVersion }
    this.socket.write(Buffer.concat(packets.map((packet) => mqttPacket.generate(packet, options))))
  }

  /** The next packet of this kind, in order of arrival; fails when the connection closes first. */
  async next<C extends Packet['cmd']>(cmd: C): Promise<Extract<Packet, { cmd: C }>> {
    const find = () => this.packets.findIndex((packet) => packet.cmd === cmd)
    await this.until(() => find() >= 0 || this.closed, `a ${cmd}`)
    const [packet] = find() >= 0 ? this.packets.splice(find(), 1) : []
    assert(packet !== undefined, `the connection was closed before a ${cmd} came`)
    return packet as Extract<Packet, { cmd: C }>
  }

  untilClosed(): Promise<void> {
    return this.until(() => this.closed, 'the end of the connection')
  }

  protected override came(): string {
    return lastOf(this.packets.map(({ cmd }) => cmd))
  }
}

/** The CONNECT of a client of which a broker with authentication off asks nothing. */
export function connectAs(clientId: string, clean = true): Packet {
  return { cmd: 'connect', clientId, clean, keepalive: 0, protocolId: 'MQTT', protocolVersion: 4 }
}

/** A client of MQTT 5 of a broker with authentication off, and its CONNACK. */
export async function connected5(t: TestContext, { port }: Bench, id: string, more: Partial<IConnectPacket> = {}) {
  const client = await RawClient.open(t, port, 5)
  client.send(connect5(id, more))
  return { client, connack: await client.next('connack') }
}

/** Likewise, of MQTT 5. */
export function connect5(clientId: string, more: Partial<IConnectPacket> = {}): Packet {
  return { ...(connectAs(clientId) as IConnectPacket), protocolVersion: 5, ...more }
}

export function publish(topic: string, messageId: number, qos: 0 | 1 | 2 = 1, payload: Buffer = READING): Packet {
  return { cmd: 'publish', topic, payload, qos, messageId, dup: false, retain: false }
}

/** The next message of an MQTT client, as topic and text. */
export function message(client: MqttClient): Promise<[topic: string, payload: string]> {
  return new Promise((resolve) => {
    client.once('message', (topic, payload) => resolve([topic, payload.toString()]))
  })
}

/** Resolves when the client's connection has ended. */
export function closed(client: MqttClient): Promise<void> {
  return new Promise((resolve) => {
    client.once('close', resolve)
  })
}
