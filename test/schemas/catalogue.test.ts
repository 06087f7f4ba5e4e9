/** What is told of the streams: of each, what payloads really begin with and which topics are really read. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { mapMaker } from '../../maps/maps.ts'
import { type CatalogueStream, catalogueOf } from '../../schemas/catalogue.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { readSchemaFiles } from '../../schemas/schema-files.ts'
import { ROOT } from '../tree.ts'
import { probe, schemaFolder } from './schema-folder.ts'

const framings = (stream: CatalogueStream | undefined) => stream?.framings.map(({ framing }) => framing)

test('the first bytes are those of payloads, of each version, a reading and a batch', () => {
  const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  const record = { ts: 1.7e12, temperature: 1, humidity: 2, pressure: 3, battery: 4, rssi: 5 }
  const [environment, , vehicle] = catalogueOf(registry)
  const [version] = environment?.versions ?? []
  const begin = (payload: Buffer) => payload.toString('hex', 0, 10)
  assert.equal(version?.firstBytes, begin(registry.encode('environment', record)))
  assert.equal(version?.batchFirstBytes, begin(registry.encode('environment', [record])))
  assert.equal(version?.firstBytes, 'c301f967d0b55fb9bb1c')
  assert.equal(vehicle?.versions.length, 2)
  assert.notEqual(vehicle?.versions[0]?.firstBytes, vehicle?.versions[1]?.firstBytes)
  const confluent = vehicle?.framings.find(({ framing }) => framing === 'confluent')
  const { id, batchId } = registry.versions('vehicle')[1] ?? {}
  assert.deepEqual(confluent?.firstBytes, `0000000${id?.toString(16).padStart(3, '0')}`)
  assert.deepEqual(confluent?.batchFirstBytes, `0000000${batchId?.toString(16).padStart(3, '0')}`)
})

test('a stream takes Protobuf if it has a .proto, and Avro where it has nothing else; ids come with the lock', (t) => {
  const proto = readFileSync(join(ROOT, 'docs/protobuf/environment.proto'), 'utf8')
  const folder = schemaFolder(t, {
    'environment/1.proto': proto,
    'probe/1.avsc': probe({ name: 'x', type: 'int' }),
  })
  const [environment, other] = catalogueOf(Registry.load(folder))
  assert.deepEqual(framings(environment), ['avro', 'json', 'messagepack', 'cbor', 'protobuf'])
  assert.deepEqual(framings(other), ['avro', 'json', 'messagepack', 'cbor'])
  assert.deepEqual(environment?.versions[0]?.files, ['environment/1.proto'])
  const topics = environment?.framings.map(({ topic, batchTopic }) => [topic, batchTopic])
  const own = 'devices/{device}/telemetry/environment'
  assert.deepEqual(topics, [
    [own, own],
    [own, own],
    [`${own}/msgpack`, `${own}/msgpack`],
    [`${own}/cbor`, `${own}/cbor`],
    [`${own}/protobuf`, `${own}/protobuf-batch`],
  ])
})

test('comments of a .proto say what its columns are', (t) => {
  const text = `// Of the file.
    syntax = "proto3"; package telltale;
    // A pump
    // in a cellar.
    message Pump {
      int64 ts = 1;
      float flow = 2 [(telltale.unit) = "L/h"]; // Of water.
      /* How hot
       * it is. */
      optional float heat = 3;
      bool on = 4;
    }`
  const [pump] = catalogueOf(Registry.load(schemaFolder(t, { 'pump/1.proto': text })))
  assert.equal(pump?.doc, 'A pump\nin a cellar.')
  assert.deepEqual(
    pump?.columns.map(({ name, doc }) => [name, doc]),
    [
      ['flow', 'Of water.'],
      ['heat', 'How hot\nit is.'],
      ['on', undefined],
    ],
  )
})

test('where a stream is from is told: its files, its maps, or both', (t) => {
  const folder = schemaFolder(t, { 'probe/1.avsc': probe({ name: 'x', type: 'double' }) })
  const text = (...rows: [topic: string, stream: string][]) =>
    rows.map(([topic, stream]) => `- topic: ${topic}\n  stream: ${stream}\n  fields: { x: X }\n`).join('')
  const maps = [
    { file: '/etc/telltale/maps/a.yaml', text: text(['a/{device}', 'probe'], ['b/{device}', 'made']) },
    { file: '/etc/telltale/maps/b.yaml', text: text(['c/{device}', 'made']) },
  ]
  const registry = Registry.of({ ...readSchemaFiles(folder), maps }, undefined, undefined, mapMaker())
  const [known, made] = catalogueOf(registry)
  assert.deepEqual(known?.maps, [{ topic: 'a/{device}', file: 'a.yaml' }])
  assert.equal(known?.versions.length, 1)
  assert.deepEqual(made?.maps, [
    { topic: 'b/{device}', file: 'a.yaml' },
    { topic: 'c/{device}', file: 'b.yaml' },
  ])
  assert.deepEqual([made?.version, made?.versions, made?.framings], [0, [], []])
  assert.deepEqual(made?.columns, [{ name: 'x', kind: 'float', tag: false, optional: true }])
})
