/** What became of a fault's messages: each that is wrong in the store or among the dead letters counts against its own fault alone. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outcomesOf } from '../../../../devices/simulator/verify/fault-outcomes.ts'
import { Sent } from '../../../../devices/simulator/verify/sent.ts'

const AT = Date.UTC(2026, 10, 30, 12)

/** Message k has the fault of that number, if it is one; two readings each. */
function sentBy(faults: readonly (number | undefined)[]): Sent {
  const sent = new Sent()
  for (const [number, fault] of faults.entries()) {
    const rows = [0, 1].map((row) => ({ stream: 'environment', ts: AT + number * 10 + row, hash: '0123456789abcdef' }))
    sent.add({
      ...{ number, at: AT, dueAt: AT, device: 'sim-1', topic: 'devices/sim-1/telemetry/environment', qos: 1 },
      payloadHash: '0123456789abcdef',
      fault: fault === undefined ? undefined : { kind: 'stuck', number: fault },
      outcome: 'stored',
      rows,
    })
  }
  return sent
}

const NOTHING = {
  matched: { setAside: new Set<number>(), amiss: new Set<number>(), unheld: [] as number[] },
  reconciled: { missing: [], altered: [], stale: [], twice: [], forbidden: [] } as Record<
    'missing' | 'altered' | 'stale' | 'twice' | 'forbidden',
    number[]
  >,
}

test('nothing is wrong: all are as expected, and messages of no fault are of none', () => {
  assert.deepEqual(outcomesOf({ sent: sentBy([0, undefined, 300, 0]), ...NOTHING }), [
    { number: 0, messages: 2, asExpected: 2 },
    { number: 300, messages: 1, asExpected: 1 },
  ])
})

test('whatever is wrong with one is counted once, whichever of its readings it is', () => {
  const sent = sentBy([0, 0, 1, undefined])
  const right = { number: 1, messages: 1, asExpected: 1 }
  const [first, second] = [2, 3]
  for (const name of ['missing', 'altered', 'stale', 'twice', 'forbidden'] as const) {
    const reconciled = { ...NOTHING.reconciled, [name]: [first, second] }
    assert.deepEqual(
      outcomesOf({ ...NOTHING, sent, reconciled }),
      [{ number: 0, messages: 2, asExpected: 1 }, right],
      name,
    )
  }
  for (const name of ['setAside', 'amiss', 'unheld'] as const) {
    const matched = { ...NOTHING.matched, [name]: name === 'unheld' ? [1, 3] : new Set([1, 3]) }
    assert.deepEqual(
      outcomesOf({ ...NOTHING, sent, matched }),
      [{ number: 0, messages: 2, asExpected: 1 }, right],
      name,
    )
  }
})
