/**
 * Owns `junit.xml`: each thing that a run was held to as one test case, for whoever builds and deploys by it (the schema that Jenkins, GitLab
 * and others read: junit-10.xsd of the xUnit plugin).
 *
 * Always true: it is well-formed whatever a device is called; of a run that failed, a case has failed; what nobody looked at is skipped, and
 * not passed.
 */

import { printable } from '../../../platform/printable.ts'
import { unexpectedOf } from '../faults/expectation.ts'
import type { FaultAccount } from '../faults/fault-account.ts'
import { count, counted, seconds } from './numbers.ts'
import type { FindingCode, Summary } from './summary.ts'
import { conditionText, findingTitle, verdictOf } from './verdict.ts'

interface Case {
  readonly name: string
  /** Of what kind: `delivery`, `verification`, `threshold`, `fault`. */
  readonly kind: string
  /** A sentence each; none: it passed. */
  readonly failures: readonly string[]
  /** Why nobody looked. */
  readonly skipped?: string
}

/** Findings by the check that they fail; `live` has all of live. */
export const CHECKS: Readonly<Record<string, readonly FindingCode[]>> = {
  lost: ['lost'],
  duplicated: ['duplicated'],
  altered: ['altered', 'invented'],
  late: ['late'],
  'set aside': ['set-aside', 'not-set-aside', 'wrong-code', 'accepted-though-forbidden'],
  live: ['live-lost', 'live-duplicated', 'live-altered', 'live-late', 'out-of-order'],
  books: ['unbalanced'],
}

/** Of these, those that another broker has nothing of. */
const OURS_ALONE: ReadonlySet<string> = new Set(['set aside', 'books'])

export function junitXml(summary: Summary): string {
  const cases = casesOf(summary)
  const failed = cases.filter(({ failures }) => failures.length > 0).length
  const skipped = cases.filter((each) => each.skipped !== undefined).length
  const name = `telltale simulate: ${summary.scenario}`
  const totals = { tests: cases.length, failures: failed, errors: 0 }
  const timeSeconds = (summary.elapsedMs / 1000).toFixed(3)
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attributes({ name, ...totals, time: timeSeconds })}>`,
    `  <testsuite${attributes({ name, ...totals, skipped, time: timeSeconds, timestamp: timestampOf(summary) })}>`,
    '    <properties>',
    ...propertiesOf(summary).map(([key, value]) => `      <property${attributes({ name: key, value })}/>`),
    '    </properties>',
    ...cases.flatMap(caseLines),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n')
}

/** Each check, in the order in which a person asks. */
function casesOf(summary: Summary): Case[] {
  const cases = [runCase(summary), acknowledgedCase(summary), ...verificationCases(summary)]
  for (const each of summary.thresholds) {
    const failures = each.held ? [] : [`fail-if ${each.condition}: ${conditionText(each)}`]
    cases.push({ name: `fail-if ${each.condition}`, kind: 'threshold', failures })
  }
  cases.push(...summary.faults.map((account) => faultCase(account, summary.ok)))
  const isTold = cases.some(({ failures }) => failures.length > 0)
  // What `ok` knows and no other case does.
  if (!summary.ok && !isTold) cases.push({ name: 'verdict', kind: 'run', failures: [verdictOf(summary).sentence] })
  return cases
}

function runCase({ refused, interrupted, elapsedMs, ok }: Summary): Case {
  const failures: string[] = []
  if (refused !== undefined) failures.push(refused)
  // Verified all the same, it may hold.
  if (interrupted && !ok) failures.push(`It was ended after ${seconds(elapsedMs)}, before its time.`)
  return { name: 'the run', kind: 'run', failures }
}

function acknowledgedCase({ toAcknowledge, acknowledged, unacknowledged }: Summary): Case {
  const name = 'acknowledged'
  if (toAcknowledge === 0) return { name, kind: 'delivery', failures: [], skipped: 'QoS 0 is not acknowledged.' }
  const sentence = `${count(acknowledged)} of ${counted(toAcknowledge, 'message')} were acknowledged, ${count(unacknowledged)} not.`
  return { name, kind: 'delivery', failures: unacknowledged > 0 ? [sentence] : [] }
}

function verificationCases({ verification, unverified }: Summary): Case[] {
  return Object.entries(CHECKS).map(([name, codes]): Case => {
    const kind = 'verification'
    if (verification === undefined) {
      return { name, kind, failures: [], skipped: unverified ?? 'Nothing was verified: --verify does.' }
    }
    if (verification.subscription !== undefined && OURS_ALONE.has(name)) {
      return { name, kind, failures: [], skipped: 'The broker is not one of Telltale: it has no such thing.' }
    }
    const findings = verification.findings.filter(({ code }) => codes.includes(code))
    const failures = findings.map((finding) =>
      [`${findingTitle(finding)}: ${finding.sentence}`, ...finding.examples].map(printable).join('\n'),
    )
    return { name, kind, failures }
  })
}

/** What a fault came to is part of the account; where it came otherwise than expected, the findings say what is wrong. */
function faultCase(account: FaultAccount, isHeld: boolean): Case {
  const { kind, atMs, times, looked = times, expected, asExpected } = account
  const name = `${kind} at ${seconds(atMs)}`
  if (asExpected === undefined)
    return { name, kind: 'fault', failures: [], skipped: `Nobody looked whether ${expected}` }
  const sentence = `${count(asExpected)} of ${counted(looked, 'time')} it was as expected: ${expected}`
  if (unexpectedOf(account) === 0) return { name, kind: 'fault', failures: [] }
  if (isHeld) return { name, kind: 'fault', failures: [], skipped: `${sentence}. Another broker than ours need not.` }
  return { name, kind: 'fault', failures: [sentence] }
}

function propertiesOf(summary: Summary): [string, string][] {
  const { url, seed, devices, sent, acknowledged, payloadHash } = summary
  const verdict = verdictOf(summary).sentence
  return Object.entries({ url, seed, devices, sent, acknowledged, payloadHash, verdict }).map(([name, value]) => [
    name,
    String(value),
  ])
}

function caseLines({ name, kind, failures, skipped }: Case): string[] {
  const given = attributes({ name, classname: `telltale.simulate.${kind}`, time: 0 })
  if (skipped !== undefined)
    return [`    <testcase${given}>`, `      <skipped${attributes({ message: skipped })}/>`, '    </testcase>']
  if (failures.length === 0) return [`    <testcase${given}/>`]
  return [
    `    <testcase${given}>`,
    ...failures.map((text) => {
      const [message = ''] = text.split('\n')
      return `      <failure${attributes({ message, type: kind })}>${escaped(text)}</failure>`
    }),
    '    </testcase>',
  ]
}

/** ISO 8601 without a zone and without fractions, as the schema has it. */
const timestampOf = ({ startAt }: Summary): string => startAt.slice(0, 19)

const attributes = (values: Readonly<Record<string, string | number>>): string =>
  Object.entries(values)
    .map(([name, value]) => ` ${name}="${escaped(printable(String(value)))}"`)
    .join('')

/** No character of XML 1.0 (section 2.2), in no spelling: half of a surrogate pair, and two others. */
const FORBIDDEN = /[\p{Cs}\ufffe\uffff]/gu

/** For text, and for an attribute in double quotes; `text` has no control characters but line ends. */
const escaped = (text: string): string =>
  text
    .replace(FORBIDDEN, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
