/** Sparkplug payloads as readings: every datatype exact or refused, aliases by what a birth said, and columns on which threads agree. */

import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { deflateSync, gzipSync } from 'node:zlib'
import { mapMaker } from '../../../maps/maps.ts'
import { inLog } from '../../../maps/sparkplug/context.ts'
import { deviceIdOf, parseSparkplug, type SparkplugTopic } from '../../../maps/sparkplug/topic.ts'
import { SPARKPLUG } from '../../../schemas/content-type.ts'
import { CurrentSchemas } from '../../../schemas/current-schemas.ts'
import type { Message } from '../../../schemas/framing.ts'
import { type Reading, Rejection } from '../../../schemas/reading.ts'
import { SHIPPED_SCHEMAS_DIR } from '../../../schemas/registry.ts'
import { readSchemaFiles } from '../../../schemas/schema-files.ts'
import { scratchDirectory } from '../../scratch.ts'
import { type MetricSaid, type Said, TYPE, write } from './edge.ts'

const NOW = Date.UTC(2025, 10, 23, 12)

function schemasWith(maps = '', learnt?: string): CurrentSchemas {
  const files = {
    ...readSchemaFiles(SHIPPED_SCHEMAS_DIR),
    maps: maps === '' ? [] : [{ file: 'maps.yaml', text: maps }],
  }
  return new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR, files, foreign: { make: mapMaker(learnt) } })
}

function messageOf(topic: string, said: Said | Buffer, context: Parameters<typeof inLog>[1] = {}, place = {}): Message {
  const published = Buffer.isBuffer(said) ? said : write(said)
  const device = deviceIdOf(parseSparkplug(topic) as SparkplugTopic)
  return {
    device,
    stream: 'sparkplug',
    receivedAt: NOW,
    framing: SPARKPLUG,
    payload: inLog(topic, context, published),
    ...place,
  }
}

function decoded(schemas: CurrentSchemas, message: Message): readonly Reading[] {
  const outcome = schemas.decode(message)
  return outcome instanceof Rejection ? assert.fail(`${outcome.code}: ${outcome.reason}`) : outcome
}

function rejected(said: Said | Buffer, code: string, reason: RegExp): void {
  const outcome = schemasWith().decode(messageOf('spBv1.0/g/NDATA/n', said))
  assert(outcome instanceof Rejection, 'it was read')
  assert.equal(outcome.code, code)
  assert.match(outcome.reason, reason)
}

const valuesOf = (...metrics: MetricSaid[]) =>
  decoded(schemasWith(), messageOf('spBv1.0/g/NDATA/n', { timestamp: NOW, metrics })).map(({ values }) => ({
    ...values,
  }))

test('the ids of edge nodes and devices are theirs by level, and no two names are one', () => {
  const id = (topic: string) => deviceIdOf(parseSparkplug(topic) as SparkplugTopic)
  assert.equal(id('spBv1.0/plant/NDATA/line-4'), 'plant:line-4')
  assert.equal(id('spBv1.0/plant/DDATA/line-4/press.1'), 'plant:line-4:press.1')
  assert.match(id('spBv1.0/Plant 1/DDATA/n/d'), /^Plant_1:n:d-[0-9a-f]{8}$/)
  assert.notEqual(id('spBv1.0/a:b/NDATA/c'), id('spBv1.0/a/NDATA/b:c'))
  assert.notEqual(id('spBv1.0/a:b/NDATA/c'), id('spBv1.0/a/DDATA/b/c'))
  assert(id(`spBv1.0/${'g'.repeat(200)}/NDATA/n`).length <= 64)
  for (const topic of [
    'spBv1.0/g/NDATA/n/d',
    'spBv1.0/g/DDATA/n',
    'spBv1.0/g/X/n',
    'spBv1.0/g/NDATA/',
    'spBv1.0/STATE/h',
  ]) {
    assert.equal(parseSparkplug(topic), undefined, topic)
  }
})

test('each datatype becomes its column, exact, whichever field a library wrote a number into', () => {
  const { Int8, Int16, Int32, Int64, UInt8, UInt32, UInt64, Float, Double, DateTime, Text, UUID } = TYPE
  const [values] = valuesOf(
    { name: 'i8', datatype: Int8, int_value: 0xfffffffb },
    { name: 'i8 of eight bits', datatype: Int8, int_value: 0xfb },
    { name: 'i16', datatype: Int16, int_value: 0xffff8000 },
    { name: 'i32', datatype: Int32, int_value: 0x80000000 },
    { name: 'i32 in 64', datatype: Int32, long_value: '18446744073709551611' },
    { name: 'i64', datatype: Int64, long_value: '18446744073709551611' },
    { name: 'i64 least', datatype: Int64, long_value: '18437736874454810625' },
    { name: 'u8', datatype: UInt8, int_value: 255 },
    { name: 'u32', datatype: UInt32, int_value: 4294967295 },
    { name: 'u32 in 64', datatype: UInt32, long_value: 4294967295 },
    { name: 'u64', datatype: UInt64, long_value: 2 ** 53 - 1 },
    { name: 'float', datatype: Float, float_value: 21.3 },
    { name: 'double', datatype: Double, double_value: 0.1 },
    { name: 'yes', datatype: TYPE.Boolean, boolean_value: true },
    { name: 'at', datatype: DateTime, long_value: NOW },
    { name: 'text', datatype: Text, string_value: 'ü\n' },
    { name: 'uuid', datatype: UUID, string_value: 'a-b' },
  )
  assert.deepEqual(values, {
    i8: -5,
    i8_of_eight_bits: -5,
    i16: -32768,
    i32: -(2 ** 31),
    i32_in_64: -5,
    i64: -5,
    i64_least: -(2 ** 53 - 1),
    u8: 255,
    u32: 4294967295,
    u32_in_64: 4294967295,
    u64: 2 ** 53 - 1,
    float: 21.3,
    double: 0.1,
    yes: true,
    at: NOW,
    text: 'ü\n',
    uuid: 'a-b',
  })
})

test('what is not exact is refused, with the name of the metric', () => {
  const one = (metric: MetricSaid) => ({ timestamp: NOW, metrics: [{ name: 'm', ...metric }] })
  rejected(
    one({ datatype: TYPE.UInt64, long_value: '9007199254740992' }),
    'invalid-reading',
    /"m" is 9007199254740992.*2\^53/,
  )
  rejected(one({ datatype: TYPE.Int64, long_value: '18437736874454810624' }), 'invalid-reading', /2\^53/)
  const beyond = (datatype: number, long_value: string, said: string) =>
    rejected(one({ datatype, long_value }), 'invalid-reading', new RegExp(`"m" is ${said}`))
  beyond(TYPE.UInt64, '18446744073709551615', '18446744073709551615, and beyond 2\\^53')
  beyond(TYPE.Int64, '9007199254740993', '9007199254740993, and beyond 2\\^53')
  beyond(TYPE.Int64, '9223372036854775808', '-9223372036854775808, and beyond 2\\^53')
  beyond(TYPE.UInt32, '18446744073709551615', '18446744073709551615, which no UInt32 is')
  beyond(TYPE.Int32, '9223372036854775807', '9223372036854775807, which no Int32 is')
  rejected(one({ datatype: TYPE.Int64, int_value: 4294967291 }), 'invalid-reading', /"m" is a Int64/)
  rejected(one({ datatype: TYPE.Int8, int_value: 300 }), 'invalid-reading', /is 300, which no Int8 is/)
  rejected(one({ datatype: TYPE.UInt16, int_value: 65536 }), 'invalid-reading', /which no UInt16 is/)
  rejected(one({ datatype: TYPE.Float, float_value: Number.NaN }), 'invalid-reading', /is NaN/)
  rejected(one({ datatype: TYPE.Double, double_value: Number.POSITIVE_INFINITY }), 'invalid-reading', /is Infinity/)
  rejected(one({ datatype: TYPE.Int32, string_value: '5' }), 'invalid-reading', /its value is "string_value"/)
  rejected(one({ int_value: 5 }), 'unknown-metric', /told what "m" is/)
  rejected({ timestamp: NOW, metrics: [{ alias: 7, int_value: 5 }] }, 'unknown-metric', /the alias 7/)
  rejected(
    { timestamp: NOW / 1000, metrics: [{ name: 'm', datatype: 3, int_value: 1 }] },
    'bad-timestamp',
    /looks like seconds/,
  )
})

test('what is null, of bad quality, of control, or no single value is left out', () => {
  const quality = (code: number) => ({ keys: ['Quality'], values: [{ type: TYPE.Int32, int_value: code }] })
  assert.deepEqual(
    valuesOf(
      { name: 'bdSeq', datatype: TYPE.Int64, long_value: 3 },
      { name: 'Node Control/Rebirth', datatype: TYPE.Boolean, boolean_value: false },
      { name: 'null', datatype: TYPE.Int32, is_null: true },
      { name: 'set', datatype: TYPE.DataSet, bytes_value: Buffer.from('x') },
      { name: 'bytes', datatype: TYPE.Bytes, bytes_value: Buffer.from('x') },
      { name: 'stale', datatype: TYPE.Int32, int_value: 1, properties: quality(500) },
      { name: 'good', datatype: TYPE.Int32, int_value: 1, properties: quality(192) },
    ),
    [{ good: 1 }],
  )
  assert.deepEqual(valuesOf({ name: 'bdSeq', datatype: TYPE.Int64, long_value: 3 }), [])
})

test('each time of which a message speaks is a reading, and a time that was spoken of before is told apart', () => {
  const metrics = [
    { name: 'a', datatype: TYPE.Int32, int_value: 1 },
    { name: 'b', datatype: TYPE.Int32, int_value: 2, timestamp: NOW - 5_000, is_historical: true },
    { name: 'c', datatype: TYPE.Int32, int_value: 3 },
  ]
  const read = decoded(schemasWith(), messageOf('spBv1.0/g/DDATA/n/d', { timestamp: NOW, seq: 4, metrics }, { t: 5 }))
  assert.deepEqual(
    read.map(({ ts, device, values }) => [ts, device, { ...values }]),
    [
      [NOW + 0.005, 'g:n:d', { a: 1, c: 3 }],
      [NOW - 5_000 + 0.005, 'g:n:d', { b: 2 }],
    ],
  )
  // What is later than all that was said before is exact beside what is not.
  const context = { t: 5, l: NOW - 1 }
  const mixed = decoded(schemasWith(), messageOf('spBv1.0/g/DDATA/n/d', { timestamp: NOW, seq: 4, metrics }, context))
  assert.deepEqual(
    mixed.map(({ ts }) => ts),
    [NOW, NOW - 5_000 + 0.005],
  )
})

test('an alias is what the birth said that stands with the message', () => {
  const metrics = [
    { alias: 7, int_value: 5 },
    { name: 'own', datatype: TYPE.Int32, int_value: 6 },
    { name: 'x', float_value: 0.5 },
  ]
  const context = { m: [['Inputs/A', TYPE.Int8, 'Cel'] as const, 0 as const, ['x', TYPE.Float] as const] }
  const schemas = schemasWith()
  const [reading] = decoded(schemas, messageOf('spBv1.0/g/NDATA/n', { timestamp: NOW, metrics }, context))
  assert.deepEqual({ ...reading?.values }, { Inputs_A: 5, own: 6, x: 0.5 })
  assert.deepEqual(schemas.registry.stream('sparkplug')?.columns, [
    { name: 'Inputs_A', kind: 'integer', tag: false, unit: 'Cel' },
    { name: 'own', kind: 'integer', tag: false },
    { name: 'x', kind: 'float', tag: false },
  ])
})

test('two metrics that would be one column are two, the same to all who learn apart and after a restart', (t) => {
  const learnt = scratchDirectory(t)
  const [a, b] = [schemasWith('', learnt), schemasWith('', learnt)]
  const say = (schemas: CurrentSchemas, name: string, datatype: number, value: MetricSaid) =>
    decoded(schemas, messageOf('spBv1.0/g/NDATA/n', { timestamp: NOW, metrics: [{ name, datatype, ...value }] }))[0]
      ?.values
  assert.deepEqual({ ...say(a, 'S/t', TYPE.Float, { float_value: 1.5 }) }, { S_t: 1.5 })
  assert.deepEqual({ ...say(b, 'S/t', TYPE.String, { string_value: 'x' }) }, { S_t_string: 'x' })
  assert.deepEqual({ ...say(b, 's_T', TYPE.String, { string_value: 'y' }) }, { s_T_string_2: 'y' })
  assert.deepEqual({ ...say(a, 'S/t', TYPE.String, { string_value: 'x' }) }, { S_t_string: 'x' })
  assert.deepEqual(
    { ...say(schemasWith('', learnt), 's_T', TYPE.String, { string_value: 'z' }) },
    { s_T_string_2: 'z' },
  )
  // A line that a full disk cut off is no fault.
  const file = join(learnt, 'sparkplug.columns')
  appendFileSync(file, '["string","cu')
  assert.deepEqual({ ...say(schemasWith('', learnt), 'S/t', TYPE.Float, { float_value: 2 }) }, { S_t: 2 })
  writeFileSync(file, readFileSync(file, 'utf8').replace('["string","cu', ''))
})

test('one name in two types within a message is two columns, each with its own value', () => {
  const [values] = valuesOf(
    { name: 'a', datatype: TYPE.Int32, int_value: 1 },
    { name: 'a', datatype: TYPE.String, string_value: 'x' },
    { name: '__proto__', datatype: TYPE.Int32, int_value: 2 },
    { name: 'constructor', datatype: TYPE.Int32, int_value: 3 },
    { name: 'device', datatype: TYPE.Int32, int_value: 4 },
  )
  assert.deepEqual(values, { a: 1, a_string: 'x', v__proto__: 2, constructor: 3, device_: 4 })
})

test('a message that is refused leaves no columns, and one takes no more than there is room for', () => {
  const schemas = schemasWith()
  const refused = (metrics: readonly MetricSaid[], timestamp: number, why: RegExp) => {
    const outcome = schemas.decode(messageOf('spBv1.0/g/NDATA/n', { timestamp, metrics }))
    assert.match(outcome instanceof Rejection ? outcome.reason : 'read', why)
  }
  const many = (count: number, name = 'm') =>
    Array.from({ length: count }, (_, index) => ({ name: `${name}${index}`, datatype: TYPE.Int32, int_value: index }))
  refused(many(3), 1_000, /a metric's time is 1970/)
  refused(many(513), NOW, /513 columns that sparkplug has not.*room for 512/)
  refused([{ name: 'n'.repeat(200), datatype: TYPE.Int32, int_value: 1 }], NOW, /too long for a column/)
  assert.equal(schemas.registry.stream('sparkplug'), undefined)
  const whole = decoded(schemas, messageOf('spBv1.0/g/NDATA/n', { timestamp: NOW, metrics: many(512) }))
  assert.equal(Object.keys(whole[0]?.values ?? {}).length, 512)
  refused(many(1, 'other'), NOW, /cannot be a column of sparkplug any more/)
})

test('a column whose metrics come in two units has none', () => {
  const schemas = schemasWith()
  const inUnit = (unit: string) => ({ keys: ['engUnit'], values: [{ type: TYPE.String, string_value: unit }] })
  const say = (unit: string) =>
    schemas.decode(
      messageOf('spBv1.0/g/NBIRTH/n', {
        timestamp: NOW,
        metrics: [{ name: 't', datatype: TYPE.Float, float_value: 1, properties: inUnit(unit) }],
      }),
    )
  say('°C')
  assert.equal(schemas.registry.stream('sparkplug')?.columns[0]?.unit, 'Cel')
  say('°F')
  assert.equal(schemas.registry.stream('sparkplug')?.columns[0]?.unit, undefined)
  say('°C')
  assert.equal(schemas.registry.stream('sparkplug')?.columns[0]?.unit, undefined)
})

test('a map renames, scales, selects, and names the device and the stream', () => {
  const map = `
topic: spBv1.0/plant/+/{node}/{device}
format: sparkplug
device: "{device}"
stream: press
fields:
  temperature: { path: Motor/Temp.1, factor: 0.1, unit: Cel }
  state: { path: State, type: string }
tags: { line: "{node}" }
`
  const schemas = schemasWith(map)
  const metrics = [
    { name: 'Motor/Temp.1', datatype: TYPE.Int16, int_value: 213 },
    { name: 'State', datatype: TYPE.String, string_value: 'run' },
    { name: 'Other', datatype: TYPE.Int32, int_value: 1 },
  ]
  const place = { device: 'press-1', stream: 'press' }
  const message = messageOf('spBv1.0/plant/DDATA/l4/press-1', { timestamp: NOW, metrics }, {}, place)
  assert.deepEqual(
    decoded(schemas, message).map(({ device, values }) => [device, { ...values }]),
    [['press-1', { line: 'l4', temperature: 21.3, state: 'run' }]],
  )
  const nothing = messageOf('spBv1.0/plant/DDATA/l4/press-1', { timestamp: NOW, metrics: metrics.slice(2) }, {}, place)
  assert.deepEqual(decoded(schemas, nothing), [])
})

test('a map of Sparkplug that cannot be one is refused with its line', () => {
  const refused = (map: string, why: RegExp) => assert.throws(() => schemasWith(map), why)
  refused('topic: spBv1.0/g/NDATA/n\nformat: sparkplug\nstream: s\n', /maps.yaml:1.*third level/)
  refused('topic: x/#\nformat: sparkplug\nstream: s\n', /belong together/)
  refused('topic: spBv1.0/{device}/+/n\nstream: s\n', /belong together/)
  refused('topic: spBv1.0/#\nformat: sparkplug\nstream: s\ntime: t\n', /own time/)
  refused('topic: spBv1.0/#\nformat: sparkplug\nstream: s\nfields: { "*": a }\n', /no paths/)
})

const compressed = (body: Buffer, algorithm?: string) =>
  write({
    uuid: 'SPBV1.0_COMPRESSED',
    body,
    ...(algorithm && { metrics: [{ name: 'algorithm', datatype: TYPE.String, string_value: algorithm }] }),
  })

test('a payload may be compressed', () => {
  const said = write({ timestamp: NOW, seq: 1, metrics: [{ name: 'm', datatype: TYPE.Int32, int_value: 5 }] })
  for (const payload of [
    compressed(deflateSync(said)),
    compressed(gzipSync(said), 'GZIP'),
    compressed(deflateSync(said), 'DEFLATE'),
  ]) {
    const [reading] = decoded(schemasWith(), messageOf('spBv1.0/g/NDATA/n', payload))
    assert.deepEqual([reading?.ts, { ...reading?.values }], [NOW, { m: 5 }])
  }
})

test('payloads that are no Sparkplug are refused, whatever they are, and nothing throws', () => {
  rejected(Buffer.from('{"a":1}'), 'malformed-sparkplug', /^the Sparkplug payload /)
  rejected(Buffer.from('12ff', 'hex'), 'malformed-sparkplug', /ends inside/)
  rejected(compressed(Buffer.from('x')), 'malformed-sparkplug', /is no DEFLATE/)
  rejected(compressed(deflateSync(Buffer.alloc(8 * 2 ** 20))), 'malformed-sparkplug', /more than 262144 bytes/)
  rejected(compressed(deflateSync(compressed(deflateSync('x')))), 'malformed-sparkplug', /twice/)
  rejected(compressed(Buffer.from('x'), 'LZ4'), 'malformed-sparkplug', /by "LZ4"/)
  rejected({ metrics: Array.from({ length: 10_001 }, () => ({ name: 'm' })) }, 'too-many-readings', /10000 metrics/)
  rejected({ metrics: [{ name: 'm'.repeat(257), datatype: 3 }] }, 'malformed-sparkplug', /257 characters/)
  const whole = write({
    timestamp: NOW,
    seq: 3,
    metrics: [
      {
        name: 'a',
        datatype: TYPE.Int32,
        int_value: 5,
        properties: { keys: ['engUnit'], values: [{ type: 12, string_value: 'Cel' }] },
      },
      { name: 'b', datatype: TYPE.Double, double_value: 1.5 },
      { alias: 9, timestamp: NOW, string_value: 'text' },
    ],
  })
  const schemas = schemasWith()
  let seed = 20_251_123
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return seed % below
  }
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(whole)
    for (let change = random(4); change >= 0; change--) bytes[random(bytes.length)] = random(256)
    const cut = bytes.subarray(0, random(4) === 0 ? random(bytes.length) : bytes.length)
    const outcome = schemas.decode(messageOf('spBv1.0/g/NDATA/n', cut, { m: [0, 0, ['c', TYPE.String]] }))
    if (outcome instanceof Rejection) assert(outcome.reason.length > 0)
  }
})
