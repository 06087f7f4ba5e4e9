/**
 * Owns what a `.proto` file may say here (docs/schemas.md, "Protobuf"). `protobufjs` parses its text; here what it says is checked and
 * reduced to what decodes it. Nothing of `protobufjs` decodes a payload: it takes texts that are no UTF-8, replaces a nested
 * message where the encoding merges the two, and makes what it decodes with by `Function`.
 *
 * Always true of what is returned: no lists but of numbers, no maps or recursion in it, numbers and names once a message, a time in `ts`.
 * Anything else is refused by a `SchemaError` with file, line and what would be right.
 */

import { createRequire } from 'node:module'
import type { Enum, Field, Type } from 'protobufjs'
import { messageOf } from '../platform/errors.ts'
import { SchemaError } from './definition.ts'
import { type EnumShape, type FieldShape, type MessageShape, type ProtoScalar, TIMESTAMP } from './protobuf-shape.ts'
import { ProtoSource } from './protobuf-source.ts'

const SCALARS: ReadonlySet<string> = new Set([
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
  'bytes',
] satisfies ProtoScalar[])
const NO_NUMBERS: ReadonlySet<string> = new Set(['bool', 'string', 'bytes'] satisfies ProtoScalar[])
const ALLOWED = 'numbers, bool, string, bytes, enums and messages of the file, and repeated numbers'
const PACKAGE = 'telltale'
/** protobuf.dev, "Assigning Field Numbers". */
const NUMBER_MAX = 2 ** 29 - 1
const RESERVED = [19_000, 19_999] as const
/** Our options, as `docs/protobuf/telltale/options.proto` declares them. In the package itself their names need no prefix. */
const OPTION = /^\(\.?(?:telltale\.)?(unit|tag|symbol)\)$/
const OURS = /^\(\.?telltale\./

/** As long to load as all else of a registry, so only where a `.proto` stands. */
const library = () => createRequire(import.meta.url)('protobufjs') as typeof import('protobufjs')

/** The message named as the stream. `file` is how the file is named in errors. Throws `SchemaError`. */
export function parseProto(file: string, stream: string, text: string): MessageShape {
  return new Parser(file, text).parse(stream)
}

/** A stream's name in upper camel case. */
export function messageName(stream: string): string {
  return stream
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
}

class Parser {
  readonly #file: string
  readonly #text: string
  readonly #source: ProtoSource
  readonly #messages = new Map<Type, MessageShape>()
  readonly #enums = new Map<Enum, EnumShape>()
  /** Names of the messages that are being read, outermost first. */
  readonly #open: Type[] = []

  constructor(file: string, text: string) {
    this.#file = file
    this.#text = text
    this.#source = new ProtoSource(text)
  }

  parse(stream: string): MessageShape {
    if (!this.#source.isProto3) this.#refuse(1, 'it must begin with syntax = "proto3";')
    const { parse, Root, Type } = library()
    let parsed: ReturnType<typeof parse>
    try {
      parsed = parse(this.#text, new Root(), { keepCase: true, alternateCommentMode: true })
    } catch (error) {
      const [, what = messageOf(error), line = '1'] = /^(.*) \(line (\d+)\)$/s.exec(messageOf(error)) ?? []
      return this.#refuse(Number(line), `is no Protobuf: ${what}`)
    }
    if (parsed.package !== PACKAGE) {
      this.#refuse(1, `the package is ${JSON.stringify(parsed.package ?? '')}; it must be "${PACKAGE}"`)
    }
    const name = messageName(stream)
    const message = parsed.root.lookup(`.${PACKAGE}.${name}`)
    if (!(message instanceof Type)) this.#refuse(1, `has no message ${name}, as the stream ${stream} wants it`)
    const shape = this.#message(message)
    this.#checkTime(shape)
    this.#checkBatch(parsed.root.lookup(`.${PACKAGE}.${name}Batch`), message)
    return shape
  }

  #refuse(line: number, what: string): never {
    throw new SchemaError('schema-invalid', `${this.#file}:${line}: ${what}`)
  }

  #message(type: Type): MessageShape {
    const known = this.#messages.get(type)
    if (known !== undefined) return known
    this.#open.push(type)
    const names = namesOf(type)
    const fields = type.fieldsArray.map((field) => this.#field(field, names))
    this.#open.pop()
    const shape: MessageShape = { kind: 'message', name: names.join('_'), ...docOf(type), fields }
    this.#messages.set(type, shape)
    return shape
  }

  #field(field: Field, messages: readonly string[]): FieldShape {
    const { name, id, partOf } = field
    const line = this.#source.lineOf(messages, name)
    const isList = field.repeated && !field.map && !NO_NUMBERS.has(field.type) && SCALARS.has(field.type)
    if (field.map || (field.repeated && !isList)) {
      this.#refuse(
        line,
        `${name} is ${field.map ? 'a map' : 'repeated'}, which cannot become a point; possible are ${ALLOWED}`,
      )
    }
    if (id < 1 || id > NUMBER_MAX || (id >= RESERVED[0] && id <= RESERVED[1])) {
      this.#refuse(
        line,
        `${name} has the number ${id}; possible are 1 to ${NUMBER_MAX} without ${RESERVED.join(' to ')}`,
      )
    }
    const type = this.#type(field, line)
    const isOptional = field.options?.proto3_optional === true
    const oneof = isOptional ? undefined : partOf?.name
    const hasPresence = isOptional || oneof !== undefined || type.kind === 'message' || isList
    const common = { number: id, name, type, isList, hasPresence, oneof, line }
    return { ...common, ...docOf(field), ...this.#options(field, line) }
  }

  #options({ name, options }: Field, line: number): { tag: boolean; unit: string | undefined } {
    const { tag = false, unit } = this.#ours(options, ['unit', 'tag'], name, line)
    if (typeof tag !== 'boolean')
      this.#refuse(line, `${name}: the tag is ${JSON.stringify(tag)}; it must be true or false`)
    if (unit !== undefined && typeof unit !== 'string') {
      this.#refuse(line, `${name}: the unit is ${JSON.stringify(unit)}; it must be a text`)
    }
    return { tag, unit }
  }

  /** Our options among these, of which only `allowed` have an effect. */
  #ours(options: object | null | undefined, allowed: readonly string[], name: string, line: number) {
    const ours: Record<string, unknown> = {}
    for (const [option, value] of Object.entries(options ?? {})) {
      const known = OPTION.exec(option)?.[1]
      if (known === undefined && !OURS.test(option)) continue
      if (known === undefined || !allowed.includes(known)) {
        const right = allowed.map((each) => `(telltale.${each})`).join(' and ')
        this.#refuse(line, `${name} has the option ${option}, which has no effect there; ${right} would have`)
      }
      ours[known] = value
    }
    return ours
  }

  #type(field: Field, line: number): FieldShape['type'] {
    const { name, type } = field
    if (SCALARS.has(type)) return { kind: type as ProtoScalar }
    if (type.replace(/^\./, '') === TIMESTAMP.name) {
      if (name === TIME_FIELD && this.#open.length === 1) return TIMESTAMP
      this.#refuse(line, `${name} is a second time; a reading has one, ${TIME_FIELD}`)
    }
    const { Enum, Type } = library()
    const found = field.parent?.lookup(type, [Type, Enum])
    if (found instanceof Enum) return this.#enum(found, name, line)
    if (!(found instanceof Type)) {
      return this.#refuse(line, `${name} is of type ${type}, which cannot become a point; possible are ${ALLOWED}`)
    }
    if (this.#open.includes(found)) this.#refuse(line, `${name} contains its own message, which cannot become a point`)
    return this.#message(found)
  }

  #enum(found: Enum, field: string, line: number): EnumShape {
    const known = this.#enums.get(found)
    if (known !== undefined) return known
    const symbols = new Map<number, string>()
    for (const [name, number] of Object.entries(found.values)) {
      const { symbol = name } = this.#ours(found.valuesOptions?.[name], ['symbol'], name, line)
      if (typeof symbol !== 'string')
        this.#refuse(line, `${field}: the symbol of ${name} is ${JSON.stringify(symbol)}; it must be a text`)
      if (!symbols.has(number)) symbols.set(number, symbol)
    }
    if (!symbols.has(0)) this.#refuse(line, `${field} is an enum without a value 0, which proto3 wants`)
    if (new Set(symbols.values()).size < symbols.size)
      this.#refuse(line, `${field} is an enum with two values of one name`)
    const shape: EnumShape = { kind: 'enum', name: namesOf(found).join('_'), symbols }
    this.#enums.set(found, shape)
    return shape
  }

  #checkTime({ fields, name }: MessageShape): void {
    const time = fields.find((field) => field.name === TIME_FIELD)
    const right = `${TIME_FIELD} is the time: int64, milliseconds since 1970, or ${TIMESTAMP.name}`
    if (time === undefined) this.#refuse(this.#source.lineOf([name]), `${name} has no field ${TIME_FIELD}: ${right}`)
    const { kind } = time.type
    if (kind !== 'int64' && time.type !== TIMESTAMP)
      this.#refuse(time.line, `${TIME_FIELD} is of type ${kind}: ${right}`)
    if (time.oneof !== undefined)
      this.#refuse(time.line, `${TIME_FIELD} is one of several; every reading needs its time`)
    if (time.tag || time.unit !== undefined)
      this.#refuse(time.line, `${TIME_FIELD} is the time, and has neither unit nor tag`)
  }

  /** It need not stand there; if it does, it is as the platform reads it. */
  #checkBatch(batch: unknown, message: Type): void {
    if (!(batch instanceof library().Type)) return
    const [readings, ...others] = batch.fieldsArray
    const isRight =
      others.length === 0 &&
      readings?.id === BATCH_FIELD &&
      readings.repeated &&
      !readings.map &&
      batch.lookup(readings.type) === message
    if (isRight) return
    const right = `message ${batch.name} { repeated ${message.name} readings = ${BATCH_FIELD}; } is right`
    this.#refuse(this.#source.lineOf([batch.name]), `${batch.name} is no batch of ${message.name}: ${right}`)
  }
}

export const TIME_FIELD = 'ts'
/** The number of the readings in a batch. */
export const BATCH_FIELD = 1

const docOf = ({ comment }: Type | Field) => (comment ? { doc: comment } : {})

/** From the outermost message in. */
function namesOf(type: Type | Enum): string[] {
  const names = [type.name]
  const { Type } = library()
  for (let { parent } = type; parent instanceof Type; { parent } = parent) names.unshift(parent.name)
  return names
}
