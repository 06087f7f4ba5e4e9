import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { SimulatorSchemas } from '../../../../devices/simulator/messages/simulator-schemas.ts'
import { RecordWriter, type ReplayFormat } from '../../../../devices/simulator/replay/record-writer.ts'
import { Replay, type ReplayMessage, type ReplayOptions } from '../../../../devices/simulator/replay/replay-source.ts'
import { type Reading, Rejection } from '../../../../schemas/reading.ts'
import type { Registry } from '../../../../schemas/registry.ts'
import { probe, probeRegistry } from '../../../schemas/schema-folder.ts'
import { scratchDirectory } from '../../../scratch.ts'
import { registry } from '../fleet.ts'
import { makeSource } from '../messages/sources.ts'

const START_AT = Date.UTC(2026, 5, 1, 6)
const FORMATS: readonly ReplayFormat[] = ['json', 'avro']

function readingsOf(schemas: SimulatorSchemas, topic: string, payload: Buffer): readonly Reading[] {
  const read = schemas.read(topic, payload, START_AT + 3_600_000)
  assert(!(read instanceof Rejection), read instanceof Rejection ? read.reason : '')
  return read
}

/** What a device of this stream sends, as apps see it. */
function drawn(own: Registry, stream: string, seed: number, count: number): Reading[] {
  const schemas = new SimulatorSchemas(own)
  const source = makeSource({ stream, seed, device: 'a', schemas })
  return Array.from({ length: count }, (_, index) =>
    readingsOf(schemas, source.topic, source.write(source.measure(START_AT + index * 1_000))),
  ).flat()
}

function assertSameAgain(own: Registry, stream: string, readings: readonly Reading[]): void {
  const schemas = new SimulatorSchemas(own)
  const definition = own.newest(stream)
  assert(definition !== undefined)
  for (const format of FORMATS) {
    const writer = new RecordWriter(definition, format, (record) => own.encode(stream, record))
    for (const reading of readings) {
      assert.equal(writer.fault(reading.values), undefined)
      const [again] = readingsOf(schemas, `devices/a/telemetry/${stream}`, writer.write(reading.values, reading.ts))
      assert.deepEqual(again, reading, format)
    }
  }
}

test('a reading of any shipped stream becomes a message of which the platform makes the same reading', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (seed) => {
      for (const { name } of registry.streams) assertSameAgain(registry, name, drawn(registry, name, seed, 10))
    }),
    { numRuns: 20 },
  )
})

test('so does one of all that a schema can have', (t) => {
  const logical = (type: string, logicalType: string, more = {}) => ({ type, logicalType, ...more })
  const types: unknown[] = [
    ...['date', 'time-millis'].map((each) => logical('int', each)),
    ...['time-micros', 'timestamp-micros', 'local-timestamp-millis', 'local-timestamp-micros'].map((each) =>
      logical('long', each),
    ),
    logical('string', 'uuid'),
    logical('fixed', 'uuid', { name: 'id', size: 16 }),
    logical('bytes', 'decimal', { precision: 9, scale: 4 }),
    logical('fixed', 'decimal', { name: 'price', size: 1, precision: 2 }),
    logical('fixed', 'decimal', { name: 'large', size: 12, precision: 20, scale: 2 }),
    { type: 'fixed', name: 'mac', size: 6 },
    'bytes',
    'boolean',
    'long',
    'float',
    { type: 'enum', name: 'mode', symbols: ['on', 'off'] },
    { type: 'array', items: 'float' },
    { type: 'map', values: 'double', keys: ['a', 'b'] },
    { type: 'array', items: 'long' },
    {
      type: 'record',
      name: 'inner',
      fields: [
        { name: 'x', type: 'int' },
        { name: 'y', type: ['null', 'double'] },
      ],
    },
    ['null', { type: 'record', name: 'other', fields: [{ name: 'x', type: 'int' }] }],
  ]
  const fields = types.map((type, index) => ({
    name: `x${index}`,
    type,
    ...(Array.isArray(type) && { default: null }),
  }))
  const maybe = { name: 'maybe', type: ['int', 'null'], default: 7 }
  const schema = probe(...fields, maybe) as { fields: { time?: true }[] }
  const [time, ...others] = schema.fields
  const own = probeRegistry(t, { ...schema, fields: [{ ...time, time: true }, ...others] })
  const readings = drawn(own, 'probe', 5, 300)
  assert(
    readings.some(({ values }) => values.maybe === undefined),
    'a null in place of a default is among them',
  )
  assert(
    readings.some(({ values }) => values[`x${types.length - 1}_x`] === undefined),
    'a record that is null is among them',
  )
  assertSameAgain(own, 'probe', readings)
})

test('decimals of any size are written exactly', (t) => {
  const type = { type: 'bytes', logicalType: 'decimal', precision: 30, scale: 10 }
  const own = probeRegistry(t, probe({ name: 'x', type }))
  const readings = [0, 1, -1, 127, 128, -128, -129, 0.1, -0.0000000001, 123456789012345, 1.5e19, 1e-10, 255, 256].map(
    (x): Reading => ({ device: 'a', stream: 'probe', ts: START_AT, values: { x } }),
  )
  assertSameAgain(own, 'probe', readings)
})

test('an empty tag, which apps do not see, is written where the schema needs one', (t) => {
  const own = probeRegistry(t, probe({ name: 'place', type: 'string', tag: true }, { name: 'x', type: 'int' }))
  assertSameAgain(own, 'probe', [{ device: 'a', stream: 'probe', ts: START_AT, values: { x: 1 } }])
})

const velocity = (device: string, ts: number, more: object = {}) =>
  JSON.stringify({ device, stream: 'environment', ts, values: VALUES, ...more })
const VALUES = { temperature: 1, humidity: 2, pressure: 3, battery: 4, rssi: -5 }
const T0 = 1_763_900_000_000

async function open(t: TestContext, lines: readonly string[], options: Partial<ReplayOptions> = {}): Promise<Replay> {
  const file = join(scratchDirectory(t), 'r.ndjson')
  writeFileSync(file, lines.map((each) => `${each}\n`).join(''))
  return Replay.open({ file, speed: 1, times: 'kept', format: 'json', ...options }, registry)
}

async function messagesOf(replay: Replay, isTaken?: (device: string) => boolean): Promise<ReplayMessage[]> {
  const messages: ReplayMessage[] = []
  for await (const message of replay.messages(START_AT, isTaken)) messages.push(message)
  return messages
}

test('messages come in the order of the recording, due as the platform had them, at a speed', async (t) => {
  const lines = [
    velocity('a', T0 - 300, { received: T0 }),
    '{"gap":{"reason":"slow","missed":3}}',
    velocity('b', T0 + 900, { received: T0 + 1_000 }),
    // What waited for an hour comes with the others.
    velocity('a', T0 - 3_600_000, { received: T0 + 1_500 }),
    velocity('b', T0 + 1_900, { received: T0 + 2_000 }),
  ]
  const replay = await open(t, lines, { speed: 2 })
  const { devices, streams, readings, durationMs, gaps, missed, cutAt } = replay
  assert.deepEqual(
    { devices, streams, readings, durationMs, gaps, missed, cutAt },
    {
      devices: ['a', 'b'],
      streams: ['environment'],
      readings: 4,
      durationMs: 1_000,
      gaps: 1,
      missed: 3,
      cutAt: undefined,
    },
  )
  const messages = await messagesOf(replay)
  assert.deepEqual(
    messages.map(({ line, device, topic, dueMs, ts }) => [line, device, topic, dueMs, ts]),
    [
      [1, 'a', 'devices/a/telemetry/environment', 0, T0 - 300],
      [3, 'b', 'devices/b/telemetry/environment', 500, T0 + 900],
      [4, 'a', 'devices/a/telemetry/environment', 750, T0 - 3_600_000],
      [5, 'b', 'devices/b/telemetry/environment', 1_000, T0 + 1_900],
    ],
  )
  assert.deepEqual(JSON.parse(String(messages[0]?.payload)), { ...VALUES, ts: T0 - 300 })
  assert.deepEqual(
    (await messagesOf(replay, (device) => device === 'b')).map(({ line, dueMs }) => [line, dueMs]),
    [
      [3, 500],
      [5, 1_000],
    ],
  )
})

test('where nobody recorded when it was received it is due when it was measured, and what is late at once', async (t) => {
  const replay = await open(t, [
    velocity('a', T0),
    velocity('b', T0 + 2_000),
    velocity('a', T0 + 500),
    velocity('b', T0 + 3_000),
  ])
  assert.deepEqual(
    (await messagesOf(replay)).map(({ dueMs }) => dueMs),
    [0, 2_000, 2_000, 3_000],
  )
})

test('shifted times begin at the start, go at the speed, and stay apart', async (t) => {
  const lines = [
    velocity('a', T0),
    velocity('a', T0 + 1),
    velocity('a', T0 + 2),
    velocity('b', T0 + 2),
    velocity('a', T0 + 1_000),
    velocity('a', T0 + 1_000),
    velocity('a', T0 - 500),
  ]
  const timesAt = async (speed: number) =>
    (await messagesOf(await open(t, lines, { speed, times: 'shifted' }))).map(({ ts }) => ts - START_AT)
  assert.deepEqual(await timesAt(1), [0, 1, 2, 2, 1_000, 1_000, -500])
  assert.deepEqual(await timesAt(10), [0, 1, 2, 0, 100, 100, -50])
  assert.deepEqual(await timesAt(0.5), [0, 2, 4, 4, 2_000, 2_000, -1_000])
})

test('times of microseconds are kept to the microsecond', async (t) => {
  const [reading] = drawn(registry, 'vibration', 1, 1)
  assert(reading !== undefined)
  for (const format of FORMATS) {
    const line = JSON.stringify({ ...reading, ts: T0 + 0.123 })
    const [message] = await messagesOf(await open(t, [line], { format }))
    assert(message !== undefined)
    const [again] = readingsOf(new SimulatorSchemas(registry), message.topic, message.payload)
    assert.equal(again?.ts, T0 + 0.123)
  }
})

test('a recording that cannot be replayed is refused before anything is sent', async (t) => {
  for (const [lines, words] of [
    [[], /has no readings/],
    [['{"gap":{"reason":"slow","missed":3}}'], /has no readings/],
    [[velocity('a', T0, { stream: 'cars' })], /r\.ndjson:1: there is no schema of cars/],
    [
      [velocity('a', T0), velocity('a', T0, { values: { ...VALUES, speed: 1 } })],
      /:2: speed is no column of environment/,
    ],
    [[velocity('a', T0, { values: { temperature: 1 } })], /:1: it has no humidity, which environment needs/],
    [[velocity('a', T0, { values: { ...VALUES, rssi: 1.5 } })], /:1: rssi is 1\.5, and the column is of kind integer/],
    [
      ['a', 'b', 'c']
        .flatMap((device) => [0, 1, 2].map((minute) => velocity(device, T0 + minute * 100_000)))
        .toReversed(),
      /is not in the order of time: \d of its 9 readings/,
    ],
    [
      Array.from({ length: 20_001 }, (_, index) => velocity(`d${index}`, T0)),
      /:20001: is of one device more than 20000/,
    ],
  ] as const) {
    await assert.rejects(open(t, lines), { code: 'bad-recording', message: words })
  }
})
