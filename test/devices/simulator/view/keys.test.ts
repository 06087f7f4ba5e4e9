/** What the keys of a person do to which device. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Keys } from '../../../../devices/simulator/view/keys.ts'

function pressed(devices: number, ...keys: readonly string[]) {
  const done: string[] = []
  const keep = (what: string) => (device: string) => void done.push(`${what} ${device}`)
  const view = new Keys({
    devices,
    deviceAt: (index) => ({ id: `truck-${index + 1}`, state: 'online' }),
    hand: { kill: keep('kill'), mute: keep('mute'), skew: keep('skew') },
    end: () => done.push('end'),
  })
  for (const key of keys) view.press({ name: key, sequence: key })
  return { done, chosen: view.chosen }
}

test('k, m and s are done to the device that is chosen, and q ends', () => {
  const { done, chosen } = pressed(3, 'k', 'down', 'm', 'down', 's', 'down', 'up', 'up', 'k', 'q', 'x')
  assert.deepEqual(done, ['kill truck-1', 'mute truck-2', 'skew truck-3', 'kill truck-2', 'end'])
  assert.deepEqual(chosen, { number: 2, id: 'truck-2', state: 'online' })
})

test('what was done is said until the next key', () => {
  assert.equal(pressed(3, 'k').chosen.done, 'its link is cut')
  assert.equal(pressed(3, 'k', 'down').chosen.done, undefined)
})

const NUMBERS: readonly (readonly [string, number])[] = [
  ['17', 17],
  ['2000', 2000],
  ['0', 1],
  ['2001', 1],
  ['30009', 9],
  ['1 2', 2],
]

for (const [typed, number] of NUMBERS) {
  test(`of 2,000 devices, ${typed} chooses number ${number}`, () => {
    assert.equal(pressed(2000, ...typed).chosen.number, number)
  })
}
