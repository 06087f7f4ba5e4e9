/** Lists of numbers: each number finite and exact, as many as may be, in every framing. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { encode } from 'cborg'
import fc from 'fast-check'
import { pack } from 'msgpackr'
import protobuf from 'protobufjs'
import { CBOR, MSGPACK, PROTOBUF } from '../../schemas/content-type.ts'
import { Decoder } from '../../schemas/decoder.ts'
import { LIST_NUMBERS_MAX } from '../../schemas/numbers.ts'
import { Rejection } from '../../schemas/reading.ts'
import { Registry, SchemaError } from '../../schemas/registry.ts'
import { field, TS } from './kinds.ts'
import { probe, probeRegistry, schemaFolder } from './schema-folder.ts'

const list = (items: string) => ({ type: 'array', items })
const FIELDS = [
  field('i', ['null', list('int')], { default: null }),
  field('l', ['null', list('long')], { default: null }),
]
const FLOATS = ['f', 'd'].map((name, index) =>
  field(name, ['null', list(index === 0 ? 'float' : 'double')], { default: null }),
)
const PROTO = `syntax = "proto3";
package telltale;
message Probe { int64 ts = 1; repeated int32 i = 2; repeated sint64 l = 3; repeated float f = 4; repeated double d = 5; }`
const Probe = protobuf.parse(PROTO, new protobuf.Root(), { keepCase: true }).root.lookupType('telltale.Probe')

type Lists = Readonly<Record<string, readonly number[]>>

/** By each framing: the values, or why not. */
function ways(t: TestContext): Readonly<Record<string, (lists: Lists) => object | string>> {
  const folder = { 'probe/1.avsc': probe(...FIELDS, ...FLOATS), 'probe/1.proto': PROTO }
  const registry = Registry.load(schemaFolder(t, folder))
  const decoder = new Decoder(registry)
  const decode = (payload: Uint8Array, framing?: number) => {
    const message = { device: 'd', stream: 'probe', receivedAt: TS, payload: Buffer.from(payload) }
    const outcome = decoder.decode(framing === undefined ? message : { ...message, framing })
    return outcome instanceof Rejection ? `${outcome.code}: ${outcome.reason}` : (outcome[0]?.values ?? {})
  }
  const none = { i: null, l: null, f: null, d: null }
  return {
    avro: (lists) => decode(registry.encode('probe', { ts: TS, ...none, ...lists })),
    json: (lists) => decode(Buffer.from(JSON.stringify({ ts: TS, ...lists }))),
    msgpack: (lists) => decode(pack({ ts: TS, ...lists }), MSGPACK),
    cbor: (lists) => decode(encode({ ts: TS, ...lists }), CBOR),
    protobuf: (lists) => decode(Probe.encode({ ts: TS, ...lists }).finish(), PROTOBUF),
  }
}

test('whatever is in them, lists are the same in every framing', (t) => {
  const all = ways(t)
  const long = fc.integer({ min: -(2 ** 52), max: 2 ** 53 - 2 })
  const double = fc.double({ noNaN: true, noDefaultInfinity: true })
  // As many digits as a float32 keeps.
  const float = fc.integer({ min: -99_999, max: 99_999 }).map((value) => value / 100)
  const drawn = fc.record(
    { i: fc.array(fc.integer()), l: fc.array(long), f: fc.array(float), d: fc.array(double, { size: '+1' }) },
    { requiredKeys: ['i', 'l', 'f', 'd'] },
  )
  fc.assert(
    fc.property(drawn, (lists) => {
      const plain = Object.fromEntries(Object.entries(lists).map(([name, each]) => [name, each.map((x) => x + 0)]))
      for (const [way, decode] of Object.entries(all)) {
        // What is empty does not come in Protobuf.
        const sent = Object.entries(plain).filter(([, each]) => way !== 'protobuf' || each.length > 0)
        if (sent.length === 0) continue
        assert.deepEqual(decode(lists), Object.fromEntries(sent), way)
      }
    }),
    { numRuns: 300 },
  )
})

test('a list that no reading can have sets the message aside, and says where', (t) => {
  const all = ways(t)
  const long = Array.from({ length: LIST_NUMBERS_MAX + 1 }, () => 1)
  const only = (...names: string[]) => Object.entries(all).filter(([name]) => names.includes(name))
  for (const [way, decode] of Object.entries(all)) {
    assert.match(String(decode({ i: long })), /^invalid-reading: i has (4097|more than 4096) numbers/, way)
    assert.deepEqual(decode({ i: long.slice(1) }), { i: long.slice(1) }, way)
  }
  for (const [, decode] of only('avro', 'protobuf')) {
    for (const name of ['f', 'd']) {
      const infinite = decode({ [name]: [1, Number.NEGATIVE_INFINITY] })
      assert.match(String(infinite), /^invalid-reading: [fd] has -Infinity at index 1; a finite number is right/)
    }
    assert.match(String(decode({ f: [Number.NaN] })), /^invalid-reading: f has NaN at index 0/)
  }
  for (const [, decode] of only('json', 'msgpack', 'cbor')) {
    const reason = (lists: object) => String(decode(lists as Lists))
    assert.match(reason({ i: [1, 1.5] }), /^invalid-reading: i has 1.5 at index 1; an integer of 32 bits is right/)
    assert.match(reason({ l: [2 ** 53 - 1] }), /^invalid-reading: l has 9007199254740991 at index 0; an integer from/)
    assert.match(reason({ f: [1e39] }), /^invalid-reading: f has 1e\+39 at index 0; a number within float range/)
    assert.match(reason({ d: [null] }), /^invalid-reading: d has null at index 0; a number is right/)
    assert.match(reason({ d: 1 }), /^invalid-reading: d is 1; an array of numbers is right/)
    assert.match(reason({ d: [[1]] }), /^invalid-reading: d has an array at index 0/)
  }
})

test('a list of older devices is read as the newest version has it', (t) => {
  const registry = probeRegistry(
    t,
    probe(field('x', list('float'))),
    probe(field('x', list('double')), field('y', list('int'), { default: [1, 2] })),
  )
  const payload = registry.encode('probe', { ts: TS, x: [21.3, 0.1] }, 1)
  const outcome = new Decoder(registry).decode({ device: 'd', stream: 'probe', receivedAt: TS, payload })
  assert(!(outcome instanceof Rejection))
  assert.deepEqual(outcome[0]?.values, { x: [21.3, 0.1], y: [1, 2] })
  const json = Buffer.from(JSON.stringify({ ts: TS, x: [1] }))
  const byHand = new Decoder(registry).decode({ device: 'd', stream: 'probe', receivedAt: TS, payload: json })
  assert(!(byHand instanceof Rejection))
  assert.deepEqual(byHand[0]?.values, { x: [1], y: [1, 2] })
})

test('a field of a .proto stays a list, or none', (t) => {
  const proto = (field: string) =>
    `syntax = "proto3";\npackage telltale;\nmessage Probe { int64 ts = 1; int32 a = 2; ${field} }`
  const load = (first: string, second: string) =>
    Registry.load(schemaFolder(t, { 'probe/1.proto': proto(first), 'probe/2.proto': proto(second) }))
  const refused = (first: string, second: string, reason: RegExp) =>
    assert.throws(
      () => load(first, second),
      (error) => error instanceof SchemaError && reason.test(error.message),
    )
  refused('optional int32 x = 3;', 'repeated int32 x = 3;', /x is integer\[\], in version 1 it is integer/)
  refused('repeated int32 x = 3;', 'repeated string x = 3;', /x is repeated, which cannot become a point/)
  load('', 'repeated int32 x = 3;')
})
