/**
 * Owns an app that subscribes to the fleet's messages at the broker itself, of whatever make. Always true: it is subscribed before the first message
 * is sent. At a broker of ours it reads them by the schemas, and says as a gap that it was away; at another it keeps them as they are, and has a
 * session there, so that what comes while it is away comes later. Bound: one message is held at a time.
 *
 * What Sparkplug's data say is known by the births before them, which it does not keep: it reads none of it, and does not measure its latency.
 */

import { randomUUID } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { connect, connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { parseTopic } from '../../../identity/topics.ts'
import { messageOf } from '../../../platform/errors.ts'
import { Rejection } from '../../../schemas/reading.ts'
import { brokerAddress } from '../fleet/broker-address.ts'
import type { TlsOptions } from '../fleet/mqtt-client.ts'
import type { SimulatorSchemas } from '../messages/simulator-schemas.ts'
import { SimulatorError } from '../simulator-error.ts'
import { FORGOTTEN, type LiveLog, type LiveWatch } from './live-log.ts'

/** Not subscribed by then: it will not be. */
const SUBSCRIBED_WITHIN_MS = 5_000
const RECONNECT_MS = 500
/** Its session is ended by then, or stays at the broker. */
const FORGET_MS = 2_000
const CLIENT_ID_CHARS = 8
/** More is never more than what was published. */
const QOS_OF = { ours: 1, others: 2 } as const

export interface SubscriberWatchOptions {
  /** Of the broker. */
  readonly url: string
  readonly tls: TlsOptions
  /** Whether it is a broker of ours. */
  readonly isOurs: boolean
  /** Of an app; undefined: what the URL says. */
  readonly token: (() => Promise<string>) | undefined
  readonly filters: readonly string[]
}

export class SubscriberWatch implements LiveWatch {
  readonly #options: SubscriberWatchOptions
  readonly #log: LiveLog
  readonly #schemas: SimulatorSchemas
  readonly #clientId = `telltale-watch-${randomUUID().slice(0, CLIENT_ID_CHARS)}`
  #client: MqttClient | undefined
  #isOnline = false
  #isStopped = false

  constructor(options: SubscriberWatchOptions, { log, schemas }: { log: LiveLog; schemas: SimulatorSchemas }) {
    this.#options = options
    this.#log = log
    this.#schemas = schemas
  }

  /** Where nothing can be subscribed to: a `SimulatorError` `not-subscribed`. */
  async start(): Promise<SimulatorError | undefined> {
    const { url, isOurs } = this.#options
    const client = connect({
      ...(await this.#address()),
      ...(!isOurs && { clientId: this.#clientId, clean: false }),
      reconnectPeriod: RECONNECT_MS,
    })
    this.#client = client
    client.on('message', (topic, payload, { dup, retain }) => {
      // Who was there before has left it.
      if (!retain) this.#take(topic, payload, dup)
    })
    const why = await this.#subscribed(client)
    client.on('connect', ({ sessionPresent }) => {
      this.#isOnline = true
      if (!isOurs && !sessionPresent) this.#log.gap(now(), undefined, FORGOTTEN)
    })
    client.on('close', () => {
      if (this.#isOnline) this.#log.gap(now(), undefined, 'disconnected')
      this.#isOnline = false
    })
    if (why === undefined) return undefined
    await this.stop()
    return new SimulatorError('not-subscribed', `nothing can be subscribed to at ${url} (${why})`)
  }

  /** Resolves when all that is sent from now on will come, or with why it will not. */
  #subscribed(client: MqttClient): Promise<string | undefined> {
    const { isOurs, filters } = this.#options
    const qos = isOurs ? QOS_OF.ours : QOS_OF.others
    return new Promise((resolve) => {
      let lastError: Error | undefined
      const timer = setTimeout(() => resolve(lastError?.message ?? 'no answer'), SUBSCRIBED_WITHIN_MS)
      client.once('end', () => {
        clearTimeout(timer)
        resolve('it was stopped')
      })
      client.on('error', (error) => {
        lastError = error
      })
      client.once('connect', () => {
        this.#isOnline = true
        client
          .subscribeAsync([...filters], { qos })
          .then(
            (granted) =>
              granted.some((each) => each.qos === 0) ? 'QoS 0 is granted, by which messages may be lost' : undefined,
            (error: unknown) => messageOf(error),
          )
          .then((failure) => {
            clearTimeout(timer)
            resolve(failure)
          })
      })
    })
  }

  get isThere(): boolean {
    return this.#isOnline
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#client?.removeAllListeners('close')
    await this.#client?.endAsync(true)
    if (!this.#options.isOurs) await this.#forget()
  }

  /** A clean connection with its id ends its session, which a broker might keep for ever. */
  async #forget(): Promise<void> {
    try {
      const options = { ...(await this.#address()), clientId: this.#clientId, clean: true, reconnectPeriod: 0 }
      const client = await connectAsync({ ...options, connectTimeout: FORGET_MS })
      await client.endAsync()
    } catch {
      // A broker that is away has nothing to say to it.
    }
  }

  async #address(): Promise<IClientOptions> {
    const { url, tls, token } = this.#options
    const app = token === undefined ? {} : { username: 'app', password: await token() }
    return { ...brokerAddress(url), ...tls, ...app, log: () => {} }
  }

  #take(topic: string, payload: Buffer, isAgain: boolean): void {
    const at = now()
    const { isOurs } = this.#options
    if (!isOurs) this.#log.message(at, { device: this.#deviceOn(topic), topic, payload, isAgain })
    const read = this.#schemas.read(topic, payload, Math.floor(at))
    if (read instanceof Rejection) return
    for (const reading of read) {
      if (isOurs) this.#log.take(at, reading)
      else this.#log.time(at, reading)
    }
  }

  #deviceOn(topic: string): string | undefined {
    const own = parseTopic(topic)
    return own?.kind === 'telemetry' ? own.device : this.#schemas.deviceOn(topic)
  }
}

const now = () => performance.timeOrigin + performance.now()
