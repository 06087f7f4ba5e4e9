import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Decoder } from '../../schemas/decoder.ts'
import { SCHEMA_COLUMNS_MAX, SCHEMA_DEPTH_MAX } from '../../schemas/definition.ts'
import { Rejection } from '../../schemas/reading.ts'
import { Registry, SchemaError, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { probe, probeRegistry, schemaFolder, TIME } from './schema-folder.ts'

const X = { name: 'x', type: 'double' }
const decimal = (of: object) => ({ type: 'bytes', logicalType: 'decimal', ...of })
const micros = { name: 'ts', type: { type: 'long', logicalType: 'timestamp-micros' } }
const withFields = (...fields: object[]) => ({ ...probe(), fields })
const record = (name: string, ...fields: object[]) => ({ type: 'record', name, fields })
const deep = (levels: number): object =>
  record(`level${levels}`, levels === 0 ? X : { name: 'n', type: deep(levels - 1) })

/** One version, one fault; the message must name the file and match. */
const FAULTS: [what: string, schema: object | string, message: RegExp][] = [
  ['no JSON', '{', /is not JSON/],
  ['no object', '"int"', /is not a JSON object/],
  ['no record', { type: 'enum', name: 'probe', symbols: ['a'] }, /its type is "enum"; a stream is a "record"/],
  ['another name', { ...probe(X), name: 'other' }, /named "other"; it must be named as its folder, "probe"/],
  ['another namespace', { ...probe(X), namespace: 'acme' }, /namespace is "acme"; it must be "telltale"/],
  ['no namespace', { type: 'record', name: 'probe', fields: [TIME, X] }, /namespace is nothing/],
  ['no fields', { ...probe(), fields: [] }, /has no fields/],
  ['a field that is no object', { ...probe(), fields: [TIME, 'x'] }, /a field that is no object/],
  ['no time', withFields(X), /no field is the time/],
  ['two times', probe(X, { ...micros, name: 'at' }), /at is a second time beside ts/],
  ['a nullable time', withFields({ name: 'ts', type: ['null', TIME.type] }, X), /ts is the time and may be null/],
  ['a nested time', withFields({ name: 'n', type: record('n', TIME) }, X), /n\.ts is the time inside a nested record/],
  ['a time of int', withFields({ name: 'ts', type: { ...TIME.type, type: 'int' } }, X), /must be of "long"/],
  [
    'a logicalType beside the type',
    withFields({ name: 'ts', type: 'long', logicalType: 'timestamp-millis' }, X),
    /inside "type"/,
  ],
  [
    'a duration',
    probe({ name: 'x', type: { type: 'fixed', name: 'f', size: 12, logicalType: 'duration' } }),
    /logicalType "duration", which a point cannot keep; possible are date, /,
  ],
  [
    'nanoseconds',
    probe(X, { name: 'x2', type: { type: 'long', logicalType: 'timestamp-nanos' } }),
    /logicalType "timestamp-nanos", which a point cannot keep/,
  ],
  ['a date of long', probe({ name: 'x', type: { type: 'long', logicalType: 'date' } }), /"date" of "long"; .* "int"$/],
  ['a uuid of int', probe({ name: 'x', type: { type: 'int', logicalType: 'uuid' } }), /a fixed of 16 is right/],
  [
    'a decimal of long',
    probe({ name: 'x', type: { type: 'long', logicalType: 'decimal', precision: 4 } }),
    /bytes or a/,
  ],
  ['a decimal of any digits', probe({ name: 'x', type: decimal({}) }), /precision nothing; 1 to 38 are possible/],
  ['a decimal of 39 digits', probe({ name: 'x', type: decimal({ precision: 39 }) }), /precision 39; 1 to 38/],
  [
    'a scale beyond the precision',
    probe({ name: 'x', type: decimal({ precision: 2, scale: 3 }) }),
    /scale 3; 0 to its/,
  ],
  ['a time of day as the time', probe({ name: 'x', type: 'int', time: true }), /no field that says so is the time/],
  ['a time that is not true', probe({ ...X, time: 'yes' }), /"time" is "yes"; it must be true, or not be there/],
  [
    'a unit of a date',
    probe({ name: 'x', type: { type: 'int', logicalType: 'date' }, unit: 'd' }),
    /only numbers have/,
  ],
  [
    'a uuid as a tag',
    probe(X, { name: 't', type: { type: 'string', logicalType: 'uuid' }, tag: true }),
    /t is a tag of/,
  ],
  [
    'a default that is no uuid',
    probe({ name: 'x', type: { type: 'string', logicalType: 'uuid' }, default: 'x' }),
    /x has a default that cannot be stored: it is "x"; a UUID such as/,
  ],
  ['only the time', probe(), /no field beside the time and tags/],
  ['only a tag', probe({ name: 'x', type: 'string', tag: true }), /no field beside the time and tags/],
  [
    'an array of texts',
    probe({ name: 'x', type: { type: 'array', items: 'string' } }),
    /x is an array of "string", which cannot become a point; possible are arrays of int, long, float, double/,
  ],
  [
    'an array with null',
    probe({ name: 'x', type: { type: 'array', items: ['null', 'int'] } }),
    /x is an array of \["null/,
  ],
  [
    'an array of times',
    probe({ name: 'x', type: { type: 'array', items: TIME.type } }),
    /x is an array of \{"type":"long","logicalType"/,
  ],
  [
    'a map without keys',
    probe({ name: 'x', type: { type: 'map', values: 'int' } }),
    /x is a map, of which each key is a column: "keys" beside/,
  ],
  [
    'a large fixed',
    probe({ name: 'x', type: { type: 'fixed', name: 'f', size: 1025 } }),
    /fixed of 1025 bytes; 1 to 1024/,
  ],
  ['a bare null', probe({ name: 'x', type: 'null' }), /x is of type "null"/],
  ['an unknown type', probe({ name: 'x', type: 'flaot' }), /x is of type "flaot"/],
  ['no type', probe({ name: 'x' }), /x has the type nothing/],
  [
    'a union of two types',
    probe({ name: 'x', type: ['int', 'string'] }),
    /union \["int","string"\], which cannot become a point/,
  ],
  ['a union of three', probe({ name: 'x', type: ['null', 'int', 'string'] }), /only null and one other/],
  [
    'a record in itself',
    probe(X, { name: 'n', type: record('n', { name: 'again', type: ['null', 'n'] }) }),
    /contains its own record/,
  ],
  [
    'a type defined twice',
    probe({ name: 'a', type: record('n', X) }, { name: 'b', type: record('n', X) }),
    /"telltale\.n" is defined twice/,
  ],
  [
    'an enum without symbols',
    probe({ name: 'x', type: { type: 'enum', name: 'e', symbols: [] } }),
    /enum without symbols/,
  ],
  [
    'a column named device',
    probe({ name: 'device', type: 'string' }),
    /column "device", which every point has already/,
  ],
  ['a column named Time', probe({ name: 'Time', type: 'int' }), /column "Time", which every point has already/],
  ['a name twice', probe(X, X), /both become "x"/],
  ['names that differ in case', probe(X, { name: 'X', type: 'int' }), /both become "X"/],
  [
    'names that meet when flattened',
    probe({ name: 'a_x', type: 'int' }, { name: 'a', type: record('a', X) }),
    /a\.x and a_x both become "a_x"/,
  ],
  ['a leading underscore', probe({ name: '_x', type: 'int' }), /starts with a letter/],
  [
    '__proto__',
    `{"type":"record","name":"probe","namespace":"telltale","fields":[{"name":"__proto__","type":"int"}]}`,
    /starts with a letter/,
  ],
  [
    'a tag of a number',
    probe(X, { name: 't', type: 'int', tag: true }),
    /t is a tag of type int; only a string or an enum/,
  ],
  ['a tag that is no boolean', probe(X, { name: 't', type: 'string', tag: 'yes' }), /"tag" is "yes"/],
  ['a misspelt tag', probe(X, { name: 't', type: 'string', tags: true }), /"tags", which has no effect; meant is tag/],
  ['a misspelt unit', probe({ ...X, units: 'm' }), /"units", which has no effect; meant is unit/],
  ['a unit of a string', probe(X, { name: 't', type: 'string', unit: 'm' }), /only numbers have units/],
  ['a unit with a space', probe({ ...X, unit: 'deg C' }), /no UCUM code/],
  ['a default of the wrong type', probe({ ...X, default: 'warm' }), /is not valid Avro/],
  [
    'a default null of a union that starts otherwise',
    probe({ name: 'x', type: ['double', 'null'], default: null }),
    /is not valid Avro/,
  ],
  ['too deep', probe({ name: 'n', type: deep(SCHEMA_DEPTH_MAX) }), /nested deeper/],
  [
    'too many columns',
    probe(...Array.from({ length: SCHEMA_COLUMNS_MAX + 1 }, (_, i) => ({ name: `x${i}`, type: 'int' }))),
    /columns; at most/,
  ],
]

function refusal(t: Parameters<typeof schemaFolder>[0], files: Record<string, object | string>): string {
  try {
    Registry.load(schemaFolder(t, files))
  } catch (error) {
    assert.ok(error instanceof SchemaError, String(error))
    assert.equal(error.code, 'schema-invalid')
    return error.message
  }
  return 'loaded'
}

test('each fault of a schema is refused with its file and what would be right', (t) => {
  for (const [what, schema, message] of FAULTS) {
    const refused = refusal(t, { 'probe/1.avsc': schema })
    assert.match(refused, /probe\/1\.avsc: /, what)
    assert.match(refused, message, what)
  }
})

/** Two versions, or other arrangements of files. */
const ARRANGEMENTS: [what: string, files: Record<string, object | string>, message: RegExp][] = [
  ['nothing', {}, /holds no schemas/],
  ['a schema outside a folder', { 'probe.avsc': probe(X) }, /probe\.avsc: a schema stands in the folder/],
  ['an empty stream', { 'probe/README.md': '' }, /probe: holds no schema; expected is 1\.avsc/],
  ['a folder that is no stream', { 'Probe/1.avsc': probe(X) }, /"Probe" cannot be a stream/],
  ['a version that is no number', { 'probe/v1.avsc': probe(X) }, /v1\.avsc: a schema is named by its version/],
  ['a hole', { 'probe/1.avsc': probe(X), 'probe/3.avsc': probe(X) }, /3\.avsc: version 2 is missing/],
  ['no first', { 'probe/2.avsc': probe(X) }, /2\.avsc: version 1 is missing/],
  [
    'the same twice',
    { 'probe/1.avsc': probe(X), 'probe/2.avsc': probe({ ...X, doc: 'y' }) },
    /has the fingerprint [0-9a-f]{16} of probe\/1\.avsc/,
  ],
  [
    'millis to micros',
    { 'probe/1.avsc': probe(X), 'probe/2.avsc': withFields(micros, X) },
    /ts is in us, in version 1 in ms/,
  ],
  [
    'another time field',
    { 'probe/1.avsc': probe(X), 'probe/2.avsc': withFields({ ...TIME, name: 'at' }, X) },
    /the time is at, in version 1 it is ts/,
  ],
  [
    'integer to float',
    { 'probe/1.avsc': probe({ name: 'x', type: 'int' }), 'probe/2.avsc': probe(X) },
    /2\.avsc:\d+: x is float, in version 1 it is integer/,
  ],
  [
    'a tag no more',
    {
      'probe/1.avsc': probe(X, { name: 't', type: 'string', tag: true }),
      'probe/2.avsc': probe(X, { name: 't', type: 'string' }, { name: 'y', type: 'int', default: 0 }),
    },
    /2\.avsc:\d+: t is no tag, in version 1 it is a tag/,
  ],
  [
    'another unit',
    {
      'probe/1.avsc': probe({ ...X, unit: 'Cel' }),
      'probe/2.avsc': probe({ ...X, unit: 'K' }, { name: 'y', type: 'int', default: 0 }),
    },
    /x is in K, in version 1 it is in Cel/,
  ],
  [
    'a name come back with another kind',
    {
      'probe/1.avsc': probe(X, { name: 'y', type: 'int' }),
      'probe/2.avsc': probe(X),
      'probe/3.avsc': probe(X, { name: 'y', type: 'string', default: '' }),
    },
    /3\.avsc:\d+: y is string, in version 1 it is integer/,
  ],
  [
    'a new field without default',
    { 'probe/1.avsc': probe(X), 'probe/2.avsc': probe(X, { name: 'y', type: 'int' }) },
    /1\.avsc: version 2 cannot read it: y is new and has no default/,
  ],
  [
    'a symbol taken away',
    {
      'probe/1.avsc': probe(X, { name: 'e', type: { type: 'enum', name: 'e', symbols: ['a', 'b'] } }),
      'probe/2.avsc': probe(X, { name: 'e', type: { type: 'enum', name: 'e', symbols: ['a'] } }),
    },
    /1\.avsc: version 2 cannot read it/,
  ],
  [
    'null taken away',
    { 'probe/1.avsc': probe({ name: 'x', type: ['null', 'double'] }), 'probe/2.avsc': probe(X) },
    /1\.avsc: version 2 cannot read it/,
  ],
]

test('files and versions that do not fit together are refused', (t) => {
  for (const [what, files, message] of ARRANGEMENTS) assert.match(refusal(t, files), message, what)
})

test('a directory that is not there is a SchemaError that names it', () => {
  assert.throws(() => Registry.load('/nowhere/at/all'), /\/nowhere\/at\/all: cannot be read/)
})

test('the shipped schemas load, and environment is what the contract says', () => {
  const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  assert.deepEqual(
    registry.streams.map(({ name, version, precision }) => [name, version, precision]),
    [
      ['environment', 1, 'ms'],
      ['power', 1, 'ms'],
      ['vehicle', 2, 'ms'],
      ['vibration', 1, 'us'],
    ],
  )
  assert.deepEqual(registry.stream('environment'), {
    name: 'environment',
    version: 1,
    timeField: 'ts',
    precision: 'ms',
    columns: [
      { name: 'temperature', kind: 'float', tag: false, unit: 'Cel' },
      { name: 'humidity', kind: 'float', tag: false, unit: '%' },
      { name: 'pressure', kind: 'float', tag: false, unit: 'hPa' },
      { name: 'battery', kind: 'integer', tag: false, unit: '%' },
      { name: 'rssi', kind: 'integer', tag: false, unit: 'dBm' },
    ],
  })
  assert.equal(registry.stream('weather'), undefined)
  assert.deepEqual(registry.versions('weather'), [])
})

const decode = (registry: Registry, payload: Buffer) => {
  const decoded = new Decoder(registry).decode({ device: 'd', stream: 'probe', receivedAt: 1.7e12, payload })
  if (decoded instanceof Rejection) assert.fail(`${decoded.code}: ${decoded.reason}`)
  return decoded.map(({ values }) => values)
}

test('what an older version wrote comes out in the columns of the newest', (t) => {
  const registry = probeRegistry(
    t,
    probe({ name: 'a', type: 'int' }, { name: 'gone', type: 'string' }, { name: 'old', type: 'boolean' }),
    probe(
      { name: 'fresh', type: 'float', default: 0.1 },
      { name: 'renamed', type: ['null', 'boolean'], aliases: ['old'], default: null },
      { name: 'a', type: 'long' },
      { name: 'maybe', type: ['null', 'string'], default: null },
    ),
  )
  const old = { ts: 1.7e12, a: -7, gone: 'x', old: true }
  assert.deepEqual(decode(registry, registry.encode('probe', old, 1)), [{ fresh: 0.1, renamed: true, a: -7 }])
  assert.deepEqual(decode(registry, registry.encode('probe', [old, old], 1)).length, 2)
  const young = { ts: 1.7e12, fresh: 21.3, renamed: null, a: 2 ** 40, maybe: 'yes' }
  assert.deepEqual(decode(registry, registry.encode('probe', young)), [{ fresh: 21.3, a: 2 ** 40, maybe: 'yes' }])
})

test('a float32 that a newer version widened to double still prints shortest', (t) => {
  const nested = (type: string) => ({ name: 'n', type: record('n', { name: 'y', type }) })
  const registry = probeRegistry(t, probe({ name: 'x', type: 'float' }, nested('float')), probe(X, nested('double')))
  assert.deepEqual(decode(registry, registry.encode('probe', { ts: 1.7e12, x: 21.3, n: { y: 0.1 } }, 1)), [
    { x: 21.3, n_y: 0.1 },
  ])
  const exact = { ts: 1.7e12, x: 21.299999237060547, n: { y: 0.1 } }
  assert.deepEqual(decode(registry, registry.encode('probe', exact, 2)), [{ x: 21.299999237060547, n_y: 0.1 }])
})

test('encode refuses what its schema does not allow, and says what', () => {
  const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  const good = { ts: 1.7e12, temperature: 1, humidity: 2, pressure: 3, battery: 4, rssi: 5 }
  const refused = (code: string, message: RegExp) => (error: unknown) =>
    error instanceof SchemaError && error.code === code && message.test(error.message)
  assert.throws(() => registry.encode('weather', good), refused('unknown-stream', /"weather".*environment, power/))
  assert.throws(
    () => registry.encode('environment', good, 2),
    refused('unknown-version', /no version 2; it has 1 to 1/),
  )
  assert.throws(
    () => registry.encode('environment', { ...good, battery: 4.5 }),
    refused('record-invalid', /battery is 4\.5, not int/),
  )
  assert.throws(() => registry.encode('environment', { ...good, extra: 1 }), refused('record-invalid', /environment 1/))
  assert.throws(
    () => registry.encode('environment', [good, {}]),
    refused('record-invalid', /1\.ts is undefined, not long/),
  )
})
