/** Owns what the run was held to: what each fault came to, and the thresholds. */

import { unexpectedOf } from '../../faults/expectation.ts'
import type { FaultAccount } from '../../faults/fault-account.ts'
import { count, seconds } from '../numbers.ts'
import type { Summary } from '../summary.ts'
import { conditionText } from '../verdict.ts'
import { card, element, state, table } from './element.ts'

export function faults({ faults: accounts }: Summary): HTMLElement | undefined {
  if (accounts.length === 0) return undefined
  const rows = accounts.map((account, index) => {
    const { kind, atMs, forMs, devices, times, expected } = account
    const window = `${seconds(atMs)} to ${Number.isFinite(forMs ?? Number.NaN) ? seconds(atMs + forMs) : 'the end'}`
    return [`${index + 1}. ${kind}`, window, count(devices), count(times), expected, seen(account)]
  })
  return card(
    'faults',
    'What went wrong on purpose',
    table({
      caption: 'Faults: when, how often, and whether the platform did with them what it is expected to do',
      columns: ['fault', 'when', 'devices', 'times', 'expected', 'seen'],
      rows,
      numbers: [2, 3],
    }),
  )
}

function seen(account: FaultAccount): HTMLElement {
  const { times, looked = times, asExpected } = account
  if (asExpected === undefined) return state('idle', 'nobody looked')
  const text = `${count(asExpected)} of ${count(looked)}`
  return unexpectedOf(account) === 0 ? state('good', `as expected, ${text}`) : state('bad', text)
}

export function thresholds({ thresholds: results }: Summary): HTMLElement | undefined {
  if (results.length === 0) return undefined
  const rows = results.map((each) => [
    element('code', {}, each.condition),
    state(each.held ? 'good' : 'bad', conditionText(each)),
  ])
  const columns = ['the run fails if', 'found']
  return card('thresholds', 'Thresholds', table({ caption: 'Thresholds', columns, rows, numbers: [] }))
}

const TIMES = [
  ['CONNACK, from connect', 'connectMs'],
  ['PUBACK, from when it was due', 'latencyMs'],
  ['live at an app, from when it was due', 'liveMs'],
  ['sent late, by the simulator itself', 'slipMs'],
] as const

export function percentiles(summary: Summary): HTMLElement {
  const rows = TIMES.flatMap(([name, key]) => {
    const found = summary[key]
    if (found === undefined) return []
    const { p50, p90, p99, p999, max } = found
    return [[name, ...[p50, p90, p99, p999, max].map((value) => value.toFixed(value < 10 ? 2 : 1)), count(found.count)]]
  })
  const columns = ['milliseconds', 'p50', 'p90', 'p99', 'p99.9', 'max', 'count']
  const made = table({ caption: 'Percentiles', columns, rows, numbers: [1, 2, 3, 4, 5, 6] })
  made.classList.add('short')
  return made
}
