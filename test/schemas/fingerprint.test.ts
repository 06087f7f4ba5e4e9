import assert from 'node:assert/strict'
import { test } from 'node:test'
import avro from 'avsc'
import { canonicalForm, crc64, fingerprintHex, fingerprintOf } from '../../schemas/fingerprint.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'

/** Schema, canonical form, fingerprint as a signed integer: from Apache Avro's share/test/data/schema-tests.txt. */
const VECTORS: [schema: unknown, canonical: string, fingerprint: bigint][] = [
  ['null', '"null"', 7195948357588979594n],
  [{ type: 'null' }, '"null"', 7195948357588979594n],
  ['boolean', '"boolean"', -6970731678124411036n],
  ['int', '"int"', 8247732601305521295n],
  ['long', '"long"', -3434872931120570953n],
  ['float', '"float"', 5583340709985441680n],
  ['double', '"double"', -8181574048448539266n],
  ['bytes', '"bytes"', 5746618253357095269n],
  ['string', '"string"', -8142146995180207161n],
  [[], '[]', -1241056759729112623n],
  [['int'], '["int"]', -5232228896498058493n],
  [['int', { type: 'boolean' }], '["int","boolean"]', 5392556393470105090n],
  [{ fields: [], type: 'record', name: 'foo' }, '{"name":"foo","type":"record","fields":[]}', -4824392279771201922n],
  [
    { fields: [], type: 'record', name: 'foo', namespace: 'x.y' },
    '{"name":"x.y.foo","type":"record","fields":[]}',
    5916914534497305771n,
  ],
  [
    { fields: [], type: 'record', name: 'a.b.foo', namespace: 'x.y' },
    '{"name":"a.b.foo","type":"record","fields":[]}',
    -4616218487480524110n,
  ],
  [
    { fields: [], type: 'record', name: 'foo', doc: 'foo', aliases: ['foo', 'bar'] },
    '{"name":"foo","type":"record","fields":[]}',
    -4824392279771201922n,
  ],
  [
    { fields: [{ type: { type: 'boolean' }, name: 'f1' }], type: 'record', name: 'foo' },
    '{"name":"foo","type":"record","fields":[{"name":"f1","type":"boolean"}]}',
    7843277075252814651n,
  ],
  [
    {
      fields: [
        { type: 'boolean', aliases: [], name: 'f1', default: 'true' },
        { order: 'descending', name: 'f2', doc: 'Hello', type: 'int' },
      ],
      type: 'record',
      name: 'foo',
    },
    '{"name":"foo","type":"record","fields":[{"name":"f1","type":"boolean"},{"name":"f2","type":"int"}]}',
    -4860222112080293046n,
  ],
  [
    { type: 'enum', name: 'foo', symbols: ['A1'] },
    '{"name":"foo","type":"enum","symbols":["A1"]}',
    -6342190197741309591n,
  ],
  [
    { namespace: 'x.y.z', type: 'enum', name: 'foo', doc: 'foo bar', symbols: ['A1', 'A2'] },
    '{"name":"x.y.z.foo","type":"enum","symbols":["A1","A2"]}',
    -4448647247586288245n,
  ],
  [{ name: 'foo', type: 'fixed', size: 15 }, '{"name":"foo","type":"fixed","size":15}', 1756455273707447556n],
  [
    { namespace: 'x.y.z', type: 'fixed', name: 'foo', doc: 'foo bar', size: 32 },
    '{"name":"x.y.z.foo","type":"fixed","size":32}',
    -3064184465700546786n,
  ],
  [{ items: { type: 'null' }, type: 'array' }, '{"type":"array","items":"null"}', -589620603366471059n],
  [{ values: 'string', type: 'map' }, '{"type":"map","values":"string"}', -8732877298790414990n],
  [
    { name: 'PigValue', type: 'record', fields: [{ name: 'value', type: ['null', 'int', 'long', 'PigValue'] }] },
    '{"name":"PigValue","type":"record","fields":[{"name":"value","type":["null","int","long","PigValue"]}]}',
    -1759257747318642341n,
  ],
]

test("Avro's published vectors give their canonical form and fingerprint", () => {
  for (const [schema, canonical, fingerprint] of VECTORS) {
    assert.equal(canonicalForm(schema), canonical)
    assert.equal(BigInt.asIntN(64, crc64(canonical)), fingerprint, canonical)
    assert.equal(BigInt.asIntN(64, fingerprintOf(schema)), fingerprint, canonical)
  }
})

test('the canonical form of every shipped schema is the one avsc writes', () => {
  for (const { name } of Registry.load(SHIPPED_SCHEMAS_DIR).streams) {
    for (const { schema } of Registry.load(SHIPPED_SCHEMAS_DIR).versions(name)) {
      const theirs = avro.Type.forSchema(structuredClone(schema) as avro.Schema).schema()
      assert.equal(canonicalForm(schema), JSON.stringify(theirs))
    }
  }
})

test('a nested type takes the namespace of the record around it, and a reference is written in full', () => {
  const inner = { type: 'record', name: 'inner', fields: [{ name: 'x', type: 'int' }] }
  const schema = {
    type: 'record',
    name: 'outer',
    namespace: 'a.b',
    fields: [
      { name: 'first', type: inner },
      { name: 'second', type: ['null', 'inner'] },
    ],
  }
  assert.equal(
    canonicalForm(schema),
    '{"name":"a.b.outer","type":"record","fields":[{"name":"first","type":{"name":"a.b.inner","type":"record",' +
      '"fields":[{"name":"x","type":"int"}]}},{"name":"second","type":["null","a.b.inner"]}]}',
  )
})

test('docs, defaults, logical types and our attributes do not change a fingerprint, a type does', () => {
  const record = (field: object) => ({ type: 'record', name: 'a', fields: [{ name: 'ts', ...field }] })
  const bare = fingerprintOf(record({ type: 'long' }))
  const dressed = {
    type: { type: 'long', logicalType: 'timestamp-micros' },
    doc: 'x',
    default: 1,
    unit: 's',
    tag: false,
  }
  assert.equal(fingerprintOf(record(dressed)), bare)
  assert.notEqual(fingerprintOf(record({ type: 'int' })), bare)
})

test('a fingerprint is shown with all its sixteen digits', () => {
  assert.equal(fingerprintHex(1n), '0000000000000001')
})

test('the fingerprints by which avro for Python and hamba/avro name a schema with a time are known, record and batch', () => {
  const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  /** As computed by avro 1.12.1 and by hamba/avro 2.28.0. */
  const computed: [stream: string, spelling: string, fingerprint: bigint, batch: boolean][] = [
    ['environment', 'avro (Python)', 0x4709d64bdf2dab00n, false],
    ['vibration', 'avro (Python)', 0xeaa8dd1c62e0db12n, false],
    ['environment', 'hamba/avro (Go)', 0xd647e81e6f8f8df6n, false],
    ['environment', 'hamba/avro (Go)', 0x36566bc60e0273ffn, true],
    ['vibration', 'hamba/avro (Go)', 0x3a1193ff4b6fcfe6n, false],
    ['vibration', 'hamba/avro (Go)', 0x6799cf30a16ac4b4n, true],
  ]
  for (const [stream, spelling, fingerprint, batch] of computed) {
    const bytes = Buffer.alloc(8)
    bytes.writeBigUInt64LE(fingerprint)
    const halves = [bytes.readInt32LE(0), bytes.readInt32LE(4)] as const
    const codec = registry.codec(...halves)
    assert.deepEqual([codec?.definition.stream, codec?.batch, registry.spelling(...halves)], [stream, batch, spelling])
  }
  const right = registry.encode('environment', { ts: 1, temperature: 1, humidity: 1, pressure: 1, battery: 1, rssi: 1 })
  assert.equal(registry.spelling(right.readInt32LE(2), right.readInt32LE(6)), undefined)
})
