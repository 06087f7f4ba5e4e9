/**
 * Owns the platform as a host application of Sparkplug: what it takes of edge nodes, and what it tells them, put together of the broker's rooms.
 *
 * Always true: its state is told before anybody can connect, and that it goes before connections end.
 */

import type { PublishPacket } from 'aedes'
import type { ErrorReports } from '../intake/error-reports.ts'
import type { Clock } from '../platform/clock.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { StatusBoard } from './admission/status-board.ts'
import type { ForeignTopics } from './session/foreign-topics.ts'
import { HostState } from './sparkplug/host-state.ts'
import { SparkplugMetrics } from './sparkplug/metrics.ts'
import { Rebirths } from './sparkplug/rebirths.ts'
import { Sparkplug } from './sparkplug/sparkplug.ts'

type Sent = Pick<PublishPacket, 'topic' | 'payload' | 'qos' | 'retain'>

export interface SparkplugHostDependencies {
  readonly foreign: ForeignTopics
  readonly statusBoard: StatusBoard
  readonly reports: ErrorReports
  readonly send: (packet: Sent) => Promise<void>
  readonly clock: Clock
  readonly metrics: Metrics
}

export class SparkplugHost {
  readonly sparkplug: Sparkplug
  readonly #state: HostState | undefined
  readonly #rebirths: Rebirths

  /** `host`: its id, if it tells that it is there. */
  constructor(host: string | undefined, dependencies: SparkplugHostDependencies) {
    const { foreign, statusBoard, reports, send, clock, metrics } = dependencies
    const measured = new SparkplugMetrics(metrics)
    const ask = (topic: string, payload: Buffer) => {
      measured.rebirth()
      void send({ topic, payload, qos: 0, retain: false })
    }
    this.#rebirths = new Rebirths(ask, { clock })
    this.sparkplug = new Sparkplug(host, {
      place: (holder, message) => foreign.place(holder, message),
      rebirths: this.#rebirths,
      status: async (device, online, more) => {
        const told = await statusBoard.told(device, online, more)
        // While the broker stops nobody is told, and what is kept says all.
        if (told !== undefined) await send(told).catch(() => undefined)
      },
      report: (device, report) => reports.report(device, report),
      metrics: measured,
      clock,
    })
    this.#state =
      host === undefined
        ? undefined
        : new HostState(host, (topic, payload) => send({ topic, payload, qos: 1, retain: true }), { clock })
  }

  async start(): Promise<void> {
    await this.#state?.online()
  }

  async stop(): Promise<void> {
    this.#rebirths.stop()
    await this.#state?.offline()
  }
}
