import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatorSchemas } from '../../../../devices/simulator/messages/simulator-schemas.ts'
import { FORMATS } from '../../../../devices/simulator/scenario/scenario.ts'
import { deviceRandom } from '../../../../devices/simulator/signals/random.ts'
import { recordSource } from '../../../../devices/simulator/signals/values.ts'
import { Rejection } from '../../../../schemas/reading.ts'
import { probe, probeRegistry, TIME } from '../../../schemas/schema-folder.ts'
import { makeSource, START_AT } from '../messages/sources.ts'

const field = (name: string, type: unknown, unit?: string, more = {}) => ({
  name,
  type,
  ...(unit && { unit }),
  ...more,
})

/** So many records of a schema without a model. */
function drawn(count: number, ...fields: object[]): Record<string, unknown>[] {
  const fill = recordSource(probe(...fields), 'ts', deviceRandom(3, 0, 'probe'))
  return Array.from({ length: count }, () => fill({ ts: START_AT }))
}

test('what Avro writes as another type is drawn so that the registry takes it, in every format that has no schema of its own', (t) => {
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
  const schemas = new SimulatorSchemas(probeRegistry(t, { ...probe(), fields: [{ ...TIME, time: true }, ...fields] }))
  const [first, ...others] = FORMATS.filter((format) => ['avro', 'json', 'msgpack', 'cbor'].includes(format)).map(
    (format) => {
      const source = makeSource({ stream: 'probe', format, batch: 20, schemas })
      const decoded = source.read(source.topic, source.write(source.measure(START_AT)), START_AT)
      assert(!(decoded instanceof Rejection), decoded instanceof Rejection ? decoded.reason : '')
      return decoded
    },
  )
  assert.equal(others.length, 3)
  for (const other of others) assert.deepEqual(other, first)
  assert.equal(Object.keys(first?.[0]?.values ?? {}).length, types.length)
})

test('values without a model walk smoothly inside the range of their unit, and counters rise', () => {
  const records = drawn(
    2_000,
    field('t', 'float', 'Cel'),
    field('wh', 'long', 'W.h'),
    field('heading', 'float'),
    field('n', 'int'),
  )
  for (const [index, { t, wh, heading, n }] of records.entries()) {
    assert(Number(t) >= -10 && Number(t) <= 45)
    assert(Number(heading) >= 0 && Number(heading) < 360)
    assert(Number.isInteger(n) && Number(n) >= 0 && Number(n) <= 100)
    const before = records[index - 1]
    if (before === undefined) continue
    assert(Math.abs(Number(t) - Number(before.t)) < 0.6)
    assert(Number(wh) >= Number(before.wh))
  }
})

test('tags stay the same for the life of a device, other texts change now and then, and what may be null sometimes is', () => {
  const nullable = (type: unknown) => ['null', type]
  const records = drawn(
    2_000,
    field('site', 'string', undefined, { tag: true }),
    field('state', 'string'),
    field('level', nullable('float'), undefined, { default: null }),
  )
  const seen = (name: string) => new Set(records.map((record) => record[name]))
  assert.equal(seen('site').size, 1)
  assert(seen('state').size > 1)
  assert(seen('level').has(null))
})

test('no value is minus zero: it would come back as zero', () => {
  const records = drawn(20_000, field('tilt', 'float', '[g]'), field('t', 'float', 'Cel'))
  for (const { tilt, t } of records) assert(!Object.is(tilt, -0) && !Object.is(t, -0))
})
