/** Owns how what a run knows becomes what a terminal shows of it. */

import { counted } from '../report/numbers.ts'
import type { Second } from '../report/seconds.ts'
import type { Befallen, Fault } from '../scenario/fault.ts'
import { devicesOf, targetRateOf } from '../scenario/scenario.ts'
import type { Snapshot } from '../simulator.ts'
import type { Moment, RecentPercentiles } from './moment.ts'

/** Seconds whose rates are shown, and of which the newest that was measured is shown as now. */
const RATES_MAX = 60
const RECENT_SECONDS = 5

export function momentOf(
  { phase, scenario, faults, totals, seconds, elapsedMs, problem }: Snapshot,
  url: string,
): Moment {
  const { counts, waiting } = totals
  const devices = devicesOf(scenario)
  const { sent, acknowledged, reconnects, connected, away, muted, toAcknowledge } = counts
  const isAcknowledged = toAcknowledge > 0
  return {
    ...{ scenario: scenario.name, url, phase, devices, sent, acknowledged, backlog: waiting, reconnects, elapsedMs },
    states: {
      online: Math.max(0, connected - muted),
      connecting: Math.max(0, devices - connected - away),
      away,
      muted,
    },
    leftMs: leftOf({ phase, scenario, elapsedMs }),
    askedRate: targetRateOf(scenario),
    rates: seconds.slice(-RATES_MAX).map((second) => (isAcknowledged ? second.acknowledged : second.sent)),
    ...recentOf(seconds.slice(-RECENT_SECONDS)),
    faults: faults.flatMap((fault) => (isInProgress(fault, elapsedMs) ? [inProgress(fault, elapsedMs)] : [])),
    failures: failuresOf(totals),
    ...(problem !== undefined && { problem }),
  }
}

function leftOf({ phase, scenario, elapsedMs }: Pick<Snapshot, 'phase' | 'scenario' | 'elapsedMs'>): number {
  if (phase === 'publishing') return scenario.durationMs - elapsedMs
  return Number.POSITIVE_INFINITY
}

function recentOf(seconds: readonly Second[]): Pick<Moment, 'latencyMs' | 'liveMs' | 'slipMs'> {
  const newest = (key: 'pubackP50' | 'pubackP99' | 'liveP50' | 'liveP99' | 'slipMax') =>
    seconds.findLast((second) => second[key] !== undefined)?.[key]
  const both = (p50: number | undefined, p99: number | undefined): RecentPercentiles | undefined =>
    p50 === undefined || p99 === undefined ? undefined : { p50, p99 }
  const latencyMs = both(newest('pubackP50'), newest('pubackP99'))
  const liveMs = both(newest('liveP50'), newest('liveP99'))
  const slip = newest('slipMax')
  return {
    ...(latencyMs && { latencyMs }),
    ...(liveMs && { liveMs }),
    ...(slip !== undefined && { slipMs: { max: slip } }),
  }
}

const isInProgress = ({ atMs, forMs }: Fault, elapsedMs: number): boolean =>
  elapsedMs >= atMs && elapsedMs < atMs + forMs

const inProgress = ({ kind, atMs, forMs, devices }: Fault, elapsedMs: number): Moment['faults'][number] => ({
  ...{ kind, forMs, leftMs: atMs + forMs - elapsedMs, befalls: befallenText(devices) },
})

function befallenText(devices: Befallen): string {
  if ('share' in devices) return `${Number((100 * devices.share).toPrecision(3))} % of devices`
  return 'count' in devices ? counted(devices.count, 'device') : devices.ids
}

/** The most frequent first. */
function failuresOf({ errors, reasons, counts }: Snapshot['totals']): Moment['failures'] {
  const found = [
    ...Object.entries(errors).map(([code, times]) => ({ reason: code, count: times })),
    ...reasons.map(({ by, code, words, count: times }) => ({
      reason: `${by} 0x${code.toString(16)}${words === '' ? '' : `: ${words}`}`,
      count: times,
    })),
    { reason: 'connects that the broker refused', count: counts.refusals },
  ]
  return found.filter((each) => each.count > 0).sort((one, other) => other.count - one.count)
}
