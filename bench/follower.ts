/**
 * Owns a broker, and in another process what follows its log and serves apps: our gateway, or the yardstick. So the CPU and the
 * memory of serving apps are known apart. The store is one that is not there, for the embedded one allows no second process: nothing
 * is stored.
 */

import { fileURLToPath } from 'node:url'
import { Child } from './child.ts'
import { Telltale } from './telltale.ts'

const YARDSTICK = fileURLToPath(new URL('ws-apps.ts', import.meta.url))
const READY_MS = 30_000
const NO_STORE = { INFLUX_URL: 'http://127.0.0.1:9', INFLUX_API: 'v1' }

export class Follower {
  readonly #broker: Telltale
  /** Of what serves apps. */
  readonly pid: number
  readonly port: number
  readonly #stop: () => Promise<void>

  constructor(broker: Telltale, follower: { readonly pid: number; readonly port: number; stop(): Promise<void> }) {
    this.#broker = broker
    this.pid = follower.pid
    this.port = follower.port
    this.#stop = () => follower.stop()
  }

  get mqttPort(): number {
    return this.#broker.mqttPort
  }

  deviceTokens(devices: readonly string[]): Promise<string[]> {
    return this.#broker.deviceTokens(devices)
  }

  appToken(): Promise<string> {
    return this.#broker.appToken()
  }

  async stop(): Promise<void> {
    await this.#stop().finally(() => this.#broker.stop())
  }
}

export async function startGateway(env: Readonly<Record<string, string>> = {}): Promise<Follower> {
  return beside(async (broker) => {
    const gateway = await broker.startBeside('gateway', { ...NO_STORE, ...env })
    return { pid: gateway.pid, port: gateway.gatewayPort, stop: () => gateway.stop() }
  })
}

export async function startYardstick(): Promise<Follower> {
  return beside(async (broker) => {
    const server = new Child('ws server', ['--import', 'tsx', YARDSTICK], { TELLTALE_DATA_DIR: broker.dataDirectory })
    try {
      const { port } = JSON.parse(await server.line((line) => line.startsWith('{'), READY_MS)) as { port: number }
      return { pid: server.pid, port, stop: () => server.stop() }
    } catch (error) {
      await server.stop()
      throw error
    }
  })
}

async function beside(start: (broker: Telltale) => Promise<ConstructorParameters<typeof Follower>[1]>) {
  const broker = await Telltale.start('broker', NO_STORE)
  try {
    return new Follower(broker, await start(broker))
  } catch (error) {
    await broker.stop()
    throw error
  }
}
