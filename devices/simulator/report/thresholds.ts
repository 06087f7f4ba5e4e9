/**
 * Owns the conditions under which a run fails (`--fail-if 'p99>250ms'`, `fail-if:` of a scenario): how they are read, and what a summary
 * says to them.
 *
 * Always true: a condition that cannot be read is refused before the run, and one of which nothing was measured is missed after it: a
 * check that could not look has found nothing good.
 */

import { TelltaleError } from '../../../platform/errors.ts'
import { parseDuration } from '../../../platform/units.ts'
import { unexpectedOf } from '../faults/expectation.ts'
import type { Percentiles, Summary, ThresholdResult, Verification } from './summary.ts'

/** `bad-threshold`: what is wrong with a condition, and what would be right. */
export class ThresholdError extends TelltaleError {
  constructor(message: string) {
    super('bad-threshold', message)
  }
}

const OPERATORS = ['>=', '<=', '>', '<'] as const
type Operator = (typeof OPERATORS)[number]

/** What can be asked of a run. A count with `of` can be asked as a share of that too: `lost>0.1%`. */
type Measure =
  | { readonly kind: 'time'; readonly from: (summary: Summary) => Percentiles | undefined; readonly at: Percentile }
  | { readonly kind: 'count'; readonly value: Figure; readonly of?: Figure; readonly verified: boolean }
type Figure = (summary: Summary) => number | undefined

const PERCENTILES = ['p50', 'p90', 'p99', 'p999', 'max'] as const
type Percentile = (typeof PERCENTILES)[number]

/** By what stands before the percentile. */
const TIMES: Readonly<Record<string, (summary: Summary) => Percentiles | undefined>> = {
  '': ({ latencyMs }) => latencyMs,
  'connect-': ({ connectMs }) => connectMs,
  'live-': ({ liveMs }) => liveMs,
  'slip-': ({ slipMs }) => slipMs,
}

type Counted<T> = { [K in keyof T]-?: T[K] extends number ? K : never }[keyof T]

const ofSummary = (name: Counted<Summary>, of?: Counted<Summary>): Measure => ({
  kind: 'count',
  value: (summary) => summary[name],
  ...(of !== undefined && { of: (summary) => summary[of] }),
  verified: false,
})

const ofVerification = (name: Counted<Verification>, of: Counted<Verification>): Measure => ({
  kind: 'count',
  value: ({ verification }) => verification?.[name],
  of: ({ verification }) => verification?.[of],
  verified: true,
})

const ofLive = (name: 'lost' | 'duplicated'): Measure => ({
  kind: 'count',
  value: ({ verification }) => verification?.live[name],
  of: ({ verification }) => verification?.live.expected,
  verified: true,
})

const LIVE_LATE: Measure = {
  kind: 'count',
  value: ({ verification }) =>
    verification?.findings.reduce((sum, { code, count }) => sum + (code === 'live-late' ? count : 0), 0),
  of: ({ verification }) => verification?.live.expected,
  verified: true,
}

const ERRORS: Measure = {
  kind: 'count',
  value: ({ errors }) => Object.values(errors).reduce((sum, count) => sum + count, 0),
  of: ({ sent }) => sent,
  verified: false,
}

/** How often a fault came otherwise than it is expected to. */
const UNEXPECTED: Measure = {
  kind: 'count',
  value: ({ faults }) => faults.reduce((sum, account) => sum + unexpectedOf(account), 0),
  verified: false,
}

const MEASURES: ReadonlyMap<string, Measure> = new Map<string, Measure>([
  ...Object.entries(TIMES).flatMap(([prefix, from]) =>
    PERCENTILES.map((at): [string, Measure] => [`${prefix}${at}`, { kind: 'time', from, at }]),
  ),
  ['rate', ofSummary('messagesPerSecond')],
  ['unacknowledged', ofSummary('unacknowledged', 'toAcknowledge')],
  ['unsent', ofSummary('unsent', 'due')],
  ['resent', ofSummary('resent', 'sent')],
  ['refusals', ofSummary('refusals')],
  ['reconnects', ofSummary('reconnects')],
  ['errors', ERRORS],
  ['unexpected', UNEXPECTED],
  ['lost', ofVerification('lost', 'acknowledged')],
  ['duplicated', ofVerification('duplicated', 'expectedReadings')],
  ['altered', ofVerification('altered', 'expectedReadings')],
  ['late', ofVerification('late', 'expectedReadings')],
  ['live-lost', ofLive('lost')],
  ['live-duplicated', ofLive('duplicated')],
  ['live-late', LIVE_LATE],
])

/** The names that a condition may begin with. */
export const MEASURE_NAMES: readonly string[] = [...MEASURES.keys()]

const CONDITION = /^\s*([a-z][a-z0-9-]*)\s*(>=|<=|>|<)\s*(\S.*?)\s*$/
const COUNT = /^\d+(\.\d+)?$/
const SHARE = /^(\d+(?:\.\d+)?) ?%$/

/** One condition, read. */
export interface Threshold {
  /** As it was asked. */
  readonly condition: string
  readonly measure: string
  readonly operator: Operator
  /** Milliseconds, a count, or a share from 0 to 1. */
  readonly limit: number
  readonly isShare: boolean
  /** It asks what only `--verify` finds out. */
  readonly needsVerification: boolean
  /** It asks what only a live subscription measures. */
  readonly needsLive: boolean
}

/** Throws a `ThresholdError`. */
export function parseThreshold(condition: string): Threshold {
  const [, name, sign, text] = CONDITION.exec(condition) ?? []
  const operator = OPERATORS.find((each) => each === sign)
  if (name === undefined || operator === undefined || text === undefined) {
    throw new ThresholdError(
      `${show(condition)} is no condition: right is a name, one of ${OPERATORS.join(' ')} and a limit, such as p99>250ms or lost>0`,
    )
  }
  const measure = MEASURES.get(name)
  if (measure === undefined) {
    throw new ThresholdError(
      `${show(condition)} asks for ${show(name)}, which is not measured; there are ${MEASURE_NAMES.join(', ')}`,
    )
  }
  const limit = limitOf(measure, text)
  if (limit === undefined) throw new ThresholdError(`${show(condition)}: ${name} is ${allowedFor(measure)}`)
  return {
    condition,
    measure: name,
    operator,
    ...limit,
    needsVerification: measure.kind === 'count' && measure.verified,
    needsLive: name.startsWith('live-'),
  }
}

const show = (text: string): string => JSON.stringify(text)

function limitOf(measure: Measure, text: string): Pick<Threshold, 'limit' | 'isShare'> | undefined {
  if (measure.kind === 'time') {
    const limit = parseDuration(text)
    return limit === undefined ? undefined : { limit, isShare: false }
  }
  if (COUNT.test(text)) return { limit: Number(text), isShare: false }
  const percent = SHARE.exec(text)?.[1]
  if (percent === undefined || measure.of === undefined) return undefined
  return { limit: Number(percent) / 100, isShare: true }
}

function allowedFor(measure: Measure): string {
  if (measure.kind === 'time') return 'a time: right is a duration with its unit, such as 250ms or 2s'
  return measure.of === undefined
    ? 'a number: right is one such as 100'
    : 'a count: right is a number such as 0, or a share such as 0.1%'
}

/**
 * Throws a `ThresholdError` for a condition that a run as it was asked for would miss, since nobody looks: it is a mistake at the start.
 * `file`: the scenario that has the conditions.
 */
export function requireMeasured(
  thresholds: readonly Threshold[],
  { verifies, subscribes, file }: { readonly verifies: boolean; readonly subscribes: boolean; readonly file?: string },
): void {
  const whose = file === undefined ? '' : `${file}: fail-if: `
  const orDropped = file === undefined ? '' : ', or --no-fail-if, which drops the conditions of the file'
  const unverified = verifies ? undefined : thresholds.find(({ needsVerification }) => needsVerification)
  if (unverified !== undefined) {
    throw new ThresholdError(
      `${whose}${unverified.condition} asks what only a verification finds out: right is --verify besides${orDropped}`,
    )
  }
  const unseen = subscribes ? undefined : thresholds.find(({ needsLive }) => needsLive)
  if (unseen === undefined) return
  const right = file === undefined ? '' : ': right is --verify, or --live broker, besides'
  throw new ThresholdError(
    `${whose}${unseen.condition} asks what only an app sees, and the run subscribes to nothing${right}${orDropped}`,
  )
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
function measured({ measure: name, isShare }: Threshold, summary: Summary): number | undefined {
  const measure = MEASURES.get(name)
  if (measure?.kind === 'time') {
    const percentiles = measure.from(summary)
    return percentiles === undefined || percentiles.count === 0 ? undefined : percentiles[measure.at]
  }
  const value = measure?.value(summary)
  if (!isShare || value === undefined) return value
  const whole = measure?.of?.(summary)
  return whole === undefined || whole === 0 ? undefined : value / whole
}

function isFulfilled(value: number, { operator, limit }: Threshold): boolean {
  if (operator === '>') return value > limit
  if (operator === '>=') return value >= limit
  return operator === '<' ? value < limit : value <= limit
}
