import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import protobuf from 'protobufjs'
import { PAYLOAD_BYTES_MAX, READINGS_PER_MESSAGE_MAX } from '../../platform/limits.ts'
import { PACKAGE_DIR } from '../../platform/package.ts'
import { checkSchemas } from '../../schemas/check.ts'
import { PROTOBUF, PROTOBUF_BATCH } from '../../schemas/content-type.ts'
import { Decoder } from '../../schemas/decoder.ts'
import { type Reading, Rejection } from '../../schemas/reading.ts'
import { Registry, SchemaError, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { readSchemaFiles } from '../../schemas/schema-files.ts'
import { probe, schemaFolder } from './schema-folder.ts'

const TS = 1_763_900_000_123
const ENVIRONMENT = { ts: TS, temperature: 21.3, humidity: 45.5, pressure: 1013.25, battery: 88, rssi: -70 }
const environmentProto = readFileSync(join(PACKAGE_DIR, 'docs', 'protobuf', 'environment.proto'), 'utf8')
const environmentAvsc = readFileSync(join(SHIPPED_SCHEMAS_DIR, 'environment', '1.avsc'), 'utf8')

const proto = (...lines: string[]) => `syntax = "proto3";\npackage telltale;\n${lines.join('\n')}\n`
const message = (...fields: string[]) =>
  proto('message Probe {', '  int64 ts = 1;', ...fields.map((field) => `  ${field}`), '}')

function registryOf(t: TestContext, ...versions: string[]): Registry {
  const files = versions.map((text, index) => [`probe/${index + 1}.proto`, text])
  return Registry.load(schemaFolder(t, Object.fromEntries(files)))
}

function decoderOf(registry: Registry, stream = 'probe') {
  const decoder = new Decoder(registry)
  return (hex: string | Uint8Array, framing: number = PROTOBUF) => {
    const payload = typeof hex === 'string' ? Buffer.from(hex.replaceAll(' ', ''), 'hex') : Buffer.from(hex)
    return decoder.decode({ device: 'd', stream, receivedAt: TS, framing, payload })
  }
}

/** The time of all readings here, as field 1. */
const T = '08 fb8e8885ab33'

function values(outcome: readonly Reading[] | Rejection): object[] {
  if (outcome instanceof Rejection) assert.fail(`${outcome.code}: ${outcome.reason}`)
  return outcome.map((reading) => reading.values)
}

function timeOf(outcome: readonly Reading[] | Rejection): number | undefined {
  return outcome instanceof Rejection ? undefined : outcome[0]?.ts
}

function rejected(outcome: readonly Reading[] | Rejection, code: string, reason: RegExp): void {
  assert.ok(outcome instanceof Rejection, `it was accepted: ${JSON.stringify(outcome)}`)
  assert.equal(outcome.code, code)
  assert.match(outcome.reason, reason)
}

test('the stream environment in Protobuf, as protobufjs writes it, is what JSON says: alone and in a batch', (t) => {
  const registry = Registry.load(
    schemaFolder(t, { 'environment/1.avsc': environmentAvsc, 'environment/1.proto': environmentProto }),
  )
  const { root } = protobuf.parse(environmentProto, { keepCase: true })
  const write = (name: string, value: object) => root.lookupType(`telltale.${name}`).encode(value).finish()
  const decode = decoderOf(registry, 'environment')
  const json = decode(Buffer.from(JSON.stringify([ENVIRONMENT])), 0)
  assert.deepEqual(decode(write('Environment', ENVIRONMENT)), json)
  assert.deepEqual(decode(write('EnvironmentBatch', { readings: [ENVIRONMENT] }), PROTOBUF_BATCH), json)
  assert.equal(registry.versions('environment')[0]?.fingerprint, '1cbbb95fb5d067f9')
})

const FAULTS: readonly [what: string, text: string, reason: RegExp][] = [
  ['no Protobuf', proto('message Probe {', '  int32 x = ;', '}'), /probe\/1\.proto:4: is no Protobuf: illegal id ';'/],
  ['proto2', 'syntax = "proto2";\nmessage Probe {}', /:1: it must begin with syntax = "proto3";/],
  ['no syntax', 'message Probe {}', /:1: it must begin with/],
  [
    'another package',
    'syntax = "proto3";\npackage acme;\nmessage Probe {}',
    /the package is "acme"; it must be "telltale"/,
  ],
  ['another message', proto('message probe {}'), /has no message Probe, as the stream probe wants it/],
  ['a list', message('repeated string x = 2;'), /probe\/1\.proto:5: x is repeated, which cannot become a point/],
  [
    'a list of a message that comes later',
    message('string a = 3;', 'M m = 2;', 'message M { int32 y = 1;', 'repeated M x = 2; }'),
    /:8: x is repeated/,
  ],
  ['a map', message('// map<string, int32> no = 2;', 'map<string, int32> x = 2;'), /:6: x is a map/],
  ['a message that holds itself', message('Probe x = 2;'), /:5: x contains its own message/],
  [
    'a type of another file',
    message('google.protobuf.DoubleValue x = 2;'),
    /:5: x is of type google\.protobuf\.DoubleValue/,
  ],
  ['a second time', message('google.protobuf.Timestamp x = 2;'), /:5: x is a second time/],
  ['no time', proto('message Probe {', '  int32 x = 1;', '}'), /:3: Probe has no field ts: ts is the time: int64/],
  ['a time of int32', proto('message Probe {', '  int32 ts = 1;', '}'), /:4: ts is of type int32/],
  [
    'a time in a oneof',
    proto('message Probe {', ' oneof a {', ' int64 ts = 1; } int32 x = 2; }'),
    /:5: ts is one of several/,
  ],
  ['a number that is reserved for Protobuf', message('int32 x = 19500;'), /:5: x has the number 19500/],
  ['the number 0', message('int32 x = 0;'), /:5: x has the number 0/],
  ['a number twice', message('int32 x = 2;', 'int32 y = 2;'), /duplicate id 2/],
  [
    'a unit of a text',
    message('string x = 2 [(telltale.unit) = "Cel"];'),
    /x is of type string and has the unit "Cel"/,
  ],
  ['a tag of a number', message('int32 x = 2 [(telltale.tag) = true];'), /x is a tag of type int/],
  [
    'an option that there is not',
    message('int32 x = 2 [(telltale.units) = "Cel"];'),
    /:5: x has the option \(telltale\.units\), which has no effect/,
  ],
  ['a column that is taken', message('int32 device = 2;'), /becomes the column "device"/],
  ['two columns of one name', message('int32 a_b = 2;', 'A a = 3;', 'message A { int32 b = 1; }'), /both become "a_b"/],
  ['only the time', message(), /no field beside the time and tags/],
  [
    'a batch of something else',
    message('int32 x = 2;', '}', 'message ProbeBatch { repeated Probe readings = 2;'),
    /:7: ProbeBatch is no batch of Probe: message ProbeBatch \{ repeated Probe readings = 1; \} is right/,
  ],
]

test('what cannot become a point is refused at the start, with its line', (t) => {
  for (const [what, text, reason] of FAULTS) {
    assert.throws(
      () => registryOf(t, text),
      (error) => error instanceof SchemaError && reason.test(error.message),
      `${what}: ${reason}`,
    )
  }
})

test('a number that is not sent is 0 where its absence cannot be told, and left out where it can', (t) => {
  const decode = decoderOf(
    registryOf(
      t,
      message('int32 i = 2;', 'optional int32 o = 3;', 'string s = 4;', 'bool b = 5;', 'E e = 6;', 'N n = 7;') +
        proto('message N { double y = 1; optional double z = 2; }', 'enum E { OFF = 0; ON = 1; }').replace(
          /^.*\n.*\n/,
          '',
        ),
    ),
  )
  const zero = { i: 0, s: '', b: false, e: 'OFF' }
  assert.deepEqual(values(decode(T)), [zero])
  assert.deepEqual(values(decode(`${T} 1800`)), [{ ...zero, o: 0 }])
  assert.deepEqual(values(decode(`${T} 3a00`)), [{ ...zero, n_y: 0 }])
  assert.deepEqual(values(decode(`${T} 3001 2801 2202c3bc 10ffffffffffffffffff01`)), [
    { i: -1, s: 'ü', b: true, e: 'ON' },
  ])
})

test('as the encoding has it: any order, the last of several, messages merged, what is unknown passed over', (t) => {
  const decode = decoderOf(
    registryOf(t, message('int32 x = 2;', 'N n = 3;', 'message N { int32 y = 1; int32 z = 2; }')),
  )
  assert.deepEqual(values(decode(`1002 ${T} 1001`)), [{ x: 1 }])
  assert.deepEqual(values(decode(`${T} 1a020805 1a021006`)), [{ x: 0, n_y: 5, n_z: 6 }])
  const unknown = [
    'f80101',
    'f10100000000000000 00',
    'f2010361 62 63',
    'f50100000000',
    'f301 0801 0b 0801 0c f401',
  ].join(' ')
  assert.deepEqual(values(decode(`${unknown} ${T} 1007`)), [{ x: 7 }])
})

test('of a oneof the last one counts, and nothing of the others', (t) => {
  const decode = decoderOf(
    registryOf(t, message('oneof one { int32 a = 2; N n = 3; string s = 4; }', 'message N { int32 y = 1; }')),
  )
  assert.deepEqual(values(decode(`${T} 1001 1a020805`)), [{ n_y: 5 }])
  assert.deepEqual(values(decode(`${T} 1a020805 220161 1000`)), [{ a: 0 }])
  assert.deepEqual(values(decode(`${T} 1a00`)), [{ n_y: 0 }])
  rejected(decode(T), 'invalid-reading', /every value is null/)
})

test('nothing is wrong in silence', (t) => {
  const decode = decoderOf(
    registryOf(
      t,
      message(
        'int32 i = 2;',
        'uint32 u = 3;',
        'sint32 s = 4;',
        'int64 l = 5;',
        'uint64 w = 6;',
        'sint64 z = 7;',
        'float f = 8;',
        'double d = 9;',
        'string t = 10 [(telltale.tag) = true];',
        'E e = 11;',
        'enum E { OFF = 0; ON = 1; }',
      ),
    ),
  )
  const cases: [hex: string, code: string, reason: RegExp][] = [
    ['1080808080 08', 'invalid-reading', /^i is 2147483648; an integer of 32 bits is right/],
    ['18ffffffffffffffffff01', 'invalid-reading', /^u is 18446744073709551615; an integer of 32 bits without a sign/],
    ['208080808020', 'invalid-reading', /^s is 8589934592; an integer of 32 bits/],
    [
      '28ffffffffffffff0f',
      'invalid-reading',
      /^l is 9007199254740991; an integer from -4503599627370496 to 9007199254740990/,
    ],
    ['30ffffffffffffffffff01', 'invalid-reading', /^w is 18446744073709551615; an integer from/],
    ['38ffffffffffffffffff01', 'invalid-reading', /^z is -9223372036854775808; an integer from/],
    ['45 0000c07f', 'invalid-reading', /^f is NaN; a finite number is right/],
    ['49 000000000000f0ff', 'invalid-reading', /^d is -Infinity; a finite number/],
    ['52 0a 610a 7878787878787878', 'invalid-reading', /^t is "a.*control characters/],
    ['5807', 'invalid-reading', /^e is 7, which has no name: known are "OFF \(0\), ON \(1\)"/],
    ['52 02 c328', 'malformed-protobuf', /^the Protobuf has t that is not UTF-8/],
    [
      '1500000000',
      'malformed-protobuf',
      /has i \(field 2\) as wire type 5 before byte 8, 0 is right; was it written by another/,
    ],
    ['5205 61', 'malformed-protobuf', /ends inside t: 5 bytes are needed, 1 are left/],
    ['52 ffffffff0f', 'malformed-protobuf', /ends inside t: 4294967295 bytes are needed, 0 are left/],
    ['52 ffffffffffffffffff01', 'malformed-protobuf', /a number of more than 32 bits at byte 8/],
    ['10', 'malformed-protobuf', /ends inside i, which begins at byte 8/],
    ['10 ffffffffffffffffffff01', 'malformed-protobuf', /a number of more than 64 bits at byte 8/],
    ['00', 'malformed-protobuf', /no field at byte 7/],
    ['fe01', 'malformed-protobuf', /written in no known way/],
    ['fc01', 'malformed-protobuf', /ends a group that did not begin/],
    ['f301 8402', 'malformed-protobuf', /has the end of group 32 inside group 30/],
    ['f301', 'malformed-protobuf', /ends inside a field/],
    ['f301'.repeat(1_000), 'malformed-protobuf', /nests groups deeper than 32 levels/],
  ]
  for (const [hex, code, reason] of cases) rejected(decode(`${T} ${hex}`), code, reason)
  rejected(decode('1001'), 'invalid-reading', /^ts is missing/)
  rejected(decode('0801'), 'bad-timestamp', /^ts is 1970/)
  rejected(decode(''), 'empty', /empty/)
  const exact: [hex: string, values: object][] = [
    ['28feffffffffffff0f', { l: 2 ** 53 - 2 }],
    ['2880808080808080 f8ff01', { l: -(2 ** 52) }],
    ['38fcffffffffffff1f', { z: 2 ** 53 - 2 }],
    ['38ffffffffffffff0f', { z: -(2 ** 52) }],
    ['20ffffffff0f', { s: -(2 ** 31) }],
    ['45 6666aa41', { f: 21.3 }],
    ['49 0000000000000080', { d: 0 }],
  ]
  const zero = { i: 0, u: 0, s: 0, l: 0, w: 0, z: 0, f: 0, d: 0, e: 'OFF' }
  for (const [hex, expected] of exact) assert.deepEqual(values(decode(`${T} ${hex}`)), [{ ...zero, ...expected }], hex)
})

test('a batch has its readings in order, and a bad one of it is named', (t) => {
  const registry = registryOf(t, message('int32 x = 2;'))
  const decode = (hex: string) => decoderOf(registry)(hex, PROTOBUF_BATCH)
  const item = (x: string) => `0a09 ${T} 10${x}`
  assert.deepEqual(values(decode(`${item('01')} ${item('02')} 1001`)), [{ x: 1 }, { x: 2 }])
  rejected(decode('1001'), 'invalid-reading', /the batch is empty/)
  rejected(decode(`${item('01')} 0a021001`), 'invalid-reading', /^reading 2 of 2: ts is missing/)
  rejected(
    decode(`${item('01')} 0a0115`),
    'malformed-protobuf',
    /^reading 2 of 2: the Protobuf has x \(field 2\) as wire type 5/,
  )
  rejected(decode('0801'), 'malformed-protobuf', /has readings \(field 1\) as wire type 0/)
  rejected(decode('0a00'.repeat(READINGS_PER_MESSAGE_MAX + 1)), 'too-many-readings', /10001 readings or more/)
  rejected(decode('0a00'.repeat(PAYLOAD_BYTES_MAX / 2)), 'too-many-readings', /at most 10000/)
})

test('a Timestamp has microseconds, or what the Avro schema beside it has', (t) => {
  const text = proto('message Probe {', '  google.protobuf.Timestamp ts = 1;', '  int32 x = 2;', '}')
  // 1,763,900,000 s and 123,456,789 ns.
  const hex = '0a0b 08e0f48bc906 10959aef3a 1001'
  const seconds = 1_763_900_000
  assert.equal(timeOf(decoderOf(registryOf(t, text))(hex)), seconds * 1000 + 123.456)
  const avsc = probe({ name: 'x', type: 'int' })
  const both = Registry.load(schemaFolder(t, { 'probe/1.avsc': avsc, 'probe/1.proto': text }))
  assert.equal(timeOf(decoderOf(both)(hex)), seconds * 1000 + 123)
  rejected(decoderOf(both)('1001'), 'invalid-reading', /ts is missing/)
  rejected(
    decoderOf(both)('0a0c 08e0f48bc906 1080a8d6b907'),
    'invalid-reading',
    /ts has 2000000000 nanos; 0 to 999999999 are right/,
  )
})

test('a stream that only a .proto defines takes Avro, JSON, MessagePack and CBOR, too', (t) => {
  const registry = registryOf(
    t,
    message(
      'float x = 2 [(telltale.unit) = "Cel"];',
      'optional string site = 3 [(telltale.tag) = true];',
      'E mode = 4;',
      'enum E { MODE_OFF = 0 [(telltale.symbol) = "off"]; MODE_ON = 1; }',
    ),
  )
  assert.deepEqual(registry.stream('probe')?.columns, [
    { name: 'x', kind: 'float', tag: false, unit: 'Cel' },
    { name: 'site', kind: 'string', tag: true },
    { name: 'mode', kind: 'string', tag: false },
  ])
  const decode = decoderOf(registry)
  const expected = [{ x: 21.3, mode: 'off' }]
  assert.deepEqual(values(decode(registry.encode('probe', { ts: TS, x: 21.3, site: null, mode: 'off' }), 0)), expected)
  assert.deepEqual(values(decode(Buffer.from(JSON.stringify({ ts: TS, x: 21.3, mode: 'off' })), 0)), expected)
  assert.deepEqual(values(decode(`${T} 156666aa41`)), expected)
  rejected(decode(Buffer.from(JSON.stringify({ ts: TS, mode: 'off' })), 0), 'invalid-reading', /x is missing/)
})

test('an .avsc and a .proto of one version have the same columns', (t) => {
  const avsc = probe(
    { name: 'x', type: 'double', unit: 'Cel' },
    { name: 'e', type: { type: 'enum', name: 'e', symbols: ['on', 'off'] } },
  )
  const load = (text: string, schema: object = avsc) =>
    Registry.load(schemaFolder(t, { 'probe/1.avsc': schema, 'probe/1.proto': text }))
  const e = 'E e = 3; enum E { OFF = 0 [(telltale.symbol) = "off"]; ON = 1 [(telltale.symbol) = "on"]; }'
  load(message('float x = 2 [(telltale.unit) = "Cel"];', e))
  const faults: [text: string, reason: RegExp][] = [
    [
      message('int32 x = 2 [(telltale.unit) = "Cel"];', e),
      /probe\/1\.proto:5: x is integer in Cel, there it is float in Cel; it must be as in probe\/1\.avsc/,
    ],
    [message('double x = 2;', e), /x is float, there it is float in Cel/],
    [message('double x = 2 [(telltale.unit) = "Cel"];'), /it has no e/],
    [message('double x = 2 [(telltale.unit) = "Cel"];', e, 'int32 y = 4;'), /:7: there is no y there/],
    [
      message('double x = 2 [(telltale.unit) = "Cel"];', 'E e = 3; enum E { off = 0; auto = 1; }'),
      /:6: e may be auto, which it may not there/,
    ],
  ]
  for (const [text, reason] of faults) assert.throws(() => load(text), reason)
  const micros = {
    ...avsc,
    fields: [
      { name: 'ts', type: { type: 'long', logicalType: 'timestamp-micros' } },
      { name: 'x', type: 'int' },
    ],
  }
  assert.throws(
    () => load(message('int32 x = 2;'), micros),
    /the time is in milliseconds, there it is in microseconds: google\.protobuf\.Timestamp has them/,
  )
})

const OLD = message(
  'int32 a = 2;',
  'optional float b = 3;',
  'E e = 4; enum E { OFF = 0; ON = 1; }',
  'N n = 5; message N { int32 y = 1; }',
)
const NEW = (a: string, b: string, e: string, n: string, ...more: string[]) => message(a, b, e, n, ...more)
const [A, B, E, N] = [
  'int32 a = 2;',
  'optional float b = 3;',
  'E e = 4; enum E { OFF = 0; ON = 1; }',
  'N n = 5; message N { int32 y = 1; }',
]

test('the newest version reads what all older ones wrote, and a change by which it could not is refused', (t) => {
  const load = (...versions: string[]) => registryOf(t, ...versions)
  const taken: [what: string, text: string][] = [
    ['an optional field', NEW(A, B, E, N, 'optional int32 c = 6;')],
    ['a message', NEW(A, B, E, N, 'M m = 6; message M { int32 x = 1; }')],
    ['a value of an enum', NEW(A, B, 'E e = 4; enum E { OFF = 0; ON = 1; AUTO = 2; }', N)],
    ['a wider integer', NEW('int64 a = 2;', B, E, N)],
    ['a field that is gone', NEW(A, '', E, N, 'reserved 3;')],
    ['a field of a message', NEW(A, B, E, 'N n = 5; message N { int32 y = 1; optional int32 z = 2; }')],
  ]
  for (const [what, text] of taken) {
    const decode = decoderOf(load(OLD, text))
    assert.deepEqual(values(decode(`${T} 1005 2001 2a020807`)), [{ a: 5, e: 'ON', n_y: 7 }], what)
  }
  const refused: [what: string, text: string, reason: RegExp][] = [
    [
      'a new field that cannot be absent',
      NEW(A, B, E, N, 'int32 c = 6;'),
      /probe\/2\.proto:9: c is new and not optional, .*stored as 0: make it optional \(version 1\)/,
    ],
    ['a number with another name', NEW('int32 z = 2;', B, E, N), /:5: z has the number 2, which was a: take another/],
    [
      'a name with another number',
      NEW('optional int32 a = 7;', B, E, N),
      /:5: a has the number 7, and had 2, which older devices send: keep that/,
    ],
    ['another type', NEW('float a = 2;', B, E, N), /a is (float|of type float)/],
    ['the same kind in other bytes', NEW('sint32 a = 2;', B, E, N), /:5: a is of type sint32, and was int32/],
    [
      'optional no more',
      NEW(A, 'float b = 3;', E, N),
      /:6: b was optional: it could be absent, and would be stored as 0/,
    ],
    [
      'optional now',
      NEW('optional int32 a = 2;', B, E, N),
      /:5: a was not optional: it is not sent where it is 0, and would be lost/,
    ],
    [
      'a value of an enum that is gone',
      NEW(A, B, 'E e = 4; enum E { OFF = 0; }', N),
      /:7: e has no value 1 any more, which was ON: keep it/,
    ],
    [
      'a value with another name',
      NEW(A, B, 'E e = 4; enum E { OFF = 0; ONN = 1; ON = 2; }', N),
      /e is ONN for 1, which was ON/,
    ],
    [
      'a field of a message',
      NEW(A, B, E, 'N n = 5; message N { int32 z = 1; }'),
      /:8: n\.z has the number 1, which was n\.y/,
    ],
    [
      'a unit',
      NEW('int32 a = 2 [(telltale.unit) = "s"];', B, E, N),
      /:5: a is in s, in version 1 it is without a unit/,
    ],
  ]
  for (const [what, text, reason] of refused) assert.throws(() => load(OLD, text), reason, what)
  // Of a field that was gone for a version, too.
  assert.throws(
    () => load(OLD, NEW(A, '', E, N), NEW(A, 'optional int32 z = 3;', E, N)),
    /:6: z has the number 3, which was b: take another \(version 1\)/,
  )
})

test('a stream may go on from an .avsc to a .proto, and back; Protobuf has the columns of the newest', (t) => {
  const folder = schemaFolder(t, {
    'probe/1.avsc': probe({ name: 'x', type: 'double' }),
    'probe/2.proto': message('double x = 2;', 'optional int32 y = 3;'),
    'probe/3.avsc': probe({ name: 'x', type: 'double' }, { name: 'z', type: ['null', 'int'], default: null }),
  })
  const registry = Registry.load(folder)
  assert.equal(registry.newest('probe')?.version, 3)
  assert.deepEqual(values(decoderOf(registry)(`${T} 11000000000000f03f 1805`)), [{ x: 1 }])
  const decode = decoderOf(registry)
  assert.deepEqual(values(decode(registry.encode('probe', { ts: TS, x: 1 }, 1), 0)), [{ x: 1 }])
  rejected(
    decoderOf(Registry.load(SHIPPED_SCHEMAS_DIR), 'power')(T),
    'unknown-schema',
    /power has no \.proto: power\/<n>\.proto/,
  )
  rejected(decoderOf(registry, 'weather')(T), 'unknown-schema', /no stream is named "weather"/)
})

test('what is shown of a payload that was set aside, as far as it goes', (t) => {
  const decoder = new Decoder(registryOf(t, message('sint32 x = 2;', 'N n = 3; message N { float y = 1; }')))
  const payload = Buffer.from(`${T} 1003 1a050d6666aa41 220161 52ff`.replaceAll(' ', ''), 'hex')
  const shown = (framing: number) => decoder.show({ device: 'd', stream: 'probe', receivedAt: TS, framing, payload })
  assert.deepEqual(shown(PROTOBUF).json, {
    framing: 'protobuf',
    schema: 'probe 1',
    read: {
      fields: [
        { path: 'ts', value: String(TS) },
        { path: 'x', value: '-2' },
        { path: 'n.y', value: '21.299999237060547' },
        { path: '4', value: '"a"' },
      ],
      fault: 'it ends inside field 10, which begins at byte 20',
    },
  })
})

test('the check of a folder names what is wrong in a .proto, with its line', (t) => {
  const found = (files: Readonly<Record<string, object | string>>) =>
    checkSchemas(readSchemaFiles(schemaFolder(t, files))).map(({ file, line, severity, code, what }) => {
      return `${file}:${line} ${severity} ${code} ${what}`
    })
  const first = message('int32 x = 2;')
  assert.deepEqual(found({ 'probe/1.proto': first, 'probe/1.avsc': probe({ name: 'x', type: 'int' }) }), [])
  assert.match(
    found({ 'probe/1.proto': message('repeated bool x = 2;') })[0] ?? '',
    /^probe\/1\.proto:5 error invalid x is repeated/,
  )
  const second = message('', 'int32 x = 2 [(telltale.unit) = "s"];')
  assert.match(
    found({ 'probe/1.proto': first, 'probe/2.proto': second })[0] ?? '',
    /^probe\/2\.proto:6 error unit x is in s/,
  )
  const third = message('int32 x = 2;', 'int32 y = 3;')
  const faults = found({ 'probe/1.proto': first, 'probe/2.proto': third }).filter((each) => each.includes('2.proto'))
  assert(faults.length > 0, 'a new field has to be optional')
  for (const fault of faults) assert.match(fault, /^probe\/2\.proto:6 error .* y is new/)
})
