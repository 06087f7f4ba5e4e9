import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { MeasuredRecord } from '../../../../devices/simulator/messages/source.ts'
import { PLAIN_SENDING } from '../../../../devices/simulator/scenario/scenario.ts'
import { SimulatorError } from '../../../../devices/simulator/simulator-error.ts'
import { type Reading, Rejection } from '../../../../schemas/reading.ts'
import { read as readByProtobufjs } from '../../../maps/sparkplug/edge.ts'
import {
  type Asked,
  bareSchemas,
  CASES,
  type Case,
  makeSource,
  SHIPPED,
  START_AT,
  schemasWith,
  siteSchemas,
} from './sources.ts'

/** What a platform is to make of a record. */
function measured({ stream, format }: Case, device: string, record: MeasuredRecord): Reading {
  const newest = siteSchemas.registry.newest(stream)
  assert(newest)
  const values: Record<string, Reading['values'][string]> = {}
  for (const { column, path } of newest.places) {
    let value: unknown = record
    for (const name of path) value = (value as MeasuredRecord)[name]
    if (value !== null && value !== undefined) values[column.name] = value as number
  }
  const ts = Number(record[newest.timeField]) / (newest.precision === 'us' ? 1000 : 1)
  return { device, stream: format === 'sparkplug' ? 'sparkplug' : stream, ts, values }
}

function check(each: Case, seed: number, index: number): void {
  const source = makeSource({ ...each, seed, index })
  const device = each.format === 'sparkplug' ? `plant:node-${index + 1}` : `sim-${index + 1}`
  for (const { topic, payload } of source.birth(START_AT)) assert.deepEqual(source.read(topic, payload, START_AT), [])
  for (let number = 0; number < 5; number++) {
    const at = START_AT + number * 1000
    const records = source.measure(at)
    assert.equal(records.length, each.batch)
    const read = source.read(source.topic, source.write(records), at)
    assert(!(read instanceof Rejection), read instanceof Rejection ? `${read.code}: ${read.reason}` : '')
    assert.deepEqual(
      read.map(({ values, ...rest }) => ({ ...rest, values: { ...values } })),
      records.map((record) => measured(each, device, record)),
    )
  }
}

for (const stream of SHIPPED) {
  test(`what is written of ${stream} in each format is read as it was measured`, () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...CASES.filter((each) => each.stream === stream)),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.nat(10_000),
        check,
      ),
      { numRuns: 60 },
    )
    for (const each of CASES.filter((one) => one.stream === stream)) check(each, 7, 0)
  })
}

function refused(asked: Asked, says: string): void {
  assert.throws(
    () => makeSource(asked),
    (error) => {
      assert(error instanceof SimulatorError && error.code === 'unsupported-format', String(error))
      assert(error.message.includes(says), error.message)
      return true
    },
  )
}

test('a stream that cannot be written in a format is refused with what could', () => {
  const schemas = schemasWith({ lock: undefined })
  refused({ format: 'confluent', schemas }, 'telltale schemas lock')
  refused({ format: 'protobuf', schemas: bareSchemas() }, 'environment 1 has no .proto')
  refused({ format: 'protobuf', stream: 'vehicle', versions: [1] }, 'one of the versions 2')
  refused({ format: 'map', topic: undefined }, 'a topic')
  refused({ format: 'map', topic: 'elsewhere/{device}' }, 'allowed are plant/{device}/environment, ')
  refused({ format: 'map', schemas: bareSchemas() }, 'there are no maps')
  refused({ format: 'map', topic: 'plant/other/environment' }, 'it is of other')
  refused({ format: 'map', topic: 'plant/{device}/power' }, 'makes readings of power, and not of environment')
  refused({ format: 'map', topic: 'values/{device}/temperature' }, 'one value a topic')
  refused({ format: 'map', topic: 'kept/not' }, 'keeps nothing')
  refused({ format: 'map', stream: 'tasmota', topic: 'tele/{device}/SENSOR' }, 'name under signals')
  refused({ format: 'sparkplug', device: 'sim-1' }, 'no edge node')
  refused({ format: 'sparkplug', topic: 'spBv1.0/plant/DCMD/{node}/press' }, 'right are')
  refused({ format: 'sparkplug', topic: 'spBv1.0/other/NDATA/{node}' }, 'right are')
  refused({ format: 'sparkplug', schemas: bareSchemas() }, 'with the maps')
  refused({ format: 'sparkplug', beside: [{ ...PLAIN_SENDING, format: 'sparkplug' }] }, 'one sequence')
})

test('what a map makes of a stream without a schema is sent by the columns that it names', () => {
  const source = makeSource({ format: 'map', stream: 'shed', topic: 'shed/{device}', batch: 2 })
  const records = source.measure(START_AT)
  const read = source.read(source.topic, source.write(records), START_AT)
  assert(!(read instanceof Rejection), read instanceof Rejection ? read.reason : '')
  for (const [index, { stream, device, values }] of read.entries()) {
    assert.deepEqual({ stream, device }, { stream: 'shed', device: 'sim-1' })
    const { temperature, open, state } = records[index] ?? {}
    assert.deepEqual({ ...values }, { site: 'sim-1', temperature, open, state })
  }
})

test('metrics of Sparkplug, and numbers that a map takes whatever they are, need no schema: signals name them', () => {
  const signals = {
    flow: { kind: 'constant', value: 12.5 },
    state: { kind: 'one-of', values: ['run'], change: 0 },
    alarm: { kind: 'constant', value: false },
  } as const
  const edge = makeSource({ format: 'sparkplug', stream: 'sparkplug', signals })
  const tasmota = makeSource({ format: 'map', stream: 'tasmota', topic: 'tele/{device}/SENSOR', signals })
  const values = [edge, tasmota].map((source) => {
    const read = source.read(source.topic, source.write(source.measure(START_AT)), START_AT)
    assert(!(read instanceof Rejection), read instanceof Rejection ? read.reason : '')
    return read.map((reading) => [reading.stream, reading.ts, { ...reading.values }])
  })
  assert.deepEqual(values, [
    [['sparkplug', START_AT, { flow: 12.5, state: 'run', alarm: false }]],
    [['tasmota', START_AT, { flow: 12.5 }]],
  ])
})

test('what does not say by its first bytes how it is written is read on its own topic only', () => {
  for (const format of ['msgpack', 'cbor', 'protobuf'] as const) {
    const source = makeSource({ format })
    const payload = source.write(source.measure(START_AT))
    assert(source.topic.endsWith(`/${format}`))
    assert(source.read('devices/sim-1/telemetry/environment', payload, START_AT) instanceof Rejection)
  }
})

test('an edge node is born for each connection, its device after it, and seq goes on from message to message', () => {
  const source = makeSource({ format: 'sparkplug', topic: 'spBv1.0/plant/DDATA/{node}/press' })
  assert.equal(source.topic, 'spBv1.0/plant/DDATA/node-1/press')
  assert.equal(source.device, 'plant:node-1:press')
  const seqOf = (payload: Buffer) => Number(readByProtobufjs(payload).seq)
  for (const bdSeq of [0, 1]) {
    const births = source.birth(START_AT)
    assert.deepEqual(
      births.map(({ topic }) => topic),
      ['spBv1.0/plant/NBIRTH/node-1', 'spBv1.0/plant/DBIRTH/node-1/press'],
    )
    const [node] = births.map(({ payload }) => readByProtobufjs(payload))
    assert.deepEqual(
      node?.metrics?.map(({ name, long_value, boolean_value }) => [name, long_value ?? boolean_value]),
      [
        ['bdSeq', bdSeq],
        ['Node Control/Rebirth', false],
      ],
    )
    const data = Array.from({ length: 300 }, (_, number) => source.write(source.measure(START_AT + number * 1000)))
    const seqs = [...births.map(({ payload }) => payload), ...data].map(seqOf)
    assert.deepEqual(
      seqs,
      seqs.map((_, index) => index % 256),
    )
    for (const { metrics = [] } of data.map(readByProtobufjs)) {
      assert(metrics.every(({ name, alias, datatype }) => name === undefined && datatype === undefined && alias))
    }
  }
})

test('an edge node that says a time again is read some microseconds later, as the platform stores it', () => {
  const source = makeSource({ format: 'sparkplug' })
  for (const { topic, payload } of source.birth(START_AT)) source.read(topic, payload, START_AT)
  const times = [0, -1000].map((byMs, number) => {
    const records = source.measure(START_AT + number * 1000)
    source.shift(records, byMs)
    const read = source.read(source.topic, source.write(records), START_AT)
    assert(!(read instanceof Rejection))
    return read[0]?.ts
  })
  assert.deepEqual(times, [START_AT, START_AT + 0.003])
})
