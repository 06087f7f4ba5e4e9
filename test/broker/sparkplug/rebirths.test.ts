/** Who is to be born again is asked, at once or when its time has come, and not as fast as it is born. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Rebirths } from '../../../broker/sparkplug/rebirths.ts'
import { until } from '../../until.ts'

const START = Date.UTC(2025, 10, 23, 12)
const NODE = { group: 'g', node: 'n' }

function rebirths() {
  const sent: string[] = []
  const clock = { ms: START, now: () => clock.ms }
  return { sent, clock, rebirths: new Rebirths((topic) => sent.push(topic), { clock }) }
}

test('what is wanted within 10 s of a rebirth is asked when they are over, without another message', async () => {
  const { sent, clock, rebirths: own } = rebirths()
  own.ask(NODE)
  clock.ms += 1_000
  own.ask(NODE)
  own.ask(NODE)
  assert.deepEqual(sent, ['spBv1.0/g/NCMD/n'])
  clock.ms += 9_000
  await until(() => sent.length === 2)
  own.stop()
})

test('a birth ends what was wanted before it, and lifts the limit three times in a row', async () => {
  const { sent, clock, rebirths: own } = rebirths()
  for (let times = 0; times < 3; times++) {
    own.ask(NODE)
    own.ask(NODE)
    own.born(NODE)
  }
  assert.equal(sent.length, 3)
  own.ask(NODE)
  assert.equal(sent.length, 3)
  clock.ms += 10_000
  await until(() => sent.length === 4)
  own.born(NODE)
  own.ask(NODE)
  own.born(NODE)
  clock.ms += 60_000
  own.ask({ group: 'g', node: 'other' })
  own.ask({ group: 'g', node: 'other' })
  clock.ms += 10_000
  await until(() => sent.filter((topic) => topic.endsWith('other')).length === 2)
  assert.equal(sent.length, 6, 'what waited was wanted before its birth')
  own.stop()
})

test('of more than 100 in a second the rest is asked in the next ones; who went is not asked', async () => {
  const { sent, clock, rebirths: own } = rebirths()
  for (let index = 0; index < 150; index++) own.ask({ group: 'g', node: `${index}` })
  assert.equal(sent.length, 100)
  own.gone('g:120')
  clock.ms += 1_000
  await until(() => sent.length === 149)
  assert.equal(sent.includes('spBv1.0/g/NCMD/120'), false)
})
