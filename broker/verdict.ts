/**
 * Owns what becomes of a PUBLISH by admission's verdict: what its sender sees, what is told, and what is counted.
 *
 *   accepted   acknowledged; handed to the subscribers who want it
 *   dropped    acknowledged, gone, counted, told on the device's errors topic: refusing the acknowledgement would block an
 *              honest device's queue for ever
 *   refused    not acknowledged, and the connection ends: the device keeps the message, and sends it again
 */

import type { PublishPacket } from 'aedes'
import type { Clock } from '../platform/clock.ts'
import type { ErrorReports } from './reports/error-reports.ts'
import type { BrokerMetrics } from './reports/metrics.ts'
import type { ThrottledLines } from './reports/throttled-lines.ts'
import type { Session } from './session/session.ts'

export type DropCode = 'payload-too-large' | 'publish-forbidden' | 'rate-limited'

export type Verdict =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'dropped'; readonly code: DropCode; readonly message: string }
  | { readonly kind: 'refused'; readonly error: Error }

export const ACCEPTED: Verdict = { kind: 'accepted' }

export const dropped = (code: DropCode, message: string): Verdict => ({ kind: 'dropped', code, message })
export const refused = (error: Error): Verdict => ({ kind: 'refused', error })

type Done = (error?: Error | null) => void

export interface VerdictsDependencies {
  readonly reports: ErrorReports
  readonly clock: Clock
  readonly metrics: BrokerMetrics
  readonly lines: ThrottledLines
}

export class Verdicts {
  readonly #dependencies: VerdictsDependencies
  /** Aedes passes the packet that was admitted on to `publish`, and keeps no verdict of ours. */
  readonly #dropped = new WeakSet<PublishPacket>()

  constructor(dependencies: VerdictsDependencies) {
    this.#dependencies = dependencies
  }

  /** Whether this packet was dropped, so that it goes to no subscriber either. */
  wasDropped(packet: PublishPacket): boolean {
    return this.#dropped.has(packet)
  }

  /** Carries out a verdict; `done` lets Aedes acknowledge, or end the connection. */
  carryOut(verdict: Verdict, session: Session, packet: PublishPacket, done: Done): void {
    switch (verdict.kind) {
      case 'accepted':
        done()
        return
      case 'dropped':
        this.#dropped.add(packet)
        this.#tell(verdict.code, verdict.message, session, packet)
        done()
        return
      case 'refused':
        done(verdict.error)
    }
  }

  /** Whoever sent it is told, and so is whoever looks for it. */
  #tell(code: DropCode, message: string, session: Session, packet: PublishPacket): void {
    const { metrics, reports, clock, lines } = this.#dependencies
    const { holder } = session
    const topic = session.topic(packet.topic)
    const device = holder.kind === 'device' ? holder.device : topic?.device
    metrics.refused(code)
    lines.say(`a message was acknowledged and dropped: ${message}`, { client: device ?? '', reason: code })
    if (device === undefined) return
    // A stream that the device may not write to is none of its own.
    const stream = topic?.kind === 'telemetry' && code !== 'publish-forbidden' ? topic.stream : null
    reports.report(device, { code, message, stream, at: clock.now() })
  }
}
