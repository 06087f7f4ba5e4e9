/**
 * Owns what the broker knows of one connection: who it is, what its topics mean, what it subscribed to, which QoS 2
 * messages are being appended, and in which order it is answered. What it has no use for yet is not made: most connections of a
 * fleet are idle.
 *
 * Bound: `SESSION_TOPICS_MAX` topics are remembered a connection; beyond it they are worked out each time.
 */

import type { PublishPacket } from 'aedes'
import type { Principal } from '../../identity/principal.ts'
import { type DeviceTopic, parseTopic } from '../../identity/topics.ts'
import type { OrderedAcks, ReceiveWindow } from '../../intake/receive-window.ts'
import type { AwaitingPubrel } from './awaiting-pubrel.ts'
import type { HeldBack } from './held-back.ts'
import { InFlight } from './in-flight.ts'
import type { NotTaken } from './not-taken.ts'
import { Subscriptions, type SubscriptionsTotal } from './subscriptions.ts'
import type { AdmittedTopics } from './telemetry-run.ts'

/** A topic beyond these is worked out at each message instead of remembered. */
const SESSION_TOPICS_MAX = 16

/** A client of an authenticated broker, or anyone at all when authentication is off. */
export type Holder = Principal | { readonly kind: 'anyone' }

/** What a session of MQTT 5 has besides. */
export interface SessionOfLevel5 {
  /** A message of QoS > 0 is about to be acknowledged, and its sender is to be told. */
  readonly notTaken: (messageId: number, why: NotTaken) => void
  /** How long its will waits for the client to come back. */
  readonly willDelayMs: () => number
  /** Its session ends no later than the will goes out. */
  readonly endsWithWill: () => boolean
  readonly publishingWill: (will: PublishPacket) => void
}

export interface SessionShares {
  readonly receiveWindow: ReceiveWindow
  /** Undefined: it may publish as fast as it can. */
  readonly heldBack: HeldBack | undefined
  readonly subscriptionsTotal: SubscriptionsTotal
  /** It is one in a row of connections of its device, which may be at several brokers. */
  readonly hasEpoch?: boolean
}

export class Session {
  /** A token may be renewed: of a device by one of the same device, of an app by an app's (`Authentication.renew`). */
  holder: Holder
  /** What the broker is to send when the connection ends without a DISCONNECT. */
  readonly will: PublishPacket | undefined
  /** Which connection of its device this is (`Presence.update`); 0: nobody asks; undefined: not known yet, and nothing is read until it is. */
  epoch: number | undefined
  /** Set when it is first asked for: one that is not clean shares it with its connections before. */
  awaitingPubrel: AwaitingPubrel | undefined
  /** The broker's number of the message that was forwarded last. */
  lastForwarded = 0
  /** The QoS granted for the message of this number, which was looked at last. */
  lastGranted = 0
  lastGrantedQos = 0
  /** Made for its first message, and for the first that is telemetry. */
  acks: OrderedAcks | undefined
  admittedTopics: AdmittedTopics | undefined
  readonly receiveWindow: ReceiveWindow
  readonly heldBack: HeldBack | undefined
  /** Of MQTT 5. */
  level5: SessionOfLevel5 | undefined
  readonly #subscriptionsTotal: SubscriptionsTotal
  #subscriptions: Subscriptions | undefined
  #inFlight: InFlight | undefined
  #topics: Map<string, DeviceTopic | undefined> | undefined

  constructor(
    holder: Holder,
    will: PublishPacket | undefined,
    { receiveWindow, heldBack, subscriptionsTotal, hasEpoch = false }: SessionShares,
  ) {
    this.holder = holder
    this.will = will
    this.epoch = hasEpoch ? undefined : 0
    this.receiveWindow = receiveWindow
    this.heldBack = heldBack
    this.#subscriptionsTotal = subscriptionsTotal
  }

  get subscriptions(): Subscriptions {
    this.#subscriptions ??= new Subscriptions(this.#subscriptionsTotal)
    return this.#subscriptions
  }

  /** Of a clean session. */
  get inFlight(): InFlight {
    this.#inFlight ??= new InFlight()
    return this.#inFlight
  }

  /** What `topic` means; undefined if it is none of the platform's. */
  topic(topic: string): DeviceTopic | undefined {
    this.#topics ??= new Map()
    if (this.#topics.has(topic)) return this.#topics.get(topic)
    const parsed = parseTopic(topic)
    if (this.#topics.size < SESSION_TOPICS_MAX) this.#topics.set(topic, parsed)
    return parsed
  }

  /** Of a message of `device`: of those that it sends for others nothing is known. */
  epochFor(device: string): number {
    const { epoch = 0, holder } = this
    return epoch > 0 && holder.kind === 'device' && holder.device === device ? epoch : 0
  }

  /** The connection has ended. */
  end(): void {
    this.#subscriptions?.clear()
    this.heldBack?.end()
  }

  hasExpired(now: number): boolean {
    return this.holder.kind !== 'anyone' && this.holder.expiresAt <= now
  }
}
