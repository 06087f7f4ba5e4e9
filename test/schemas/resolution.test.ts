import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { avroType } from '../../schemas/avro-codec.ts'
import { defineSchema } from '../../schemas/definition.ts'
import { whyUnreadable } from '../../schemas/resolution.ts'
import { probe } from './schema-folder.ts'

const enumOf = (symbols: string[], more: object = {}) => ({ type: 'enum', name: 'mode', symbols, ...more })
const nested = (name: string, ...fields: object[]) => ({ type: 'record', name, fields })
const a = (type: unknown, more: object = {}) => ({ name: 'a', type, ...more })
const Q = { name: 'q', type: 'int' }

/** What version 1 has, what version 2 has, and what is said. */
const CASES: readonly [writer: object, reader: object, why: string][] = [
  [probe(a('int')), probe(a('int'), { name: 'b', type: 'string' }), 'b is new and has no default: give it one'],
  [
    probe(a('int')),
    probe({ name: 'b', type: 'int' }),
    'b is new and has no default: give it one; if it is a under a new name, "aliases": ["a"]',
  ],
  [
    probe(a('double')),
    probe(a('float')),
    'a was double and is float, which cannot read it: give what changed a new name',
  ],
  [
    probe(a('int')),
    probe(a('string')),
    'a was int and is string, which cannot read it (int may become long or float or double): give what changed a new name',
  ],
  [probe(a(['null', 'int'])), probe(a('int')), 'a could be null and cannot be any more: keep the union with null'],
  [
    probe(a(enumOf(['on', 'off', 'idle']))),
    probe(a(enumOf(['on']))),
    'a has lost off, idle: keep what it could be, or give the enum a default symbol',
  ],
  [
    probe(a(['null', enumOf(['on', 'off'])])),
    probe(a(['null', enumOf(['on'])])),
    'a has lost off: keep what it could be, or give the enum a default symbol',
  ],
  [
    probe(a(enumOf(['on']))),
    probe(a({ ...enumOf(['on']), name: 'state' })),
    'the type of a was called telltale.mode and is called telltale.state: keep the name, or give it "aliases": ["telltale.mode"]',
  ],
  [
    probe(a(nested('old', Q))),
    probe(a(nested('new', Q))),
    'the type of a was called telltale.old and is called telltale.new: keep the name, or give it "aliases": ["telltale.old"]',
  ],
  [
    probe(a(nested('n', Q))),
    probe(a(nested('n', Q, { name: 'r', type: 'int' }))),
    'a.r is new and has no default: give it one',
  ],
  [
    probe(a('int'), { name: 'b', type: 'int' }),
    probe({ name: 'c', type: 'int', aliases: ['a', 'b'] }),
    'c stands for a and b, which are two fields there: let its aliases name one of them',
  ],
]

const definition = (version: number, schema: object) =>
  defineSchema(`probe/${version}.avsc`, 'probe', version, JSON.stringify(schema))

const why = (writer: object, reader: object) => whyUnreadable(definition(1, writer), definition(2, reader))

test('what a newer version cannot read is named, and what would be right', () => {
  for (const [writer, reader, sentence] of CASES) assert.equal(why(writer, reader), sentence)
})

test('a reason is found exactly when avsc does not resolve', () => {
  const scalar = fc.constantFrom('int', 'long', 'float', 'double', 'boolean', 'string')
  const symbols = fc.subarray(['on', 'off', 'idle'], { minLength: 1 })
  const enumType = fc
    .record({ symbols, name: fc.constantFrom('mode', 'state'), hasDefault: fc.boolean(), isAliased: fc.boolean() })
    .map(({ symbols, name, hasDefault, isAliased }) => ({
      ...enumOf(symbols, { name }),
      ...(hasDefault && { default: symbols[0] }),
      ...(isAliased && name === 'state' && { aliases: ['mode'] }),
    }))
  const type = fc.oneof(scalar, enumType)
  const field = (name: string) =>
    fc
      .record({ type, isNullable: fc.boolean(), hasDefault: fc.boolean(), alias: fc.constantFrom(undefined, 'x', 'y') })
      .map(({ type, isNullable, hasDefault, alias }) => ({
        name,
        type: isNullable ? ['null', type] : type,
        ...(isNullable && hasDefault && { default: null }),
        ...(alias !== undefined && alias !== name && { aliases: [alias] }),
      }))
  const both = fc.tuple(field('x'), field('y'))
  const schema = fc
    .tuple(both, fc.subarray([0, 1] as const, { minLength: 1 }))
    .map(([fields, kept]) => fields.filter((_, index) => kept.includes(index as 0 | 1)))
    // Two enums of one name in a schema are no valid Avro.
    .filter((fields) => fields.filter((each) => JSON.stringify(each.type).includes('enum')).length < 2)
    .map((fields) => probe(...fields))
  let refused = 0
  fc.assert(
    fc.property(schema, schema, (writer, reader) => {
      let message: string | undefined
      try {
        avroType(reader).createResolver(avroType(writer))
      } catch (error) {
        message = (error as Error).message
        refused++
      }
      assert.equal(why(writer, reader) === undefined, message === undefined, `${message} / ${why(writer, reader)}`)
    }),
    { numRuns: 2_000 },
  )
  assert(refused > 100)
})
