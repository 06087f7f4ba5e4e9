/**
 * Owns the devices of the resume storm: each numbers its readings from 0, and a reading says its number twice, by its time and by
 * its value. Published with QoS 1 and kept until acknowledged, as an honest device does.
 *
 * Bound: `UNACKNOWLEDGED_MAX` messages of a device; at so many it makes no new ones.
 */

import mqtt, { type MqttClient } from 'mqtt'
import type { Registry } from '../../../schemas/registry.ts'

const RECONNECT_MS = 200
const UNACKNOWLEDGED_MAX = 500
const HOUR_MS = 3_600_000

/** The stream whose schema comes only in the midst of the storm: until then its messages are set aside. */
export const PUMP = {
  type: 'record',
  name: 'pump',
  namespace: 'telltale',
  fields: [
    { name: 'ts', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'flow', type: 'double', unit: 'L/min' },
  ],
}

export interface DeviceKind {
  readonly stream: 'environment' | 'pump'
  readonly format: 'avro' | 'json'
  /** Readings of a message: at least 1, and fewer than this in addition. */
  readonly readings: number
  readonly perSecond: number
  /** How long before the storm began its first reading was, by its clock. */
  readonly ageMs: number
  /** Bytes that its messages are filled up with. */
  readonly padding?: number
}

export const KINDS = {
  one: { stream: 'environment', format: 'avro', readings: 1, perSecond: 20, ageMs: 0 },
  json: { stream: 'environment', format: 'json', readings: 1, perSecond: 20, ageMs: 0 },
  batch: { stream: 'environment', format: 'avro', readings: 40, perSecond: 5, ageMs: 0 },
  /** Many frames a message. */
  bulk: { stream: 'environment', format: 'avro', readings: 1_500, perSecond: 1, ageMs: 0 },
  /** What was kept for hours. */
  late: { stream: 'environment', format: 'json', readings: 20, perSecond: 4, ageMs: 5 * HOUR_MS },
  /** So old that a bucket which keeps a day refuses it: apps have it, and it is set aside. */
  stale: { stream: 'environment', format: 'avro', readings: 4, perSecond: 2, ageMs: 72 * HOUR_MS },
  pump: { stream: 'pump', format: 'json', readings: 3, perSecond: 20, ageMs: 0 },
  /** What makes a log full. Publishes when told. */
  flood: { stream: 'environment', format: 'json', readings: 4, perSecond: 0, ageMs: 0, padding: 200_000 },
} as const satisfies Record<string, DeviceKind>

export type KindName = keyof typeof KINDS

export interface FleetOptions {
  readonly mqttPort: number
  readonly devices: readonly { readonly id: string; readonly password: string }[]
  readonly registry: Registry
  /** When the storm began, milliseconds. */
  readonly beganAt: number
  /** From 0 to 1, for the sizes of batches. */
  readonly random: () => number
  /** All publish so many times as often. */
  readonly speed: number
}

/** `one-3` is one of the kind `one`. */
export function kindOf(device: string): DeviceKind {
  const name = device.slice(0, device.indexOf('-')) as KindName
  return KINDS[name]
}

export const timeOf = (device: string, number: number, beganAt: number) => beganAt - kindOf(device).ageMs + number
export const numberOf = (device: string, ts: number, beganAt: number) => ts - beganAt + kindOf(device).ageMs

export class Device {
  readonly id: string
  readonly #kind: DeviceKind
  readonly #client: MqttClient
  readonly #options: FleetOptions
  readonly #again: (() => void)[] = []
  #timer: NodeJS.Timeout | undefined
  #unacknowledged = 0
  /** Readings that it has made, and so their numbers' end. */
  made = 0
  messages = 0

  constructor(id: string, password: string, options: FleetOptions) {
    this.id = id
    this.#kind = kindOf(id)
    this.#options = options
    this.#client = mqtt.connect({
      ...{ host: '127.0.0.1', port: options.mqttPort, clientId: id, username: id, password },
      reconnectPeriod: RECONNECT_MS,
      clean: true,
    })
    this.#client.on('error', () => undefined)
    this.#client.on('connect', () => {
      for (const send of this.#again.splice(0)) send()
    })
  }

  async connected(): Promise<void> {
    if (!this.#client.connected) await new Promise<void>((resolve) => this.#client.once('connect', () => resolve()))
  }

  begin(): void {
    const { perSecond } = this.#kind
    if (perSecond > 0) this.#timer = setInterval(() => this.publish(), 1_000 / (perSecond * this.#options.speed))
  }

  pause(): void {
    clearInterval(this.#timer)
  }

  get isDone(): boolean {
    return this.#unacknowledged === 0
  }

  end(): Promise<void> {
    return this.#client.endAsync(true)
  }

  publish(): void {
    if (this.#unacknowledged >= UNACKNOWLEDGED_MAX) return
    const { random } = this.#options
    const count = 1 + Math.floor(random() * this.#kind.readings)
    const payload = this.#payload(Array.from({ length: count }, (_, index) => this.made + index))
    this.made += count
    this.messages++
    this.#unacknowledged++
    this.#send(payload)
  }

  #payload(numbers: readonly number[]): Buffer {
    const { stream, format, padding = 0 } = this.#kind
    const { registry, beganAt } = this.#options
    const records = numbers.map((number) => {
      const ts = timeOf(this.id, number, beganAt)
      if (stream === 'pump') return { ts, flow: number }
      return { ts, temperature: number, humidity: 40, pressure: 1013.25, battery: 90, rssi: -70 }
    })
    const what = records.length === 1 ? (records[0] ?? []) : records
    if (format === 'avro') return registry.encode(stream, what)
    return Buffer.from(JSON.stringify(what) + ' '.repeat(padding))
  }

  #send(payload: Buffer): void {
    this.#client.publish(`devices/${this.id}/telemetry/${this.#kind.stream}`, payload, { qos: 1 }, (error) => {
      // The client gives up a message when the connection is cut while it sends its store again.
      if (error) this.#again.push(() => this.#send(payload))
      else this.#unacknowledged--
    })
  }
}

export class Fleet {
  readonly devices: readonly Device[]

  constructor(options: FleetOptions) {
    this.devices = options.devices.map(({ id, password }) => new Device(id, password, options))
  }

  of(kind: KindName): Device[] {
    return this.devices.filter(({ id }) => id.startsWith(`${kind}-`))
  }

  async connected(): Promise<void> {
    for (const device of this.devices) await device.connected()
  }

  begin(): void {
    for (const device of this.devices) device.begin()
  }

  pause(devices: readonly Device[] = this.devices): void {
    for (const device of devices) device.pause()
  }

  isDone(devices: readonly Device[] = this.devices): boolean {
    return devices.every(({ isDone }) => isDone)
  }

  get messages(): number {
    return this.devices.reduce((sum, { messages }) => sum + messages, 0)
  }

  get readings(): number {
    return this.devices.reduce((sum, { made }) => sum + made, 0)
  }

  async end(): Promise<void> {
    this.pause()
    await Promise.all(this.devices.map((device) => device.end()))
  }
}
