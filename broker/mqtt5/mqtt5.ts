/**
 * Owns the connections of MQTT 5: from its CONNECT on each has a reader and a writer of its own, and Aedes behind them sees MQTT
 * 3.1.1. What 3.1.1 has no words for (how long a session lasts, why something ends) is carried out here.
 *
 *   bytes --> mqtt-packet --> `Reader` --packets of level 4--> Aedes --packets of level 4--> `Writer` --> bytes
 *
 * Always true: the connections of other levels know nothing of it. A client is told why its connection ends, before it does.
 * Bound: one of these a connection.
 */

import type { Client } from 'aedes'
import type { IConnectPacket, Packet } from 'mqtt-packet'
import type { Clock } from '../../platform/clock.ts'
import { internals } from '../aedes/internals.ts'
import { patchWriting, writeBy } from '../aedes/writing.ts'
import type { Level5, OpensLevel5 } from '../inbound/level5.ts'
import { Disconnect, type Disconnects } from '../reports/disconnects.ts'
import type { BrokerMetrics } from '../reports/metrics.ts'
import type { Session } from '../session/session.ts'
import { Agreement, type Mqtt5Options } from './agreement.ts'
import { MessageProperties } from './message-properties.ts'
import { FIELDS } from './parsing.ts'
import { PlainProperties } from './plain-properties.ts'
import { Reader } from './reader.ts'
import {
  NOT_TAKEN,
  PACKET_TOO_LARGE,
  PROTOCOL_ERROR,
  reasonCodeOf,
  SERVER_BUSY,
  SERVER_SHUTTING_DOWN,
  USE_ANOTHER_SERVER,
} from './reason-codes.ts'
import type { Sent } from './send-window.ts'
import { Writer } from './writer.ts'

const NOTHING = Buffer.alloc(0)

export interface Mqtt5Dependencies {
  readonly disconnects: Disconnects
  readonly metrics: BrokerMetrics
  readonly clock: Clock
  readonly authentication: Renews
}

/** Has a session go on by another token. Rejects with the `Disconnect` with which its connection ends. */
export interface Renews {
  renew(session: Session, token: Buffer): Promise<void>
}

export class Mqtt5 implements OpensLevel5 {
  readonly fields = FIELDS
  readonly #options: Mqtt5Options
  readonly #dependencies: Mqtt5Dependencies
  readonly #connections = new WeakMap<Client, Mqtt5Connection>()

  constructor(options: Mqtt5Options, dependencies: Mqtt5Dependencies) {
    this.#options = options
    this.#dependencies = dependencies
    patchWriting()
  }

  readonly open = (client: Client, accept: (packet: Packet) => void): Level5 => {
    const connection = new Mqtt5Connection(client, accept, this.#options, this.#dependencies)
    this.#connections.set(client, connection)
    return connection
  }

  /** Undefined: the client speaks another level. */
  of(client: Client): Mqtt5Connection | undefined {
    return this.#connections.get(client)
  }

  /** Tells clients that the broker is about to stop. */
  sayGoodbye(clients: readonly Client[]): void {
    const code = elsewhere(this.#options, SERVER_SHUTTING_DOWN)
    const error = new Disconnect('taken-over', 'the broker is stopping', code)
    for (const client of clients) this.#dependencies.disconnects.sayFarewell(client, error)
  }
}

/** What a client is told that this broker has no place for: where to go, if that is known. */
function elsewhere({ serverReference }: Mqtt5Options, code: number): number {
  return serverReference === undefined ? code : USE_ANOTHER_SERVER
}

/** The client has said why it goes: to networks, and to those who look for mistakes, it is as if it had gone without a word. */
class Left extends Error {
  readonly code = 'left'
}

export class Mqtt5Connection implements Level5 {
  readonly #client: Client
  readonly #accept: (packet: Packet) => void
  readonly #options: Mqtt5Options
  readonly #dependencies: Mqtt5Dependencies
  readonly #reader: Reader
  #writer: Writer | undefined
  #agreement: Agreement | undefined
  #isRenewing = false

  constructor(
    client: Client,
    accept: (packet: Packet) => void,
    options: Mqtt5Options,
    dependencies: Mqtt5Dependencies,
  ) {
    this.#client = client
    this.#accept = accept
    this.#options = options
    this.#dependencies = dependencies
    const { disconnects, clock } = dependencies
    const { conn } = internals(client)
    this.#reader = new Reader({
      agree: (connect) => this.#agree(connect),
      asked: (messageId, filters) => this.#writer?.asked(messageId, filters),
      acknowledged: (messageId) => this.#writer?.release(messageId),
      left: (reasonCode) => {
        disconnects.farewells.delete(conn)
        disconnects.end(client, new Left(`it disconnected with reason code ${reasonCode}`))
      },
      renewing: (token) => this.#renew(token),
      hasConnack: () => this.#writer?.hasConnack === true,
      now: () => clock.now(),
    })
    disconnects.farewells.set(conn, (error) => this.#sayFarewell(error))
  }

  translate(packet: Packet): Packet | undefined {
    return this.#reader.translate(packet)
  }

  plainProperties(areWanted: () => boolean): PlainProperties {
    return new PlainProperties(this.#reader.aliases, areWanted)
  }

  get agreement(): Agreement | undefined {
    return this.#agreement
  }

  refuse({ message: words, reason }: Disconnect): void {
    if (this.#writer === undefined) return
    const code = reason === 'too-many-connections' ? elsewhere(this.#options, SERVER_BUSY) : undefined
    this.#writer.refusal = { words, code }
  }

  /** The client is authenticated. */
  begin(session: Session): void {
    const { clock } = this.#dependencies
    const agreement = this.#agreement
    const writer = this.#writer
    if (agreement === undefined || writer === undefined) return
    writer.session = session
    session.level5 = {
      notTaken: (messageId, { code, text }) => writer.notTaken(messageId, { code: NOT_TAKEN[code], words: text }),
      willDelayMs: () => 1_000 * Math.min(agreement.willDelaySeconds, agreement.sessionExpirySeconds),
      endsWithWill: () => agreement.willDelaySeconds >= agreement.sessionExpirySeconds,
      publishingWill: (will) => {
        const { willExpirySeconds: seconds } = agreement
        if (seconds === undefined) return
        const bytes = MessageProperties.of(will)?.bytes ?? NOTHING
        Object.assign(will, { properties: new MessageProperties(bytes, clock.now() + 1_000 * seconds) })
      },
    }
  }

  /** Whether Aedes takes the session for a clean one; it goes by its client and by the CONNECT. */
  set isClean(clean: boolean) {
    Object.assign(this.#client, { clean })
    if (this.#agreement !== undefined) (this.#agreement.connect as { clean?: IConnectPacket['clean'] }).clean = clean
  }

  #agree(connect: IConnectPacket): Agreement {
    const client = this.#client
    const agreement = new Agreement(connect, this.#options)
    const { metrics, clock, disconnects } = this.#dependencies
    this.#agreement = agreement
    this.#writer = new Writer(internals(client).conn, agreement, {
      discarded: (message) => this.#discarded(message),
      slow: () =>
        disconnects.end(client, new Disconnect('slow-client', 'it acknowledges nothing of what it subscribed to')),
      unspeakable: () => disconnects.end(client, tooSmall()),
      refused: (messageId) => {
        this.#reader.refused(messageId)
        this.#writer?.session?.awaitingPubrel?.release(messageId)
      },
      now: () => clock.now(),
      metrics,
      serverReference: this.#options.serverReference,
    })
    writeBy(client, this.#writer)
    if (agreement.fault !== undefined) throw agreement.fault
    return agreement
  }

  /** What was asked for meanwhile goes by the token before (section 4.12.1). One at a time: a token takes work to check. */
  #renew(token: Buffer): void {
    const client = this.#client
    const { disconnects, authentication } = this.#dependencies
    const session = this.#writer?.session
    if (this.#isRenewing || session === undefined) {
      throw new Disconnect('protocol-error', 'an AUTH comes before the one before it was answered', PROTOCOL_ERROR)
    }
    this.#isRenewing = true
    authentication.renew(session, token).then(
      () => {
        this.#isRenewing = false
        if (!client.closed) this.#writer?.renewed()
      },
      (error: Disconnect) => {
        if (!client.closed) disconnects.end(client, error)
      },
    )
  }

  /** As if the client had acknowledged it: in a turn of its own, for Aedes is about to write it. */
  #discarded({ messageId = 0 }: Sent): void {
    setImmediate(() => {
      if (this.#client.closed) return
      this.#accept({ cmd: 'pubcomp', messageId, isRefused: true } as Packet)
      this.#writer?.release(messageId)
    })
  }

  #sayFarewell(error: Error): void {
    const { conn } = internals(this.#client)
    if (this.#client.closed || conn.destroyed) return
    const code = reasonCodeOf(error)
    if (this.#writer === undefined) {
      // Nothing was agreed on.
      conn.write(Buffer.of(CONNACK, CONNACK_BYTES, 0, code, 0))
    } else if (this.#writer.hasConnack) this.#writer.disconnect(code, error.message)
    else this.#writer.refuse(code, error.message)
    // Whatever is destroyed now loses what was not handed to the socket.
    while (conn.writableCorked > 0) conn.uncork()
  }
}

const tooSmall = () =>
  new Disconnect('protocol-error', 'its Maximum Packet Size has no room for an answer', PACKET_TOO_LARGE)

const CONNACK = 0x20
/** Behind its fixed header: flags, the code, no properties. */
const CONNACK_BYTES = 3
