/** Owns how a finished run becomes its summary: numbers, and whether all that was promised is held. */

import { expectationOf, unexpectedOf } from '../faults/expectation.ts'
import type { FaultAccount } from '../faults/fault-account.ts'
import type { Timing } from '../fleet/timing.ts'
import type { Summary, Verification } from '../report/summary.ts'
import { evaluate } from '../report/thresholds.ts'
import { befallenCount } from '../scenario/befallen.ts'
import type { Fault } from '../scenario/fault.ts'
import { devicesOf, type Scenario, targetRateOf } from '../scenario/scenario.ts'
import { parseThreshold } from '../scenario/threshold.ts'
import type { FaultLook } from './fault-checks.ts'
import type { Totals } from './totals.ts'

export interface Finished {
  readonly scenario: Scenario
  readonly url: string
  /** A gateway of ours is beside it: what is expected is expected of this broker. */
  readonly isOurs: boolean
  /** Of the first readings, milliseconds since 1970. */
  readonly startAt: number
  readonly processes: number
  readonly elapsedMs: number
  readonly totals: Totals
  /** From a message's due time to its coming at an app. */
  readonly live: Timing
  /** Those of the scenario, and then those by hand. */
  readonly faults: readonly Fault[]
  /** Of those that the platform was asked about, by the number of the fault. */
  readonly looks?: ReadonlyMap<number, FaultLook> | undefined
  readonly payloadHash: string
  readonly verification?: Verification
  /** Why it could not be verified, though it was to be. */
  readonly unverified?: string
  readonly cost: Summary['cost']
  readonly isInterrupted: boolean
  readonly refused: string | undefined
  readonly unfollowed: string | undefined
}

export function summarize(finished: Finished): Summary {
  const { scenario, totals, verification, unverified, isInterrupted, refused, unfollowed, elapsedMs } = finished
  const { counts, timings, waiting } = totals
  const unacknowledged = counts.toAcknowledge - counts.acknowledged
  const delivered = counts.sent - unacknowledged
  const percentiles = {
    latencyMs: timings.puback.percentiles(),
    connectMs: timings.connect.percentiles(),
    liveMs: unfollowed === undefined ? finished.live.percentiles() : undefined,
    slipMs: timings.slip.percentiles(),
  }
  const summary: Summary = {
    scenario: scenario.name,
    url: finished.url,
    seed: scenario.seed,
    ...(scenario.replay !== undefined && { replay: scenario.replay }),
    startAt: new Date(finished.startAt).toISOString(),
    devices: devicesOf(scenario),
    streams: [...new Set(scenario.fleet.flatMap(({ sends }) => sends.map(({ stream }) => stream)))],
    processes: finished.processes,
    targetRate: targetRateOf(scenario),
    elapsedMs,
    due: counts.sent + waiting,
    sent: counts.sent,
    unsent: waiting,
    readings: counts.readings,
    toAcknowledge: counts.toAcknowledge,
    acknowledged: counts.acknowledged,
    unacknowledged,
    drainMs: scenario.drainMs,
    connectionsLost: totals.lost,
    resent: counts.resent,
    messagesPerSecond: elapsedMs > 0 ? (delivered * 1000) / elapsedMs : 0,
    reconnects: counts.reconnects,
    refusals: counts.refusals,
    commands: counts.commands,
    errors: totals.errors,
    reasons: totals.reasons,
    ...withoutAbsent(percentiles),
    payloadHash: finished.payloadHash,
    faults: finished.faults.map((fault, number) => accountOf(fault, number, finished)),
    ...(verification !== undefined && { verification }),
    ...(unverified !== undefined && { unverified }),
    thresholds: [],
    cost: finished.cost,
    interrupted: isInterrupted,
    ...(refused !== undefined && { refused }),
    ...(unfollowed !== undefined && { unfollowed }),
    ok: false,
  }
  return judged(summary, scenario.failIf, finished.isOurs)
}

/** The same, held to its conditions: anew when it has been verified since. */
export function judged(before: Summary, failIf: readonly string[], isOurs: boolean): Summary {
  const { verification, unverified, interrupted, refused, unacknowledged, unsent } = before
  const summary = { ...before, faults: before.faults.map((account, number) => verified(account, number, before)) }
  const thresholds = evaluate(failIf.map(parseThreshold), summary)
  // What was cut short proves something only if it is looked at.
  const isShown = verification === undefined ? !interrupted && unverified === undefined : verification.ok
  const isWhole = refused === undefined && unacknowledged === 0 && unsent === 0
  // Another broker is not bound to what is expected of ours.
  const isAsExpected = !isOurs || summary.faults.every((account) => unexpectedOf(account) === 0)
  return { ...summary, thresholds, ok: isShown && isWhole && isAsExpected && thresholds.every(({ held }) => held) }
}

function accountOf(fault: Fault, number: number, { scenario, totals, looks }: Finished): FaultAccount {
  const { kind, atMs, forMs, devices } = fault
  const { times = 0, asExpected = 0 } = totals.faults[number] ?? {}
  const { sentence, seenBy } = expectationOf(kind)
  return {
    kind,
    atMs,
    forMs,
    devices: befallenCount(devices, scenario),
    times,
    expected: sentence,
    ...(seenBy === 'device' && { asExpected }),
    ...(seenBy === 'asking' && looks?.get(number)),
  }
}

/** What a fault of messages came to, the verification has found; at a broker that is not ours nobody looked. */
function verified(account: FaultAccount, number: number, { verification }: Summary): FaultAccount {
  if (verification === undefined || expectationOf(account.kind).seenBy !== 'verification') return account
  const outcome = verification.faults.find((each) => each.number === number)
  if (outcome === undefined) return account
  return { ...account, looked: outcome.messages, asExpected: outcome.asExpected }
}

const withoutAbsent = <T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
