/** The short form of `npm run planted`: a fault on the way to the log, and one on the way to apps. `test/mutants` has one on the way to the store. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ALL, tryPlant } from './run-plants.ts'

const SECONDS = 6
const SHORT = ['a message is acknowledged and not appended', 'a live frame is lost']

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
