/**
 * Owns a server of the fleet's measures while it is measured: a load generator has all devices connected to it, and where there is
 * a gateway apps ask for everything. A run's CPU counts from before its first message until its last has had its full effect.
 */

import { startMosquitto } from '../test/servers/mosquitto.ts'
import { FleetApps } from './fleet-apps.ts'
import type { FleetAppsResult } from './fleet-apps-load.ts'
import { FleetLoad, type FleetLoadResult } from './fleet-load.ts'
import type { FleetRun } from './fleet-runs.ts'
import { cpuMs, memory } from './proc.ts'
import { Telltale } from './telltale.ts'

/** Of which each wants everything. */
export const APPS = 20
const US_PER_MS = 1000
/** From when a run is told until its first message is due. */
const BEGIN_AFTER_NS = 300_000_000n

/** What all servers of one measure share. */
export interface FleetOptions {
  /** The compiled load generator, and a directory for files. */
  readonly program: string
  readonly directory: string
  readonly devices: readonly string[]
  readonly deadlineMs: number
}

export interface FleetResult {
  /** CPU microseconds a message. */
  readonly cpuUs: number
  readonly load: FleetLoadResult
  /** Of one app; undefined where there is none. */
  readonly live: FleetAppsResult | undefined
  /** Bytes of its own afterwards. */
  readonly memory: number
}

/** A server that runs, and how it is stopped. */
interface Broker {
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

/** What is done with a message after it is acknowledged. */
interface Followed {
  readonly apps: FleetApps
  /** Resolves when so many messages since the start are stored. */
  stored(messages: number): Promise<void>
}

export class FleetServer {
  readonly #broker: Broker
  readonly #load: FleetLoad
  readonly #followed: Followed | undefined
  #messages = 0

  private constructor(broker: Broker, load: FleetLoad, followed?: Followed) {
    this.#broker = broker
    this.#load = load
    this.#followed = followed
  }

  /** Telltale with nobody who reads its log; `nodeArgs` are Node's own. */
  static async accept(options: FleetOptions, nodeArgs: readonly string[] = []): Promise<FleetServer> {
    const telltale = await Telltale.start('broker', {}, nodeArgs)
    const broker = { port: telltale.mqttPort, pid: telltale.pid, stop: () => telltale.stop() }
    return FleetServer.#connect(broker, options, () => telltale.deviceTokens(options.devices))
  }

  /** Telltale as a whole; `env` says which store. */
  static async wholePath(
    options: FleetOptions,
    env: Readonly<Record<string, string>> = {},
    nodeArgs: readonly string[] = [],
  ): Promise<FleetServer> {
    const telltale = await Telltale.start('broker,ingest,gateway', env, nodeArgs)
    const broker = { port: telltale.mqttPort, pid: telltale.pid, stop: () => telltale.stop() }
    const { devices, deadlineMs } = options
    const followed = async () => {
      const token = await telltale.appToken()
      const { gatewayPort } = telltale
      const stored = (messages: number) => telltale.untilStored(messages, token, deadlineMs)
      return { apps: new FleetApps({ gatewayPort, token, devices, apps: APPS, deadlineMs }), stored }
    }
    return FleetServer.#connect(broker, options, () => telltale.deviceTokens(devices), followed)
  }

  /** Anonymous, without persistence and without subscribers. */
  static async mosquitto(options: FleetOptions): Promise<FleetServer> {
    return FleetServer.#connect(await startMosquitto(['log_type error']), options)
  }

  /** One that somebody has started on this machine, and that lets anybody in. */
  static async beside(options: FleetOptions, broker: Pick<Broker, 'port' | 'pid'>): Promise<FleetServer> {
    return FleetServer.#connect({ ...broker, stop: () => Promise.resolve() }, options)
  }

  static async #connect(
    broker: Broker,
    options: FleetOptions,
    tokensOf: () => Promise<string[]> = () => Promise.resolve([]),
    followedBy?: () => Promise<Followed>,
  ): Promise<FleetServer> {
    try {
      const tokens = await tokensOf()
      const credentials = options.devices.map((device, index) => ({ device, token: tokens[index] ?? '' }))
      const load = await FleetLoad.connect({ ...options, port: broker.port, credentials })
      return new FleetServer(broker, load, await followedBy?.())
    } catch (error) {
      await broker.stop()
      throw error
    }
  }

  get pid(): number {
    return this.#broker.pid
  }

  async run(run: FleetRun): Promise<FleetResult> {
    const { pid } = this.#broker
    await this.#followed?.apps.follow(run)
    const before = cpuMs(pid)
    const firstDueNs = process.hrtime.bigint() + BEGIN_AFTER_NS
    const [load, live] = await Promise.all([
      this.#load.publish(run, firstDueNs),
      this.#followed?.apps.finish(run, firstDueNs),
    ])
    this.#messages += run.messages
    await this.#followed?.stored(this.#messages)
    const cpuUs = ((cpuMs(pid) - before) * US_PER_MS) / run.messages
    return { cpuUs, load, live, memory: memory(pid).own }
  }

  async stop(): Promise<void> {
    await this.#load.stop()
    await this.#followed?.apps.stop()
    await this.#broker.stop()
  }
}
