/** Values that Avro writes as another type: the same in every framing, exact or refused. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from 'cborg'
import fc from 'fast-check'
import { pack } from 'msgpackr'
import protobuf from 'protobufjs'
import { CBOR, MSGPACK, PROTOBUF } from '../../schemas/content-type.ts'
import { Decoder } from '../../schemas/decoder.ts'
import { fromAvro, fromJson, type Logical, Unfit } from '../../schemas/logical.ts'
import { type Reading, Rejection } from '../../schemas/reading.ts'
import { Registry, SchemaError } from '../../schemas/registry.ts'
import { field, fixed, logical, PROTO, PROTO_RECORD, RECORD, SCHEMA, TS, VALUES } from './kinds.ts'
import { probe, schemaFolder } from './schema-folder.ts'

const SENT = protobuf.parse(PROTO.replace(/ \[\(.*?\]/g, ''), new protobuf.Root(), { keepCase: true }).root

function readings(outcome: readonly Reading[] | Rejection): readonly Reading[] {
  if (outcome instanceof Rejection) assert.fail(`${outcome.code}: ${outcome.reason}`)
  return outcome
}

test('each kind is the same reading in every framing', (t) => {
  const registry = Registry.load(schemaFolder(t, { 'probe/1.avsc': SCHEMA, 'probe/1.proto': PROTO }))
  const decoder = new Decoder(registry)
  const decode = (payload: Uint8Array, framing?: number) => {
    const message = { device: 'd', stream: 'probe', receivedAt: TS, payload: Buffer.from(payload) }
    return readings(decoder.decode(framing === undefined ? message : { ...message, framing }))
  }
  const values = [{ device: 'd', stream: 'probe', ts: TS, values: VALUES }]
  assert.deepEqual(decode(registry.encode('probe', RECORD)), values)
  assert.deepEqual(decode(registry.encode('probe', [RECORD])), values)
  const numbers = { ts: TS, ...VALUES, day: 20_422, at: 38_169_250, at_micros: 38_169_250_001, local: -1 }
  const short = { ts: TS, ...VALUES, at: '10:36:09.25', local_micros: '1970-01-01T00:00:00', mac: 'A0B1C2D3E4F5' }
  for (const json of [{ ts: TS, ...VALUES }, numbers, short]) {
    assert.deepEqual(decode(Buffer.from(JSON.stringify(json))), values)
    const bytes = { ...json, part: RECORD.part, mac: RECORD.mac, raw: RECORD.raw }
    for (const each of [json, bytes]) {
      assert.deepEqual(decode(pack(each), MSGPACK), values)
      assert.deepEqual(decode(encode(each), CBOR), values)
    }
  }
  const Probe = SENT.lookupType('telltale.Probe')
  assert.deepEqual(decode(Probe.encode({ ...PROTO_RECORD, ts: TS }).finish(), PROTOBUF), values)
  const shown = decoder.show({
    device: 'd',
    stream: 'probe',
    receivedAt: TS,
    payload: registry.encode('probe', RECORD),
  })
  const lines = shown.lines.map((line) => line.join('')).join('\n')
  for (const text of [/day +"2025-11-30"/, /energy +-4294967\.296/, /mac +"a0b1c2d3e4f5"/, /seen +1763900000122/]) {
    assert.match(lines, text)
  }
  const columns = registry.stream('probe')?.columns.map(({ name, kind, format, unit }) => [name, kind, format, unit])
  assert.deepEqual(columns?.slice(7, 13), [
    ['run', 'string', 'uuid', undefined],
    ['part', 'string', 'uuid', undefined],
    ['energy', 'float', undefined, 'kW.h'],
    ['price', 'float', undefined, undefined],
    ['mac', 'string', 'hex', undefined],
    ['raw', 'string', 'hex', undefined],
  ])
})

test('a value that its kind has not sets the message aside', (t) => {
  const registry = Registry.load(schemaFolder(t, { 'probe/1.avsc': SCHEMA, 'probe/1.proto': PROTO }))
  const decoder = new Decoder(registry)
  const decode = (payload: Buffer) => decoder.decode({ device: 'd', stream: 'probe', receivedAt: TS, payload })
  const avro: [changed: object, reason: RegExp][] = [
    [{ day: 2_932_897 }, /^day is 2932897; a date such as/],
    [{ at: 86_400_000 }, /^at is 86400000; a time of day/],
    [{ at: -1 }, /^at is -1/],
    [{ seen: 253_402_300_800_000 }, /^seen is 253402300800000; a time such as/],
    [{ run: 'x' }, /^run is "x"; a UUID such as/],
    [{ energy: Buffer.alloc(0) }, /^energy has 0 bytes/],
    [
      { energy: Buffer.from('0de0b6b3a763ffff', 'hex') },
      /^energy is "999999999999999999e-3"; a number with at most 15 digits before the point and 3 behind it, of at most 15 digits without the zeros at either end, is right$/,
    ],
    [
      { price: Buffer.from('000f4240', 'hex') },
      /^price is "1000000e-2"; a number with at most 4 digits before the point and 2 behind it is right$/,
    ],
    [{ raw: Buffer.alloc(1025) }, /^raw has 1025 bytes; hexadecimal text of at most 1024/],
  ]
  for (const [changed, reason] of avro) {
    const outcome = decode(registry.encode('probe', { ...RECORD, ...changed }))
    assert(
      outcome instanceof Rejection,
      JSON.stringify(changed, (_, value) => String(value)),
    )
    assert.equal(outcome.code, 'invalid-reading')
    assert.match(outcome.reason, reason)
  }
  const json: [changed: object, reason: RegExp][] = [
    [{ day: '2025-02-29' }, /^day is "2025-02-29"; a date such as/],
    [{ day: '0000-01-01' }, /^day is/],
    [{ day: 1.5 }, /^day is 1.5/],
    [{ at: '24:00:00' }, /^at is "24:00:00"/],
    [{ at: '10:36:09.2501' }, /^at is/],
    [{ seen: '2025-11-23T12:13:20' }, /^seen is .*; a time such as "2026-11-30T10:36:09.250Z"/],
    [{ seen: '2025-11-23' }, /^seen is/],
    [{ local: '2025-11-23T12:13:20Z' }, /^local is .*; a time without zone/],
    [{ run: 1 }, /^run is 1/],
    [{ energy: '1' }, /^energy is "1"; a number with at most 15 digits before the point/],
    [{ energy: 0.0001 }, /^energy is 0.0001/],
    [{ energy: 1e15 }, /^energy is 1000000000000000;/],
    [{ energy: 123_456_789_012.3456 }, /^energy is 123456789012.3456/],
    [
      { price: 12_345 },
      /^price is 12345; a number with at most \d digits? before the point and \d behind it is right$/,
    ],
    [{ mac: 'a0b1c2d3e4' }, /^mac has 5 bytes; hexadecimal text of 6 bytes/],
    [{ mac: 'a0b1c2d3e4f' }, /^mac is "a0b1c2d3e4f"/],
    [{ raw: 7 }, /^raw is 7/],
  ]
  for (const [changed, reason] of json) {
    const outcome = decode(Buffer.from(JSON.stringify({ ts: TS, ...VALUES, ...changed })))
    assert(outcome instanceof Rejection, JSON.stringify(changed))
    assert.match(outcome.reason, reason)
  }
  const avroBytes = registry.encode('probe', RECORD)
  const cut = decode(avroBytes.subarray(0, -1))
  assert(cut instanceof Rejection && cut.code === 'malformed-avro')
})

test('a default is what Avro reads for it, in JSON too', (t) => {
  const more = [
    field('day', logical('int', 'date'), { default: 1 }),
    field('mac', fixed('mac', 2), { default: '\u0000\u00ff' }),
    field('price', logical('bytes', 'decimal', { precision: 4, scale: 2 }), { default: '\u0001' }),
  ]
  const nested = field(
    'inner',
    { type: 'record', name: 'inner', fields: [field('raw', 'bytes')] },
    { default: { raw: 'ÿ' } },
  )
  const folder = { 'probe/1.avsc': probe(field('x', 'int')), 'probe/2.avsc': probe(field('x', 'int'), ...more, nested) }
  const registry = Registry.load(schemaFolder(t, folder))
  const decoder = new Decoder(registry)
  const decode = (payload: Buffer) =>
    readings(decoder.decode({ device: 'd', stream: 'probe', receivedAt: TS, payload }))
  const values = { x: 1, day: '1970-01-02', mac: '00ff', price: 0.01, inner_raw: 'ff' }
  assert.deepEqual(decode(registry.encode('probe', { ts: TS, x: 1 }, 1))[0]?.values, values)
  assert.deepEqual(decode(Buffer.from(JSON.stringify({ ts: TS, x: 1 })))[0]?.values, values)
})

test('a .proto may say a kind in its own types, and no other', (t) => {
  const proto = (type: string) =>
    `syntax = "proto3";\npackage telltale;\nmessage Probe { int64 ts = 1; ${type} x = 2; }`
  const load = (type: string, avro: unknown) =>
    Registry.load(schemaFolder(t, { 'probe/1.avsc': probe(field('x', avro)), 'probe/1.proto': proto(type) }))
  for (const [type, avro, reason] of [
    ['int64', logical('int', 'date'), /x is of type long, there it is date, which int or string can be/],
    ['string', fixed('mac', 6), /x is of type string, there it is fixed, which bytes can be/],
    [
      'string',
      logical('bytes', 'decimal', { precision: 4 }),
      /there it is decimal, which float or double or int or long/,
    ],
    ['bytes', 'string', /x is hex, there it is string/],
  ] as const) {
    assert.throws(
      () => load(type, avro),
      (error) => error instanceof SchemaError && reason.test(error.message),
      type,
    )
  }
  const decoder = new Decoder(load('string', logical('int', 'date')))
  const Probe = protobuf.parse(proto('string')).root.lookupType('telltale.Probe')
  const payload = Buffer.from(Probe.encode({ ts: TS, x: 'soon' }).finish())
  const outcome = decoder.decode({ device: 'd', stream: 'probe', receivedAt: TS, payload, framing: PROTOBUF })
  assert(outcome instanceof Rejection)
  assert.match(outcome.reason, /^x is "soon"; a date such as/)
})

const DECIMAL: Logical = { kind: 'decimal', precision: 38, scale: 9, size: undefined }

test('a decimal is the number that prints as its digits, or refused', () => {
  const unscaled = fc.oneof(
    fc.bigInt(-(10n ** 38n), 10n ** 38n),
    fc.bigInt(-(10n ** 16n), 10n ** 16n),
    fc.bigInt(-9999n, 9999n),
  )
  fc.assert(
    fc.property(unscaled, fc.nat(38), fc.nat(3), (value, scale, padding) => {
      const bytes = bytesOf(value, padding)
      const made = fromAvro({ ...DECIMAL, scale } as Logical, bytes)
      const digits = String(value < 0n ? -value : value)
      const isExact = digits.length <= 38 && digits.replace(/0+$/, '').length <= 15
      if (!isExact) return assert(made instanceof Unfit)
      assert(typeof made === 'number')
      // The digits of the shortest number, read back as a whole number of the scale.
      const [mantissa = '', exponent = '0'] = made.toExponential().split('e')
      const [whole = '', fraction = ''] = mantissa.split('.')
      const power = Number(exponent) - fraction.length + scale
      const back = power >= 0 ? BigInt(whole + fraction) * 10n ** BigInt(power) : undefined
      assert.equal(back, value)
      assert.equal(fromJson({ ...DECIMAL, scale } as Logical, made), made)
      return undefined
    }),
    { numRuns: 5_000 },
  )
})

test('times as text are the same from both sides, and sort as they follow one another', () => {
  const millis = fc.integer({ min: Date.parse('0001-01-01T00:00:00Z'), max: Date.parse('9999-12-31T23:59:59.999Z') })
  const micros = fc.integer({ min: -(2 ** 52), max: 2 ** 53 - 2 })
  const ofKind = (kind: Logical['kind'], time: typeof millis) => fc.tuple(fc.constant({ kind } as Logical), time, time)
  const drawn = fc.oneof(
    ofKind('timestamp-millis', millis),
    ofKind('local-timestamp-millis', millis),
    ofKind('timestamp-micros', micros),
    ofKind('local-timestamp-micros', micros),
    ofKind('date', fc.integer({ min: -719_162, max: 2_932_896 })),
    ofKind('time-millis', fc.nat(86_399_999)),
    ofKind('time-micros', fc.integer({ min: 0, max: 86_399_999_999 })),
  )
  fc.assert(
    fc.property(drawn, ([leaf, first, second]) => {
      const [a, b] = [fromAvro(leaf, first), fromAvro(leaf, second)]
      assert(typeof a === 'string' && typeof b === 'string', `${a} ${b}`)
      assert.equal(fromJson(leaf, a), a)
      assert.equal(fromJson(leaf, first), a)
      assert.equal(a < b, first < second)
    }),
    { numRuns: 5_000 },
  )
})

function bytesOf(value: bigint, padding: number): Buffer {
  let length = 1
  while (BigInt.asIntN(length * 8, value) !== value) length++
  const hex = BigInt.asUintN((length + padding) * 8, value).toString(16)
  return Buffer.from(hex.padStart((length + padding) * 2, '0'), 'hex')
}
