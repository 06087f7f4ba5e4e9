/**
 * Owns what a run has shown, in one sentence: what a person reads first, in a terminal, in JUnit and in the report.
 *
 * Always true: what is worst is said, and it agrees with `ok`; nothing is called stored that the store was not asked for.
 */

import { unexpectedOf } from '../faults/expectation.ts'
import type { FaultAccount } from '../faults/fault-account.ts'
import { count, counted, foundText, seconds } from './numbers.ts'
import {
  FINDINGS,
  type Finding,
  type FindingCode,
  type Summary,
  type ThresholdResult,
  type Verification,
} from './summary.ts'

export interface Verdict {
  readonly ok: boolean
  readonly sentence: string
}

export function verdictOf(summary: Summary): Verdict {
  if (!summary.ok) return { ok: false, sentence: failedSentence(summary) }
  // Of another broker than ours, which need not.
  return { ok: true, sentence: [heldSentence(summary), ...summary.faults.flatMap(unexpectedText)].join('; ') }
}

/** The worst first: in the order of `FINDINGS`, and of one code the more numerous. */
export const worstFirst = (findings: readonly Finding[]): readonly Finding[] =>
  [...findings].sort((a, b) => FINDINGS.indexOf(a.code) - FINDINGS.indexOf(b.code) || b.count - a.count)

/** `LOST 3 at ingest`. */
export const findingTitle = ({ code, count: times, stage }: Finding): string =>
  `${CAPITALS[code]} ${count(times)} ${stage === 'books' ? 'in the books' : `at ${stage}`}`

const CAPITALS: Readonly<Record<FindingCode, string>> = {
  lost: 'LOST',
  duplicated: 'DUPLICATED',
  altered: 'ALTERED',
  invented: 'INVENTED',
  late: 'LATE',
  'out-of-order': 'OUT OF ORDER',
  'set-aside': 'SET ASIDE',
  'not-set-aside': 'NOT SET ASIDE',
  'wrong-code': 'WRONG CODE',
  'accepted-though-forbidden': 'ACCEPTED THOUGH FORBIDDEN',
  'live-lost': 'LIVE LOST',
  'live-duplicated': 'LIVE DUPLICATED',
  'live-altered': 'LIVE ALTERED',
  'live-late': 'LIVE LATE',
  unbalanced: 'UNBALANCED',
}

/** Whether that by which a run fails is so. */
export function conditionText({ condition, value, held }: ThresholdResult): string {
  if (value === undefined || !Number.isFinite(value)) return 'NOT MEASURED, which fails the run'
  const found = foundText(condition, value)
  return held ? `not so (${found})` : `IT IS SO (${found})`
}

function heldSentence({ verification, acknowledged, sent, toAcknowledge, interrupted, elapsedMs }: Summary): string {
  const early = interrupted ? `ended early, after ${seconds(elapsedMs)}; ` : ''
  if (verification !== undefined)
    return [early + storedSentence(verification), ...lateSentences(verification)].join('; ')
  if (toAcknowledge === 0)
    return `${early}${counted(sent, 'message')} sent; QoS 0 is not acknowledged, and nothing was verified`
  return `${early}all ${counted(acknowledged, 'message')} acknowledged; nothing was verified (--verify does)`
}

const lateSentences = ({ findings }: Verification): string[] =>
  worstFirst(findings).map((finding) => `${findingTitle(finding)}: ${finding.sentence.replace(/\.$/, '')}`)

function storedSentence({ acknowledged, superseded, deadLettered, subscription }: Verification): string {
  if (subscription !== undefined)
    return `nothing lost at the broker: ${count(acknowledged)} acknowledged, and all came at a subscriber; no store was asked`
  const others = [
    superseded > 0 && `${count(superseded)} superseded by a later reading of the same time`,
    deadLettered > 0 && `${count(deadLettered)} set aside as intended`,
  ].filter((each) => each !== false)
  const rest = others.length > 0 ? `, but for ${others.join(' and ')}` : ''
  return `nothing lost: ${count(acknowledged)} acknowledged, all stored${rest}`
}

function unexpectedText(account: FaultAccount): string[] {
  const { kind, times, looked = times, expected } = account
  const unexpected = unexpectedOf(account)
  if (unexpected === 0) return []
  return [`NOT AS EXPECTED: ${kind}, ${count(unexpected)} of ${counted(looked, 'time')} (expected: ${expected})`]
}

/** What was left when what was outstanding had been waited for. */
function leftText({ unacknowledged, unsent, drainMs }: Summary): string[] {
  const left = [
    unacknowledged > 0 && `${counted(unacknowledged, 'message')} NOT acknowledged`,
    unsent > 0 && `${counted(unsent, 'message')} due and NOT sent`,
  ].filter((each) => each !== false)
  if (left.length === 0) return []
  const when = drainMs === undefined ? '' : `, when the ${seconds(drainMs)} of waiting for them were over (--drain)`
  return [left.join(' and ') + when]
}

function failedSentence(summary: Summary): string {
  const { refused, verification, unverified, faults, thresholds, interrupted, elapsedMs } = summary
  const reasons: string[] = []
  const [worst, ...others] = worstFirst(verification?.findings ?? [])
  if (worst !== undefined) {
    const more = others.length > 0 ? ` (and ${counted(others.length, 'other finding')})` : ''
    reasons.push(`${findingTitle(worst)}${more}: ${worst.sentence.replace(/\.$/, '')}`)
  } else if (verification?.ok === false) reasons.push('NOT VERIFIED')
  if (unverified !== undefined) reasons.push(`NOT VERIFIED: ${unverified}`)
  if (refused !== undefined) reasons.push(`ENDED: ${refused}`)
  reasons.push(...leftText(summary))
  reasons.push(...faults.flatMap(unexpectedText))
  for (const each of thresholds) if (!each.held) reasons.push(`FAIL-IF ${each.condition}: ${conditionText(each)}`)
  if (interrupted) reasons.push(`INTERRUPTED after ${seconds(elapsedMs)}`)
  return reasons.length > 0 ? reasons.join('; ') : 'FAILED'
}
