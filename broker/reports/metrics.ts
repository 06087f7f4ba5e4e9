/** Owns what the broker measures of itself. Hot counters are plain numbers, read when Prometheus asks. */

import { Counter, Gauge } from 'prom-client'
import { Histogram } from '../../platform/histogram.ts'
import type { Metrics } from '../../platform/metrics.ts'

/** Why a client, a subscription or a message was refused: a closed set, for it is a metric's label. */
export type Refusal =
  | 'bad-token'
  | 'bad-password'
  | 'expired-token'
  | 'revoked-token'
  | 'wrong-client-id'
  | 'wrong-will'
  | 'foreign-page'
  | 'no-certificate'
  | 'expired-certificate'
  | 'revoked-certificate'
  | 'untrusted-certificate'
  | 'wrong-certificate'
  | 'tls-failed'
  | 'too-many-connections'
  | 'too-many-connects'
  | 'publish-forbidden'
  | 'subscribe-forbidden'
  | 'payload-too-large'
  | 'rate-limited'
  | 'log-refused'
  | 'taken-for-gone'
  | 'slow-client'
  | 'stuck-packet'
  | 'protocol-error'

/** Why a message did not reach a subscriber that had a right to it; a session that is forgotten counts as one. */
export type Drop =
  | 'session-queue-full'
  | 'session-forgotten'
  | 'too-many-retained'
  | 'packet-too-large'
  | 'message-expired'

/** What a message on a foreign topic was to its map, if it had one. */
export type ForeignOutcome = 'taken' | 'left' | 'unmapped' | 'unplaced' | 'forbidden'

export class BrokerMetrics {
  /** Telemetry messages made durable and acknowledged, by QoS. */
  readonly #accepted = [0, 0, 0]
  /** How long clients rested, each for itself, milliseconds. */
  restedMs = 0
  readonly #pubackSeconds: Histogram
  readonly #refused: Counter<'reason'>
  readonly #dropped: Counter<'reason'>
  readonly #setAside: Counter<'code'>
  readonly #foreign: Counter<'outcome'>
  readonly #errors: Counter
  readonly #unreported: Counter
  readonly #protocolErrors: Counter
  readonly #delayed: Counter<'by'>
  readonly #connects: Counter
  readonly #idsForgotten: Counter
  readonly #takenOver: Counter
  readonly #heldBack: Counter

  constructor(registry: Metrics, connections: () => number) {
    const registers = [registry]
    const accepted = this.#accepted
    const restedMs = () => this.restedMs
    new Counter({
      name: 'telltale_broker_rested_seconds_total',
      help: 'How long clients were not read from, since they had used up their share of the broker',
      registers,
      collect() {
        this.reset()
        this.inc(restedMs() / 1_000)
      },
    })
    new Counter({
      name: 'telltale_broker_accepted_total',
      help: 'Telemetry messages made durable, by QoS',
      labelNames: ['qos'],
      registers,
      collect() {
        this.reset()
        accepted.forEach((count, qos) => {
          this.inc({ qos }, count)
        })
      },
    })
    new Gauge({
      name: 'telltale_broker_connections',
      help: 'MQTT clients connected',
      registers,
      collect() {
        this.set(connections())
      },
    })
    this.#pubackSeconds = new Histogram(
      {
        name: 'telltale_broker_puback_seconds',
        help: 'From when telemetry was read until it was durable and may be acknowledged',
        buckets: [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      },
      registry,
    )
    this.#connects = new Counter({
      name: 'telltale_broker_connects_total',
      help: 'MQTT clients that were let in',
      registers,
    })
    this.#refused = new Counter({
      name: 'telltale_broker_refused_total',
      help: 'Clients, subscriptions and messages refused, by reason',
      labelNames: ['reason'],
      registers,
    })
    this.#setAside = new Counter({
      name: 'telltale_broker_set_aside_total',
      help: 'Messages set aside before they were acknowledged (TELLTALE_MQTT5_CHECK), by code',
      labelNames: ['code'],
      registers,
    })
    this.#dropped = new Counter({
      name: 'telltale_broker_deliveries_dropped_total',
      help: 'Messages, or sessions, that were not kept for an MQTT subscriber, by reason',
      labelNames: ['reason'],
      registers,
    })
    this.#foreign = new Counter({
      name: 'telltale_broker_foreign_messages_total',
      help: 'Messages on foreign topics, by what they were to their map',
      labelNames: ['outcome'],
      registers,
    })
    this.#errors = new Counter({
      name: 'telltale_broker_error_reports_total',
      help: "Reports published on devices' errors topics",
      registers,
    })
    this.#unreported = new Counter({
      name: 'telltale_broker_error_reports_dropped_total',
      help: 'Reports not published, since their device had enough of them in that second',
      registers,
    })
    this.#delayed = new Counter({
      name: 'telltale_broker_connects_delayed_total',
      help: 'Connections that began later, since their address, or their client id, had made many',
      labelNames: ['by'],
      registers,
    })
    this.#heldBack = new Counter({
      name: 'telltale_broker_held_back_total',
      help: 'Messages that waited, unacknowledged, for the rate of their device',
      registers,
    })
    this.#takenOver = new Counter({
      name: 'telltale_broker_taken_over_total',
      help: 'Connections ended since another came with their client id: one device again, or two with one id',
      registers,
    })
    this.#idsForgotten = new Counter({
      name: 'telltale_broker_packet_ids_forgotten_total',
      help: 'QoS 2 messages received whose PUBREL is not awaited any more, since their session has too many of them',
      registers,
    })
    this.#protocolErrors = new Counter({
      name: 'telltale_broker_protocol_errors_total',
      help: 'Connections ended for what they sent, or by the network',
      registers,
    })
  }

  /** Messages of telemetry are on disk, so many milliseconds after they were read. */
  durable(qos: 0 | 1 | 2, ms: number, messages = 1): void {
    this.#accepted[qos] = (this.#accepted[qos] ?? 0) + messages
    this.#pubackSeconds.observe(Math.max(0, ms) / 1_000, messages)
  }

  connected(): void {
    this.#connects.inc()
  }

  refused(reason: Refusal, count = 1): void {
    this.#refused.inc({ reason }, count)
  }

  /** By a code of dead letters. */
  setAside(code: string): void {
    this.#setAside.inc({ code })
  }

  foreign(outcome: ForeignOutcome): void {
    this.#foreign.inc({ outcome })
  }

  dropped(reason: Drop): void {
    this.#dropped.inc({ reason })
  }

  reported(): void {
    this.#errors.inc()
  }

  unreported(): void {
    this.#unreported.inc()
  }

  connectDelayed(by: 'address' | 'client'): void {
    this.#delayed.inc({ by })
  }

  heldBack(): void {
    this.#heldBack.inc()
  }

  takenOver(): void {
    this.#takenOver.inc()
  }

  packetIdForgotten(): void {
    this.#idsForgotten.inc()
  }

  protocolError(): void {
    this.#protocolErrors.inc()
  }
}
