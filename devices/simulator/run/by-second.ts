/**
 * Owns what a run has done by now and in each second: once a second all processes are asked, and what they say is added up. Always true: a
 * second that took longer, on a busy machine, is one row all the same. Bound: a row a second.
 */

import { Timing } from '../fleet/timing.ts'
import type { AcknowledgedReading } from '../kept/message-log.ts'
import type { Second } from '../report/seconds.ts'
import type { LiveLog } from './live-log.ts'
import type { Part } from './part.ts'
import { Totals } from './totals.ts'

const SECOND_MS = 1_000
/** What is known is so much fresher than the newest row. */
const LOOKS_A_SECOND = 4

export interface BySecondEvents {
  /** Each second after the first message was due. */
  readonly take: (second: Second) => void
  /** Of each process the newest, some times a second. */
  readonly acknowledged: (reading: AcknowledgedReading) => void
  /** How often there is a row; a second unless told. */
  readonly everyMs?: number | undefined
}

export class BySecond {
  readonly totals = new Totals()
  /** From a message's due time to its coming at an app, of the whole run. */
  readonly live = new Timing()
  readonly seconds: Second[] = []
  /** Why no device is connected yet, or most are not any more. */
  problem: string | undefined
  /** Which device was refused that should not have been, and why. */
  refused: string | undefined
  readonly #parts: readonly Part[]
  readonly #liveLog: LiveLog
  readonly #take: (second: Second) => void
  readonly #acknowledged: BySecondEvents['acknowledged']
  readonly #everyMs: number
  #timer: NodeJS.Timeout | undefined
  #isCounting = false
  #looks = 0
  #hasBegun = false
  #before = { sent: 0, waiting: 0, acknowledged: 0, reconnects: 0, refusals: 0, errors: 0 }

  constructor(parts: readonly Part[], liveLog: LiveLog, { take, acknowledged, everyMs = SECOND_MS }: BySecondEvents) {
    this.#everyMs = everyMs
    this.#acknowledged = acknowledged
    this.#parts = parts
    this.#liveLog = liveLog
    this.#take = take
  }

  start(): void {
    this.#timer = setInterval(() => void this.#tick(), this.#everyMs / LOOKS_A_SECOND)
  }

  /** The first message is due. */
  begin(): void {
    this.#hasBegun = true
  }

  /** Counts once more. Idempotent. */
  async stop(): Promise<void> {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
    await this.look()
    this.#count()
  }

  /** What has come at the app since the last second: behind the end, too. */
  takeLive(): Timing {
    const live = this.#liveLog.timing.take()
    this.live.add(live)
    return live
  }

  /** A process that does not answer in time is asked once. */
  async #tick(): Promise<void> {
    if (this.#isCounting) return
    this.#isCounting = true
    await this.look().finally(() => {
      this.#isCounting = false
    })
    if (++this.#looks % LOOKS_A_SECOND === 0) this.#count()
  }

  /** What all processes have done by now. */
  async look(): Promise<void> {
    const shares = await Promise.all(this.#parts.map((part) => part.share()))
    this.problem = shares.find(({ problem }) => problem !== undefined)?.problem
    this.refused ??= shares.find(({ refused }) => refused !== undefined)?.refused
    this.totals.take(shares)
    for (const { acknowledged } of shares) if (acknowledged !== undefined) this.#acknowledged(acknowledged)
    this.#liveLog.flush()
  }

  /** A second is over. */
  #count(): void {
    const second = this.#second(this.takeLive())
    this.totals.begin()
    if (!this.#hasBegun) return
    this.seconds.push(second)
    this.#take(second)
  }

  #second(live: Timing): Second {
    const { counts, waiting, errorCount, latest } = this.totals
    const { sent, acknowledged, reconnects, refusals, connected } = counts
    const before = this.#before
    this.#before = { sent, waiting, acknowledged, reconnects, refusals, errors: errorCount }
    const ofTiming = (timing: Timing, percentile: number) => (timing.count === 0 ? undefined : timing.at(percentile))
    return {
      second: this.seconds.length,
      due: sent - before.sent + waiting - before.waiting,
      sent: sent - before.sent,
      acknowledged: acknowledged - before.acknowledged,
      connected,
      reconnects: reconnects - before.reconnects,
      refused: refusals - before.refusals,
      errors: errorCount - before.errors,
      pubackP50: ofTiming(latest.puback, 50),
      pubackP99: ofTiming(latest.puback, 99),
      liveP50: ofTiming(live, 50),
      liveP99: ofTiming(live, 99),
      slipMax: latest.slip.count === 0 ? undefined : latest.slip.max,
      backlog: waiting,
    }
  }
}
