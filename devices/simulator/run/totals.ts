/**
 * Owns what all processes of a run have counted and timed together. Always true: a count is the sum of the processes' newest; a time is in the
 * histograms once, in those of the whole run and in those of the second in which it was told.
 */

import type { FaultCount } from '../faults/fault-counts.ts'
import type { FleetShare } from '../fleet/fleet.ts'
import type { Reason } from '../fleet/tally.ts'
import { Counts, TIMINGS, type TimingName } from '../fleet/tally.ts'
import { Timing } from '../fleet/timing.ts'

type Timings = Readonly<Record<TimingName, Timing>>

export class Totals {
  counts = new Counts()
  errors: Readonly<Record<string, number>> = {}
  reasons: readonly Reason[] = []
  /** Connections that ended by themselves, by why. */
  lost: Readonly<Record<string, number>> = {}
  /** By the fault's number in the scenario. */
  faults: readonly FaultCount[] = []
  /** Messages that are due and not sent. */
  waiting = 0
  /** Of the whole run. */
  readonly timings: Timings = newTimings()
  /** Of the second that goes on. */
  latest: Timings = newTimings()

  /** A second begins. */
  begin(): void {
    this.latest = newTimings()
  }

  /** What each process has told. */
  take(shares: readonly FleetShare[]): void {
    this.counts = summed(shares)
    this.errors = addedUp(shares.map(({ errors }) => errors))
    this.lost = addedUp(shares.map(({ lost }) => lost))
    this.reasons = joined(shares.flatMap(({ reasons }) => reasons))
    const longest = Math.max(0, ...shares.map(({ faults }) => faults.length))
    this.faults = Array.from({ length: longest }, (_, number) => ({
      times: shares.reduce((sum, { faults }) => sum + (faults[number]?.times ?? 0), 0),
      asExpected: shares.reduce((sum, { faults }) => sum + (faults[number]?.asExpected ?? 0), 0),
    }))
    this.waiting = shares.reduce((sum, { waiting }) => sum + waiting, 0)
    for (const { timings } of shares) {
      for (const name of TIMINGS) {
        const told = new Timing(timings[name])
        this.latest[name].add(told)
        this.timings[name].add(told)
      }
    }
  }

  get errorCount(): number {
    return Object.values(this.errors).reduce((sum, count) => sum + count, 0)
  }
}

const newTimings = (): Timings => ({ puback: new Timing(), connect: new Timing(), slip: new Timing() })

function summed(shares: readonly FleetShare[]): Counts {
  const total = new Counts()
  for (const name of Object.keys(total) as (keyof Counts)[]) {
    for (const { counts } of shares) total[name] += counts[name]
  }
  return total
}

function addedUp(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total = new Map<string, number>()
  for (const each of counts) {
    for (const [name, count] of Object.entries(each)) total.set(name, (total.get(name) ?? 0) + count)
  }
  return Object.fromEntries([...total].sort(([one], [other]) => one.localeCompare(other)))
}

function joined(reasons: readonly Reason[]): Reason[] {
  const total = new Map<string, Reason>()
  for (const reason of reasons) {
    const key = `${reason.by} ${reason.code}`
    const known = total.get(key)
    total.set(key, known === undefined ? reason : { ...known, count: known.count + reason.count })
  }
  return [...total.values()].sort((one, other) => one.by.localeCompare(other.by) || one.code - other.code)
}
