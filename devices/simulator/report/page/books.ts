/**
 * Owns the books of a run: what became of every message and reading, as sums. Always true: each sum adds up, for its last line is what
 * the others leave; if that line is not nothing it is said what it is.
 */

import { count } from '../numbers.ts'
import type { Summary, Verification } from '../summary.ts'
import { card, element, table } from './element.ts'

interface Sum {
  readonly caption: string
  readonly total: readonly [name: string, value: number]
  /** What it consists of; the last is bad unless it is 0. */
  readonly parts: readonly (readonly [name: string, value: number, isBad?: boolean])[]
}

export function books(summary: Summary): HTMLElement {
  return card('books', 'What became of every message', element('div', { class: 'sums' }, ...sumsOf(summary).map(sum)))
}

function sumsOf({ due, sent, toAcknowledge, acknowledged, verification }: Summary): Sum[] {
  const sums: Sum[] = [
    {
      caption: 'Messages',
      total: ['due', due],
      parts: [
        ['sent with QoS 0, which nobody acknowledges', sent - toAcknowledge],
        ['acknowledged', acknowledged],
        ['sent, and not acknowledged', toAcknowledge - acknowledged, true],
        ['due, and never sent', due - sent, true],
      ],
    },
  ]
  if (verification === undefined) return sums
  const { subscription } = verification
  if (subscription !== undefined) return [...sums, subscriptionSum(verification, subscription.came)]
  return [...sums, storeSum(verification), ...liveSums(verification)]
}

function subscriptionSum({ acknowledged, altered }: Verification, came: number): Sum {
  return {
    caption: 'Messages to come at a subscriber',
    total: ['acknowledged by the broker', acknowledged],
    parts: [
      ['came as they were sent', came],
      ['altered', altered, true],
      ['never came', acknowledged - came - altered, true],
    ],
  }
}

function storeSum({ expectedReadings, stored, superseded }: Verification): Sum {
  return {
    caption: 'Readings to be in the store',
    total: ['acknowledged, and to be stored', expectedReadings],
    parts: [
      ['stored', stored],
      ['superseded by a later one of the same time', superseded],
      ['not there', expectedReadings - stored - superseded, true],
    ],
  }
}

function liveSums({ live }: Verification): Sum[] {
  if (live.expected === 0) return []
  const { expected, came, lost, gaps } = live
  const left = expected - came - lost
  return [
    {
      caption: 'Readings to come live',
      total: ['expected', expected],
      parts: [
        ['came', came],
        ['lost', lost, true],
        [
          gaps > 0
            ? `within ${count(gaps)} ${gaps === 1 ? 'gap' : 'gaps'} that the app was told of`
            : 'lost before it came there, or altered',
          left,
          gaps === 0,
        ],
      ],
    },
  ]
}

function sum({ caption, total, parts }: Sum): HTMLElement {
  const shown = parts.filter(([, value], index) => value !== 0 || index === parts.length - 1)
  const made = table({
    caption,
    columns: [caption, 'count'],
    rows: [
      ...shown.map(([name, value, isBad]) => [
        name,
        value !== 0 && isBad ? element('b', { class: 'bad' }, count(value)) : count(value),
      ]),
      [total[0], count(total[1])],
    ],
    numbers: [1],
  })
  made.classList.add('sum')
  return made
}
