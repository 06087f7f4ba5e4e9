/** What a list shows of a device agrees with why its data is missing, and the page has a word and a look for all of it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { STATES as LOOKS, lookOf } from '../../../dashboard/states.ts'
import { CAUSES } from '../../../gateway/devices/causes/cause.ts'
import { STATES, stateOf } from '../../../gateway/devices/state.ts'

test('a device whose data is missing is never shown as one that is well', () => {
  for (const cause of CAUSES) {
    for (const online of [true, false]) {
      const state = stateOf(cause, online)
      assert.equal(state === 'online', cause === 'well' && online, `${cause}: ${state}`)
      assert.equal(lookOf(state).tone === 'good', state === 'online', `${state} looks ${lookOf(state).tone}`)
    }
  }
})

test('the page knows each state of the gateway, and no others; each has a rank and a word of its own', () => {
  assert.deepEqual(Object.keys(LOOKS).sort(), [...STATES].sort())
  const looks = Object.values(LOOKS)
  assert.equal(new Set(looks.map(({ rank }) => rank)).size, STATES.length)
  assert.equal(new Set(looks.map(({ label }) => label)).size, STATES.length)
})
