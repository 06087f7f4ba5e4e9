/** The short form of `npm run planted`: a fault in the log, one in ingest, one on the way to apps, and one before the broker. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ALL, tryPlant } from './run-plants.ts'

const SECONDS = 6
const SHORT = [
  'a message is acknowledged and not appended',
  'a value is altered where ingest decodes, and not where the gateway does',
  'a live frame is lost',
  'a proxy acknowledges a message and drops it',
]

for (const name of SHORT) {
  test(`found, and where: ${name}`, async () => {
    const plant = ALL.find((each) => each.name === name) ?? assert.fail(`there is no such plant: ${name}`)
    const { isRight, outcome } = await tryPlant(plant, SECONDS)
    assert(isRight, JSON.stringify(outcome, undefined, 2))
  })
}

test('each plant has its place in the sources, and a name of its own', () => {
  assert.equal(new Set(ALL.map(({ name }) => name)).size, ALL.length)
  for (const { trial, found } of ALL) {
    assert(found.codes.length > 0 && found.stages.length > 0)
    for (const { text } of trial.changes) assert(text.length > 0)
  }
})
