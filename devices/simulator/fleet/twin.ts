/**
 * Owns a second device with the id, the token and the session of one there is already: it connects, is taken over, and comes back, and sends
 * nothing. Bound: it waits `TWIN_BACKOFF_MS` before it comes back.
 */

import { connect, type MqttClient } from 'mqtt'
import { brokerAddress } from './broker-address.ts'
import { type ConnectionOptions, sessionOptions } from './mqtt-client.ts'

const TWIN_BACKOFF_MS = 1_000

export interface TwinEvents {
  online(): void
  offline(): void
}

export class Twin {
  readonly #options: ConnectionOptions
  readonly #events: TwinEvents
  #client: MqttClient | undefined

  constructor(options: ConnectionOptions, events: TwinEvents) {
    this.#options = options
    this.#events = events
  }

  start(): void {
    const { url, id, token, tls } = this.#options
    const client = connect({
      ...brokerAddress(url),
      ...tls,
      // With a clean session it would end that of the other, which must not have sent anything twice then.
      ...sessionOptions(this.#options),
      clientId: id,
      username: id,
      password: token,
      reconnectPeriod: TWIN_BACKOFF_MS,
      log: () => {},
    })
    this.#client = client
    client.on('connect', () => this.#events.online())
    client.on('close', () => this.#events.offline())
    // It is there to be thrown out.
    client.on('error', () => {})
  }

  /** It comes back no more. */
  async stop(): Promise<void> {
    await this.#client?.endAsync(true).catch(() => {})
  }
}
