/**
 * Owns the comparison of our Avro with PyPI's `fastavro` (`avro.py`): messages that it writes by random schemas in several versions, records
 * and batches, as they are and mutated, read by the newest version. Always true: both read the same values, or ours refuses, and
 * then for one of the reasons why it is stricter. What it takes, the other takes. Fingerprints are the other's, too.
 */

import assert from 'node:assert/strict'
import { type Random, seededRandom } from '../../devices/simulator/random.ts'
import { Decoder } from '../../schemas/decoder.ts'
import { pythonWith } from '../servers/python.ts'
import { Comparison, type Report, registryOf } from './comparison.ts'
import { mutate } from './mutation.ts'
import { Python } from './python.ts'
import type { Said } from './said.ts'

const NOW = 1_763_900_000_000
const MESSAGES_PER_STREAM = 500
const VERSIONS_MAX = 4
const FIELDS_MAX = 10
const DEPTH_MAX = 3
const SYMBOLS_MAX = 4
const SCALARS = ['int', 'long', 'float', 'double', 'boolean', 'string'] as const
/** As numbers come, a version may take more of them. */
const WIDER: Readonly<Record<string, string>> = { int: 'long', float: 'double' }
const HEADER_BYTES = 10
/** Why ours refuses a value that the other reads, and `avro.py` calls unfit. */
const UNFIT = ['a finite number is right'] as const
/** Why ours may refuse what the other takes, and writes. */
const UNSTORABLE = ['every value is null', 'where integers are exact', 'a tag must', 'the array is empty'] as const
/** Why besides it may refuse what the other takes of bytes that nobody wrote. */
const LOOSE = [
  'ts is ',
  'beyond 32 bits',
  'a boolean is 0 or 1',
  'of an enum',
  'of a union',
  'longer than 10 bytes',
  'claims',
  'not as long as it claims',
] as const

type Type = string | readonly Type[] | { readonly type: string; readonly [key: string]: unknown }
interface FieldModel {
  readonly name: string
  readonly type: Type
  readonly [key: string]: unknown
}
interface RecordModel {
  readonly type: 'record'
  readonly name: string
  readonly namespace?: string
  readonly fields: readonly FieldModel[]
  readonly [key: string]: unknown
}

/** Throws `MissingServer`. */
export async function fuzzAvro(count: number, seed: number): Promise<Report> {
  const python = new Python(pythonWith('fastavro', 'pip install fastavro'), './avro.py')
  const random = seededRandom(seed, 0)
  const comparison = new Comparison(UNFIT)
  try {
    while (comparison.messages < count) {
      const versions = [randomVersion(random)]
      while (versions.length < VERSIONS_MAX && random.below(3) > 0) {
        versions.push(nextVersion(random, versions.at(-1) ?? assert.fail(), versions.length))
      }
      comparison.schemas += versions.length
      const registry = registryOf(Object.fromEntries(versions.map((each, index) => [`probe/${index + 1}.avsc`, each])))
      const headers = await python.ask<string[]>({ schemas: versions })
      const ours = registry.versions('probe').flatMap((each) => [each.fingerprint, each.batchFingerprint].map(headerOf))
      assert.deepEqual(headers, ours, `seed ${seed}, the fingerprints of ${JSON.stringify(versions)}`)
      const made = await python.ask<string[]>({ make: MESSAGES_PER_STREAM / 2, seed: random.below(2 ** 31), now: NOW })
      const payloads = made.flatMap((hex) => {
        const payload = Buffer.from(hex, 'hex')
        return [payload, mutated(random, payload)]
      })
      const said = await python.ask<(Said[] | null)[]>({ read: payloads.map((payload) => payload.toString('hex')) })
      const decoder = new Decoder(registry)
      for (const [index, payload] of payloads.entries()) {
        if (payload.length === 0) continue
        const outcome = decoder.decode({ device: 'd', stream: 'probe', receivedAt: NOW, payload })
        const words = `seed ${seed}, ${payload.toString('hex')} of\n${JSON.stringify(versions)}`
        const stricter = index % 2 === 0 ? UNSTORABLE : [...UNSTORABLE, ...LOOSE]
        comparison.judge(outcome, said[index]?.map(withoutEmptyTags) ?? null, stricter, words)
      }
    }
    return comparison.report()
  } finally {
    await python.stop()
  }
}

/** Mostly in its body: another fingerprint is soon told. */
function mutated(random: Random, payload: Buffer): Buffer {
  if (random.below(20) === 0) return mutate(random, payload)
  return Buffer.concat([payload.subarray(0, HEADER_BYTES), mutate(random, payload.subarray(HEADER_BYTES))])
}

function headerOf(fingerprint: string): string {
  const header = Buffer.from('c3010000000000000000', 'hex')
  header.writeBigUInt64LE(BigInt(`0x${fingerprint}`), 2)
  return header.toString('hex')
}

/** A tag's name says that it is one. An empty one is left out. */
const withoutEmptyTags = (said: Said): Said =>
  Object.fromEntries(Object.entries(said).filter(([name, [, value]]) => !(name.endsWith('tag') && value === '')))

function randomVersion(random: Random): RecordModel {
  const ts = { name: 'ts', type: { type: 'long', logicalType: 'timestamp-millis' } }
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
  const kind = random.below(10)
  if (kind === 0 && depth < DEPTH_MAX) {
    return { type: 'record', name: `R_${name}`, fields: randomFields(random, `${name}_`, depth + 1) }
  }
  if (kind === 1) {
    const symbols = Array.from({ length: 1 + random.below(SYMBOLS_MAX) }, (_, index) => `S${index}`)
    return { type: 'enum', name: `E_${name}`, symbols, default: 'S0' }
  }
  return SCALARS[random.below(SCALARS.length)] ?? 'int'
}

/** Wider numbers, more symbols, other names by aliases, fields that are gone, new ones, another order. */
function nextVersion(random: Random, version: RecordModel, number: number): RecordModel {
  const { fields } = evolved(random, version, 0)
  const added = `n${number}`
  const defaults: readonly FieldModel[] = [
    { name: added, type: ['null', 'float'], default: null },
    { name: added, type: 'double', default: 1.5 },
    { name: added, type: 'string', default: 'ü' },
    {
      name: added,
      type: ['null', { type: 'record', name: `R_${added}`, fields: [{ name: 'last', type: 'long' }] }],
      default: null,
    },
  ]
  const field = defaults[random.below(defaults.length)] ?? assert.fail()
  return { ...version, fields: shuffled(random, [...fields, { ...field, aliases: [] }]) }
}

function evolved(random: Random, record: RecordModel, depth: number): RecordModel {
  const fields = record.fields.flatMap((field): FieldModel[] => {
    if (field.name === 'ts' || field.tag === true) return [field]
    const type = wider(random, field.type, depth)
    const isKept = field.name.endsWith('last') || random.below(8) > 0
    if (!isKept) return []
    if (depth > 0 || random.below(8) > 0 || field.name.endsWith('last')) return [{ ...field, type }]
    const { aliases = [] } = field as { aliases?: readonly string[] }
    return [{ ...field, type, name: `${field.name}r`, aliases: [...aliases, field.name] }]
  })
  return { ...record, fields }
}

function wider(random: Random, type: Type, depth: number): Type {
  if (Array.isArray(type)) return type.map((branch) => wider(random, branch, depth))
  if (typeof type === 'string') return random.below(4) === 0 ? (WIDER[type] ?? type) : type
  const named = type as { readonly type: string }
  if (named.type === 'record') return evolved(random, named as RecordModel, depth + 1)
  if (named.type !== 'enum' || random.below(2) === 0) return named
  const { symbols } = named as unknown as { symbols: readonly string[] }
  return { ...named, symbols: [...symbols, `S${symbols.length}`] }
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const left = [...items]
  return Array.from({ length: items.length }, () => left.splice(random.below(left.length), 1)[0] as T)
}
