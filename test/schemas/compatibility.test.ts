/** What a new version may not do to devices in the field, and what it may: by `telltale schemas check`, and by a running platform. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { checkSchemas } from '../../schemas/check.ts'
import { changeLock } from '../../schemas/lock-file.ts'
import { Registry, SchemaError, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { readSchemaFiles } from '../../schemas/schema-files.ts'
import { telltale } from '../cli/telltale.ts'
import { scratchDirectory } from '../scratch.ts'
import { probe, schemaFolder, TIME } from './schema-folder.ts'

const f = (name: string, type: unknown, more: object = {}) => ({ name, type, ...more })
const enumOf = (symbols: string[], more: object = {}) => ({ type: 'enum', name: 'mode', symbols, ...more })
const nested = (name: string, ...fields: object[]) => ({ type: 'record', name, fields })
const micros = { name: 'ts', type: { type: 'long', logicalType: 'timestamp-micros' } }
const X = f('x', 'double')
/** So that the two versions have other fingerprints, where the change itself does not see to it. */
const MORE = f('more', ['null', 'int'], { default: null })
const withTime = (time: object, ...fields: object[]) => ({ ...probe(), fields: [time, ...fields] })
const date = { type: 'int', logicalType: 'date' }
const uuid = { type: 'string', logicalType: 'uuid' }
const long = (logicalType: string) => ({ type: 'long', logicalType })
const decimal = (precision: number, scale: number) => ({ type: 'bytes', logicalType: 'decimal', precision, scale })
const list = (items: string) => ({ type: 'array', items })
const fixed = (size: number) => ({ type: 'fixed', name: 'mac', size })
const pretty = (schema: object) => JSON.stringify(schema, null, 2)

/** Version 1, version 2, the finding's code, and its words. */
const INCOMPATIBLE: [what: string, first: object, second: object, code: string, words: RegExp][] = [
  ['a new field without default', probe(X), probe(X, f('y', 'int')), 'unreadable', /y is new and has no default/],
  ['another type', probe(f('x', 'int')), probe(f('x', 'string')), 'unreadable', /x was int and is string/],
  ['a narrower float', probe(X), probe(f('x', 'float')), 'unreadable', /x was double and is float/],
  ['a narrower integer', probe(f('x', 'long')), probe(f('x', 'int')), 'unreadable', /x was long and is int/],
  [
    'a boolean that becomes a number',
    probe(f('x', 'boolean')),
    probe(f('x', 'int')),
    'unreadable',
    /boolean and is int/,
  ],
  ['null taken away', probe(f('x', ['null', 'int'])), probe(f('x', 'int')), 'unreadable', /x could be null/],
  [
    'a symbol taken away without default',
    probe(X, f('e', enumOf(['a', 'b']))),
    probe(X, f('e', enumOf(['a']))),
    'unreadable',
    /e has lost b/,
  ],
  [
    'an enum with another name',
    probe(X, f('e', enumOf(['a']))),
    probe(X, f('e', { ...enumOf(['a']), name: 'state' })),
    'unreadable',
    /was called telltale\.mode and is called telltale\.state/,
  ],
  [
    'a record with another name',
    probe(f('n', nested('old', X))),
    probe(f('n', nested('new', X))),
    'unreadable',
    /was called telltale\.old/,
  ],
  [
    'a new nested field without default',
    probe(f('n', nested('n', X))),
    probe(f('n', nested('n', X, f('y', 'int')))),
    'unreadable',
    /n\.y is new and has no default/,
  ],
  ['a field renamed without alias', probe(X), probe(f('y', 'double')), 'unreadable', /if it is x under a new name/],
  [
    'one renamed without alias, with a default',
    probe(f('w', 'int'), X),
    probe(f('w', 'int'), f('y', 'double', { default: 0 })),
    'rename',
    /x is gone and y is new, of the same type and unit/,
  ],
  [
    'an alias of two fields',
    probe(X, f('y', 'double')),
    probe(f('z', 'double', { aliases: ['x', 'y'] })),
    'unreadable',
    /stands for x and y/,
  ],
  ['millis that become micros', probe(X), withTime(micros, X, MORE), 'time', /ts is in us, in version 1 in ms/],
  ['another time', probe(X), withTime({ ...TIME, name: 'at', aliases: ['ts'] }, X), 'time', /the time is at/],
  [
    'another unit',
    probe(f('x', 'double', { unit: 'Cel' })),
    probe(f('x', 'double', { unit: 'K' }), MORE),
    'unit',
    /x is in K, in version 1 it is in Cel/,
  ],
  ['no unit any more', probe(f('x', 'double', { unit: 'm' })), probe(X, MORE), 'unit', /x is without a unit/],
  [
    'another unit under a new name',
    probe(f('f', 'double', { unit: '[degF]' })),
    probe(f('c', 'double', { unit: 'Cel', aliases: ['f'] })),
    'unit',
    /c is in Cel, and f, for which it stands, was in \[degF\]/,
  ],
  [
    'a field that becomes a tag',
    probe(X, f('t', 'string')),
    probe(X, f('t', 'string', { tag: true }), MORE),
    'tag',
    /t is a tag, in version 1 it is no tag/,
  ],
  [
    'a tag that becomes a field',
    probe(X, f('t', 'string', { tag: true })),
    probe(X, f('t', 'string'), MORE),
    'tag',
    /t is no tag/,
  ],
  ['an integer that becomes a float', probe(f('x', 'int')), probe(X), 'type', /x is float, in version 1 it is integer/],
  [
    'a number that becomes a date',
    probe(f('x', 'int')),
    probe(f('x', date), MORE),
    'unreadable',
    /was int and is date/,
  ],
  ['a text that becomes a uuid', probe(f('x', 'string')), probe(f('x', uuid), MORE), 'type', /x is uuid, .* is string/],
  [
    'a time in other units',
    probe(X, f('y', long('time-micros'))),
    probe(X, f('y', long('local-timestamp-micros')), MORE),
    'type',
    /y is local-timestamp-micros, in version 1 it is time-micros/,
  ],
  [
    'another scale',
    probe(f('x', decimal(6, 2))),
    probe(f('x', decimal(6, 3)), MORE),
    'type',
    /x has 3 decimals, .* has 2/,
  ],
  [
    'another precision',
    probe(f('x', decimal(6, 2))),
    probe(f('x', decimal(7, 2)), MORE),
    'unreadable',
    /was decimal of 6 digits/,
  ],
  [
    'a fixed of another size',
    probe(f('x', fixed(4))),
    probe(f('x', fixed(5))),
    'unreadable',
    /was fixed in 4 bytes and is/,
  ],
  [
    'integers that become floats',
    probe(f('x', list('int'))),
    probe(f('x', list('double'))),
    'type',
    /x is float\[\], .* is integer\[\]/,
  ],
  [
    'a list of narrower numbers',
    probe(f('x', list('double'))),
    probe(f('x', list('float'))),
    'unreadable',
    /an array of double and is/,
  ],
  [
    'a number that becomes a list',
    probe(f('x', 'int')),
    probe(f('x', list('int'))),
    'unreadable',
    /was int and is array/,
  ],
  [
    'another default',
    probe(X, f('y', 'int', { default: 0 })),
    probe(X, f('y', 'int', { default: 1 }), MORE),
    'default',
    /the default of y is 1, in version 1 it is 0/,
  ],
  [
    'another default symbol',
    probe(X, f('e', enumOf(['a', 'b'], { default: 'a' }))),
    probe(X, f('e', enumOf(['a', 'b'], { default: 'b' })), MORE),
    'default',
    /the default symbol of e is b/,
  ],
  [
    'a tag that folds two of its values',
    probe(X, f('e', enumOf(['a', 'b', 'c'], { default: 'a' }), { tag: true })),
    probe(X, f('e', enumOf(['a', 'b'], { default: 'a' }), { tag: true })),
    'series-fold',
    /e has lost c, which become a/,
  ],
  ['a tag that is gone', probe(X, f('t', 'string', { tag: true })), probe(X), 'series-fold', /the tag t is gone/],
  [
    'a new tag that all get',
    probe(X),
    probe(X, f('t', 'string', { tag: true, default: 'none' })),
    'series-split',
    /t is a new tag with the default "none"/,
  ],
  [
    'a value that moves out of its record',
    probe(X, f('n', nested('n', f('y', 'int')))),
    probe(X, f('n_y', 'int', { default: 0 })),
    'moved',
    /n_y is the column n_y, which in version 1 is n\.y/,
  ],
  [
    'a name that differs in case',
    probe(X, f('Temp', 'int')),
    probe(X, f('temp', 'int', { aliases: ['Temp'] })),
    'case',
    /temp is called Temp in version 1/,
  ],
]

const errorsOf = (directory: string) =>
  checkSchemas(readSchemaFiles(directory)).filter(({ severity }) => severity === 'error')

/** Version 1 is released and in use; then there is version 2. */
function refusedWhileReleased(t: TestContext, first: object, second: object): string | undefined {
  const directory = schemaFolder(t, { 'probe/1.avsc': pretty(first) })
  changeLock(directory, (lock) => lock.with(Registry.load(directory).released(readSchemaFiles(directory).files)))
  writeFileSync(join(directory, 'probe/2.avsc'), pretty(second))
  try {
    Registry.load(directory)
    return undefined
  } catch (error) {
    assert(error instanceof SchemaError, String(error))
    return error.message
  }
}

test(`${INCOMPATIBLE.length} changes are refused, each with its line, what it does, and the mend`, (t) => {
  for (const [what, first, second, code, words] of INCOMPATIBLE) {
    const directory = schemaFolder(t, { 'probe/1.avsc': pretty(first), 'probe/2.avsc': pretty(second) })
    const errors = errorsOf(directory)
    const found = errors.find((finding) => finding.code === code && words.test(`${finding.what}; ${finding.mend}`))
    assert(found, `${what}: ${JSON.stringify(errors)}`)
    assert.equal(found.file, 'probe/2.avsc', what)
    assert(found.line > 1 || /gone|called/.test(found.what), `${what}: line ${found.line}`)
    for (const text of [found.devices, found.stored, found.mend]) assert(text.length > 10, what)
    assert.match(refusedWhileReleased(t, first, second) ?? 'it is taken', /probe\/[12]\.avsc/, what)
  }
})

const COMPATIBLE: [what: string, first: object, second: object][] = [
  ['a new field with a default', probe(X), probe(X, f('y', 'int', { default: 0 }))],
  ['a list of wider floats', probe(f('x', list('float'))), probe(f('x', list('double')))],
  ['a new field that may be null', probe(X), probe(X, MORE)],
  ['a field that is gone', probe(X, f('y', 'int')), probe(X)],
  ['an int that becomes a long', probe(f('x', 'int')), probe(f('x', 'long'))],
  ['a float that becomes a double', probe(f('x', 'float')), probe(X)],
  ['a field that may be null from now on', probe(X), probe(f('x', ['null', 'double'], { default: null }))],
  ['a field renamed by an alias', probe(X), probe(f('y', 'double', { aliases: ['x'] }))],
  [
    'a field that is gone and another, which says so',
    probe(f('w', 'int'), X),
    probe(f('w', 'int'), f('y', 'double', { default: 0, aliases: [] })),
  ],
  ['a new symbol', probe(X, f('e', enumOf(['a']))), probe(X, f('e', enumOf(['a', 'b'])))],
  [
    'a symbol taken away with a default',
    probe(X, f('e', enumOf(['a', 'b'], { default: 'a' }))),
    probe(X, f('e', enumOf(['a'], { default: 'a' }))),
  ],
  ['another order', probe(X, f('y', 'int')), probe(f('y', 'int'), X)],
  [
    'an enum renamed by an alias',
    probe(X, f('e', enumOf(['a']))),
    probe(X, f('e', { ...enumOf(['a']), name: 's', aliases: ['mode'] })),
  ],
  ['a new tag that may be null', probe(X), probe(X, f('t', ['null', 'string'], { tag: true, default: null }))],
  ['a new nested record with a default', probe(X), probe(X, f('n', nested('n', f('y', 'int')), { default: { y: 0 } }))],
]

test(`${COMPATIBLE.length} changes are accepted`, (t) => {
  for (const [what, first, second] of COMPATIBLE) {
    const directory = schemaFolder(t, { 'probe/1.avsc': pretty(first), 'probe/2.avsc': pretty(second) })
    assert.deepEqual(errorsOf(directory), [], what)
    assert.equal(refusedWhileReleased(t, first, second), undefined, what)
  }
})

test('a version is held against every older one, and not the last alone', (t) => {
  const files = {
    'probe/1.avsc': pretty(probe(X, f('y', 'string'))),
    'probe/2.avsc': pretty(probe(X)),
    'probe/3.avsc': pretty(probe(X, f('y', 'int', { default: 0 }))),
  }
  const [found] = errorsOf(schemaFolder(t, files))
  assert.equal(found?.file, 'probe/3.avsc')
  assert.match(found?.what ?? '', /y was string and is int.*\(version 1\)/)
})

test('what no platform starts with is found with its line, and all of it', (t) => {
  const directory = schemaFolder(t, {
    'probe/1.avsc': '{',
    'other/1.avsc': pretty({ ...probe(X, f('y', 'null')), name: 'other' }),
    'third/1.avsc': pretty({ ...probe(X), name: 'third' }),
    'third/2.avsc': pretty({ ...probe(X), name: 'third', doc: 'the same' }),
  })
  const found = errorsOf(directory).map(({ file, line, code }) => [file, line, code])
  assert.deepEqual(found, [
    ['other/1.avsc', 18, 'invalid'],
    ['probe/1.avsc', 1, 'invalid'],
  ])
})

test('two versions that have one fingerprint are found, too', (t) => {
  const directory = schemaFolder(t, { 'probe/1.avsc': probe(X), 'probe/2.avsc': probe({ ...X, doc: 'the same' }) })
  assert.match(errorsOf(directory)[0]?.what ?? '', /has the fingerprint/)
})

test('the shipped schemas have no error', () => {
  assert.deepEqual(errorsOf(SHIPPED_SCHEMAS_DIR), [])
})

test('telltale schemas check says all of it, and ends with 1 for errors', async (t) => {
  const files = { 'probe/1.avsc': pretty(probe(f('x', 'double', { unit: 'Cel' }))) }
  const directory = schemaFolder(t, files)
  const check = (...args: string[]) => telltale(scratchDirectory(t), ['schemas', 'check', directory, ...args])
  assert.deepEqual(await check(), { code: 0, stdout: '0 errors, 0 warnings\n', stderr: '' })
  writeFileSync(join(directory, 'probe/2.avsc'), pretty(probe(f('x', 'double', { unit: 'K' }), MORE)))
  const { code, stdout } = await check()
  assert.equal(code, 1)
  const lines = stdout.split('\n')
  assert.match(lines.at(-2) ?? '', /^1 error, \d+ warnings?$/)
  assert.equal(lines[0], 'probe/2.avsc:14: error unit: x is in K, in version 1 it is in Cel')
  assert.match(lines[1] ?? '', /^ {4}devices: what older devices send goes into the column in its old unit$/)
  assert.match(lines[2] ?? '', /^ {4}stored: /)
  assert.equal(lines[3], '    mend: give what changed a new name')
  assert.equal(JSON.parse((await check('--json')).stdout)[0].code, 'unit')
})
