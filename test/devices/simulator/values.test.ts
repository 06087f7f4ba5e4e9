import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SimulatorSchemas } from '../../../devices/simulator/messages/simulator-schemas.ts'
import { SimulatorError } from '../../../devices/simulator/simulator-error.ts'
import { Decoder } from '../../../schemas/decoder.ts'
import { type Reading, Rejection } from '../../../schemas/reading.ts'
import type { Registry } from '../../../schemas/registry.ts'
import { probe, probeRegistry, TIME } from '../../schemas/schema-folder.ts'
import { registry } from './fleet.ts'
import { type Asked, makeSource } from './messages/sources.ts'

const decoder = new Decoder(registry)

/** Messages by the time of a clock. */
function messagesOf(asked: Asked, deps: { registry: Registry; clock: { now(): number } }) {
  const source = makeSource({ ...asked, schemas: new SimulatorSchemas(deps.registry) })
  return { next: () => source.write(source.measure(deps.clock.now())) }
}

const NOW = Date.UTC(2025, 10, 23)
const still = { now: () => NOW }

function readings(
  stream: string,
  seed: number,
  index: number,
  count: number,
  format: 'avro' | 'json' = 'avro',
  batch = 1,
) {
  const messages = messagesOf({ stream, seed, index, batch, format }, { registry, clock: still })
  const all: Reading[] = []
  for (let number = 0; number < count; number++) {
    const decoded = decoder.decode({ device: 'a', stream, receivedAt: NOW, payload: messages.next() })
    if (decoded instanceof Rejection) throw new Error(`${decoded.code}: ${decoded.reason}`)
    all.push(...decoded)
  }
  return all
}

test('every shipped stream is drawn so that the registry takes it, in both formats and in batches', () => {
  for (const { name } of registry.streams) {
    assert.equal(readings(name, 1, 0, 50).length, 50, name)
    assert.equal(readings(name, 1, 0, 5, 'json', 10).length, 50, name)
  }
})

test('what Avro writes as another type is drawn so that the registry takes it', (t) => {
  const logical = (type: string, logicalType: string, more = {}) => ({ type, logicalType, ...more })
  const types: unknown[] = [
    ...['date', 'time-millis'].map((each) => logical('int', each)),
    ...['time-micros', 'timestamp-micros', 'local-timestamp-millis'].map((each) => logical('long', each)),
    logical('string', 'uuid'),
    logical('bytes', 'decimal', { precision: 9, scale: 4 }),
    logical('fixed', 'decimal', { name: 'price', size: 1, precision: 2 }),
    logical('fixed', 'decimal', { name: 'large', size: 12, precision: 20, scale: 2 }),
    { type: 'fixed', name: 'mac', size: 6 },
    'mac',
    'bytes',
    { type: 'array', items: 'float' },
    { type: 'map', values: 'double', keys: ['a'] },
    { type: 'array', items: { type: 'long' } },
  ]
  const fields = types.map((type, index) => ({ name: `x${index}`, type }))
  const own = probeRegistry(t, { ...probe(), fields: [{ ...TIME, time: true }, ...fields] })
  const drawn = (['avro', 'json'] as const).map((format) => {
    const messages = messagesOf(
      { stream: 'probe', seed: 1, index: 0, batch: 20, format },
      { registry: own, clock: still },
    )
    const message = { device: 'a', stream: 'probe', receivedAt: NOW, payload: messages.next() }
    const decoded = new Decoder(own).decode(message)
    assert(!(decoded instanceof Rejection), decoded instanceof Rejection ? decoded.reason : '')
    return decoded
  })
  assert.deepEqual(drawn[0], drawn[1])
  assert.equal(Object.keys(drawn[0]?.[0]?.values ?? {}).length, types.length)
})

test('the same seed and device give the same values, another seed or device others', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.nat(1000), (seed, index) => {
      assert.deepEqual(readings('vehicle', seed, index, 20), readings('vehicle', seed, index, 20))
      assert.notDeepEqual(readings('vehicle', seed, index, 20), readings('vehicle', seed, index + 1, 20))
      assert.notDeepEqual(readings('vehicle', seed, index, 20), readings('vehicle', (seed + 1) >>> 0, index, 20))
    }),
    { numRuns: 20 },
  )
})

test('a clock that stands still, or goes back, yields unique and rising times', () => {
  let now = NOW
  const messages = messagesOf(
    { stream: 'environment', seed: 1, index: 0, batch: 1, format: 'avro' },
    { registry, clock: { now: () => now-- } },
  )
  const times: number[] = []
  for (let number = 0; number < 10; number++) {
    const decoded = decoder.decode({ device: 'a', stream: 'environment', receivedAt: NOW, payload: messages.next() })
    assert(!(decoded instanceof Rejection))
    times.push(...decoded.map((reading) => reading.ts))
  }
  assert.equal(times[0], NOW)
  for (const [index, time] of times.entries()) assert.equal(time, NOW + index)
})

test('values walk smoothly inside a plausible range', () => {
  const values = readings('environment', 3, 0, 2_000).map((reading) => reading.values)
  for (const [index, { temperature, humidity, pressure, rssi }] of values.entries()) {
    assert(Number(temperature) >= -10 && Number(temperature) <= 45)
    assert(Number(humidity) >= 25 && Number(humidity) <= 75)
    assert(Number(pressure) >= 980 && Number(pressure) <= 1040)
    assert(Number(rssi) >= -95 && Number(rssi) <= -40)
    const before = values[index - 1]
    if (before) assert(Math.abs(Number(temperature) - Number(before.temperature)) < 0.6)
  }
})

test('tags stay the same for the life of a device', () => {
  const tags = new Set(readings('vehicle', 5, 2, 500).map(({ values }) => `${values.fleet} ${values.driver}`))
  assert.equal(tags.size, 1)
})

test('an unknown stream is named with those there are, and a batch that fits no message is refused', () => {
  const deps = { registry, clock: still }
  assert.throws(
    () => messagesOf({ stream: 'nope', seed: 1, index: 0, batch: 1, format: 'avro' }, deps),
    (error) =>
      error instanceof SimulatorError && error.code === 'unknown-stream' && error.message.includes('environment'),
  )
  const large = messagesOf({ stream: 'environment', seed: 1, index: 0, batch: 10_000, format: 'json' }, deps)
  assert.throws(
    () => large.next(),
    (error) => error instanceof SimulatorError && error.code === 'message-too-large',
  )
})
