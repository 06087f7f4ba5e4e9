/** Owns what the bridge measures of itself. */

import { Counter, Gauge } from 'prom-client'
import type { DropCode } from '../intake/verdict.ts'
import { Histogram } from '../platform/histogram.ts'
import type { Metrics } from '../platform/metrics.ts'

/** Why a message needed no place in the log: it was retained before, a map leaves it out, or it is of another kind than telemetry. */
export type Left = 'retained' | 'by-map' | 'status' | 'other'

export class BridgeMetrics {
  readonly #appended: Histogram
  readonly #received: Counter<'qos'>
  readonly #acknowledged: Counter
  readonly #refused: Counter
  readonly #dropped: Counter<'reason'>
  readonly #left: Counter<'what'>
  readonly #connected: Gauge
  readonly #connects: Counter
  readonly #reports: Counter
  readonly #unreported: Counter

  constructor(registry: Metrics) {
    const registers = [registry]
    const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
      new Counter({ name: `telltale_bridge_${name}_total`, help, labelNames, registers })
    this.#received = counter('received', 'Messages that came from the other broker, by QoS', 'qos')
    this.#acknowledged = counter('acknowledged', 'Messages of QoS 1 that were acknowledged to the other broker')
    this.#refused = counter('refused', 'Messages that the log refused: they come again')
    this.#dropped = counter('dropped', 'Messages that were acknowledged and dropped, by reason', 'reason')
    this.#left = counter('left', 'Messages that are no telemetry, or are known, by what they are', 'what')
    this.#connects = counter('connects', 'Connections to the other broker that came up')
    this.#reports = counter('error_reports', "Reports published on devices' errors topics of the other broker")
    this.#unreported = counter('error_reports_dropped', 'Reports not published: too many, or the other broker is away')
    this.#connected = new Gauge({
      name: 'telltale_bridge_connected',
      help: 'Whether the bridge is connected to the other broker: 1 or 0',
      registers,
    })
    this.#appended = new Histogram(
      {
        name: 'telltale_bridge_append_seconds',
        help: 'From when telemetry came until it was durable and may be acknowledged',
        buckets: [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      },
      registry,
    )
  }

  received(qos: 0 | 1): void {
    this.#received.inc({ qos })
  }

  /** So many milliseconds after it came. */
  appended(ms: number): void {
    this.#appended.observe(Math.max(0, ms) / 1_000)
  }

  acknowledged(count: number): void {
    this.#acknowledged.inc(count)
  }

  refused(): void {
    this.#refused.inc()
  }

  dropped(reason: DropCode): void {
    this.#dropped.inc({ reason })
  }

  left(what: Left): void {
    this.#left.inc({ what })
  }

  connected(isUp: boolean): void {
    this.#connected.set(isUp ? 1 : 0)
    if (isUp) this.#connects.inc()
  }

  reported(): void {
    this.#reports.inc()
  }

  unreported(): void {
    this.#unreported.inc()
  }
}
