import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from 'cborg'
import fc from 'fast-check'
import { Packr, pack } from 'msgpackr'
import { seededRandom } from '../../devices/simulator/signals/random.ts'
import { PAYLOAD_BYTES_MAX, READINGS_PER_MESSAGE_MAX } from '../../platform/limits.ts'
import { readCbor } from '../../schemas/cbor.ts'
import { CBOR as cbor, framingOf, MSGPACK as msgpack, PROTOBUF } from '../../schemas/content-type.ts'
import { Decoder } from '../../schemas/decoder.ts'
import { Malformed } from '../../schemas/malformed.ts'
import { readMsgpack } from '../../schemas/msgpack.ts'
import { type Reading, Rejection } from '../../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { mutate } from '../fuzz/mutation.ts'

const TS = 1_763_900_000_123
const ENVIRONMENT = { ts: TS, temperature: 21.3, humidity: 45.5, pressure: 1013.25, battery: 88, rssi: -70 }
const decoder = new Decoder(Registry.load(SHIPPED_SCHEMAS_DIR))

/** Floats of a device take four bytes where that is all it has. */
const packFloat32 = (value: unknown) => Buffer.from(new Packr({ useFloat32: 4, useRecords: false }).pack(value))
const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')
const decode = (framing: number, payload: Uint8Array, stream = 'environment') =>
  decoder.decode({ device: 'd', stream, receivedAt: TS, framing, payload: Buffer.from(payload) })

function values(outcome: readonly Reading[] | Rejection): object[] {
  if (outcome instanceof Rejection) assert.fail(`${outcome.code}: ${outcome.reason}`)
  return outcome.map((reading) => reading.values)
}

function rejected(outcome: readonly Reading[] | Rejection, code: string, reason: RegExp): void {
  assert.ok(outcome instanceof Rejection, `it was accepted: ${JSON.stringify(outcome)}`)
  assert.equal(outcome.code, code)
  assert.match(outcome.reason, reason)
}

test('a reading and a batch in MessagePack and in CBOR are the readings that JSON would be', () => {
  for (const value of [ENVIRONMENT, [ENVIRONMENT, { ...ENVIRONMENT, ts: TS + 1 }]]) {
    const json = decode(0, Buffer.from(JSON.stringify(value)))
    assert.deepEqual(decode(msgpack, pack(value)), json)
    assert.deepEqual(decode(cbor, encode(value)), json)
  }
})

test('a float of four bytes is the shortest number that is the same', () => {
  const { ts: _ts, ...expected } = ENVIRONMENT
  assert.equal(packFloat32(21.3).toString('hex'), 'ca41aa6666')
  assert.deepEqual(values(decode(msgpack, packFloat32(ENVIRONMENT))), [expected])
  const [key = 0, ...rest] = encode(ENVIRONMENT)
  const text = Buffer.from([key, ...rest]).toString('hex')
  const float64 = Buffer.from(encode(21.3)).toString('hex')
  assert.deepEqual(values(decode(cbor, bytes(text.replace(float64, 'fa41aa6666')))), [expected])
})

test('what JSON says, both say: whatever the value, it is read as it was written', () => {
  const exact = fc.oneof(fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean())
  const leaf = fc.oneof(exact, fc.string({ unit: 'grapheme' }), fc.constant(null))
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie('value')), fc.dictionary(fc.string(), tie('value'))),
  }))
  fc.assert(
    fc.property(value, (given) => {
      const plain = JSON.parse(JSON.stringify(given))
      assert.deepEqual(JSON.parse(JSON.stringify(readMsgpack(Buffer.from(pack(plain))))), plain)
      assert.deepEqual(JSON.parse(JSON.stringify(readCbor(Buffer.from(encode(plain))))), plain)
    }),
  )
})

const MSGPACK_FAULTS: readonly [what: string, hex: string, reason: RegExp][] = [
  ['a map of 2^32 - 1', 'df ffffffff', /^the MessagePack claims 4294967295 items at byte 0, and 0 bytes are left$/],
  ['an array of 2^32 - 1', 'dd ffffffff', /claims 4294967295 items/],
  ['a text of 2^32 - 1 bytes', 'db ffffffff', /ends inside what begins at byte 0: 4294967295 bytes are needed, 0 are/],
  ['a map cut short', '82 a161 01', /claims 2 items at byte 0, and 3 bytes are left|ends inside/],
  ['a name twice', '82 a161 01 a161 02', /has the name "a" twice, at byte 4$/],
  ['a name that is a number', '81 01 01', /has a name at byte 1 that is no text/],
  ['bytes behind the end', '80 80', /has 1 bytes behind its end, from byte 1 on/],
  ['a number beyond 2^53', '81 a161 cf 0020000000000001', /has the number 9007199254740993 at byte 3, beyond 2\^53/],
  ['one below -2^53', '81 a161 d3 8000000000000000', /has the number -9223372036854775808 at byte 3/],
  ['no number', '81 a161 ca 7fc00000', /has the number NaN at byte 3; a finite one is right/],
  ['infinity', '81 a161 cb 7ff0000000000000', /has the number Infinity/],
  ['a text that is not UTF-8', '81 a161 a2 c328', /has a text at byte 3 that is not UTF-8/],
  ['an extension', '81 a161 d4 01 00', /has an extension at byte 3; JSON has no words for it/],
  ['bytes of 2^32 - 1', '81 a161 c6 ffffffff', /ends inside what begins at byte 3: 4294967295 bytes are needed, 0 are/],
  ['a timestamp', '81 a161 d6 ff 00000000', /has an extension at byte 3/],
  ['the byte that means nothing', 'c1', /has the byte c1 at byte 0/],
  ['deep arrays', '91'.repeat(1000), /nests deeper than 32 levels at byte 32/],
]

const CBOR_FAULTS: readonly [what: string, hex: string, reason: RegExp][] = [
  ['a map of 2^32 - 1', 'ba ffffffff', /^the CBOR is not taken: found map but not enough entries/],
  ['an array of 2^64 - 1', '9b ffffffffffffffff', /integers outside of the safe integer range/],
  ['a text of 2^32 - 1 bytes', '7a ffffffff', /not enough data for type/],
  ['a map that does not end', 'bf 6161 01', /not enough entries/],
  ['a name twice', 'a2 6161 01 6161 02', /found repeat map key "a"/],
  ['a name that is a number', 'a1 01 01', /non-string keys not supported/],
  ['bytes behind the end', 'a0 a0', /too many terminals/],
  ['a number beyond 2^53', 'a1 6161 1b 0020000000000001', /integers outside of the safe integer range/],
  ['no number', 'a1 6161 f9 7e00', /NaN values are not supported/],
  ['infinity', 'a1 6161 fa 7f800000', /Infinity values are not supported/],
  ['undefined', 'a1 6161 f7', /undefined values are not supported/],
  ['a text that is not UTF-8', 'a1 6161 62 c328', /has a text at byte 3 that is not UTF-8/],
  ['a date', 'a1 6161 c1 1a 514b67b0', /^the CBOR has the tag 1, of a time: send text, or the number/],
  ['a decimal', 'a1 6161 c4 82 21 19 6ab3', /has the tag 4, of a decimal: send a number$/],
  [
    'a date as text',
    'a1 6161 d903ec 6a 323032362d31312d3330',
    /has the tag 1004, of a date: send it as text without the tag$/,
  ],
  ['another tag', 'a1 6161 d8 40 41 00', /has the tag 64: send its value without it$/],
  ['a UUID that is text', 'a1 6161 d825 61 61', /has the tag 37, of a UUID, with something else than 16 bytes$/],
  ['deep arrays', '81'.repeat(200_000), /nests too deep/],
]

test('what is no whole value, or one that JSON has no words for, is refused with its place', () => {
  for (const [what, hex, reason] of MSGPACK_FAULTS) {
    assert.doesNotThrow(() => rejected(decode(msgpack, bytes(hex)), 'malformed-msgpack', reason), what)
  }
  for (const [what, hex, reason] of CBOR_FAULTS) {
    assert.doesNotThrow(() => rejected(decode(cbor, bytes(hex)), 'malformed-cbor', reason), what)
  }
})

test('what CBOR has besides and JSON has words for is taken', () => {
  const taken: [hex: string, value: unknown][] = [
    ['d9d9f7 a1 6161 01', { a: 1 }],
    ['bf 6161 9f 01 ff ff', { a: [1] }],
    ['f9 3e00', 1.5],
    ['d825 50 000102030405060708090a0b0c0d0e0f', Buffer.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])],
    ['69 efbbbf 616263646566', '\ufeffabcdef'],
    ['63 efbfbd', '\ufffd'],
    ['1b 001fffffffffffff', Number.MAX_SAFE_INTEGER],
  ]
  for (const [hex, value] of taken) assert.deepEqual(readCbor(bytes(hex)), value, hex)
})

test('names that name parts of every object are names like others', () => {
  const text = '{"__proto__":{"battery":1},"constructor":2}'
  const reason = /is no field: environment 1 wants ts|is missing/
  rejected(
    decode(msgpack, bytes('82 a9 5f5f70726f746f5f5f 81a16101 ab 636f6e7374727563746f72 02')),
    'invalid-reading',
    reason,
  )
  rejected(decode(cbor, encode(JSON.parse(text))), 'invalid-reading', reason)
  assert.equal(Object.hasOwn(Object.prototype, 'battery'), false)
})

test('the JSON rules hold: an unknown field, a missing one, too many readings, a stream nobody knows', () => {
  for (const [framing, write] of [
    [msgpack, pack],
    [cbor, encode],
  ] as const) {
    rejected(decode(framing, write({ ...ENVIRONMENT, temprature: 1 })), 'invalid-reading', /"temprature" is no field/)
    rejected(decode(framing, write({ ts: TS })), 'invalid-reading', /^temperature is missing/)
    rejected(decode(framing, write(Array(READINGS_PER_MESSAGE_MAX + 1).fill(1))), 'too-many-readings', /10001/)
    rejected(decode(framing, write({}), 'weather'), 'unknown-schema', /no stream is named "weather"/)
    rejected(decode(framing, Buffer.alloc(0)), 'empty', /empty/)
    rejected(decode(framing, write({ ...ENVIRONMENT, ts: 1 })), 'bad-timestamp', /1970/)
  }
})

test('headers inside one another that each claim all there is take no memory', () => {
  const headers = (head: string) => bytes(head.repeat(Math.floor(PAYLOAD_BYTES_MAX / (head.length / 2))))
  const before = process.memoryUsage().rss
  for (const head of ['dd00030000', 'dcffff', 'dfffffffff', '91']) {
    rejected(decode(msgpack, headers(head)), 'malformed-msgpack', /./)
  }
  for (const head of ['9affffffff', 'baffffffff', '9f', 'bf'])
    rejected(decode(cbor, headers(head)), 'malformed-cbor', /./)
  assert(process.memoryUsage().rss - before < 64 * 2 ** 20)
})

test('mutated payloads become readings or a rejection, and nothing is thrown', (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed, 0)
  for (let count = 0; count < 5_000; count++) {
    const [framing, write] = count % 2 === 0 ? ([msgpack, pack] as const) : ([cbor, encode] as const)
    const payload = mutate(random, Buffer.from(write(count % 3 === 0 ? [ENVIRONMENT, ENVIRONMENT] : ENVIRONMENT)))
    const outcome = decode(framing, payload)
    if (outcome instanceof Rejection) assert(outcome.reason.length > 0)
  }
})

test('a content type names a framing, in any case and whatever its parameters', () => {
  for (const type of ['application/msgpack', 'application/vnd.msgpack', 'Application/X-MsgPack; charset=binary']) {
    assert.equal(framingOf(type), msgpack)
  }
  assert.equal(framingOf('application/cbor'), cbor)
  for (const type of [
    'application/protobuf',
    'application/x-protobuf; messageType=x',
    'application/vnd.google.protobuf',
  ])
    assert.equal(framingOf(type), PROTOBUF)
})

test('what is shown of a payload that was set aside', () => {
  const show = (framing: number, payload: Uint8Array) =>
    decoder.show({ device: 'd', stream: 'environment', receivedAt: TS, framing, payload: Buffer.from(payload) }).json
  assert.deepEqual(show(msgpack, pack({ a: 1 })), { framing: 'messagepack', json: { a: 1 } })
  assert.deepEqual(show(cbor, bytes('41 00')), { framing: 'cbor', json: '1 bytes' })
  assert.deepEqual(show(msgpack, bytes('c1')), {
    framing: 'messagepack',
    fault: 'it has the byte c1 at byte 0, which begins nothing',
  })
  assert.throws(() => readMsgpack(bytes('c1')), Malformed)
})
