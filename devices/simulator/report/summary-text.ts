/** Owns the account of a finished run for a terminal: lines of a name and what was found, what is wrong, and the verdict as the last line. */

import { printable } from '../../../platform/printable.ts'
import { unexpectedOf } from '../faults/expectation.ts'
import type { FaultAccount } from '../faults/fault-account.ts'
import type { Percentiles } from '../fleet/timing.ts'
import { count, counted, mebibytes, ms, seconds } from './numbers.ts'
import type { Finding, Summary, Verification } from './summary.ts'
import { conditionText, findingTitle, verdictOf, worstFirst } from './verdict.ts'
import { wrapped } from './wrapped.ts'

const NAME_COLUMNS = 22
const FINDING_COLUMNS = 6
/** More of one finding are left out, and it is said how many. */
const EXAMPLES_SHOWN_MAX = 5

type Row = readonly [name: string, value: string]

/** The last line without a newline; broken at words where a terminal has so many columns. */
export function summaryText(summary: Summary, columns = Number.POSITIVE_INFINITY): string {
  const rows = [
    ...sentRows(summary),
    ...latencyRows(summary),
    ...troubleRows(summary),
    ...summary.faults.map(faultRow),
    ...(summary.verification ? verificationRows(summary.verification) : []),
    ...thresholdRows(summary),
    ...costRows(summary),
  ]
  if (summary.unfollowed !== undefined) rows.push(['live', `not followed: ${printable(summary.unfollowed)}`])
  if (summary.refused !== undefined) rows.push(['ended', printable(summary.refused)])
  else if (summary.interrupted) rows.push(['ended', 'before its time, by somebody'])
  const { sentence } = verdictOf(summary)
  return textOf(rows, summary.verification, printable(sentence), columns)
}

/** Of a run that was killed before it had a summary. */
export function verificationText(verification: Verification, columns = Number.POSITIVE_INFINITY): string {
  const verdict = verification.ok
    ? 'nothing is wrong with what it had sent'
    : 'NOT all of what it had sent is as it should be'
  return textOf(verificationRows(verification), verification, verdict, columns)
}

function textOf(
  rows: readonly Row[],
  verification: Verification | undefined,
  verdict: string,
  columns: number,
): string {
  return [
    ...rows.map((row) => wrapped(line(row), { columns, indent: NAME_COLUMNS })),
    ...findingsText(verification).map((each) => wrapped(each, { columns, indent: FINDING_COLUMNS })),
    '',
    wrapped(verdict, { columns, indent: 0 }),
  ].join('\n')
}

const findingsText = (verification: Verification | undefined): string[] =>
  worstFirst(verification?.findings ?? []).flatMap(findingLines)

const line = ([name, value]: Row): string => `${name.padEnd(NAME_COLUMNS - 1)} ${value}`

function sentRows(summary: Summary): Row[] {
  const { devices, streams, processes, sent, unsent, readings, elapsedMs, targetRate } = summary
  const many = processes > 1 ? `, ${count(processes)} processes` : ''
  const late = unsent > 0 ? `; ${counted(unsent, 'message')} due and NOT sent` : ''
  const qos0 = sent - summary.toAcknowledge
  const unpromised = qos0 > 0 ? `, ${qos0 === sent ? 'all' : counted(qos0, 'message')} with QoS 0` : ''
  const rows: Row[] = [
    ['devices', `${count(devices)} on ${printable(streams.join(', '))}, ${originText(summary)}${many}`],
    [
      'sent',
      `${counted(sent, 'message')}, ${counted(readings, 'reading')} in ${(elapsedMs / 1000).toFixed(2)} s${unpromised}${late}`,
    ],
  ]
  if (summary.toAcknowledge > 0) {
    const missing = summary.unacknowledged > 0 ? `, ${count(summary.unacknowledged)} NOT acknowledged` : ''
    const again = summary.resent > 0 ? `, ${count(summary.resent)} sent again` : ''
    rows.push(['acknowledged', `${counted(summary.acknowledged, 'message')}${missing}${again}`])
  }
  const asked = targetRate > 0 ? ` of ${count(targetRate)} asked for` : ''
  return [...rows, ['rate', `${count(summary.messagesPerSecond)} messages/s${asked}`]]
}

function originText({ seed, replay }: Summary): string {
  if (replay === undefined) return `seed ${seed}`
  return replay.speed === 1 ? 'replayed' : `replayed ${replay.speed} times as fast`
}

function latencyRows({ connectMs, latencyMs, liveMs, slipMs, acknowledged, readings, sent }: Summary): Row[] {
  const found: readonly (readonly [string, Percentiles | undefined, string])[] = [
    ['CONNACK after', connectMs, ''],
    ['PUBACK after', latencyMs, someOf(latencyMs, acknowledged, 'message')],
    ['live after', liveMs, someOf(liveMs, readings, 'reading')],
    ['sent late by', slipMs, someOf(slipMs, sent, 'message')],
  ]
  return found.flatMap(([name, percentiles, of]): Row[] =>
    percentiles ? [[name, percentilesText(percentiles) + of]] : [],
  )
}

/** Of how many, if not all were measured. */
const someOf = (percentiles: Percentiles | undefined, all: number, noun: string): string =>
  percentiles !== undefined && percentiles.count < all ? `, of ${counted(percentiles.count, noun)}` : ''

const percentilesText = ({ p50, p90, p99, p999, max }: Percentiles): string =>
  `p50 ${ms(p50)}, p90 ${ms(p90)}, p99 ${ms(p99)}, p99.9 ${ms(p999)}, max ${ms(max)}`

function troubleRows({ connectionsLost = {}, reconnects, refusals, commands, errors, reasons }: Summary): Row[] {
  const rows: Row[] = [['reconnects', count(reconnects)]]
  const lost = Object.entries(connectionsLost)
  if (lost.length > 0) {
    const all = lost.reduce((sum, [, times]) => sum + times, 0)
    const why = lost.map(([reason, times]) => `${printable(reason)} ${count(times)}`).join(', ')
    rows.push(['away', `${counted(all, 'connection')} lost: ${why}`])
  }
  if (refusals > 0) rows.push(['refusals', count(refusals)])
  if (commands > 0) rows.push(['commands', `${count(commands)} got and acknowledged`])
  const codes = Object.entries(errors).map(([code, times]) => `${printable(code)} ${count(times)}`)
  rows.push(['errors', codes.length > 0 ? codes.join(', ') : 'none'])
  for (const { by, code, count: times, words } of reasons) {
    rows.push([by, `0x${code.toString(16)} ${count(times)}${words === '' ? '' : `: ${printable(words)}`}`])
  }
  return rows
}

function faultRow(account: FaultAccount): Row {
  const { kind, atMs, forMs, devices, times, looked = times, expected, asExpected } = account
  const how = unexpectedOf(account) > 0 ? 'NOT as expected' : 'as expected'
  const seen = asExpected === undefined ? '' : `, ${count(asExpected)} of ${count(looked)} ${how}`
  const window = `at ${seconds(atMs)} for ${Number.isFinite(forMs) ? seconds(forMs) : 'the rest'}`
  return [kind, `${window}, ${counted(devices, 'device')}, ${counted(times, 'time')}${seen}: ${printable(expected)}`]
}

function verificationRows(verification: Verification): Row[] {
  if (verification.subscription !== undefined) return subscriptionRows(verification, verification.subscription)
  const { expectedReadings, stored, superseded, deadLettered, storedUnacknowledged, live, asked } = verification
  const rows: Row[] = [
    [
      'stored',
      `${count(stored)} of ${counted(expectedReadings, 'reading')} by ${asked.join(', ')}${late(verification)}`,
    ],
  ]
  if (superseded > 0) rows.push(['superseded', `${counted(superseded, 'reading')} by a later reading of the same time`])
  if (deadLettered > 0) rows.push(['set aside', `${counted(deadLettered, 'message')} as intended`])
  if (storedUnacknowledged > 0)
    rows.push([
      'not promised',
      `${counted(storedUnacknowledged, 'message')} of QoS 0, or not acknowledged: stored all the same`,
    ])
  if (live.expected > 0) rows.push(['live', liveText(live)])
  return rows
}

function subscriptionRows(
  verification: Verification,
  { came, sentQos0, cameQos0, cameUnacknowledged }: NonNullable<Verification['subscription']>,
): Row[] {
  const { acknowledged, live } = verification
  const gaps = live.gaps > 0 ? `, which was cut off ${counted(live.gaps, 'time')}` : ''
  const rows: Row[] = [
    [
      'came',
      `${count(came)} of ${counted(acknowledged, 'message')} by subscription${gaps}${late(verification)}; no store was asked`,
    ],
  ]
  if (sentQos0 > 0)
    rows.push(['QoS 0', `${count(cameQos0)} of ${counted(sentQos0, 'message')} came; nobody had promised them`])
  if (cameUnacknowledged > 0)
    rows.push(['not acknowledged', `${counted(cameUnacknowledged, 'message')} came all the same`])
  return rows
}

const late = ({ late: times }: Verification): string => (times > 0 ? `, ${count(times)} late` : '')

function liveText({ expected, came, again, unpromised, lost, duplicated, gaps }: Verification['live']): string {
  const parts = [
    `${count(came)} of ${counted(expected, 'reading')}`,
    again > duplicated && `${count(again - duplicated)} again, as they were sent again`,
    unpromised > 0 && `${count(unpromised)} more that nobody had promised`,
    lost > 0 && `${count(lost)} LOST`,
    duplicated > 0 && `${count(duplicated)} TWICE`,
    gaps > 0 && `${counted(gaps, 'gap')} told`,
  ]
  return parts.filter((part) => part !== false).join(', ')
}

const thresholdRows = ({ thresholds }: Summary): Row[] =>
  thresholds.map((each) => [`--fail-if ${printable(each.condition)}`, conditionText(each)])

const costRows = ({ cost }: Summary): Row[] => [
  ['cost', `${cost.cpuSeconds.toFixed(1)} s of CPU, ${mebibytes(cost.rssBytesMax)} of memory, of the simulator`],
]

function findingLines(finding: Finding): string[] {
  const shown = finding.examples.slice(0, EXAMPLES_SHOWN_MAX).map((example) => `    ${printable(example)}`)
  const left = finding.count - shown.length
  const more = shown.length > 0 && left > 0 ? [`    and ${count(left)} more`] : []
  return ['', `${findingTitle(finding)}: ${printable(finding.sentence)}`, ...shown, ...more]
}
