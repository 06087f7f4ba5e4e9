/**
 * Owns what is told and counted of a message that is dropped or held back. `intake/verdict.ts` says what becomes of a message.
 */

import type { ErrorReports } from '../../intake/error-reports.ts'
import type { ThrottledLines } from '../../intake/throttled-lines.ts'
import type { DropCode } from '../../intake/verdict.ts'
import type { Clock } from '../../platform/clock.ts'
import type { DeviceStory } from '../reports/device-story.ts'
import type { BrokerMetrics } from '../reports/metrics.ts'
import type { HeldBack } from '../session/held-back.ts'
import type { Session } from '../session/session.ts'

export interface DropsDependencies {
  readonly reports: ErrorReports
  readonly story: DeviceStory
  readonly clock: Clock
  readonly metrics: BrokerMetrics
  readonly lines: ThrottledLines
}

/** So often it is noted that a connection is read from more slowly, while it is. */
const SLOWED_AGAIN_MS = 60_000

export class Drops {
  readonly #dependencies: DropsDependencies
  /** When it was noted last. */
  readonly #slowed = new WeakMap<HeldBack, number>()

  constructor(dependencies: DropsDependencies) {
    this.#dependencies = dependencies
  }

  /** A message waits for its device's rate: counted, said once a connection, and noted while it goes on. */
  heldBack(heldBack: HeldBack, { holder }: Pick<Session, 'holder'>): void {
    const { metrics, story, lines, clock } = this.#dependencies
    metrics.heldBack()
    const [notedAt, now] = [this.#slowed.get(heldBack), clock.now()]
    if (notedAt !== undefined && now - notedAt < SLOWED_AGAIN_MS) return
    this.#slowed.set(heldBack, now)
    const allowed = `this device may publish ${heldBack.rate.description}`
    if (holder.kind === 'device') story.slowed(holder.device, allowed)
    if (notedAt !== undefined) return
    lines.say(`read from more slowly: ${allowed}`, {
      client: heldBack.client,
      reason: 'rate-limited',
    })
  }

  /** Whoever sent the message is told, and so is whoever looks for it. */
  tell(code: DropCode, message: string, session: Session, topicName: string): void {
    const { metrics, reports, story, clock, lines } = this.#dependencies
    const { holder } = session
    const topic = session.topic(topicName)
    const device = holder.kind === 'device' ? holder.device : topic?.device
    metrics.refused(code)
    lines.say(`a message was acknowledged and dropped: ${message}`, { client: device ?? '', reason: code })
    if (device === undefined) return
    if (holder.kind !== 'anyone') story.dropped(holder, topic?.device, code, message)
    // A stream that the device may not write to is none of its own.
    const stream = topic?.kind === 'telemetry' && code !== 'publish-forbidden' ? topic.stream : null
    reports.report(device, { code, message, stream, at: clock.now() })
  }
}
