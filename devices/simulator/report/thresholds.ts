/**
 * Owns what a run's summary says to the conditions under which it fails (`../scenario/threshold.ts`). Always true: a condition of which
 * nothing was measured is missed: a check that could not look has found nothing good.
 */

import { unexpectedOf } from '../faults/expectation.ts'
import type { Percentiles } from '../fleet/timing.ts'
import type { CountName, Threshold, TimePrefix } from '../scenario/threshold.ts'
import type { Summary, ThresholdResult, Verification } from './summary.ts'

type Figure = (summary: Summary) => number | undefined

/** A count, and the whole of which it can be asked as a share. */
interface Figures {
  readonly value: Figure
  readonly of?: Figure
}

type Counted<T> = { [K in keyof T]-?: T[K] extends number ? K : never }[keyof T]

const ofSummary = (name: Counted<Summary>, of?: Counted<Summary>): Figures => ({
  value: (summary) => summary[name],
  ...(of !== undefined && { of: (summary) => summary[of] }),
})

const ofVerification = (name: Counted<Verification>, of: Counted<Verification>): Figures => ({
  value: ({ verification }) => verification?.[name],
  of: ({ verification }) => verification?.[of],
})

const ofLive = (value: (verification: Verification) => number): Figures => ({
  value: ({ verification }) => verification && value(verification),
  of: ({ verification }) => verification?.live.expected,
})

const COUNTS: Readonly<Record<CountName, Figures>> = {
  rate: ofSummary('messagesPerSecond'),
  unacknowledged: ofSummary('unacknowledged', 'toAcknowledge'),
  unsent: ofSummary('unsent', 'due'),
  resent: ofSummary('resent', 'sent'),
  refusals: ofSummary('refusals'),
  reconnects: ofSummary('reconnects'),
  errors: {
    value: ({ errors }) => Object.values(errors).reduce((sum, count) => sum + count, 0),
    of: ({ sent }) => sent,
  },
  /** How often a fault came otherwise than it is expected to. */
  unexpected: { value: ({ faults }) => faults.reduce((sum, account) => sum + unexpectedOf(account), 0) },
  lost: ofVerification('lost', 'acknowledged'),
  duplicated: ofVerification('duplicated', 'expectedReadings'),
  altered: ofVerification('altered', 'expectedReadings'),
  late: ofVerification('late', 'expectedReadings'),
  'live-lost': ofLive(({ live }) => live.lost),
  'live-duplicated': ofLive(({ live }) => live.duplicated),
  'live-late': ofLive(({ findings }) =>
    findings.reduce((sum, { code, count }) => sum + (code === 'live-late' ? count : 0), 0),
  ),
}

const TIMES: Readonly<Record<TimePrefix, (summary: Summary) => Percentiles | undefined>> = {
  '': ({ latencyMs }) => latencyMs,
  'connect-': ({ connectMs }) => connectMs,
  'live-': ({ liveMs }) => liveMs,
  'slip-': ({ slipMs }) => slipMs,
}

/** What a run's summary says to its conditions, in their order. */
export const evaluate = (thresholds: readonly Threshold[], summary: Summary): ThresholdResult[] =>
  thresholds.map((threshold) => {
    const value = measured(threshold, summary)
    return {
      condition: threshold.condition,
      value,
      held: value !== undefined && !isFulfilled(value, threshold),
    }
  })

/** In the unit of the limit; undefined if nothing was measured. */
function measured({ measure, isShare }: Threshold, summary: Summary): number | undefined {
  if (measure.kind === 'time') {
    const percentiles = TIMES[measure.prefix](summary)
    return percentiles === undefined || percentiles.count === 0 ? undefined : percentiles[measure.percentile]
  }
  const { value, of } = COUNTS[measure.name]
  const count = value(summary)
  if (!isShare || count === undefined) return count
  const whole = of?.(summary)
  return whole === undefined || whole === 0 ? undefined : count / whole
}

function isFulfilled(value: number, { operator, limit }: Threshold): boolean {
  if (operator === '>') return value > limit
  if (operator === '>=') return value >= limit
  return operator === '<' ? value < limit : value <= limit
}
