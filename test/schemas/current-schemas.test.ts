import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Logger } from '../../platform/logger.ts'
import { CurrentSchemas } from '../../schemas/current-schemas.ts'
import { Rejection } from '../../schemas/reading.ts'
import { Registry } from '../../schemas/registry.ts'
import { readSchemaFiles } from '../../schemas/schema-files.ts'
import { until } from '../until.ts'
import { probe, schemaFolder } from './schema-folder.ts'

const X = { name: 'x', type: 'double' }
const Y = { name: 'y', type: ['null', 'int'], default: null }
const FIRST = { 'probe/1.avsc': probe(X), 'other/1.avsc': { ...probe(X), name: 'other' } }

function opened(t: TestContext) {
  const directory = schemaFolder(t, FIRST)
  const schemas = new CurrentSchemas({ directory })
  t.after(() => schemas.stop())
  return { directory, schemas }
}

/** A payload of the version that is not known yet. */
function second(t: TestContext): Buffer {
  const folder = schemaFolder(t, { 'probe/1.avsc': probe(X), 'probe/2.avsc': probe(X, Y) })
  return Registry.load(folder).encode('probe', { ts: 1.7e12, x: 1, y: 7 })
}

function logger(lines: string[]): Logger {
  const take = (line: string) => void lines.push(line)
  return { info: take, error: take } as unknown as Logger
}

const message = (payload: Buffer) => ({ device: 'd', stream: 'probe', receivedAt: 1.7e12, payload })

test('a version is known once its file is there, to the first message that is sent by it', (t) => {
  const { directory, schemas } = opened(t)
  const payload = second(t)
  let changes = 0
  schemas.onChange(() => changes++)
  const other = schemas.registry.stream('other')
  writeFileSync(join(directory, 'probe/2.avsc'), JSON.stringify(probe(X, Y)))
  const decoded = schemas.decode(message(payload))
  assert(!(decoded instanceof Rejection))
  assert.deepEqual(decoded[0]?.values, { x: 1, y: 7 })
  assert.equal(changes, 1)
  assert.equal(schemas.registry.stream('other'), other, 'a stream that is as it was is the same')
})

test('of a flood of unknown schemas few are a reason to look', (t) => {
  const { directory, schemas } = opened(t)
  const payload = second(t)
  let looks = 0
  const look = schemas.look.bind(schemas)
  schemas.look = () => {
    looks++
    return look()
  }
  for (let n = 0; n < 2_000; n++) assert(schemas.decode(message(payload)) instanceof Rejection)
  assert(looks >= 20 && looks < 200, `${looks} looks`)
  writeFileSync(join(directory, 'probe/2.avsc'), JSON.stringify(probe(X, Y)))
  assert.equal(schemas.look(), true)
  assert(!(schemas.decode(message(payload)) instanceof Rejection))
})

test('a folder that makes no registry changes nothing, is told, and forgotten when it is mended', async (t) => {
  const { directory, schemas } = opened(t)
  const lines: string[] = []
  schemas.watch(logger(lines))
  const before = schemas.registry
  const file = join(directory, 'probe/2.avsc')
  writeFileSync(file, '{ "type": "rec')
  await until(() => lines.length > 0)
  assert.match(lines.join(), /probe\/2\.avsc: is not JSON.*; the schemas of before stay in force$/)
  assert.equal(schemas.registry.stream('probe'), before.stream('probe'))
  writeFileSync(file, JSON.stringify(probe(X, Y)))
  await until(() => schemas.registry.byId(6) !== undefined)
  assert.deepEqual(lines.slice(1), ['from now on there is probe/2.avsc'])
})

test('a .proto that comes beside an .avsc is told as a version is', async (t) => {
  const { directory, schemas } = opened(t)
  const lines: string[] = []
  schemas.watch(logger(lines))
  const proto = 'syntax = "proto3"; package telltale; message Probe { int64 ts = 1; double x = 2; }'
  writeFileSync(join(directory, 'probe/1.proto'), proto)
  await until(() => schemas.registry.protobuf('probe') !== undefined)
  assert.deepEqual(lines, ['from now on there is probe/1.proto'])
})

test('what a running platform has taken is released, and may not change any more', async (t) => {
  const { directory, schemas } = opened(t)
  const lines: string[] = []
  schemas.watch(logger(lines))
  const [probed] = schemas.registry.versions('probe')
  assert.deepEqual([probed?.id, probed?.batchId], [3, 4], 'other stands before it')
  writeFileSync(join(directory, 'probe/1.avsc'), JSON.stringify(probe({ ...X, unit: 'm' })))
  await until(() => lines.length > 0)
  assert.match(lines[0] ?? '', /probe\/1\.avsc:1: it was .*; the schemas of before stay in force$/)
  assert.equal(schemas.registry.stream('probe')?.columns[0]?.unit, undefined)
})

test('where the folder cannot be written to the schemas are used, and it is told that they are not released', (t) => {
  const { directory, schemas } = opened(t)
  // Where a file of its is to be, for root may write anywhere.
  mkdirSync(join(directory, `.lock.turn.${process.pid}.tmp`))
  const lines: string[] = []
  schemas.watch(logger(lines))
  assert.match(lines.join(), /not released.*lock\.json: cannot be written/)
})

test('another thread makes the same registry of the files that it is given', (t) => {
  const { directory, schemas } = opened(t)
  const thread = new CurrentSchemas({ directory, files: structuredClone(schemas.files) })
  assert.equal(thread.adopt(structuredClone(schemas.files)), false)
  writeFileSync(join(directory, 'probe/2.avsc'), JSON.stringify(probe(X, Y)))
  const files = readSchemaFiles(directory)
  assert.equal(thread.adopt(files), true)
  assert.equal(thread.registry.versions('probe').length, 2)
  rmSync(join(directory, 'probe'), { recursive: true })
  assert.equal(thread.look(), true)
  assert.equal(thread.registry.stream('probe'), undefined)
})
