/**
 * Owns random schemas of Avro: the versions of a stream with fields of every kind that a schema may have (docs/schemas.md), each version able
 * to read the older ones. Always true: a stream's registry takes them. Bound: `VERSIONS_MAX`, `FIELDS_MAX`, `DEPTH_MAX`.
 */

import assert from 'node:assert/strict'
import type { Random } from '../../devices/simulator/signals/random.ts'
import { pick } from './mutation.ts'

const VERSIONS_MAX = 4
const FIELDS_MAX = 10
const DEPTH_MAX = 3
const SYMBOLS_MAX = 4
const PRECISION_MAX = 38
const NUMBERS = ['int', 'long', 'float', 'double'] as const
const TIMES = [
  ['int', 'date'],
  ['int', 'time-millis'],
  ['long', 'time-micros'],
  ['long', 'timestamp-millis'],
  ['long', 'timestamp-micros'],
  ['long', 'local-timestamp-millis'],
  ['long', 'local-timestamp-micros'],
] as const
const KEYS = ['a', 'b', 'C', 'd_1', 'e'] as const
/** As numbers come, a version may take more of them. */
const WIDER: Readonly<Record<string, string>> = { int: 'long', float: 'double' }

type Complex = { readonly type: string; readonly [key: string]: unknown }
type Type = string | readonly Type[] | Complex
interface FieldModel {
  readonly name: string
  readonly type: Type
  readonly [key: string]: unknown
}
interface RecordModel extends Complex {
  readonly type: 'record'
  readonly name: string
  readonly fields: readonly FieldModel[]
}

/** Oldest first. */
export function randomVersions(random: Random): readonly RecordModel[] {
  const versions = [firstVersion(random)]
  while (versions.length < VERSIONS_MAX && random.below(3) > 0) {
    versions.push(nextVersion(random, versions.at(-1) ?? assert.fail(), versions.length))
  }
  return versions.map((version) => (random.below(2) === 0 ? version : withoutMark(version)))
}

/** What the time is need not be said where no other field could be it. */
function withoutMark(version: RecordModel): RecordModel {
  const isTime = ({ type }: FieldModel) => String((type as Complex).logicalType).startsWith('timestamp-')
  if (version.fields.filter(isTime).length > 1) return version
  return { ...version, fields: version.fields.map(({ time: _, ...field }) => field as FieldModel) }
}

function firstVersion(random: Random): RecordModel {
  const logicalType = random.below(4) === 0 ? 'timestamp-micros' : 'timestamp-millis'
  const ts = { name: 'ts', type: { type: 'long', logicalType }, time: true }
  const fields: FieldModel[] = [ts, ...randomFields(random, 'f', 0)]
  if (random.below(2) === 0) fields.push({ name: 'a_tag', type: ['null', 'string'], default: null, tag: true })
  return { type: 'record', name: 'probe', namespace: 'telltale', fields: shuffled(random, fields) }
}

/** With at least one number, so that there is a value. */
function randomFields(random: Random, prefix: string, depth: number): FieldModel[] {
  const count = 1 + random.below(depth === 0 ? FIELDS_MAX : 3)
  const fields = Array.from({ length: count }, (_, index) => randomField(random, `${prefix}${index}`, depth))
  return [...fields, { name: `${prefix}last`, type: 'int' }]
}

function randomField(random: Random, name: string, depth: number): FieldModel {
  const type = randomType(random, name, depth)
  if (random.below(3) > 0) return { name, type }
  return { name, type: random.below(2) === 0 ? ['null', type] : [type, 'null'] }
}

function randomType(random: Random, name: string, depth: number): Type {
  switch (random.below(14)) {
    case 0:
      if (depth === DEPTH_MAX) return 'int'
      return { type: 'record', name: `R_${name}`, fields: randomFields(random, `${name}_`, depth + 1) }
    case 1: {
      const symbols = Array.from({ length: 1 + random.below(SYMBOLS_MAX) }, (_, index) => `S${index}`)
      return { type: 'enum', name: `E_${name}`, symbols, default: 'S0' }
    }
    case 2:
    case 3: {
      const [type, logicalType] = pick<readonly [string, string]>(random, TIMES)
      return { type, logicalType }
    }
    case 4:
      return random.below(2) === 0 ? uuid : { ...fixed(name, 16), logicalType: 'uuid' }
    case 5:
      return decimal(random, name)
    case 6:
      return random.below(2) === 0 ? 'bytes' : fixed(name, pick(random, [1, 6, 16, 40, 1024]))
    case 7:
    case 8: {
      const items = pick(random, NUMBERS)
      return { type: 'array', items: random.below(4) === 0 ? { type: items } : items }
    }
    case 9:
      return { type: 'map', values: pick(random, NUMBERS), keys: KEYS.slice(0, 1 + random.below(KEYS.length)) }
    default:
      return pick(random, [...NUMBERS, 'boolean', 'string'])
  }
}

const uuid = { type: 'string', logicalType: 'uuid' }
const fixed = (name: string, size: number) => ({ type: 'fixed', name: `F_${name}`, size })

/** A fixed has no more digits than fit into it. */
function decimal(random: Random, name: string): Complex {
  const size = pick(random, [undefined, undefined, 1, 2, 4, 8, 9, 16])
  const digits = size === undefined ? PRECISION_MAX : Math.floor(Math.log10(2 ** (8 * size - 1) - 1))
  const precision = 1 + random.below(digits)
  const type = size === undefined ? { type: 'bytes' } : fixed(name, size)
  return { ...type, logicalType: 'decimal', precision, scale: random.below(precision + 1) }
}

/** Wider numbers, more symbols and keys, other names by aliases, fields that are gone, may be null, or are new, another order. */
function nextVersion(random: Random, version: RecordModel, number: number): RecordModel {
  // The fingerprint does not see keys: such a version is read as the one before it.
  if (random.below(3) === 0) {
    const withKeys = version.fields.map((field) => ({ ...field, type: withMoreKeys(field.type) }))
    if (JSON.stringify(withKeys) !== JSON.stringify(version.fields)) return { ...version, fields: withKeys }
  }
  const { fields } = evolved(random, version, 0)
  return { ...version, fields: shuffled(random, [...fields, { ...newField(random, `n${number}`), aliases: [] }]) }
}

function newField(random: Random, name: string): FieldModel {
  if (random.below(2) === 0) return { name, type: ['null', randomType(random, name, DEPTH_MAX - 1)], default: null }
  const [type, value] = pick<readonly [Type, unknown]>(random, [
    ['double', 1.5],
    ['float', 0.1],
    ['string', 'ü'],
    [{ type: 'int', logicalType: 'date' }, -1],
    [{ type: 'long', logicalType: 'time-micros' }, 86_399_999_999],
    [{ type: 'long', logicalType: 'timestamp-millis' }, -62_135_596_800_000],
    [{ type: 'long', logicalType: 'local-timestamp-micros' }, -1],
    [uuid, '123E4567-E89B-12D3-A456-426614174000'],
    [{ ...fixed(name, 16), logicalType: 'uuid' }, '\u0000\u0001\u007f\u0080ÿabcdefghijk'],
    [{ type: 'bytes', logicalType: 'decimal', precision: 5, scale: 2 }, 'ÿÿ\u0001'],
    [{ ...fixed(name, 2), logicalType: 'decimal', precision: 4 }, 'ÿ\u0000'],
    ['bytes', '\u0000\u0080ÿ'],
    ['bytes', ''],
    [fixed(name, 2), '\u0080a'],
    [{ type: 'array', items: 'int' }, []],
    [{ type: 'array', items: 'float' }, [0.1, -2.5]],
    [{ type: 'map', values: 'long', keys: KEYS.slice(0, 2) }, { b: -(2 ** 40) }],
    [{ type: 'map', values: 'float', keys: KEYS.slice(0, 2) }, {}],
  ])
  return { name, type: random.below(3) === 0 ? [type, 'null'] : type, default: value }
}

function evolved(random: Random, record: RecordModel, depth: number): RecordModel {
  const fields = record.fields.flatMap((field): FieldModel[] => {
    if (field.name === 'ts' || field.tag === true) return [field]
    const wide = wider(random, field.type, depth)
    const named = random.below(8) === 0 ? renamed(wide) : wide
    const type = isUnion(named) || random.below(12) > 0 ? named : [named, 'null']
    const isKept = field.name.endsWith('last') || random.below(8) > 0
    if (!isKept) return []
    if (depth > 0 || random.below(8) > 0 || field.name.endsWith('last')) return [{ ...field, type }]
    const { aliases = [] } = field as { aliases?: readonly string[] }
    return [{ ...field, type, name: `${field.name}r`, aliases: [...aliases, field.name] }]
  })
  return { ...record, fields }
}

function wider(random: Random, type: Type, depth: number): Type {
  if (isUnion(type)) return type.map((branch) => wider(random, branch, depth))
  if (typeof type === 'string') return random.below(2) === 0 ? (WIDER[type] ?? type) : type
  switch (type.type) {
    case 'record':
      return evolved(random, type as RecordModel, depth + 1)
    case 'array':
      return { ...type, items: wider(random, type.items as Type, depth) }
    case 'map': {
      const values = wider(random, type.values as Type, depth)
      return { ...(random.below(2) === 0 ? type : (withMoreKeys(type) as Complex)), values }
    }
    case 'enum': {
      if (random.below(2) === 0) return type
      const symbols = type.symbols as readonly string[]
      return { ...type, symbols: [...symbols, `S${symbols.length}`] }
    }
    case 'int':
    case 'float':
      // A date stays one.
      return type.logicalType === undefined ? { ...type, type: wider(random, type.type, depth) as string } : type
    default:
      return type
  }
}

/** A type of another name reads what it was by an alias. */
function renamed(type: Type): Type {
  if (isUnion(type)) return type.map(renamed)
  if (typeof type === 'string' || typeof type.name !== 'string') return type
  const { aliases = [] } = type as { aliases?: readonly string[] }
  return { ...type, name: `${type.name}r`, aliases: [...aliases, type.name] }
}

function withMoreKeys(type: Type): Type {
  if (isUnion(type)) return type.map(withMoreKeys)
  if (typeof type === 'string' || type.type !== 'map') return type
  return { ...type, keys: KEYS.slice(0, (type.keys as readonly string[]).length + 1) }
}

const isUnion = (type: Type): type is readonly Type[] => Array.isArray(type)

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const left = [...items]
  return Array.from({ length: items.length }, () => left.splice(random.below(left.length), 1)[0] as T)
}
