/** Owns what a terminal shows of a run at one moment: `momentOf` of `run-moment.ts` makes it of what the run knows. */

import type { Percentiles } from '../fleet/timing.ts'
import type { FaultKind } from '../scenario/fault.ts'
import type { Phase } from '../simulator.ts'

/** `away`: the link is cut, or it waits to come back. `muted`: connected, and made to say nothing. */
export const DEVICE_STATES = ['online', 'connecting', 'away', 'muted'] as const
export type DeviceState = (typeof DEVICE_STATES)[number]

export interface FaultInProgress {
  readonly kind: FaultKind
  /** Whom: `10 % of devices`. */
  readonly befalls: string
  /** Infinity: to the end. */
  readonly forMs: number
  readonly leftMs: number
}

/** Of the last seconds, milliseconds: those that are known. */
export type RecentPercentiles = Partial<Pick<Percentiles, 'p50' | 'p90' | 'p99' | 'max'>>

export interface Moment {
  readonly scenario: string
  readonly url: string
  readonly phase: Phase
  readonly devices: number
  /** Devices, each in one state. */
  readonly states: Readonly<Record<DeviceState, number>>
  readonly sent: number
  readonly acknowledged: number
  /** Messages that are due and not sent. */
  readonly backlog: number
  readonly reconnects: number
  /** Milliseconds since the first message was due; 0 before. */
  readonly elapsedMs: number
  /** To the end of its phase; Infinity if nobody knows. */
  readonly leftMs: number
  /** Messages a second that are asked of all devices now; 0: as fast as acknowledgements allow. */
  readonly askedRate: number
  /** Messages acknowledged (QoS 0: sent) in each of the last seconds, the oldest first. */
  readonly rates: readonly number[]
  /** From due to PUBACK, from due to an app, and how late the simulator itself was. */
  readonly latencyMs?: RecentPercentiles
  readonly liveMs?: RecentPercentiles
  readonly slipMs?: RecentPercentiles
  readonly faults: readonly FaultInProgress[]
  /** Why something failed, the most frequent first. */
  readonly failures: readonly { readonly reason: string; readonly count: number }[]
  /** Why no device is connected yet. */
  readonly problem?: string
}
