/**
 * Owns the MQTT connection of one simulated device (3.1.1 or 5, by the `mqtt` package): how it connects, comes back, and is cut on purpose.
 *
 *   idle --open()--> connecting --CONNACK 0, resends done--> online <--close, back-off or hold--> offline
 *   connecting|online|offline --a CONNACK that will not change, and that no fault asked for--> refused
 *   any --close()--> closed
 *
 * Always true: a QoS 1 or 2 message is kept until it is acknowledged and sent again, with DUP, after a reconnect; new messages are only sent
 * while online, since `mqtt` fails those published while it resends.
 */

import { performance } from 'node:perf_hooks'
import { connect, ErrorWithReasonCode, type IPublishPacket, type MqttClient } from 'mqtt'
import { generate } from 'mqtt-packet'
import { commandsTopic, errorsTopic, statusTopic } from '../../../identity/topics.ts'
import type { Logger } from '../../../platform/logger.ts'
import type { Qos } from '../scenario/scenario.ts'
import type { Random } from '../signals/random.ts'
import { SimulatorError } from '../simulator-error.ts'
import {
  type ConnectionOptions,
  clientOptions,
  type Disguise,
  Gathering,
  holdPubacks,
  identityOf,
  OFFLINE,
  ONLINE,
} from './mqtt-client.ts'
import { NoBroker, namedAnswer } from './no-broker.ts'
import type { Tally } from './tally.ts'
import { ClosedUnanswered } from './unreachable.ts'

/** The pause before the first reconnect, with up to as much again by chance; a failure doubles it, up to the second value. */
const SIMULATOR_BACKOFF_MIN_MS = 100
const SIMULATOR_BACKOFF_MAX_MS = 5_000
/** How long a clean disconnect may take before the socket is destroyed. */
const SIMULATOR_CLOSE_MS = 2_000
export interface ConnectionEvents {
  /** New messages may be sent, so many of them unacknowledged. */
  online(inFlightMax: number): void
  offline(): void
  /** For good. */
  refused(error: SimulatorError): void
  /** While disguised, for who it says it is. */
  refusedInDisguise(): void
  /** While disguised it was let in, which it should not be. */
  admittedInDisguise(): void
  /** A message on the errors topic. */
  told(payload: Buffer): void
  /** A message of telemetry went out once more. */
  resent(messageId: number): void
}

/**
 * Codes of a CONNACK that will not change by trying again: identifier, credentials, authorisation (MQTT 3.1.1 section 3.2.2.3), and
 * of MQTT 5 (section 3.2.2.2) the version, a ban, an authentication method besides.
 */
const FINAL_CONNACK_CODES: ReadonlySet<number> = new Set([2, 4, 5, 0x84, 0x85, 0x86, 0x87, 0x8a, 0x8c])

/** Of MQTT 5. */
interface Told {
  readonly reasonCode?: number | undefined
  readonly properties?: { readonly reasonString?: string | undefined } | undefined
}

export class Connection {
  readonly #options: ConnectionOptions
  readonly #deps: { readonly tally: Tally; readonly random: Random; readonly logger: Logger }
  readonly #events: ConnectionEvents
  #client: MqttClient | undefined
  #isOnline = false
  /** Of this attempt. */
  #hasTcp = false
  #wasOnline = false
  /** It ends, or is cut, on purpose. */
  #isEnded = false
  #failures = 0
  #connectingSince = 0
  #disguise: Disguise | undefined
  /** As whom it tries now, or is online. */
  #triesAs: Disguise | undefined
  #acknowledges = true
  readonly #gathering = new Gathering()
  /** The last whose end was told. */
  #ended: MqttClient['stream'] | undefined
  /** Until when it is to be away, `performance.now()` time. */
  #awayUntil = 0
  /** Why the broker refused the last CONNECT, by MQTT 5. */
  #refusal: string | undefined
  /** The last reason a connection could not be made since it was online, for the one who has to say so. */
  lastError: Error | undefined

  constructor(
    options: ConnectionOptions,
    deps: { readonly tally: Tally; readonly random: Random; readonly logger: Logger },
    events: ConnectionEvents,
  ) {
    this.#options = options
    this.#deps = deps
    this.#events = events
  }

  /** What was cut is not, though its end is still to be told. */
  get isOnline(): boolean {
    return this.#isOnline && this.#client?.stream.destroyed === false
  }

  /** It has been online at least once. */
  get wasOnline(): boolean {
    return this.#wasOnline
  }

  /** Nobody has answered it so far, not even TCP. */
  get isUnanswered(): boolean {
    if (this.#wasOnline) return false
    if (this.lastError !== undefined || this.#client === undefined) return true
    const { stream } = this.#client
    return 'connecting' in stream && stream.connecting === true
  }

  /** Connects and keeps connecting; resolves when online for the first time, or refused, or closed before. */
  open(): Promise<void> {
    return new Promise((resolve) => {
      this.#beginAttempt()
      const client = connect(clientOptions(this.#options, this.#disguise, this.#backOff(0)))
      this.#client = client
      this.#listen(client)
      holdPubacks(client, () => !this.#acknowledges)
      this.#awaitTcp(client)
      client.on('connect', ({ properties: { receiveMaximum = Number.POSITIVE_INFINITY } = {} }) => {
        this.#wentOnline(client, receiveMaximum)
        resolve()
      })
      client.on('close', () => this.#wentOffline(client))
      client.on('error', (error) => this.#failed(error))
      client.on('reconnect', () => {
        this.#failures++
        this.#beginAttempt()
        // It makes its stream behind this event.
        process.nextTick(() => this.#awaitTcp(client))
      })
      client.on('end', resolve)
      client.on('message', (topic, payload) => {
        if (topic !== commandsTopic(this.#options.id)) this.#events.told(payload)
        // It does nothing with a command but acknowledge it, which `mqtt` does.
        else if (this.#acknowledges) this.#deps.tally.counts.commands++
      })
      client.on('disconnect', (packet) => this.#reason('DISCONNECT', packet))
      client.on('packetreceive', (packet) => {
        if (packet.cmd === 'connack') this.#refusal = packet.properties?.reasonString
      })
      client.on('packetsend', (packet) => {
        if (packet.cmd === 'connect') this.#listen(client)
        if (packet.cmd !== 'publish' || !packet.dup || packet.retain || packet.messageId === undefined) return
        this.#deps.tally.counts.resent++
        this.#events.resent(packet.messageId)
      })
    })
  }

  /**
   * Only while online. `done` is called with the reason of MQTT 5 (0 without) when it is acknowledged, or with QoS 0 written. Returns its
   * packet identifier, 0 with QoS 0.
   */
  publish(topic: string, payload: Buffer, qos: Qos, done: (code: number) => void): number {
    const client = this.#client
    if (client === undefined) return 0
    this.#gathering.begin(client.stream)
    client.publish(topic, payload, { qos }, (error, packet) => {
      // By MQTT 5 an acknowledgement may say that the message was dropped: it is done with all the same.
      if (error instanceof ErrorWithReasonCode) this.#reason(qos === 1 ? 'PUBACK' : 'PUBREC', packet as Told)
      else if (error) return
      done(error instanceof ErrorWithReasonCode ? error.code : 0)
    })
    return qos === 0 ? 0 : client.getLastMessageId()
  }

  /** The same PUBLISH once more on the same connection, with DUP: what a device does that has missed the acknowledgement. */
  repeat(topic: string, payload: Buffer, qos: Qos, messageId: number): void {
    const packet: IPublishPacket = { cmd: 'publish', topic, payload, qos, dup: true, retain: false, messageId }
    this.#client?.stream.write(generate(packet, { protocolVersion: this.#options.mqtt === '5' ? 5 : 4 }))
    this.#deps.tally.counts.resent++
    this.#events.resent(messageId)
  }

  /** Cuts the link, without a goodbye; it is tried again after so long, or later if it was to be away for longer already. */
  cut(awayMs: number): void {
    const now = performance.now()
    this.#awayUntil = Math.max(this.#awayUntil, now + awayMs)
    const client = this.#client
    if (client === undefined) return
    this.#isEnded = true
    client.options.reconnectPeriod = Math.max(1, Math.round(this.#awayUntil - now))
    client.stream.destroy()
  }

  /** It is away no longer, and tries at once if it is not there. */
  comeBack(): void {
    this.#awayUntil = 0
    const client = this.#client
    // A stream that is not destroyed is there, or about to be.
    if (client === undefined || client.disconnecting || !client.stream.destroyed) return
    // Its end is still to be told: a connection that is begun before would be taken for the one that ends.
    if (client.stream !== this.#ended) {
      client.options.reconnectPeriod = 1
      return
    }
    const { incomingStore, outgoingStore } = client
    client.reconnect({ incomingStore, outgoingStore })
  }

  /** It is cut, and comes back at once as somebody else; undefined: as itself, and it is cut only if it was let in as somebody else. */
  set disguise(disguise: Disguise | undefined) {
    this.#disguise = disguise
    if (this.#client !== undefined) Object.assign(this.#client.options, identityOf(this.#options, this.#disguise))
    if (disguise !== undefined || (this.#isOnline && this.#triesAs !== undefined)) this.cut(0)
    else this.comeBack()
  }

  /** From now on it acknowledges no message that comes, or again all. */
  set acknowledges(does: boolean) {
    this.#acknowledges = does
  }

  /** Says goodbye (retained status, DISCONNECT) if it is `idle` and can in time, else destroys the socket. */
  async close(idle: boolean): Promise<void> {
    const client = this.#client
    if (client === undefined) return
    this.#isEnded = true
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, SIMULATOR_CLOSE_MS)
    })
    const goodbye = async () => {
      if (!this.#isOnline || !idle) return
      await client.publishAsync(statusTopic(this.#options.id), OFFLINE, { qos: 1, retain: true })
      await client.endAsync()
    }
    await Promise.race([goodbye().catch(() => {}), late])
    clearTimeout(timer)
    if (!client.disconnected) {
      await client.endAsync(true).catch(() => {})
      client.stream.destroy()
    }
    if (this.#isOnline) this.#wentOffline(client)
  }

  #awaitTcp({ stream }: MqttClient): void {
    stream.once('connect', () => {
      this.#hasTcp = true
    })
  }

  /** Most of what TLS and WebSocket fail with, `mqtt` keeps to itself. */
  #listen(client: MqttClient): void {
    client.stream.once('error', (error) => {
      this.lastError = error
    })
  }

  #beginAttempt(): void {
    this.#hasTcp = false
    this.#connectingSince = performance.now()
    this.#triesAs = this.#disguise
  }

  #wentOnline(client: MqttClient, receiveMaximum: number): void {
    // With Nagle's algorithm a small burst waits 40 ms for the broker's delayed ACK, and the latency would be the kernel's.
    const { stream } = client
    if ('setNoDelay' in stream && typeof stream.setNoDelay === 'function') stream.setNoDelay(true)
    const awayMs = this.#awayUntil - performance.now()
    if (this.#triesAs !== undefined) this.#events.admittedInDisguise()
    // It has taken the disguise off, or put another on, while it was being let in.
    if (awayMs > 0 || this.#triesAs !== this.#disguise) {
      client.options.reconnectPeriod = Math.max(1, Math.ceil(awayMs))
      stream.destroy()
      return
    }
    const { counts, timings } = this.#deps.tally
    timings.connect.record(performance.now() - this.#connectingSince)
    this.#isOnline = true
    this.#isEnded = false
    this.lastError = undefined
    this.#failures = 0
    client.options.reconnectPeriod = this.#backOff(0)
    counts.connected++
    if (this.#wasOnline) counts.reconnects++
    else {
      const { id } = this.#options
      const topics = { [errorsTopic(id)]: { qos: 0 }, [commandsTopic(id)]: { qos: 1 } } as const
      client.subscribe(topics, (error) => this.#subscribed(error))
    }
    this.#wasOnline = true
    client.publish(statusTopic(this.#options.id), ONLINE, { qos: 1, retain: true })
    // One of the window is left for the status.
    this.#events.online(Math.max(1, receiveMaximum - 1))
  }

  #wentOffline(client: MqttClient): void {
    this.#ended = client.stream
    if (!this.#wasOnline) this.lastError ??= new ClosedUnanswered()
    // `mqtt` has set the timer of the next attempt before this listener ran: this is the pause after that one.
    client.options.reconnectPeriod = this.#backOff(this.#failures + 1)
    if (!this.#isOnline) return
    this.#isOnline = false
    if (!this.#isEnded) this.#deps.tally.lost(codeOf(this.lastError) ?? 'closed by the other side')
    this.#deps.tally.counts.connected--
    this.#events.offline()
  }

  /** The pause after so many failures, with jitter, so that a fleet does not come back as one. */
  #backOff(failures: number): number {
    const most = Math.min(SIMULATOR_BACKOFF_MAX_MS, SIMULATOR_BACKOFF_MIN_MS * 2 ** Math.min(failures, 16))
    return Math.round(Math.max(most * this.#deps.random.between(1, 2), this.#awayUntil - performance.now()))
  }

  #failed(error: Error): void {
    this.lastError = this.#hasTcp && !this.#isOnline ? namedAnswer(error) : error
    // Its answer is not waited for: it has come.
    if (this.lastError instanceof NoBroker) this.#client?.stream.destroy()
    const { id, url } = this.#options
    this.#deps.logger.debug({ device: id, error: error.message }, 'connection error')
    if (!(error instanceof ErrorWithReasonCode)) return
    this.#deps.tally.counts.refusals++
    if (!FINAL_CONNACK_CODES.has(error.code)) return
    if (this.#triesAs !== undefined) {
      this.#events.refusedInDisguise()
      return
    }
    this.#client?.end(true)
    const words = this.#refusal === undefined ? '' : ` (${this.#refusal})`
    const message = `${id} was refused by ${url}: ${error.message}${words}`
    this.#events.refused(new SimulatorError('refused', message, { cause: error }))
  }

  #reason(by: string, { reasonCode = 0, properties }: Told): void {
    this.#deps.tally.reason(by, reasonCode, properties?.reasonString ?? '')
  }

  /** What a broker refuses is told in the summary; a link that is cut meanwhile subscribes anew. */
  #subscribed(error: Error | null): void {
    const code = error !== null && 'code' in error ? error.code : undefined
    if (typeof code === 'number') this.#deps.tally.reason('SUBACK', code, `errors and commands are not subscribed to`)
  }
}

const codeOf = (error: Error | undefined): string | undefined =>
  error && ('code' in error ? String(error.code) : error.message)
