/** Owns the account of a finished run, as `summary.json` and `--json` have it. */

import type { FaultAccount } from '../faults/fault-account.ts'
import type { Reason } from '../fleet/tally.ts'
import type { Percentiles } from '../fleet/timing.ts'
import type { Replayed } from '../scenario/scenario.ts'

export interface Summary {
  readonly scenario: string
  readonly url: string
  /** Of what is drawn; of a replay nothing is. */
  readonly seed: number
  /** What was sent again, in place of what is drawn. */
  readonly replay?: Replayed
  /** Of the first readings, ISO 8601. */
  readonly startAt: string
  readonly devices: number
  readonly streams: readonly string[]
  readonly processes: number
  /** Messages a second asked of all devices; 0 for as fast as acknowledgements allow, or as it was recorded. */
  readonly targetRate: number
  /** From the first message's due time to the last acknowledgement. */
  readonly elapsedMs: number
  /** Messages whose time had come by the end. */
  readonly due: number
  readonly sent: number
  /** Due, and never sent: the device was away, or its window full, to the end. */
  readonly unsent: number
  readonly readings: number
  /** Sent with QoS 1 or 2: they are to be acknowledged. */
  readonly toAcknowledge: number
  /** PUBACK or PUBCOMP received. */
  readonly acknowledged: number
  readonly unacknowledged: number
  /** So long it was waited at the end for what was outstanding. */
  readonly drainMs?: number
  /** Connections that had stood and ended by themselves, by why. */
  readonly connectionsLost?: Readonly<Record<string, number>>
  readonly resent: number
  readonly messagesPerSecond: number
  readonly reconnects: number
  /** Connects that the broker refused. */
  readonly refusals: number
  /** Commands that the devices got and acknowledged. */
  readonly commands: number
  /** By code, from the devices' errors topics. */
  readonly errors: Readonly<Record<string, number>>
  readonly reasons: readonly Reason[]
  /** From when a message was due to PUBACK (QoS 1) or PUBCOMP (QoS 2); absent without acknowledgements. */
  readonly latencyMs?: Percentiles
  /** From connect to CONNACK. */
  readonly connectMs?: Percentiles
  /** From when a message was due to its coming at an app, by the clock of this machine. */
  readonly liveMs?: Percentiles
  /** How much later than due the simulator came to send: its own slowness, not the platform's. */
  readonly slipMs?: Percentiles
  /** Of all payloads in the order of each device: the same scenario, seed and start have the same. */
  readonly payloadHash: string
  readonly faults: readonly FaultAccount[]
  readonly verification?: Verification
  /** Why it could not be verified, though it was to be; a sentence without its full stop. */
  readonly unverified?: string | undefined
  readonly thresholds: readonly ThresholdResult[]
  /** Of the simulator, all its processes. */
  readonly cost: { readonly cpuSeconds: number; readonly rssBytesMax: number }
  /** Somebody ended it before its time. */
  readonly interrupted: boolean
  /** Which device was refused that should not have been, and why: it ended the run. */
  readonly refused?: string
  /** Why no app followed it live, though one was to. */
  readonly unfollowed?: string
  readonly ok: boolean
}

export interface ThresholdResult {
  /** As it was asked: `p99>250ms`. */
  readonly condition: string
  /** What was found; undefined if nothing was measured, and then it is missed. */
  readonly value: number | undefined
  /** It is not so: the run does not fail by it. */
  readonly held: boolean
}

/** Where on its way a message was lost or changed. */
export const STAGES = ['broker', 'log', 'ingest', 'store', 'history', 'dead-letters', 'live', 'books'] as const
export type Stage = (typeof STAGES)[number]

export const FINDINGS = [
  'lost',
  'duplicated',
  'altered',
  'invented',
  'late',
  'out-of-order',
  'set-aside',
  'not-set-aside',
  'wrong-code',
  'accepted-though-forbidden',
  'live-lost',
  'live-duplicated',
  'live-altered',
  'live-late',
  'unbalanced',
] as const
export type FindingCode = (typeof FINDINGS)[number]

/** All is there, and came later than it might: that is told, and fails a run only where a condition says so (`late>0`). */
export const LATE: readonly FindingCode[] = ['late', 'live-late']

/** One thing that is wrong, and where. */
export interface Finding {
  readonly code: FindingCode
  readonly stage: Stage
  /** Messages, or of `altered`, `invented`, `duplicated` and all of live: readings. */
  readonly count: number
  /** For a person: what was expected, what was found, and what shows that it is this stage. */
  readonly sentence: string
  /** Some of them: device, stream, time. */
  readonly examples: readonly string[]
}

/** What became of the messages that a fault made what they are. */
export interface FaultOutcome {
  /** Of the fault in the scenario, from 0; those by hand come behind. */
  readonly number: number
  readonly messages: number
  /** They became what they were to become. */
  readonly asExpected: number
}

/** What became of every message: the sums are over all that was sent. */
export interface Verification {
  /** Messages that a PUBACK promised. */
  readonly acknowledged: number
  /** Readings of them that are to be in the store. */
  readonly expectedReadings: number
  readonly stored: number
  /** By a later reading of the same time. */
  readonly superseded: number
  /** Messages, as intended by a fault. */
  readonly deadLettered: number
  readonly lost: number
  readonly duplicated: number
  readonly altered: number
  readonly late: number
  /** Not acknowledged, and in the store all the same, which they may be. */
  readonly storedUnacknowledged: number
  readonly live: {
    /** Readings that a PUBACK promised. */
    readonly expected: number
    /** Of these. */
    readonly came: number
    /** All that came: with those that came again, and those that nobody had promised (of QoS 0, or not acknowledged). */
    readonly received: number
    readonly again: number
    readonly unpromised: number
    readonly lost: number
    readonly duplicated: number
    readonly gaps: number
  }
  /** Of those that made messages what they are. */
  readonly faults: readonly FaultOutcome[]
  /** At a broker that is not ours, where no store is asked: what came at a subscriber. Messages. */
  readonly subscription?: {
    /** Of those that were acknowledged. */
    readonly came: number
    /** Nobody promises those of QoS 0. */
    readonly sentQos0: number
    readonly cameQos0: number
    /** Not acknowledged, and came all the same, which they may. */
    readonly cameUnacknowledged: number
  }
  /** Who was asked: `history`, `flux`, `influxql`...; `subscription` alone at a broker that is not ours. */
  readonly asked: readonly string[]
  readonly findings: readonly Finding[]
  /** Nothing is wrong, but that some of it may have come late. */
  readonly ok: boolean
}
