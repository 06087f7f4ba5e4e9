import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SimulatorError } from '../../../../devices/simulator/simulator-error.ts'
import { Rejection } from '../../../../schemas/reading.ts'
import { type Asked, makeSource, SHIPPED, START_AT } from './sources.ts'

/** The readings of so many messages, one a second. */
function readings(asked: Asked, count: number) {
  const source = makeSource(asked)
  return Array.from({ length: count }, (_, number) => {
    const at = START_AT + number * 1000
    const read = source.read(source.topic, source.write(source.measure(at)), at)
    assert(!(read instanceof Rejection), read instanceof Rejection ? read.reason : '')
    return read
  }).flat()
}

test('the same seed and device give the same readings, another seed, device or stream others', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fc.nat(1000),
      fc.constantFrom(...SHIPPED),
      (seed, index, stream) => {
        const drawn = (changes: Asked) =>
          readings({ seed, index, stream, device: 'a', ...changes }, 20).map(({ values }) => values)
        assert.deepEqual(drawn({}), drawn({}))
        assert.notDeepEqual(drawn({}), drawn({ index: index + 1 }))
        assert.notDeepEqual(drawn({}), drawn({ seed: (seed + 1) >>> 0 }))
      },
    ),
    { numRuns: 20 },
  )
})

test('the last reading of a batch is of the time that was asked for, those before it lie evenly since the message before', () => {
  const source = makeSource({ batch: 4 })
  const times = (at: number) => source.measure(at).map(({ ts }) => Number(ts) - START_AT)
  assert.deepEqual(times(START_AT), [-750, -500, -250, 0])
  assert.deepEqual(times(START_AT + 400), [100, 200, 300, 400])
})

test('a time that stands still, or goes back, yields unique and rising times, in the precision of the schema', () => {
  for (const [stream, unit] of [
    ['environment', 1],
    ['vibration', 1000],
  ] as const) {
    const source = makeSource({ stream, batch: 3, everyMs: 0 })
    const times = [0, 0, -5, 0].flatMap((by) =>
      source.measure(START_AT + by).map(({ ts }) => Number(ts) - START_AT * unit),
    )
    assert.deepEqual(
      times,
      times.map((_, index) => index),
      stream,
    )
  }
})

test('times have the fractions of a millisecond that the schema has', () => {
  const [micros] = makeSource({ stream: 'vibration' }).measure(START_AT + 0.25)
  assert.equal(micros?.ts, START_AT * 1000 + 250)
  const [millis] = makeSource({}).measure(START_AT + 0.25)
  assert.equal(millis?.ts, START_AT)
})

test('a clock that is off shifts the times of all records', () => {
  const source = makeSource({ stream: 'vibration', batch: 2 })
  const records = source.measure(START_AT)
  source.shift(records, -1.5)
  const read = source.read(source.topic, source.write(records), START_AT)
  assert(!(read instanceof Rejection))
  assert.deepEqual(
    read.map(({ ts }) => ts),
    [START_AT - 501.5, START_AT - 1.5],
  )
})

test('each device has one of the versions in turn', () => {
  const versions = [1, 2]
  const drawn = [0, 1, 2].map((index) => makeSource({ stream: 'vehicle', versions, index }).measure(START_AT)[0])
  assert.deepEqual(
    drawn.map((record) => record !== undefined && 'fuel_state' in record),
    [false, true, false],
  )
  for (const index of [0, 1]) assert.equal(readings({ stream: 'vehicle', versions, index }, 3).length, 3)
})

test('what cannot be sent is refused with what could', () => {
  const refused = (asked: Asked, code: string, says: string) =>
    assert.throws(
      () => makeSource(asked),
      (error) => error instanceof SimulatorError && error.code === code && error.message.includes(says),
    )
  refused({ stream: 'nope' }, 'unknown-stream', 'environment')
  refused({ stream: 'vehicle', versions: [3] }, 'unknown-version', 'allowed are 1, 2')
})

test('a batch that fits no message is refused', () => {
  const source = makeSource({ batch: 10_000, format: 'json' })
  assert.throws(
    () => source.write(source.measure(START_AT)),
    (error) => error instanceof SimulatorError && error.code === 'message-too-large',
  )
})
