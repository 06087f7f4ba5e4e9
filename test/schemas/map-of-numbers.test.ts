/** Maps of numbers: a column for each declared key, and no other key; versions that declare more. */

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { encode } from 'cborg'
import { pack } from 'msgpackr'
import { CBOR, MSGPACK } from '../../schemas/content-type.ts'
import { Decoder } from '../../schemas/decoder.ts'
import { MAP_KEYS_MAX } from '../../schemas/definition.ts'
import { changeLock } from '../../schemas/lock-file.ts'
import { Rejection } from '../../schemas/reading.ts'
import { Registry, SchemaError } from '../../schemas/registry.ts'
import { readSchemaFiles } from '../../schemas/schema-files.ts'
import { field, TS } from './kinds.ts'
import { probe, probeRegistry, schemaFolder } from './schema-folder.ts'

const map = (keys: unknown, values: unknown = 'float') => ({ type: 'map', values, keys })
const cells = (...keys: string[]) =>
  probe(field('cells', map(keys), { unit: 'V' }), field('x', ['null', 'int'], { default: null }))

function decode(registry: Registry, payload: Uint8Array, framing?: number): object | string {
  const message = { device: 'd', stream: 'probe', receivedAt: TS, payload: Buffer.from(payload) }
  const outcome = new Decoder(registry).decode(framing === undefined ? message : { ...message, framing })
  return outcome instanceof Rejection ? `${outcome.code}: ${outcome.reason}` : (outcome[0]?.values ?? {})
}

test('each declared key is a column, with the unit of the map', (t) => {
  const registry = probeRegistry(t, cells('a', 'b'))
  assert.deepEqual(registry.stream('probe')?.columns, [
    { name: 'cells_a', kind: 'float', tag: false, unit: 'V' },
    { name: 'cells_b', kind: 'float', tag: false, unit: 'V' },
    { name: 'x', kind: 'integer', tag: false },
  ])
  const record = { ts: TS, x: null, cells: { b: 21.3 } }
  const expected = { cells_b: 21.3 }
  assert.deepEqual(decode(registry, registry.encode('probe', record)), expected)
  for (const json of [record, { ts: TS, cells_b: 21.3 }, { ts: TS, cells: { b: 21.3, a: null } }]) {
    assert.deepEqual(decode(registry, Buffer.from(JSON.stringify(json))), expected)
    assert.deepEqual(decode(registry, pack(json), MSGPACK), expected)
    assert.deepEqual(decode(registry, encode(json), CBOR), expected)
  }
  assert.deepEqual(decode(registry, registry.encode('probe', { ts: TS, x: 1, cells: {} })), { x: 1 })
  assert.match(String(decode(registry, registry.encode('probe', { ...record, cells: {} }))), /every value is null/)
})

test('a key that is not declared, or stands twice, sets the message aside, and says which there are', (t) => {
  const registry = probeRegistry(t, cells('a', 'b'))
  const header = registry.encode('probe', { ts: TS, x: null, cells: {} }).subarray(0, -2)
  const avro = (hex: string) =>
    String(decode(registry, Buffer.concat([header, Buffer.from(hex.replaceAll(' ', ''), 'hex')])))
  const zero = '00000000'
  assert.match(avro(`02 02 63 ${zero} 00 00`), /^invalid-reading: cells has the key "c"; it may have a, b$/)
  assert.match(avro(`04 02 61 ${zero} 02 61 ${zero} 00 00`), /^invalid-reading: cells has the key "a" twice$/)
  const proto = Buffer.from('__proto__').toString('hex')
  assert.match(avro(`02 12 ${proto} ${zero} 00 00`), /^invalid-reading: cells has the key "__proto__"/)
  assert.match(avro(`02 00 ${zero}00 00 00`), /^invalid-reading: cells has the key ""/)
  assert.match(avro(`01 0a 00 ${zero} 00 00`), /^invalid-reading: cells has the key ""/)
  assert.match(avro(`02 c801 ${'61'.repeat(100)} ${zero} 00 00`), /^invalid-reading: cells has the key "a{63}/)
  assert.match(avro(`02 02 61 0000`), /^malformed-avro: cells claims 1 numbers, and 4 bytes are left/)
  assert.match(avro(`02 02 61 ${zero}`), /^malformed-avro: cells has a block count that is cut short/)
  assert.match(avro(`02 20 61 ${zero} 00`), /^malformed-avro: cells claims a key of 16 bytes/)
  assert.match(avro('8084af5f 00'), /^malformed-avro: cells claims 100000000 numbers/)
  assert.match(avro(`01 0e 02 61 ${zero} 00 00`), /^malformed-avro: cells has a block that is not as long as it claims/)
  assert.match(avro('02 02 61 0000c07f 00 00'), /^invalid-reading: cells_a is NaN; a finite number is right/)
  for (const [json, reason] of [
    [{ cells: { c: 1 } }, /^invalid-reading: cells has the key "c"; it may have a, b$/],
    [{ cells_c: 1 }, /"cells_c" is no field|cells is missing/],
    [{}, /^invalid-reading: cells is missing/],
    [{ cells: 1 }, /cells is 1; an object is right/],
    [{ cells: { a: 'x' } }, /cells_a is "x"; a number within float range is right/],
    [JSON.parse('{"cells":{"__proto__":1}}'), /cells has the key "__proto__"; it may have a, b$/],
  ] as const) {
    assert.match(String(decode(registry, Buffer.from(JSON.stringify({ ts: TS, x: 1, ...json })))), reason)
  }
})

test('a map whose keys cannot be columns is refused', (t) => {
  const keys = Array.from({ length: MAP_KEYS_MAX + 1 }, (_, index) => `k${index}`)
  for (const [type, reason] of [
    [map(undefined), /x is a map, of which each key is a column: "keys" beside "values" has them, 1 to 64/],
    [map([]), /"keys" beside "values"/],
    [map(keys), /"keys" beside "values"/],
    [map(['a b']), /x has the key "a b"; a key starts with a letter/],
    [map(['_a']), /x has the key "_a"/],
    [map(['constructor']), /x has the key "constructor", which every object has/],
    [map(['a', 'A']), /both become "x_A"/],
    [
      map(['a'], 'string'),
      /x is a map of "string", which cannot become a point; possible are maps of int, long, float, double/,
    ],
    [map(['a'], ['null', 'int']), /x is a map of \["null"/],
  ] as const) {
    assert.throws(
      () => probeRegistry(t, probe(field('x', type))),
      (error) => error instanceof SchemaError && reason.test(error.message),
      String(reason),
    )
  }
})

const released = (t: TestContext) => {
  const directory = schemaFolder(t, { 'probe/1.avsc': cells('a', 'b') })
  const lock = () =>
    changeLock(directory, (known) => known.with(Registry.load(directory).released(readSchemaFiles(directory).files)))
  lock()
  return { directory, lock }
}

test('a version may declare more keys, though its fingerprint is the same: the newer reads both', (t) => {
  const { directory, lock } = released(t)
  writeFileSync(join(directory, 'probe/2.avsc'), JSON.stringify(cells('a', 'b', 'c')))
  lock()
  const registry = Registry.load(directory)
  assert.match(readFileSync(join(directory, 'lock.json'), 'utf8'), /"file": "probe\/2.avsc"/)
  const record = { ts: TS, x: null, cells: { c: 0.1 } }
  for (const version of [1, 2]) {
    assert.deepEqual(decode(registry, registry.encode('probe', record, version)), { cells_c: 0.1 })
    assert.deepEqual(decode(registry, registry.encode('probe', [record], version)), { cells_c: 0.1 })
  }
})

test('a key that is gone is refused, for devices send it', (t) => {
  const { directory } = released(t)
  writeFileSync(join(directory, 'probe/2.avsc'), JSON.stringify(cells('a', 'c')))
  assert.throws(
    () => Registry.load(directory),
    (error) => error instanceof SchemaError && /cells has lost the key b.*keep what was a key/.test(error.message),
  )
})
