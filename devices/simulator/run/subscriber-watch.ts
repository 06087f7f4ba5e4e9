/**
 * Owns an app that subscribes to the fleet's messages at the broker itself, of whatever make, and reads them by the schemas. Always true: it is
 * subscribed before the first message is sent; what comes while it is away is lost to it, and it says so as a gap. Bound: one message is held
 * at a time.
 */

import { performance } from 'node:perf_hooks'
import { connect, type MqttClient } from 'mqtt'
import { messageOf } from '../../../platform/errors.ts'
import { Rejection } from '../../../schemas/reading.ts'
import { brokerAddress } from '../fleet/broker-address.ts'
import type { TlsOptions } from '../fleet/connection.ts'
import type { SimulatorSchemas } from '../messages/simulator-schemas.ts'
import { SimulatorError } from '../simulator-error.ts'
import type { LiveLog, LiveWatch } from './live-log.ts'

/** Not subscribed by then: it will not be. */
const SUBSCRIBED_WITHIN_MS = 5_000
const RECONNECT_MS = 500

export interface SubscriberWatchOptions {
  /** Of the broker. */
  readonly url: string
  readonly tls: TlsOptions
  /** Of an app of ours; undefined: what the URL says. */
  readonly token: (() => Promise<string>) | undefined
  readonly filters: readonly string[]
}

export class SubscriberWatch implements LiveWatch {
  readonly #options: SubscriberWatchOptions
  readonly #log: LiveLog
  readonly #schemas: SimulatorSchemas
  #client: MqttClient | undefined

  constructor(options: SubscriberWatchOptions, { log, schemas }: { log: LiveLog; schemas: SimulatorSchemas }) {
    this.#options = options
    this.#log = log
    this.#schemas = schemas
  }

  /** Where nothing can be subscribed to: a `SimulatorError` `not-subscribed`. */
  async start(): Promise<SimulatorError | undefined> {
    const { url, tls, token, filters } = this.#options
    const client = connect({
      ...brokerAddress(url),
      ...tls,
      ...(token !== undefined && { username: 'app', password: await token() }),
      reconnectPeriod: RECONNECT_MS,
      log: () => {},
    })
    this.#client = client
    client.on('message', (topic, payload) => this.#take(topic, payload))
    const why = await new Promise<string | undefined>((resolve) => {
      let lastError: Error | undefined
      const timer = setTimeout(() => resolve(lastError?.message ?? 'no answer'), SUBSCRIBED_WITHIN_MS)
      client.on('error', (error) => {
        lastError = error
      })
      client.once('connect', () => {
        client
          .subscribeAsync([...filters], { qos: 1 })
          .then(
            () => undefined,
            (error: unknown) => messageOf(error),
          )
          .then((failure) => {
            clearTimeout(timer)
            resolve(failure)
          })
      })
    })
    client.on('close', () => this.#log.gap(now(), undefined, 'disconnected'))
    if (why === undefined) return undefined
    await this.stop()
    return new SimulatorError('not-subscribed', `nothing can be subscribed to at ${url} (${why})`)
  }

  async stop(): Promise<void> {
    this.#client?.removeAllListeners('close')
    await this.#client?.endAsync(true)
  }

  #take(topic: string, payload: Buffer): void {
    const at = now()
    const read = this.#schemas.read(topic, payload, Math.floor(at))
    if (read instanceof Rejection) return
    for (const reading of read) this.#log.take(at, { ...reading, received: undefined })
  }
}

const now = () => performance.timeOrigin + performance.now()
