/** What a platform does right is never told as wrong, whatever links do; and each thing that is done wrong to its store is told, and nothing else. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { reconcile } from '../../../../devices/simulator/verify/reconcile.ts'
import { keyOf, Model, type ModelRow, STEPS } from './model.ts'

const RUNS = { numRuns: 500 }

function found(model: Model, store?: readonly ModelRow[]) {
  const looks = model.looks(store === undefined ? {} : { store })
  const vibration = looks.sent.streams.find('vibration')
  const result = reconcile(looks, { isSetAside: () => false, hasTags: (stream) => stream === vibration })
  const { expected, stored, superseded, missing, altered, stale, twice, forbidden } = result
  const wrong = { missing, altered, stale, twice, forbidden }
  const told = Object.entries(wrong).flatMap(([name, rows]) => rows.map(() => name))
  for (let count = 0; count < looks.look.invented; count++) told.push('invented')
  const rows = Object.values(wrong).flat()
  return { told, rows, expected, accounted: stored + superseded, show: rows.map(looks.sent.showRow) }
}

/** A row of the store at random, of those that a reading was promised of. */
function promisedRow(model: Model, pick: number): ModelRow {
  const rows = [...model.store.values()].filter((row) => model.promised.has(keyOf(row)))
  fc.pre(rows.length > 0)
  return rows[pick % rows.length] as ModelRow
}

test('whatever links do, nothing is wrong with a store that has of each time the one that came last', () => {
  fc.assert(
    fc.property(STEPS, (steps) => {
      const { told, expected, accounted } = found(new Model(steps))
      assert.deepEqual(told, [])
      assert.equal(accounted, expected)
    }),
    RUNS,
  )
})

test('a row that is missing is told, and nothing else', () => {
  fc.assert(
    fc.property(STEPS, fc.nat(), (steps, pick) => {
      const model = new Model(steps)
      const lost = promisedRow(model, pick)
      const { told, expected, accounted } = found(
        model,
        [...model.store.values()].filter((row) => row !== lost),
      )
      assert.deepEqual(told, ['missing'])
      assert.equal(accounted, expected - 1)
    }),
    RUNS,
  )
})

test('a row with values that nobody sent is told', () => {
  fc.assert(
    fc.property(STEPS, fc.nat(), (steps, pick) => {
      const model = new Model(steps)
      const row = promisedRow(model, pick)
      const changed = { ...row, values: { ...row.values, value: 4.5 } }
      const { told } = found(
        model,
        [...model.store.values()].map((each) => (each === row ? changed : each)),
      )
      assert.deepEqual(told, ['altered'])
    }),
    RUNS,
  )
})

test('a row that is there twice is told', () => {
  fc.assert(
    fc.property(STEPS, fc.nat(), (steps, pick) => {
      const model = new Model(steps)
      const row = promisedRow(model, pick)
      assert.deepEqual(found(model, [...model.store.values(), row]).told, ['twice'])
    }),
    RUNS,
  )
})

test('a row that nobody sent is told, if it is among those of its device and stream', () => {
  fc.assert(
    fc.property(STEPS, fc.nat(), fc.boolean(), (steps, pick, isAmong) => {
      const model = new Model(steps)
      const { device, stream, ts } = promisedRow(model, pick)
      const isOf = (row: ModelRow) => row.device === device && row.stream === stream
      fc.pre(model.sentRows.some((row) => isOf(row) && row.ts > ts))
      const other: ModelRow = { device, stream, ts: isAmong ? ts + 1 : ts - 3_600_000, values: { value: 1 } }
      assert.deepEqual(found(model, [...model.store.values(), other]).told, isAmong ? ['invented'] : [])
    }),
    RUNS,
  )
})

test('the earlier of two of one time, that were acknowledged and sent once, is told where the later should be', () => {
  fc.assert(
    fc.property(fc.nat(3), fc.nat(3), fc.constantFrom(0, 1), (first, second, stream) => {
      fc.pre(first !== second)
      const send = (value: number) =>
        [
          { do: 'send', device: 0, qos: 1, stream, readings: [{ time: 1, value, axis: 0 }] },
          { do: 'process', device: 0 },
          { do: 'acknowledge', device: 0 },
        ] as const
      const model = new Model([...send(first), ...send(second)])
      assert.deepEqual(found(model).told, [])
      assert.deepEqual(found(model, model.sentRows.slice(0, 1)).told, ['stale'])
      assert.deepEqual(found(model, model.sentRows).told, ['twice'])
    }),
  )
})

test('of two of one time the one that was not acknowledged may be there or not, and so may the one that was sent again after it', () => {
  const send = (value: number, qos: number) =>
    ({ do: 'send', device: 0, qos, stream: 0, readings: [{ time: 1, value, axis: 0 }] }) as const
  const take = [
    { do: 'process', device: 0 },
    { do: 'acknowledge', device: 0 },
  ] as const
  const told = (model: Model) => model.sentRows.map((row) => found(model, [row]).told.join())
  assert.deepEqual(told(new Model([send(1, 1), ...take, send(2, 1)])), ['', ''])
  assert.deepEqual(told(new Model([send(1, 1), send(2, 1), ...take, ...take])), ['stale', ''])
  // The first was never acknowledged, and cannot have come after the second.
  assert.deepEqual(
    told(new Model([send(1, 0), { do: 'process', device: 0 }, { do: 'acknowledge', device: 0 }, send(2, 1), ...take])),
    ['stale', ''],
  )
  assert.deepEqual(found(new Model([send(1, 1), send(2, 1)]), []).told, [])
})

test('of QoS 2 a repeat is not taken again: one of its time that came between may be there', () => {
  const send = (value: number, qos: number) =>
    ({ do: 'send', device: 0, qos, stream: 0, readings: [{ time: 1, value, axis: 0 }] }) as const
  const process = { do: 'process', device: 0 } as const
  const acknowledge = { do: 'acknowledge', device: 0 } as const
  const lose = { do: 'lose', device: 0 } as const
  const model = new Model([send(1, 2), process, send(2, 0), process, lose, process, acknowledge])
  assert.deepEqual([...model.store.values()], model.sentRows.slice(1))
  assert.deepEqual(found(model).told, [])
})
