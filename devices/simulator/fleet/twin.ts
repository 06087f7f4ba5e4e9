/**
 * Owns a second device with the id and the token of one there is already: it connects, is taken over, and comes back, and sends nothing.
 * Bound: it waits `TWIN_BACKOFF_MS` before it comes back.
 */

import { connect, type MqttClient } from 'mqtt'
import { brokerAddress } from './broker-address.ts'
import type { ConnectionOptions } from './connection.ts'

const TWIN_BACKOFF_MS = 1_000

export class Twin {
  readonly #options: ConnectionOptions
  #client: MqttClient | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  start(): void {
    const { url, id, token, mqtt, tls } = this.#options
    this.#client = connect({
      ...brokerAddress(url),
      ...tls,
      clientId: id,
      username: id,
      password: token,
      protocolVersion: mqtt === '5' ? 5 : 4,
      reconnectPeriod: TWIN_BACKOFF_MS,
      log: () => {},
    })
    // It is there to be thrown out.
    this.#client.on('error', () => {})
  }

  async stop(): Promise<void> {
    await this.#client?.endAsync(true).catch(() => {})
  }
}
