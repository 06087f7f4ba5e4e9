/**
 * Owns the way of a PUBLISH between Aedes, admission and the subscribers.
 *
 *   QoS 0, 1:  Aedes --authorize--> admission --verdict--> Aedes acknowledges --publish--> subscribers
 *   a run:     `PlainTelemetry` --> admission --verdict--> `PlainTelemetry` acknowledges --publish--> subscribers
 *   QoS 2:     Aedes --authorize--> admission --verdict--> Aedes --publish--> subscribers, and Aedes sends the PUBREC
 *
 * Always true: a client is answered in the order of its messages; a message that was set aside, dropped or refused goes to nobody, and of
 * a QoS 2 message that is sent again before its PUBREL neither the log nor a subscriber gets a second one.
 * Bound: what waits for its verdict is counted in `ReceiveWindow`.
 */

import assert from 'node:assert/strict'
import type { Client, PublishPacket } from 'aedes'
import { OrderedAcks } from '../intake/receive-window.ts'
import type { Verdict } from '../intake/verdict.ts'
import type { Admission, Message } from './admission/admission.ts'
import type { Connection } from './inbound/connection.ts'
import type { PublishesRuns } from './inbound/plain-telemetry.ts'
import { DelayedWills } from './mqtt5/delayed-wills.ts'
import { retained } from './mqtt5/message-properties.ts'
import type { Subscribers } from './outbound/subscribers.ts'
import type { Handling } from './session/awaiting-pubrel.ts'
import type { NotTaken } from './session/not-taken.ts'
import type { Session } from './session/session.ts'
import type { TelemetryRun } from './session/telemetry-run.ts'

/** Lets Aedes acknowledge, or end the connection. */
type Done = (error?: Error | null) => void
export type Published = (error?: Error) => void
export type Publish = (packet: PublishPacket, client: Client | null, done: Published) => void

/** Why a will is not published; Aedes lets go of it. */
const CAME_BACK = 'its client came back in time'

/** A packet as mqtt-packet reads it: the types of Aedes are those of what may be written, too. */
type Read = PublishPacket & Message

export interface PublishesDependencies {
  readonly admission: Admission
  readonly connections: Pick<WeakMap<Client, Connection>, 'get'>
  readonly subscribers: Subscribers
  /** Aedes's own fan-out. */
  readonly publish: Publish
}

export class Publishes implements PublishesRuns {
  readonly #admission: Admission
  readonly #connections: Pick<WeakMap<Client, Connection>, 'get'>
  readonly #subscribers: Subscribers
  readonly #publish: Publish
  readonly wills = new DelayedWills()
  /** Dropped, set aside, or a repeat. Aedes passes the packet that was admitted on to `publish`, and keeps no verdict of ours. */
  readonly #forNobody = new WeakSet<PublishPacket>()

  constructor({ admission, connections, subscribers, publish }: PublishesDependencies) {
    this.#admission = admission
    this.#connections = connections
    this.#subscribers = subscribers
    this.#publish = publish
  }

  /** Aedes's hook itself, rather than a function that calls it for each message. */
  readonly authorize = (client: Client | null, packet: PublishPacket, done: Done): void => {
    const session = client === null ? undefined : this.#connections.get(client)?.session
    assert(client !== null && session !== undefined, 'who publishes was authenticated')
    if (packet === session.will) this.#publishWill(client, session, packet, done)
    else if (packet.qos === 0) this.#admit(session, packet, done)
    else {
      session.acks ??= new OrderedAcks()
      const answered = session.acks.enter(done)
      if (packet.qos === 1) this.#admit(session, packet, answered)
      else {
        const ids = this.#subscribers.persistent.awaitingPubrel(client, session)
        ids.admit(packet as Read, this.#handling(session, packet as Read, answered))
      }
    }
  }

  #publishWill({ id }: Client, session: Session, will: PublishPacket, done: Done): void {
    const { level5 } = session
    const publish = (isTimeOver: boolean) => {
      if (isTimeOver && level5?.endsWithWill()) this.#subscribers.sessionExpiry.end(id)
      level5?.publishingWill(will)
      this.#admission.admitWill(session, will as Read, (verdict) => this.#answer(session, verdict, will, done))
    }
    if (level5 === undefined) publish(false)
    else this.wills.wait(id, level5.willDelayMs(), { publish, forget: () => done(new Error(CAME_BACK)) })
  }

  get wantRuns(): boolean {
    return this.#subscribers.wantTelemetry
  }

  publishRun(run: TelemetryRun, client: Client): void {
    if (!this.wantRuns) return
    for (const packet of run.packets()) this.#publish(packet, client, nothing)
  }

  /** A repeat may wait as long as the first is held back, and counts as held back, too. */
  #handling(session: Session, packet: Read, done: Done): Handling {
    const { receiveWindow } = session
    let waits = false
    return {
      append: (appended) => {
        this.#admission.admit(session, packet, (verdict) => {
          const notTaken = verdict.kind === 'accepted' || verdict.kind === 'refused' ? undefined : verdict
          this.#answer(session, verdict, packet, (error) => appended(error, notTaken))
        })
      },
      waits: () => {
        waits = true
        receiveWindow.holdBack(packet.payload.length)
      },
      repeated: (notTaken) => {
        this.#forNobody.add(packet)
        if (notTaken !== undefined) this.#tell(session, packet, notTaken)
      },
      done: (error) => {
        done(error)
        if (waits) receiveWindow.letPass(packet.payload.length)
      },
    }
  }

  #admit(session: Session, packet: PublishPacket, done: Done): void {
    this.#admission.admit(session, packet as Read, (verdict) => this.#answer(session, verdict, packet, done))
  }

  #answer(session: Session, verdict: Verdict, packet: PublishPacket, done: Done): void {
    if (verdict.kind === 'refused') {
      done(verdict.error)
      return
    }
    if (verdict.kind !== 'accepted') {
      this.#forNobody.add(packet)
      this.#tell(session, packet, verdict)
    }
    done()
  }

  #tell(session: Session, packet: PublishPacket, notTaken: NotTaken): void {
    const { messageId } = packet as Read & { readonly messageId?: number }
    if (messageId !== undefined) session.level5?.notTaken(messageId, notTaken)
  }

  /** Hands a message to the subscribers: one that was admitted, or one of the broker's own. */
  publish(packet: PublishPacket, client: Client | null, done: Published): void {
    const session = client === null ? undefined : this.#connections.get(client)?.session
    if (client === null || session === undefined) {
      this.#forward(packet, client, done)
      return
    }
    packet.dup = false
    const topic = session.topic(packet.topic)
    const isTelemetry = topic?.kind === 'telemetry'
    // Nor is what is on a foreign topic: it is in the log, if a map takes it.
    if (topic?.kind !== 'status' && session.holder.kind !== 'anyone') packet.retain = false
    const isWanted = !isTelemetry || packet.retain || this.#subscribers.wantTelemetry
    // The PUBREC, which comes after this callback, does not wait for subscribers: it would come late, and out of order.
    done()
    if (isWanted && !this.#forNobody.has(packet)) this.#forward(packet, client, nothing)
  }

  #forward(packet: PublishPacket, client: Client | null, done: Published): void {
    if (packet.retain) {
      // Here, because Aedes waits after it, and the next message would overtake this one. Subscribers that are established
      // get RETAIN 0 anyway (section 3.3.1.3).
      this.#subscribers.retained.keep(packet)
      packet.retain = false
      Object.assign(packet, { properties: retained(packet) })
    }
    if (client !== null && this.#subscribers.hasNoLocal) Object.assign(packet, { clientId: client.id })
    this.#publish(packet, client, done)
  }
}

function nothing(): void {}
