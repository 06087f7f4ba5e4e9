/**
 * Owns an installation whose gateway can be killed while devices go on: the broker in one process, ingest and gateway in another, and
 * one device that publishes numbers.
 */

import type { TestContext } from 'node:test'
import { connectAsync, type MqttClient } from 'mqtt'
import { RunningPlatform } from '../e2e/platform.ts'
import { environment } from '../gateway/platform.ts'
import { scratchDirectory } from '../scratch.ts'
import { freePort } from '../servers/server.ts'

export const DEVICE = 'truck-7'
export const FILTER = `devices/${DEVICE}/telemetry/environment`

export class Installation {
  readonly broker: RunningPlatform
  readonly gateway: RunningPlatform
  readonly #device: MqttClient
  readonly #startedAt = Date.now()
  /** The next number. */
  next = 0

  private constructor(broker: RunningPlatform, gateway: RunningPlatform, device: MqttClient) {
    this.broker = broker
    this.gateway = gateway
    this.#device = device
  }

  static async start(t: TestContext): Promise<Installation> {
    const running: RunningPlatform[] = []
    // Before their directory is removed.
    t.after(() => Promise.all(running.map((platform) => platform.kill())))
    const directory = scratchDirectory(t)
    const ports = { mqtt: await freePort(), gateway: await freePort() }
    const [broker, gateway] = ['broker', 'ingest,gateway'].map(
      (roles) => new RunningPlatform(directory, ports, { roles }),
    )
    if (broker === undefined || gateway === undefined) throw new Error('two were made')
    running.push(broker, gateway)
    await broker.start()
    await gateway.start()
    const password = await broker.deviceToken(DEVICE)
    const identity = { clientId: DEVICE, username: DEVICE, password }
    const device = await connectAsync({ host: '127.0.0.1', port: ports.mqtt, ...identity })
    t.after(() => device.endAsync(true))
    return new Installation(broker, gateway, device)
  }

  /** As `temperature`, each acknowledged before the next: so in order, and each once. */
  async publish(count: number): Promise<void> {
    for (const end = this.next + count; this.next < end; this.next++) {
      const reading = environment(this.#startedAt + this.next, this.next)
      await this.#device.publishAsync(`devices/${DEVICE}/telemetry/environment`, JSON.stringify(reading), { qos: 1 })
    }
  }
}
