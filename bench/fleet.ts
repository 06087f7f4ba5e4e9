/**
 * Owns devices that publish at a fixed rate, each in its turn, with messages made beforehand. A message is known by its device and
 * its time, so whoever receives it can tell its number, and when it was due: latency counts from there, for a late sender would
 * otherwise hide a slow platform (coordinated omission).
 */

import { Registry, SHIPPED_SCHEMAS_DIR } from '../schemas/registry.ts'
import { LoadClient } from './load-client.ts'
import { makePublishes } from './publishes.ts'
import type { Schedule } from './schedule.ts'

export interface FleetOptions {
  readonly mqttPort: number
  readonly devices: readonly string[]
  readonly tokens: readonly string[]
}

const SENDING_MS = 1
const START_AFTER_MS = 100
const MS_PER_SECOND = 1000

export class Fleet implements Schedule {
  readonly devices: readonly string[]
  readonly #clients: readonly LoadClient[]
  readonly #numbers: ReadonlyMap<string, number>
  readonly #registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  /** Of the run under way: messages a second of all devices, and the times of each device's. */
  #rate = 0
  #from = 0
  #stepMs = 0
  #perDevice = 0
  #startedAt = 0
  #sending: NodeJS.Timeout | undefined

  private constructor(devices: readonly string[], clients: readonly LoadClient[]) {
    this.devices = devices
    this.#clients = clients
    this.#numbers = new Map(devices.map((device, index) => [device, index]))
  }

  static async connect({ mqttPort, devices, tokens }: FleetOptions, onError: (error: Error) => void): Promise<Fleet> {
    const clients: LoadClient[] = []
    for (const [index, device] of devices.entries()) {
      const client = await LoadClient.connect(mqttPort, device, tokens[index] ?? '')
      client.onError = onError
      clients.push(client)
    }
    return new Fleet(devices, clients)
  }

  /** Makes the next `messages` of all devices together; those before must have been acknowledged. */
  prepare(rate: number, messages: number): void {
    // Later than all before.
    this.#from = Math.max(Date.now(), this.#from + this.#perDevice * this.#stepMs)
    this.#rate = rate
    this.#stepMs = Math.max(1, Math.round((this.devices.length * MS_PER_SECOND) / rate))
    this.#perDevice = Math.ceil(messages / this.devices.length)
    for (const [index, client] of this.#clients.entries()) {
      const [device = '', count] = [this.devices[index], this.#perDevice]
      client.load(makePublishes({ device, index, count, from: this.#from, stepMs: this.#stepMs }, this.#registry))
    }
  }

  /** Begins to publish at the rate; returns when the first message is due, by `performance.now()`. */
  start(): number {
    this.#startedAt = performance.now() + START_AFTER_MS
    this.#sending = setInterval(() => {
      const due = Math.floor(((performance.now() - this.#startedAt) * this.#rate) / MS_PER_SECOND)
      for (const [index, client] of this.#clients.entries()) {
        client.sendUntil(Math.ceil((due - index) / this.devices.length))
      }
      if (this.#clients.every(({ sent }) => sent === this.#perDevice)) clearInterval(this.#sending)
    }, SENDING_MS)
    return this.#startedAt
  }

  /** Publishes all that is prepared, at once. */
  sendAll(): void {
    for (const client of this.#clients) client.sendUntil(this.#perDevice)
  }

  /** Messages of each device that are prepared. */
  get perDevice(): number {
    return this.#perDevice
  }

  get isAcknowledged(): boolean {
    return this.#clients.every(({ acknowledged }) => acknowledged === this.#perDevice)
  }

  numberOf(ts: number): number {
    return Math.round((ts - this.#from) / this.#stepMs)
  }

  dueAt(device: string, number: number): number {
    const index = this.#numbers.get(device) ?? 0
    return this.#startedAt + ((number * this.devices.length + index) * MS_PER_SECOND) / this.#rate
  }
}
