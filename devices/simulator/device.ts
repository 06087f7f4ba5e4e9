/**
 * Owns one simulated device: its MQTT connection (MQTT 3.1.1 or 5, by the `mqtt` package), its pace, its unacknowledged
 * messages.
 *
 *   idle --connect()--> connecting --CONNACK 0, resends done--> online <--close, back-off--> offline
 *   connecting|online|offline --a CONNACK that will not change--> refused
 *   any --halt()--> takes no new message --drained()--> every sent message acknowledged --close()--> closed
 *
 * Always true: a QoS 1 or 2 message is kept until it is acknowledged and sent again, with DUP, after a reconnect; new
 * messages are only sent while online, since `mqtt` fails those published while it resends. Bound: `SIMULATOR_IN_FLIGHT_MAX`
 * unacknowledged messages, and the Receive Maximum of a broker of MQTT 5; when full, the next one waits and the device falls behind its rate, which the summary shows.
 */

import { performance } from 'node:perf_hooks'
import { connect, ErrorWithReasonCode, type IClientOptions, type MqttClient, Store } from 'mqtt'
import { commandsTopic, errorsTopic, statusTopic, telemetryTopic } from '../../identity/topics.ts'
import type { Logger } from '../../platform/logger.ts'
import { brokerAddress } from './broker-address.ts'
import type { Messages } from './messages.ts'
import type { Random } from './signals/random.ts'
import { SimulatorError } from './simulator-error.ts'
import type { Tally } from './tally.ts'

/** Unacknowledged messages of one simulated device; when full, its next message waits. */
const SIMULATOR_IN_FLIGHT_MAX = 64
/** No CONNACK within this time: the attempt has failed and is repeated. */
const SIMULATOR_CONNACK_MS = 10_000
/** The pause before the first reconnect, with up to as much again by chance; a failure doubles it, up to the second value. */
const SIMULATOR_BACKOFF_MIN_MS = 100
const SIMULATOR_BACKOFF_MAX_MS = 5_000
/** How long a clean disconnect may take before the socket is destroyed. */
const SIMULATOR_CLOSE_MS = 2_000

/** Of a session whose QoS 2 messages are half-way (MQTT 5; in 3.1.1 it is the broker's to say). */
const SESSION_EXPIRY_SECONDS = 3_600

export type Qos = 0 | 1 | 2

/** Versions of MQTT, as people call them. */
export const LEVELS = ['3.1.1', '5'] as const
export type Level = (typeof LEVELS)[number]

export interface DeviceOptions {
  readonly url: string
  readonly id: string
  readonly token: string
  readonly stream: string
  readonly mqtt: Level
  readonly qos: Qos
  /** Readings a message, for the count. */
  readonly batch: number
  /** Messages this device sends in all; Infinity for no end. */
  readonly messages: number
  /** Milliseconds between messages; 0 for as fast as acknowledgements allow. */
  readonly intervalMs: number
}

export interface DeviceDeps {
  readonly source: Messages
  readonly tally: Tally
  /** For the jitter of the back-off only: it does not touch the values. */
  readonly random: Random
  readonly logger: Logger
}

/**
 * Codes of a CONNACK that will not change by trying again: identifier, credentials, authorisation (MQTT 3.1.1 section 3.2.2.3), and
 * of MQTT 5 (section 3.2.2.2) the version, a ban, an authentication method besides.
 */
const FINAL_CONNACK_CODES: ReadonlySet<number> = new Set([2, 4, 5, 0x84, 0x85, 0x86, 0x87, 0x8a, 0x8c])

/** What is in the store is only ever sent again, so it carries DUP [MQTT-3.3.1-1], which `mqtt` 5.16 leaves out. */
class ResendStore extends Store {
  override put(...[packet, done]: Parameters<Store['put']>): this {
    if (packet.cmd === 'publish') packet.dup = true
    return super.put(packet, done)
  }
}

export class SimulatedDevice {
  readonly id: string
  readonly #options: DeviceOptions
  readonly #deps: DeviceDeps
  readonly #topic: string
  #client: MqttClient | undefined
  #online = false
  #everOnline = false
  #isRefused = false
  #halted = false
  #sent = 0
  #inFlight = 0
  /** When message number `#sent` is due, `performance.now()` time; Infinity before `begin`. */
  #dueAt = Number.POSITIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #pumping = false
  #failures = 0
  #inFlightMax = SIMULATOR_IN_FLIGHT_MAX
  /** Why the broker refused the last CONNECT, by MQTT 5. */
  #refusal: string | undefined
  /** The last reason a connection could not be made, for the one who has to say so. */
  lastError: Error | undefined
  /** Called whenever the device may have nothing more to do: the quota is sent, or the last message acknowledged. */
  onIdle: () => void = () => {}
  onRefused: (error: SimulatorError) => void = () => {}

  constructor(options: DeviceOptions, deps: DeviceDeps) {
    this.id = options.id
    this.#options = options
    this.#deps = deps
    this.#topic = telemetryTopic(options.id, options.stream)
  }

  /** Everything it was to send has been sent. */
  get done(): boolean {
    return this.#sent >= this.#options.messages
  }

  /** Messages sent and not yet acknowledged (QoS 0: not yet written). */
  get inFlight(): number {
    return this.#inFlight
  }

  /** What it has sent is not acknowledged any more. */
  get isRefused(): boolean {
    return this.#isRefused
  }

  /** It has been connected at least once. */
  get everOnline(): boolean {
    return this.#everOnline
  }

  /** Connects and keeps connecting; resolves when online for the first time, or refused, or closed before. */
  connect(): Promise<void> {
    return new Promise((resolve) => {
      const client = connect({ ...brokerAddress(this.#options.url), ...this.#clientOptions() })
      this.#client = client
      client.on('connect', ({ properties: { receiveMaximum = Number.POSITIVE_INFINITY } = {} }) => {
        // One is left for the status.
        this.#inFlightMax = Math.max(1, Math.min(SIMULATOR_IN_FLIGHT_MAX, receiveMaximum - 1))
        this.#wentOnline(client)
        resolve()
      })
      client.on('close', () => this.#wentOffline(client))
      client.on('error', (error) => this.#failed(error))
      client.on('reconnect', () => {
        this.#failures++
      })
      client.on('end', resolve)
      client.on('message', (topic, payload) => {
        // It does nothing with a command but acknowledge it, which `mqtt` does.
        if (topic === commandsTopic(this.id)) this.#deps.tally.commands++
        else this.#deps.tally.error(errorCode(payload))
      })
      client.on('disconnect', (packet) => this.#told('DISCONNECT', packet))
      client.on('packetreceive', (packet) => {
        if (packet.cmd === 'connack') this.#refusal = packet.properties?.reasonString
      })
      client.on('packetsend', (packet) => {
        if (packet.cmd === 'publish' && packet.dup && packet.topic === this.#topic) this.#deps.tally.resent++
      })
    })
  }

  /** Starts publishing; the first message is due at `at` (`performance.now()` time). */
  begin(at: number): void {
    this.#dueAt = at
    this.#pump()
  }

  /** Takes no new message. */
  halt(): void {
    this.#halted = true
    clearTimeout(this.#timer)
  }

  /** Says goodbye (retained status, DISCONNECT) if it can in time, else destroys the socket. */
  async close(): Promise<void> {
    this.halt()
    const client = this.#client
    if (client === undefined) return
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, SIMULATOR_CLOSE_MS)
    })
    const goodbye = async () => {
      if (!this.#online || this.#inFlight > 0) return
      await client.publishAsync(statusTopic(this.id), OFFLINE, { qos: 1, retain: true })
      await client.endAsync()
    }
    await Promise.race([goodbye().catch(() => {}), late])
    clearTimeout(timer)
    if (!client.disconnected) {
      await client.endAsync(true).catch(() => {})
      client.stream.destroy()
    }
    if (this.#online) this.#wentOffline(client)
  }

  #clientOptions(): IClientOptions {
    return {
      clientId: this.id,
      username: this.id,
      password: this.#options.token,
      protocolVersion: this.#options.mqtt === '5' ? 5 : 4,
      // QoS 2 needs the broker's half of the session; for QoS 1 our store alone is enough, and the broker keeps nothing.
      clean: this.#options.qos < 2,
      ...(this.#options.mqtt === '5' &&
        this.#options.qos === 2 && { properties: { sessionExpiryInterval: SESSION_EXPIRY_SECONDS } }),
      will: { topic: statusTopic(this.id), payload: Buffer.from(OFFLINE), qos: 1, retain: true },
      connectTimeout: SIMULATOR_CONNACK_MS,
      reconnectPeriod: this.#backOff(0),
      reconnectOnConnackError: true,
      outgoingStore: new ResendStore({ clean: true }),
      log: () => {},
    }
  }

  #wentOnline(client: MqttClient): void {
    // With Nagle's algorithm a small burst waits 40 ms for the broker's delayed ACK, and the latency would be the kernel's.
    const { stream } = client
    if ('setNoDelay' in stream && typeof stream.setNoDelay === 'function') stream.setNoDelay(true)
    this.#online = true
    this.#failures = 0
    client.options.reconnectPeriod = this.#backOff(0)
    this.#deps.tally.connected++
    if (this.#everOnline) this.#deps.tally.reconnects++
    else {
      const topics = { [errorsTopic(this.id)]: { qos: 0 }, [commandsTopic(this.id)]: { qos: 1 } } as const
      client.subscribe(topics, (error) => this.#subscribed(error))
    }
    this.#everOnline = true
    client.publish(statusTopic(this.id), ONLINE, { qos: 1, retain: true })
    this.#pump()
  }

  #wentOffline(client: MqttClient): void {
    // `mqtt` has set the timer of the next attempt before this listener ran: this is the pause after that one.
    client.options.reconnectPeriod = this.#backOff(this.#failures + 1)
    if (!this.#online) return
    this.#online = false
    this.#deps.tally.connected--
    clearTimeout(this.#timer)
    // QoS 0 is never sent again, and the callback of a write that waited for `drain` never comes.
    if (this.#options.qos === 0) this.#inFlight = 0
    this.onIdle()
  }

  /** The pause after so many failures, with jitter, so that a fleet does not come back as one. */
  #backOff(failures: number): number {
    const most = Math.min(SIMULATOR_BACKOFF_MAX_MS, SIMULATOR_BACKOFF_MIN_MS * 2 ** Math.min(failures, 16))
    return Math.round(most * this.#deps.random.between(1, 2))
  }

  #failed(error: Error): void {
    this.lastError = error
    this.#deps.logger.debug({ device: this.id, error: error.message }, 'connection error')
    if (!(error instanceof ErrorWithReasonCode) || !FINAL_CONNACK_CODES.has(error.code)) return
    this.halt()
    this.#isRefused = true
    this.#client?.end(true)
    const words = this.#refusal === undefined ? '' : ` (${this.#refusal})`
    const message = `${this.id} was refused by ${this.#options.url}: ${error.message}${words}`
    this.onRefused(new SimulatorError('refused', message, { cause: error }))
  }

  #told(by: string, { reasonCode = 0, properties }: Told): void {
    this.#deps.tally.reason(by, reasonCode, properties?.reasonString ?? '')
  }

  #subscribed(error: Error | null): void {
    if (error)
      this.#deps.logger.warn({ device: this.id, error: error.message }, 'errors and commands not subscribed to')
  }

  /** Sends what is due, as far as the window allows; called again by the timer, an acknowledgement or a reconnect. */
  #pump(): void {
    // A QoS 0 callback may come while `publish` is still on the stack.
    if (this.#pumping) return
    this.#pumping = true
    clearTimeout(this.#timer)
    while (this.#online && !this.#halted && !this.done && this.#inFlight < this.#inFlightMax) {
      const wait = this.#dueAt - performance.now()
      if (wait > 0) {
        if (wait !== Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.#pump(), Math.ceil(wait))
        break
      }
      this.#dueAt += this.#options.intervalMs
      this.#publish()
    }
    this.#pumping = false
  }

  #publish(): void {
    const { qos, batch } = this.#options
    const { source, tally } = this.#deps
    const payload = source.next()
    const sentAt = performance.now()
    this.#sent++
    this.#inFlight++
    tally.sent++
    tally.readings += batch
    this.#client?.publish(this.#topic, payload, { qos }, (error, packet) => {
      // By MQTT 5 an acknowledgement may say that the message was dropped: it is done with all the same.
      if (error instanceof ErrorWithReasonCode) this.#told(qos === 1 ? 'PUBACK' : 'PUBREC', packet as Told)
      else if (error) return
      if (qos > 0) tally.acknowledge(performance.now() - sentAt)
      else if (this.#inFlight === 0) return
      this.#inFlight--
      if (this.done || this.#halted) this.onIdle()
      else this.#pump()
    })
  }
}

/** Of MQTT 5. */
interface Told {
  readonly reasonCode?: number | undefined
  readonly properties?: { readonly reasonString?: string | undefined } | undefined
}

const ONLINE = JSON.stringify({ online: true })
const OFFLINE = JSON.stringify({ online: false })

/** The `code` of a message on the errors topic; `unreadable` if it is not the contract's JSON. */
function errorCode(payload: Buffer): string {
  try {
    const parsed: unknown = JSON.parse(payload.toString())
    if (typeof parsed === 'object' && parsed !== null && 'code' in parsed) return String(parsed.code)
  } catch {
    // Counted below: what cannot be read is still a message that something was set aside.
  }
  return 'unreadable'
}
