import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Lock } from '../../schemas/lock.ts'
import { changeLock } from '../../schemas/lock-file.ts'
import { Registry, SchemaError, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { readSchemaFiles } from '../../schemas/schema-files.ts'
import { telltale } from '../cli/telltale.ts'
import { scratchDirectory } from '../scratch.ts'
import { probe, schemaFolder } from './schema-folder.ts'

const X = { name: 'x', type: 'double', unit: 'm' }
const Y = { name: 'y', type: 'int', default: 0 }
const pretty = (schema: object) => `${JSON.stringify(schema, null, 2)}\n`

function release(directory: string): void {
  changeLock(directory, (lock) => {
    const { files } = readSchemaFiles(directory)
    return lock.with(Registry.load(directory).released(files))
  })
}

function locked(t: TestContext): string {
  const directory = schemaFolder(t, { 'probe/1.avsc': pretty(probe(X)) })
  release(directory)
  return directory
}

function refusal(directory: string): SchemaError {
  try {
    Registry.load(directory)
  } catch (error) {
    assert.ok(error instanceof SchemaError, String(error))
    return error
  }
  return assert.fail('it was loaded')
}

test('what was released may not change: the start says which line, what it was, and the mend', (t) => {
  const directory = locked(t)
  const file = join(directory, 'probe/1.avsc')
  writeFileSync(file, pretty(probe({ ...X, unit: 'km' })))
  const { code, message } = refusal(directory)
  assert.equal(code, 'schema-drift')
  assert.match(message, /probe\/1\.avsc:16: it was `"unit": "m"` and is `"unit": "km"`\. .*--restore.*--replace/)
  rmSync(file)
  writeFileSync(join(directory, 'probe/1.avsc'), `${pretty(probe(X)).trim()}\n\n`)
  assert.equal(Registry.load(directory).versions('probe').length, 1, 'its layout may')
})

test('a released version that is gone is drift, too', (t) => {
  const directory = locked(t)
  writeFileSync(join(directory, 'probe/2.avsc'), pretty(probe(X, Y)))
  release(directory)
  rmSync(join(directory, 'probe/2.avsc'))
  assert.match(refusal(directory).message, /probe\/2\.avsc: it is gone/)
})

test('a .proto is released as an .avsc is, and beside one, too', (t) => {
  const directory = locked(t)
  const text =
    'syntax = "proto3";\npackage telltale;\nmessage Probe {\n  int64 ts = 1;\n  double x = 2 [(telltale.unit) = "m"];\n}\n'
  for (const version of [1, 2]) {
    const file = join(directory, `probe/${version}.proto`)
    writeFileSync(file, version === 1 ? text : text.replace('}', '  optional double y = 3;\n}'))
    release(directory)
  }
  const [first, second] = Registry.load(directory).versions('probe')
  assert.deepEqual([first?.format, first?.id, second?.format, second?.id], ['avsc', 1, 'proto', 5])
  assert.equal(Registry.load(directory).byId(6)?.batch, true)
  writeFileSync(join(directory, 'probe/1.proto'), text.replace('int64 ts = 1;', '\n  int64  ts = 1;'))
  assert.equal(Registry.load(directory).versions('probe').length, 2, 'its layout may change')
  writeFileSync(join(directory, 'probe/1.proto'), text.replace('x = 2', 'x = 3'))
  assert.match(refusal(directory).message, /probe\/1\.proto:5: it was `double x = 2/)
})

test('of a long line the part that changed is shown', (t) => {
  const doc = 'a'.repeat(300)
  const directory = schemaFolder(t, { 'probe/1.avsc': probe({ ...X, doc }) })
  release(directory)
  writeFileSync(join(directory, 'probe/1.avsc'), JSON.stringify(probe({ ...X, doc, unit: 's' })))
  const { message } = refusal(directory)
  assert.match(message, /1\.avsc:1: it was `\.\.\./)
  assert(message.length < 700, message)
})

test('an id names a version for ever: who is new has the next ones, and none is given twice', (t) => {
  const directory = locked(t)
  const registry = Registry.load(directory)
  const [first] = registry.versions('probe')
  assert.deepEqual([first?.id, first?.batchId], [1, 2])
  assert.equal(registry.byId(1)?.hex, first?.fingerprint)
  assert.deepEqual([registry.byId(2)?.hex, registry.byId(2)?.batch], [first?.batchFingerprint, true])
  writeFileSync(join(directory, 'probe/2.avsc'), pretty(probe(X, Y)))
  assert.equal(Registry.load(directory).versions('probe')[1]?.id, undefined, 'not released yet')
  release(directory)
  assert.equal(Registry.load(directory).byId(3)?.definition.version, 2)
  const lock = Lock.read(readSchemaFiles(directory)).without(['probe/2.avsc'])
  const again = lock.with(Registry.load(directory).released(readSchemaFiles(directory).files))
  assert.equal(again.of({ stream: 'probe', version: 2, format: 'avsc' })?.id, 5)
})

test('a lock that is none, or was changed by hand, is told as that', (t) => {
  const directory = locked(t)
  const file = join(directory, 'lock.json')
  const text = readFileSync(file, 'utf8')
  for (const [wrong, message] of [
    ['{', /is no lock of schemas/],
    ['{"lastId":0}', /is no lock of schemas .*schemas/],
    [text.replace('"batchId": 2', '"batchId": 1'), /two of its schemas have one id/],
    [text.replace('"lastId": 2', '"lastId": 1'), /an id is above lastId/],
    [text.replace(/("fingerprint": ")..../, '$10000'), /has the fingerprints .*changed by hand/],
  ] as const) {
    writeFileSync(file, wrong)
    const { code, message: told } = refusal(directory)
    assert.equal(code, 'lock-invalid')
    assert.match(told, message)
  }
})

test('while another process writes the lock nobody else does; one that was killed at it keeps nobody', (t) => {
  const directory = locked(t)
  const inside = changeLock(directory, (lock) => {
    assert.equal(
      changeLock(directory, (other) => other),
      undefined,
    )
    return lock
  })
  assert.notEqual(inside, undefined)
  writeFileSync(join(directory, '.lock.turn'), '')
  assert.equal(
    changeLock(directory, (lock) => lock),
    undefined,
  )
  const later = { now: () => Date.now() + 3_600_000 }
  assert.notEqual(
    changeLock(directory, (lock) => lock, later),
    undefined,
  )
})

test('all shipped versions are locked, and environment 1 has the id 1', () => {
  const files = readSchemaFiles(SHIPPED_SCHEMAS_DIR)
  assert.deepEqual(Lock.read(files).unlocked(files.files), [])
  assert.equal(Registry.load(SHIPPED_SCHEMAS_DIR).byId(1)?.definition.stream, 'environment')
})

test('telltale schemas lock releases, restores and replaces', async (t) => {
  const directory = schemaFolder(t, { 'probe/1.avsc': pretty(probe(X)) })
  const file = join(directory, 'probe/1.avsc')
  const schemas = (...args: string[]) =>
    telltale(scratchDirectory(t), ['schemas', ...args], { TELLTALE_SCHEMAS_DIR: directory })
  assert.deepEqual(await schemas('lock'), { code: 0, stdout: 'probe/1.avsc: released\n', stderr: '' })
  assert.equal((await schemas('lock')).stdout, 'nothing is new\n')
  writeFileSync(file, pretty(probe(X, Y)))
  const drifted = await schemas('list')
  assert.equal(drifted.code, 1)
  assert.match(drifted.stderr, /^telltale: .*probe\/1\.avsc:\d+: it was .*\n$/)
  assert.equal((await schemas('lock', '--restore')).stdout, 'probe/1.avsc: is what it was\n')
  assert.equal(readFileSync(file, 'utf8'), pretty(probe(X)))
  writeFileSync(file, pretty(probe(X, Y)))
  assert.equal((await schemas('lock', '--replace')).stdout, 'probe/1.avsc: released anew\n')
  const [stream] = JSON.parse((await schemas('list', '--json')).stdout)
  assert.equal(stream.versions[0].id, 3)
})
