/**
 * Owns what a device is told of messages that were set aside: QoS 0 JSON on `devices/{device}/errors` (contract, "MQTT").
 * The broker reports its own refusals; what ingest sets aside is followed in the log's dead letters.
 *
 * Losing: a device that is not connected and subscribed is told nothing; the dead letters keep everything.
 */

import { errorsTopic } from '../devices/topics.ts'
import type { Log } from '../log/log.ts'
import type { Logger } from '../platform/logger.ts'
import type { BrokerMetrics } from './metrics.ts'

export interface ErrorReport {
  readonly code: string
  readonly message: string
  /** Null when the message was on no stream's topic. */
  readonly stream: string | null
  /** When it was set aside, milliseconds since 1970-01-01T00:00Z. */
  readonly at: number
}

export class ErrorReports {
  readonly #publish: (topic: string, payload: Buffer) => void
  readonly #log: Log
  readonly #logger: Logger
  readonly #metrics: BrokerMetrics
  readonly #stopping = new AbortController()
  #following: Promise<void> | undefined

  constructor(
    publish: (topic: string, payload: Buffer) => void,
    dependencies: { readonly log: Log; readonly logger: Logger; readonly metrics: BrokerMetrics },
  ) {
    this.#publish = publish
    this.#log = dependencies.log
    this.#logger = dependencies.logger
    this.#metrics = dependencies.metrics
  }

  report(device: string, report: ErrorReport): void {
    this.#metrics.reported()
    this.#publish(errorsTopic(device), Buffer.from(JSON.stringify(report)))
  }

  async start(): Promise<void> {
    const after = await this.#log.lastDeadLetter()
    this.#following = this.#follow(after).catch((error: unknown) => {
      this.#logger.error({ error }, 'dead letters cannot be followed: devices are not told of them any more')
    })
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#following
  }

  async #follow(after: number): Promise<void> {
    for await (const letter of this.#log.followDeadLetters(after, this.#stopping.signal)) {
      const { device, code, reason, stream, setAsideAt } = letter
      this.report(device, { code, message: reason, stream, at: setAsideAt })
    }
  }
}
