/**
 * Owns the short way of a client's telemetry: from the bytes that were read to the log, and from the log to the PUBACKs, with no
 * packet, no text and no call of Aedes in between. Durable accept of 50 clients with 64 messages in flight each costs 1.2 us of CPU a
 * message so, and 9.2 on the long way, by mqtt-packet and Aedes (`npm run bench -- --only accept`, in turns on a busy machine).
 *
 *   bytes --> plain? --yes--> run --> `Admission.admitRun` --> log --durable, and all before it answered--> PUBACKs, one write
 *               | no                                                                                          |
 *               +--> that, and all behind it in these bytes: the long way (`Packets`)           subscribers, if any want it
 *
 * A message is plain that is whole, of QoS 1, not retained, with a packet id, on a topic on which this connection's telemetry
 * was admitted before, and within its device's rate while nothing waits for that; in MQTT 5 nothing of its properties may matter
 * but the content type (`PropertiesOfTelemetry`), and nothing may be known against its payload, where that is asked (`PayloadCheck`). Then the long way would append it, whatever else it says: DUP means nothing at QoS 1. All others are the long way's: the first on a topic, the last in a chunk that is cut
 * off there, what breaks a rule or is to be dropped.
 *
 * Always true, whichever way each message goes:
 * - The log has a client's messages in the order they came: a run is appended before anything behind it is looked at, and the
 *   long way appends a message before it returns. What waits for its rate (`HeldBack`), or for a SUBSCRIBE (`SubscribeOrder`), has
 *   all that comes behind it go the long way, and wait there.
 * - It is answered in the order of its messages: a run is one answer of the connection's `OrderedAcks`, beside those of single
 *   messages. All that is written to its socket within one commit's callbacks leaves at once: the socket is corked until the end
 *   of the turn, as mqtt-packet does for what it writes.
 * - The receive window, the CPU quota, rates, metrics and keep alive count each message as on the long way.
 * - A run is accepted as a whole or refused as a whole, which ends the connection; nothing of it is acknowledged then.
 * Bound: a run lies within one turn's bytes, and its messages are counted in `ReceiveWindow` until they are acknowledged.
 */

import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import type { Client } from 'aedes'
import { OrderedAcks } from '../../intake/receive-window.ts'
import type { Clock } from '../../platform/clock.ts'
import { PAYLOAD_BYTES_MAX } from '../../platform/limits.ts'
import { type ClientInternals, internals } from '../aedes/internals.ts'
import { CONNECTION_CLOSED, type Disconnects } from '../reports/disconnects.ts'
import type { PayloadCheck } from '../session/payload-check.ts'
import type { Session } from '../session/session.ts'
import { type AdmittedTopic, TelemetryRun } from '../session/telemetry-run.ts'
import type { PropertiesOfTelemetry } from './level5.ts'

/** The first byte of a PUBLISH of QoS 1 that is not retained; and of one that is sent again. */
const PUBLISH = 0x32
const PUBLISH_AGAIN = 0x3a
/** Of a remaining length this bit says that another byte of it follows (section 2.2.3). */
const MORE = 0x80
/** What is longer takes a third byte. */
const REMAINING_LENGTH_MAX = MORE * MORE - 1
/** A topic's length, and a packet id. */
const U16_BYTES = 2
/** A fixed header with a remaining length of one byte, and the length of a topic. */
const HEAD_BYTES_MIN = 2 + U16_BYTES

assert(REMAINING_LENGTH_MAX < PAYLOAD_BYTES_MAX, 'no plain message is too large')

export interface AdmitsRuns {
  /** Calls `done` when the run is on disk, or with why it was refused. */
  admitRun(session: Session, run: TelemetryRun, done: (error?: Error) => void): void
}

export interface PublishesRuns {
  /** Whether anybody subscribes to telemetry. */
  readonly wantRuns: boolean
  /** Hands the messages of a run to the subscribers. */
  publishRun(run: TelemetryRun, client: Client): void
}

export interface PlainTelemetryDependencies {
  readonly session: Session
  readonly admission: AdmitsRuns
  readonly publishes: PublishesRuns
  readonly disconnects: Disconnects
  /** Of MQTT 5. */
  readonly properties: PropertiesOfTelemetry | undefined
  /** Undefined: no payload of this client is looked at. */
  readonly check: PayloadCheck | undefined
  readonly clock: Clock
}

export class PlainTelemetry {
  readonly #client: Client
  readonly #inner: ClientInternals
  readonly #session: Session
  readonly #admission: AdmitsRuns
  readonly #publishes: PublishesRuns
  readonly #disconnects: Disconnects
  readonly #properties: PropertiesOfTelemetry | undefined
  readonly #check: PayloadCheck | undefined
  readonly #clock: Clock
  /** Messages that went this way. */
  count = 0

  constructor(client: Client, dependencies: PlainTelemetryDependencies) {
    const { session, admission, publishes, disconnects, properties, check, clock } = dependencies
    this.#client = client
    this.#inner = internals(client)
    this.#session = session
    this.#admission = admission
    this.#publishes = publishes
    this.#disconnects = disconnects
    this.#properties = properties
    this.#check = check
    this.#clock = clock
  }

  /** Takes the plain messages that begin at `from`, where a packet begins; returns where the first other one does. */
  take(chunk: Buffer, from: number): number {
    const { admittedTopics, heldBack } = this.#session
    if (admittedTopics === undefined) return from
    const properties = this.#properties
    let at = from
    let run: TelemetryRun | undefined
    while (at + HEAD_BYTES_MIN <= chunk.length) {
      const flags = chunk[at]
      if (flags !== PUBLISH && flags !== PUBLISH_AGAIN) break
      let body = at + 2
      let length = chunk[at + 1] as number
      if (length >= MORE) {
        const more = chunk[body++] as number
        if (more === 0 || more >= MORE) break
        length += (more - 1) * MORE
      }
      const end = body + length
      if (end > chunk.length) break
      let topic: AdmittedTopic | undefined = admittedTopics.at(chunk, body)
      const id = body + U16_BYTES + (topic?.name.length ?? 0)
      let payload = id + U16_BYTES
      let framing = 0
      if (properties !== undefined) {
        const isAliased = topic === undefined && chunk[body] === 0 && chunk[body + 1] === 0
        if (isAliased) topic = admittedTopics.named(properties.aliasedTopic(chunk, payload))
        if (topic !== undefined) {
          payload = properties.payloadAt(chunk, payload, isAliased)
          framing = properties.framing
        }
      }
      if (topic === undefined) break
      if (topic.framing !== 0) framing = topic.framing
      // A topic that only the bytes behind the packet make whole is none of it.
      if (payload > end || (chunk[id] === 0 && chunk[id + 1] === 0)) break
      if (this.#check !== undefined && this.#isBad(this.#check, topic, chunk.subarray(payload, end), framing)) break
      if (heldBack !== undefined && !heldBack.passes(end - payload)) break
      if (run === undefined || run.topic !== topic || run.idBefore !== payload - id || run.framing !== framing) {
        if (run !== undefined) this.#send(run)
        if (this.#client.closed) return chunk.length
        run = new TelemetryRun(topic, chunk, payload - id, framing)
      }
      run.add(payload, end)
      at = end
    }
    if (run !== undefined) this.#send(run)
    return this.#client.closed ? chunk.length : at
  }

  /** The long way looks again, and says why. */
  #isBad(check: PayloadCheck, { device, stream }: AdmittedTopic, payload: Buffer, framing: number): boolean {
    return check({ device, stream, receivedAt: this.#clock.now(), payload, framing }) !== undefined
  }

  #send(run: TelemetryRun): void {
    this.count += run.count
    const session = this.#session
    session.acks ??= new OrderedAcks()
    const answered = session.acks.enter((error) => this.#answer(run, error))
    this.#admission.admitRun(session, run, answered)
  }

  /** As Aedes does with a message that was authorized, or not. */
  #answer(run: TelemetryRun, error: Error | null | undefined): void {
    const { conn } = this.#inner
    if (error) this.#end(error)
    else if (!this.#client.connected) setImmediate(() => this.#end(new Error(CONNECTION_CLOSED)))
    else {
      conn.cork()
      process.nextTick(uncork, conn)
      const isTaken = conn.write(run.acknowledgements())
      if (isTaken || this.#inner.errored) {
        if (this.#publishes.wantRuns) setImmediate(() => this.#publishes.publishRun(run, this.#client))
      } else this.#inner.waitForDrain((error) => this.#drained(run, error))
    }
  }

  /** Who reads no acknowledgements publishes no further, and is disconnected after a while. */
  #drained(run: TelemetryRun, error: Error | null | undefined): void {
    if (error) this.#end(error)
    else this.#publishes.publishRun(run, this.#client)
  }

  #end(error: Error): void {
    this.#disconnects.end(this.#client, error)
  }
}

function uncork(conn: Duplex): void {
  conn.uncork()
}
