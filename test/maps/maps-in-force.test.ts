/** Maps as a part of the registry: it changes whole, for each thread alike. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Maps, mapMaker } from '../../maps/maps.ts'
import type { ConfigError } from '../../platform/config-file.ts'
import { FOREIGN } from '../../schemas/content-type.ts'
import { CurrentSchemas } from '../../schemas/current-schemas.ts'
import { Decoder } from '../../schemas/decoder.ts'
import type { SchemaError } from '../../schemas/definition.ts'
import { foreignPayload } from '../../schemas/foreign.ts'
import { type Reading, Rejection } from '../../schemas/reading.ts'
import { probe, schemaFolder } from '../schemas/schema-folder.ts'
import { scratchDirectory } from '../scratch.ts'

const OPEN = [{ file: 'x.yaml', text: 'topic: x/{device}\nstream: x\n' }]
const PROBE = [{ file: 'p.yaml', text: 'topic: p/{device}\nstream: probe\nfields: { x: }\n' }]

function opened(t: TestContext, learnt?: string) {
  const directory = schemaFolder(t, { 'probe/1.avsc': probe({ name: 'x', type: 'double' }) })
  const foreign = { make: mapMaker(learnt) }
  return { directory, foreign, schemas: new CurrentSchemas({ directory, foreign }) }
}

function message(topic: string, payload: object, stream = 'x') {
  const bytes = foreignPayload(topic, Buffer.from(JSON.stringify(payload)))
  return { device: 'd', stream, receivedAt: 1.7e12, offset: 3, framing: FOREIGN, payload: bytes }
}

const names = (schemas: CurrentSchemas) => schemas.registry.stream('x')?.columns.map(({ name }) => name)

test('columns come with the message that has them, in a registry of their own, and another thread has them too', (t) => {
  const learnt = scratchDirectory(t)
  const { directory, schemas } = opened(t, learnt)
  let changes = 0
  schemas.onChange(() => changes++)
  schemas.useMaps(OPEN)
  assert.deepEqual([changes, names(schemas)], [1, []])
  const { files, registry: before } = schemas
  const decoded = schemas.decode(message('x/d', [{ a: 1 }, { a: 2, b: { c: 3 } }]))
  assert.deepEqual(
    (decoded as Reading[]).map(({ values }) => values),
    [{ a: 1 }, { a: 2, b_c: 3 }],
  )
  assert.deepEqual([names(schemas), before.stream('x')?.columns], [['a', 'b_c'], []])
  assert.equal(schemas.files, files, 'what others are to be given is as it was')
  const { registry } = schemas
  schemas.decode(message('x/d', { a: 4 }))
  assert.equal(schemas.registry, registry)
  assert.equal(schemas.registry.stream('probe'), before.stream('probe'))

  const thread = new CurrentSchemas({ directory, files: structuredClone(files), foreign: { make: mapMaker(learnt) } })
  assert.deepEqual(names(thread), ['a', 'b_c'])
})

test('a map that does not go with the schemas changes nothing, and nor does a schema that a map does not go with', (t) => {
  const { schemas } = opened(t)
  const wrong = [{ file: 'p.yaml', text: 'topic: p/{device}\nstream: probe\nfields: { y: }\n' }]
  assert.throws(
    () => schemas.useMaps(wrong),
    (error: ConfigError) => /^p\.yaml:3: y is no column of probe 1/.test(error.message),
  )
  assert.deepEqual(schemas.registry.foreign?.streams, [])
  schemas.useMaps([...PROBE, { file: 'q.yaml', text: 'topic: q/{device}\nstream: new\nfields: { z: }\n' }])
  const version = (...fields: object[]) => JSON.stringify({ ...probe(...fields), name: 'new' })
  const w = { name: 'w', type: 'double' }
  assert.throws(
    () => schemas.add(version(w)),
    (error: SchemaError) => error.code === 'schema-incompatible' && /q\.yaml:3: z is no column/.test(error.message),
  )
  assert.equal(schemas.registry.stream('new')?.version, 0)
  schemas.add(version(w, { name: 'z', type: 'double' }))
  assert.equal(schemas.registry.stream('new')?.version, 1)
})

test('a message that no map takes is told apart from one that cannot be read, and newer maps are looked for', (t) => {
  const { directory } = opened(t)
  const looks: number[] = []
  const lookAfter = (receivedAt: number) => {
    looks.push(receivedAt)
    if (looks.length > 1) schemas.useMaps(OPEN)
  }
  const schemas: CurrentSchemas = new CurrentSchemas({ directory, foreign: { make: mapMaker(), lookAfter } })
  const code = (outcome: unknown) => (outcome instanceof Rejection ? outcome.code : outcome)
  const given = message('x/d', { a: 1 })
  assert.equal(code(schemas.decode(given)), 'no-map')
  assert.equal(code(schemas.glance(given)), undefined)
  assert.deepEqual((schemas.decode(given) as Reading[])[0]?.values, { a: 1 })
  assert.deepEqual(looks, [1.7e12, 1.7e12])
  assert.equal(code(schemas.decode(message('x/other', { a: 1 }))), 'no-map')
  const without = new CurrentSchemas({ directory })
  assert.equal(code(without.decode(given)), 'no-map')
  // Whoever only looks on learns nothing.
  const onlooker = new Decoder(schemas.registry)
  assert.equal(code(onlooker.decode(message('x/d', { b: 1 }))), 'invalid-reading')
})

test('a column that was something else while a map was in force is refused with its line, by whichever process; what is new, or says its unit, is not', (t) => {
  const learnt = scratchDirectory(t)
  const { directory, schemas } = opened(t, learnt)
  const map = (fields: string) => [{ file: 'x.yaml', text: `topic: x/{device}\nstream: x\n${fields}` }]
  const put = (fields: string, given = schemas) => {
    given.useMaps(map(fields))
    new Maps(given).note()
  }
  const refused = (fields: string, message: RegExp, given = schemas) =>
    assert.throws(
      () => put(fields, given),
      (error: ConfigError) => message.test(error.message) || assert.fail(error.message),
    )
  put('fields: { door: { type: string }, t: , n: { unit: Cel } }\n')
  put('fields: { door: { type: string }, t: { unit: Cel }, n: , more: }\n')
  refused(
    'fields: { door: { type: boolean } }\n',
    /^x\.yaml:3: door, a boolean, was door, a string, in x before, .*name the new column differently$/,
  )
  refused('fields: { t: { unit: K } }\n', /^x\.yaml:3: t, a float K, was t, a float Cel, in x before/)
  refused('fields: { n: { unit: K } }\n', /was n, a float Cel/)
  refused('fields: { T: }\n', /T, a float, was t, a float Cel/)
  refused('fields: { y: }\ntags: { t: t }\n', /^x\.yaml:4: t, a string tag, was t, a float Cel/)
  assert.equal((schemas.decode(message('x/d', { more: 1 })) as Reading[]).length, 1, 'what was in force is')

  // Another process, and after a restart; not a thread that follows.
  const options = { directory, foreign: { make: mapMaker(learnt) } }
  refused('fields: { door: { type: boolean } }\n', /door, a string/, new CurrentSchemas(options))
  const follows = { make: mapMaker(learnt, { isBinding: false }) }
  new CurrentSchemas({ directory, foreign: follows }).useMaps(map('fields: { door: { type: boolean } }\n'))
  // Without a map in between, too, and where all numbers are taken.
  schemas.useMaps([])
  refused('fields: { door: { type: boolean } }\n', /door, a string/)
  put('')
  assert.match(
    (schemas.decode(message('x/d', { door: 1 })) as Rejection).reason,
    /^door cannot be a column of x any more/,
  )
  assert.deepEqual((schemas.decode(message('x/d', { come: 1, t: 2 })) as Reading[])[0]?.values, { come: 1, t: 2 })
  refused('fields: { come: { type: integer } }\n', /come, an integer, was come, a float, in x before/)
  put('fields: { come: { unit: m } }\n')
})
