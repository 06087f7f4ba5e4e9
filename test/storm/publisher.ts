/**
 * A process of its own for the storm: devices that publish, QoS 1, and keep each message until it is acknowledged, as an
 * honest device does. Writes `device time` into a file for each acknowledged message. On SIGTERM it makes no more, waits
 * until all are acknowledged, says how many were sent and ends.
 *
 *   publisher.ts <mqtt port> <messages a second of one device> <file of acknowledged messages>      tokens on standard input
 */

import { appendFileSync, writeSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import mqtt, { type MqttClient } from 'mqtt'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'

const RECONNECT_MS = 200
/** A device that has so many unacknowledged messages makes no new ones. */
const UNACKNOWLEDGED_MAX = 500

const [port = '', rate = '', file = ''] = process.argv.slice(2)
const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
const lines = (await text(process.stdin)).trim().split('\n')
let sent = 0
let acknowledged = 0

class Device {
  readonly #id: string
  readonly #client: MqttClient
  readonly #timer: NodeJS.Timeout
  readonly #again: (() => void)[] = []
  #newest = 0
  #unacknowledged = 0

  constructor(id: string, password: string) {
    this.#id = id
    const identity = { clientId: id, username: id, password }
    this.#client = mqtt.connect({
      host: '127.0.0.1',
      port: Number(port),
      ...identity,
      reconnectPeriod: RECONNECT_MS,
      clean: true,
    })
    this.#client.on('error', () => undefined)
    this.#client.on('connect', () => {
      for (const send of this.#again.splice(0)) send()
    })
    this.#timer = setInterval(() => this.#publish(), 1_000 / Number(rate))
  }

  get isDone(): boolean {
    return this.#unacknowledged === 0
  }

  pause(): void {
    clearInterval(this.#timer)
  }

  end(): Promise<void> {
    return this.#client.endAsync()
  }

  #publish(): void {
    if (this.#unacknowledged >= UNACKNOWLEDGED_MAX) return
    // No two messages of a device have one time: each is a point of its own.
    const ts = Math.max(Date.now(), this.#newest + 1)
    this.#newest = ts
    this.#unacknowledged++
    sent++
    const reading = { ts, temperature: ts % 100, humidity: 40, pressure: 1013.25, battery: 90, rssi: -70 }
    this.#send(ts, registry.encode('environment', reading))
  }

  #send(ts: number, payload: Buffer): void {
    this.#client.publish(`devices/${this.#id}/telemetry/environment`, payload, { qos: 1 }, (error) => {
      // The client gives up a message when the connection is cut while it sends its store again.
      if (error) this.#again.push(() => this.#send(ts, payload))
      else this.#onAcknowledged(ts)
    })
  }

  #onAcknowledged(ts: number): void {
    this.#unacknowledged--
    acknowledged++
    appendFileSync(file, `${this.#id} ${ts}\n`)
  }
}

const devices = lines.map((line) => {
  const [id = '', token = ''] = line.split(' ')
  return new Device(id, token)
})

process.once('SIGTERM', () => {
  for (const device of devices) device.pause()
  const timer = setInterval(() => {
    if (!devices.every(({ isDone }) => isDone)) return
    clearInterval(timer)
    writeSync(1, `${JSON.stringify({ sent, acknowledged })}\n`)
    void Promise.all(devices.map((device) => device.end())).then(() => process.exit(0))
  }, 50)
})
