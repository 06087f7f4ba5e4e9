/** Owns the gateway's instruments. Labels come from closed sets: routes, codes, never a device or a filter. */

import { Counter, Gauge } from 'prom-client'
import type { Metrics } from '../platform/metrics.ts'

/** What gauges read when they are asked. */
export interface GatewayState {
  readonly connections: () => number
  readonly sockets: () => number
  readonly groups: () => number
  readonly subscriptions: () => number
  readonly waitingBytes: () => number
  readonly series: () => number
  readonly latestBytes: () => number
  readonly latestDropped: () => number
}

/** Of alerts. */
export class AlertMetrics {
  readonly #registry: Metrics
  readonly posts: Counter<'outcome'>

  constructor(registry: Metrics) {
    this.#registry = registry
    const help =
      'Messages of alerts to their targets: sent; failed and to be sent again; refused, or expired, and given up'
    this.posts = new Counter({
      name: 'telltale_alert_posts_total',
      help,
      labelNames: ['outcome'],
      registers: [registry],
    })
  }

  observe({ firing, waiting }: { readonly firing: () => number; readonly waiting: () => number }): void {
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name: `telltale_alert${name}`,
        help,
        registers: [this.#registry],
        collect() {
          this.set(read())
        },
      })
    gauge('s_firing', 'Alerts that are firing, in the process that looks after them', firing)
    gauge('_posts_waiting', 'Messages of alerts that were not taken yet', waiting)
  }
}

export class GatewayMetrics {
  readonly #registry: Metrics
  readonly requests: Counter<'route' | 'status'>
  readonly refusals: Counter<'reason'>
  readonly closes: Counter<'code'>
  readonly entries: Counter
  readonly frames: Counter
  readonly deliveries: Counter
  readonly droppedFrames: Counter
  readonly behind: Counter
  readonly connectionsCut: Counter<'reason'>

  constructor(registry: Metrics) {
    this.#registry = registry
    this.requests = this.#counter('requests_total', 'HTTP requests answered; status 499: the peer left first', [
      'route',
      'status',
    ])
    this.refusals = this.#counter('refusals_total', 'Requests and live commands refused, by code', ['reason'])
    this.closes = this.#counter('closes_total', 'WebSockets closed by the gateway, by close code', ['code'])
    this.entries = this.#counter('log_entries_total', 'Log entries passed by the live tail')
    this.frames = this.#counter('frames_total', 'Frames encoded for subscriptions')
    this.deliveries = this.#counter('deliveries_total', 'Readings handed to sockets')
    this.connectionsCut = this.#counter(
      'connections_cut_total',
      'Connections without a request that were cut to keep places: too many of one address, or in all',
      ['reason'],
    )
    this.behind = this.#counter('behind_total', 'Times that an app left the live stream since it took too little')
    this.droppedFrames = this.#counter(
      'dropped_frames_total',
      'Frames dropped because a socket was not read; it is closed',
    )
  }

  observe(state: GatewayState): void {
    this.#gauge('connections', 'Open connections, of WebSockets too', state.connections)
    this.#gauge('sockets', 'Open WebSockets', state.sockets)
    this.#gauge('groups', 'Distinct live subscriptions', state.groups)
    this.#gauge('subscriptions', 'Live subscriptions of all sockets', state.subscriptions)
    this.#gauge('waiting_bytes', 'Bytes that wait for live apps to take them', state.waitingBytes)
    this.#gauge('latest_series', 'Devices and series in the table of last readings', state.series)
    this.#gauge('latest_bytes', 'Estimated size of the table of last readings', state.latestBytes)
    const dropped = state.latestDropped
    new Counter({
      name: 'telltale_gateway_latest_dropped_total',
      help: 'Series dropped from the table of last readings',
      registers: [this.#registry],
      collect() {
        this.reset()
        this.inc(dropped())
      },
    })
  }

  #counter<const Label extends string = never>(name: string, help: string, labelNames: readonly Label[] = []) {
    return new Counter({ name: `telltale_gateway_${name}`, help, labelNames, registers: [this.#registry] })
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name: `telltale_gateway_${name}`,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read())
      },
    })
  }
}
