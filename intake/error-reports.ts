/**
 * Owns what a device is told of messages that were set aside: QoS 0 JSON on `devices/{device}/errors` (docs/contract.md, "MQTT"). Who sent
 * a message for another device is told in that one's place.
 * Who takes messages reports its own refusals; what ingest sets aside is followed in the log's dead letters, and what else it has to say in its
 * notices.
 *
 * Bound: `REPORTS_PER_DEVICE_PER_SECOND_MAX`; more are counted and not sent.
 * Losing: a device that is not connected and subscribed is told nothing; the dead letters keep everything.
 */

import { errorsTopic } from '../identity/topics.ts'
import type { DeadLetterPlace } from '../log/dead-letter-place.ts'
import type { DeadLetter, DeadLetterBox, NoticeBoard } from '../log/log.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import { Throttle } from '../platform/throttle.ts'
import { isForeign, NOT_TOLD } from '../schemas/content-type.ts'
import { readForeign } from '../schemas/foreign.ts'

/** Reports on one device's errors topic in one second; further ones are counted only. */
export const REPORTS_PER_DEVICE_PER_SECOND_MAX = 200

export interface ErrorReport {
  readonly code: string
  readonly message: string
  /** Whose message it was, if its sender spoke for another. */
  readonly device?: string
  /** Null when the message was on no stream's topic. */
  readonly stream: string | null
  /** When it was set aside, milliseconds since 1970-01-01T00:00Z. */
  readonly at: number
}

/** Counts them. */
export interface ReportCounts {
  reported(): void
  unreported(): void
}

export class ErrorReports {
  readonly #publish: (topic: string, payload: Buffer) => void
  readonly #log: DeadLetterBox & NoticeBoard
  readonly #tells: (device: string) => boolean
  readonly #logger: Logger
  readonly #metrics: ReportCounts
  readonly #clock: Clock
  readonly #throttle = new Throttle({
    burst: REPORTS_PER_DEVICE_PER_SECOND_MAX,
    perSecond: REPORTS_PER_DEVICE_PER_SECOND_MAX,
    waitingMax: 0,
  })
  readonly #stopping = new AbortController()
  #following: Promise<unknown> | undefined

  constructor(
    publish: (topic: string, payload: Buffer) => void,
    dependencies: {
      readonly log: DeadLetterBox & NoticeBoard
      /** Of which devices; of all unless given. */
      readonly tells?: (device: string) => boolean
      readonly clock: Clock
      readonly logger: Logger
      readonly metrics: ReportCounts
    },
  ) {
    this.#publish = publish
    this.#log = dependencies.log
    this.#tells = dependencies.tells ?? (() => true)
    this.#clock = dependencies.clock
    this.#logger = dependencies.logger
    this.#metrics = dependencies.metrics
  }

  report(device: string, report: ErrorReport): void {
    if (!this.#tells(device)) return
    if (this.#throttle.wait(this.#clock.now(), device) === undefined) {
      this.#metrics.unreported()
      return
    }
    this.#metrics.reported()
    this.#publish(errorsTopic(device), Buffer.from(JSON.stringify(report)))
  }

  async start(): Promise<void> {
    const after = await this.#log.lastDeadLetter()
    const following = Promise.all([this.#followLetters(after), this.#followNotices()])
    this.#following = following.catch((error: unknown) => {
      this.#logger.error({ error }, 'dead letters cannot be followed: devices are not told of them any more')
    })
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#following
  }

  async #followLetters(after: DeadLetterPlace): Promise<void> {
    for await (const letter of this.#log.followDeadLetters(after, this.#stopping.signal)) {
      const { device, code, reason, stream, setAsideAt } = letter
      const sender = senderOf(letter)
      const of = sender === device ? {} : { device }
      // What is damaged may not say whose it was.
      if (device !== '') this.report(sender, { code, message: reason, ...of, stream, at: setAsideAt })
    }
  }

  async #followNotices(): Promise<void> {
    for await (const { device, code, message, stream, at } of this.#log.followNotices(this.#stopping.signal)) {
      this.report(device, { code, message, stream, at })
    }
  }
}

function senderOf({ device, code, framing = NOT_TOLD, payload }: DeadLetter): string {
  // Of what is damaged nothing can be believed.
  if (code === 'log-damaged' || !isForeign(framing)) return device
  return readForeign(Buffer.from(payload))?.sender || device
}
