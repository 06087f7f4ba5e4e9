import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SimulatorSchemas } from '../../../../devices/simulator/messages/simulator-schemas.ts'
import type { Signal } from '../../../../devices/simulator/signals/signal-kinds.ts'
import { SimulatorError } from '../../../../devices/simulator/simulator-error.ts'
import { Rejection } from '../../../../schemas/reading.ts'
import { probe, probeRegistry } from '../../../schemas/schema-folder.ts'
import { makeSource, START_AT, siteSchemas } from '../messages/sources.ts'

const HOUR_MS = 3_600_000

/** What a column says in so many readings. */
function said(column: string, signal: Signal, count: number, everyMs = 1_000, seed = 7): unknown[] {
  const source = makeSource({ signals: { [column]: signal }, seed })
  const readings = Array.from({ length: count }, (_, number) => {
    const at = START_AT + number * everyMs
    const read = source.read(source.topic, source.write(source.measure(at)), at)
    assert(!(read instanceof Rejection), read instanceof Rejection ? read.reason : '')
    return read
  })
  return readings.flat().map(({ values }) => values[column])
}

test('a walk stays within its bounds, and no step is longer than its step', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: -50, max: 50 }), (seed, min) => {
      const values = said('temperature', { kind: 'walk', min, max: min + 10, step: 0.5, decimals: 3 }, 200, 1_000, seed)
      for (const [index, value] of values.entries()) {
        assert(Number(value) >= min && Number(value) <= min + 10)
        if (index > 0) assert(Math.abs(Number(value) - Number(values[index - 1])) <= 0.5 + 0.001)
      }
    }),
    { numRuns: 20 },
  )
})

test('a daily signal is highest at its peak, and lowest half a day later', () => {
  const values = said(
    'temperature',
    { kind: 'daily', min: 10, max: 20, peak: '15:00', noise: 0, decimals: 2 },
    24,
    HOUR_MS,
  )
  const startHour = new Date(START_AT).getUTCHours()
  assert.equal(values[15 - startHour], 20)
  assert.equal(values[(27 - startHour) % 24], 10)
  const noisy = said('temperature', { kind: 'daily', min: 10, max: 20, peak: '15:30', noise: 2 }, 48, HOUR_MS)
  assert(noisy.every((value) => Number(value) >= 10 && Number(value) <= 20))
})

test('a constant is that, a counter rises by its step, and one of several is one of them', () => {
  assert.deepEqual(said('battery', { kind: 'constant', value: 42 }, 3), [42, 42, 42])
  assert.deepEqual(said('pressure', { kind: 'counter', from: 10, step: 0.1, decimals: 1 }, 4), [10, 10.1, 10.2, 10.3])
  const values = said('rssi', { kind: 'one-of', values: [-60, -70], change: 0.5 }, 100)
  assert.deepEqual(new Set(values), new Set([-60, -70]))
  assert.equal(new Set(said('rssi', { kind: 'one-of', values: [-60, -70], change: 0 }, 100)).size, 1)
})

test('a signal is for any column: a tag, a nested one, one without a model', (t) => {
  const source = makeSource({
    stream: 'power',
    signals: {
      circuit: { kind: 'one-of', values: ['north', 'south'], change: 1 },
      l2_voltage: { kind: 'constant', value: 231 },
    },
  })
  const circuits = new Set<unknown>()
  for (let number = 0; number < 20; number++) {
    const [{ circuit, l2 } = {}] = source.measure(START_AT + number * 1_000)
    circuits.add(circuit)
    assert.equal((l2 as { voltage: number }).voltage, 231)
  }
  assert.equal(circuits.size, 1, 'a tag never changes')
  const modes = { type: 'enum', name: 'mode', symbols: ['off', 'on'] }
  const schemas = new SimulatorSchemas(
    probeRegistry(t, probe({ name: 'a', type: modes }, { name: 'b', type: 'boolean' })),
  )
  const signals = { a: { kind: 'constant', value: 'on' }, b: { kind: 'constant', value: true } } as const
  assert.deepEqual(makeSource({ stream: 'probe', schemas, signals }).measure(START_AT), [
    { ts: START_AT, a: 'on', b: true },
  ])
})

test('a signal of a column that is not there, or that cannot be its, is refused with what is right', () => {
  const refused = (stream: string, column: string, signal: Signal, code: string, says: string) =>
    assert.throws(
      () => makeSource({ stream, signals: { [column]: signal }, schemas: siteSchemas }),
      (error) => {
        assert(error instanceof SimulatorError && error.code === code, String(error))
        assert(error.message.includes(says), error.message)
        return true
      },
    )
  const walk = { kind: 'walk', min: 0, max: 1, step: 0.1 } as const
  refused('environment', 'temp', walk, 'unknown-column', 'it has temperature, humidity, pressure, battery, rssi')
  refused('vibration', 'sensor', walk, 'unsupported-field', 'constant or one-of')
  refused('vibration', 'axis', { kind: 'constant', value: 'w' }, 'unsupported-field', 'x, y, z')
  refused('environment', 'battery', { kind: 'constant', value: 1.5 }, 'unsupported-field', 'a whole number')
  refused(
    'environment',
    'temperature',
    { kind: 'one-of', values: [1, 'two'], change: 0 },
    'unsupported-field',
    'a number',
  )
})
