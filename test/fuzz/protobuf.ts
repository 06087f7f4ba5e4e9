/**
 * Owns the comparison of our Protobuf with that of PyPI (`protobuf.py`): messages of random schemas that it writes, as they are and mutated.
 * Always true: both read the same values, or ours refuses, and then for one of the reasons why it is stricter (`protobuf-codec.ts`). What it takes,
 * the other takes.
 */

import { type Random, seededRandom } from '../../devices/simulator/signals/random.ts'
import { PROTOBUF } from '../../schemas/content-type.ts'
import { Decoder } from '../../schemas/decoder.ts'
import type { ProtoScalar } from '../../schemas/protobuf-shape.ts'
import { pythonWith } from '../servers/python.ts'
import { Comparison, type Report, registryOf } from './comparison.ts'
import { mutate } from './mutation.ts'
import { Python } from './python.ts'
import type { Said } from './said.ts'

const NOW = 1_763_900_000_000
const MESSAGES_PER_SCHEMA = 500
const FIELDS_MAX = 12
const DEPTH_MAX = 3
const SCALARS: readonly ProtoScalar[] = [
  'int32',
  'sint32',
  'sfixed32',
  'uint32',
  'fixed32',
  'int64',
  'sint64',
  'sfixed64',
  'uint64',
  'fixed64',
  'float',
  'double',
  'bool',
  'string',
]
/** Why ours may refuse what the other takes: what is in a message need not be in what comes of it, as another value of the field may follow. */
const STRICTER = [
  'wire type',
  'has no name',
  'an integer of 32 bits',
  'an integer from',
  'a finite number is right',
  'every value is null',
  'ts is ',
  'ts is missing',
  'groups deeper',
  'more than 64 bits',
  'more than 32 bits',
  'no field',
] as const

type Inner = MessageModel | { readonly name: string; readonly symbols: readonly (readonly [string, number])[] } | null
type FieldModel = readonly [
  name: string,
  number: number,
  type: string,
  presence: boolean,
  oneof: string | null,
  inner: Inner,
]
interface MessageModel {
  readonly name: string
  readonly fields: readonly FieldModel[]
}

/** Throws `MissingServer`. */
export async function fuzzProtobuf(count: number, seed: number): Promise<Report> {
  const python = new Python(pythonWith('google.protobuf', 'pip install protobuf'), './protobuf.py')
  const random = seededRandom(seed, 0)
  const comparison = new Comparison([])
  try {
    while (comparison.messages < count) {
      const model = randomMessage(random, 'Probe', 0)
      comparison.schemas++
      await python.ask({ message: model })
      const made = await python.ask<string[]>({ make: MESSAGES_PER_SCHEMA / 2, seed: random.below(2 ** 31), now: NOW })
      const payloads = made.flatMap((hex) => [Buffer.from(hex, 'hex'), mutate(random, Buffer.from(hex, 'hex'))])
      const said = await python.ask<(Said | null)[]>({ read: payloads.map((payload) => payload.toString('hex')) })
      const decoder = new Decoder(registryOf({ 'probe/1.proto': textOf(model) }))
      for (const [index, payload] of payloads.entries()) {
        if (payload.length === 0) continue
        const outcome = decoder.decode({ device: 'd', stream: 'probe', receivedAt: NOW, framing: PROTOBUF, payload })
        const words = `seed ${seed}, ${payload.toString('hex')} of\n${textOf(model)}`
        const each = said[index] ?? null
        comparison.judge(outcome, each && [each], STRICTER, words)
      }
    }
    return comparison.report()
  } finally {
    await python.stop()
  }
}

function randomMessage(random: Random, name: string, depth: number): MessageModel {
  const numbers = new Set<number>()
  const number = () => {
    for (;;) {
      const next = random.below(4) === 0 ? 1 + random.below(18_000) : 1 + random.below(30)
      if (!numbers.has(next)) {
        numbers.add(next)
        return next
      }
    }
  }
  const fields: FieldModel[] = depth === 0 ? [['ts', number(), 'int64', false, null, null]] : []
  const count = 1 + random.below(FIELDS_MAX)
  const hasOneof = count > 3 && random.below(3) === 0
  for (let index = 0; index < count; index++) {
    const field = `f${index}`
    const oneof = hasOneof && index < 3 ? 'one' : null
    const presence = random.below(2) === 0
    const kind = random.below(10)
    if (kind === 0 && depth < DEPTH_MAX) {
      const inner = randomMessage(random, `M${index}`, depth + 1)
      fields.push([field, number(), 'message', true, oneof, inner])
    } else if (kind === 1) {
      const symbols = Array.from(
        { length: 1 + random.below(4) },
        (_, value) => [`${name}${index}_${value}`, value === 3 ? -1 : value] as const,
      )
      fields.push([field, number(), 'enum', presence, oneof, { name: `E${index}`, symbols }])
    } else fields.push([field, number(), SCALARS[random.below(SCALARS.length)] ?? 'bool', presence, oneof, null])
  }
  // So that there is always a value.
  fields.push(['last', number(), 'int32', false, null, null])
  return { name, fields }
}

function textOf(model: MessageModel): string {
  return `syntax = "proto3";\npackage telltale;\n${messageText(model, '')}`
}

function messageText({ name, fields }: MessageModel, indent: string): string {
  const inside = `${indent}  `
  const declared = fields.map(([field, number, type, presence, oneof, inner]) => {
    const named = type === 'message' || type === 'enum' ? (inner?.name ?? '') : type
    const optional = presence && oneof === null && type !== 'message' ? 'optional ' : ''
    return { oneof, text: `${inside}${optional}${named} ${field} = ${number};\n` }
  })
  const types = fields.map(([, , , , , inner]) => {
    if (inner === null) return ''
    if ('fields' in inner) return messageText(inner, inside)
    return `${inside}enum ${inner.name} { ${inner.symbols.map(([symbol, value]) => `${symbol} = ${value};`).join(' ')} }\n`
  })
  const grouped = declared.filter(({ oneof }) => oneof !== null).map(({ text }) => text)
  const one = grouped.length === 0 ? '' : `${inside}oneof one {\n${grouped.join('')}${inside}}\n`
  const plain = declared.filter(({ oneof }) => oneof === null).map(({ text }) => text)
  return `${indent}message ${name} {\n${types.join('')}${one}${plain.join('')}${indent}}\n`
}
