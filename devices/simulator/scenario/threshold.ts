/**
 * Owns the conditions under which a run fails (`--fail-if 'p99>250ms'`, `fail-if:` of a scenario): what can be asked, and how it is read.
 *
 * Always true: a condition that cannot be read, or of which nobody would look, is refused before the run.
 */

import { TelltaleError } from '../../../platform/errors.ts'
import { parseDuration } from '../../../platform/units.ts'

/** `bad-threshold`: what is wrong with a condition, and what would be right. */
export class ThresholdError extends TelltaleError {
  constructor(message: string) {
    super('bad-threshold', message)
  }
}

const OPERATORS = ['>=', '<=', '>', '<'] as const
type Operator = (typeof OPERATORS)[number]

const PERCENTILES = ['p50', 'p90', 'p99', 'p999', 'max'] as const

/** What stands before the percentile of a time; nothing: from due to the PUBACK. */
const TIMES = ['', 'connect-', 'live-', 'slip-'] as const
export type TimePrefix = (typeof TIMES)[number]

interface Count {
  /** It can be asked as a share, too: `lost>0.1%`. */
  readonly hasShare?: true
  /** Only a verification finds it out. */
  readonly needsVerification?: true
}

const VERIFIED: Count = { hasShare: true, needsVerification: true }

const COUNTS = {
  rate: {},
  unacknowledged: { hasShare: true },
  unsent: { hasShare: true },
  resent: { hasShare: true },
  refusals: {},
  reconnects: {},
  errors: { hasShare: true },
  unexpected: {},
  lost: VERIFIED,
  duplicated: VERIFIED,
  altered: VERIFIED,
  late: VERIFIED,
  'live-lost': VERIFIED,
  'live-duplicated': VERIFIED,
  'live-late': VERIFIED,
} satisfies Record<string, Count>
export type CountName = keyof typeof COUNTS

/** What can be asked of a run. */
export type Measure =
  | { readonly kind: 'time'; readonly prefix: TimePrefix; readonly percentile: (typeof PERCENTILES)[number] }
  | ({ readonly kind: 'count'; readonly name: CountName } & Count)

const TIME_MEASURES = TIMES.flatMap((prefix) =>
  PERCENTILES.map((percentile): [string, Measure] => [`${prefix}${percentile}`, { kind: 'time', prefix, percentile }]),
)
const COUNT_MEASURES = (Object.keys(COUNTS) as CountName[]).map((name): [string, Measure] => [
  name,
  { kind: 'count', name, ...COUNTS[name] },
])
const MEASURES: ReadonlyMap<string, Measure> = new Map([...TIME_MEASURES, ...COUNT_MEASURES])

/** The names that a condition may begin with. */
export const MEASURE_NAMES: readonly string[] = [...MEASURES.keys()]

const CONDITION = /^\s*([a-z][a-z0-9-]*)\s*(>=|<=|>|<)\s*(\S.*?)\s*$/
const COUNT = /^\d+(\.\d+)?$/
const SHARE = /^(\d+(?:\.\d+)?) ?%$/

/** One condition, read. */
export interface Threshold {
  /** As it was asked. */
  readonly condition: string
  readonly measure: Measure
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
    measure,
    operator,
    ...limit,
    needsVerification: measure.kind === 'count' && measure.needsVerification === true,
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
  if (percent === undefined || !measure.hasShare) return undefined
  return { limit: Number(percent) / 100, isShare: true }
}

function allowedFor(measure: Measure): string {
  if (measure.kind === 'time') return 'a time: right is a duration with its unit, such as 250ms or 2s'
  return measure.hasShare
    ? 'a count: right is a number such as 0, or a share such as 0.1%'
    : 'a number: right is one such as 100'
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
