/**
 * Owns which versions of a `.proto` may stand side by side. A payload does not say which version wrote it: the newest reads all, by the
 * numbers of the fields. So a number keeps its name, its meaning and whether its absence can be told, what is new can be told to be
 * absent, and no name moves to another number: what old devices send would be read as something else, or as 0.
 */

import { SchemaError } from './definition.ts'
import type { ProtoVersion } from './protobuf-definition.ts'
import type { EnumShape, FieldShape, MessageShape } from './protobuf-shape.ts'

/** What the bytes of one type may be read as besides. */
const WIDER: Readonly<Record<string, readonly string[]>> = {
  int32: ['int64'],
  sint32: ['sint64'],
  uint32: ['uint64', 'int64'],
}

/** Checks the versions of one stream, oldest first. Throws `SchemaError`. */
export function checkProtoEvolution(versions: readonly ProtoVersion[]): void {
  for (const [index, newer] of versions.entries()) {
    for (const older of versions.slice(0, index)) compare(newer.message, older.message, new Pair(newer, older), '')
  }
}

class Pair {
  readonly #newer: ProtoVersion
  readonly #older: ProtoVersion

  constructor(newer: ProtoVersion, older: ProtoVersion) {
    this.#newer = newer
    this.#older = older
  }

  refuse(line: number, what: string): never {
    const { file } = this.#newer
    throw new SchemaError('schema-invalid', `${file}:${line}: ${what} (version ${this.#older.version})`)
  }
}

function compare(newer: MessageShape, older: MessageShape, pair: Pair, above: string): void {
  for (const field of newer.fields) {
    const name = above + field.name
    const before = older.fields.find(({ number }) => number === field.number)
    if (before === undefined) checkNew(field, older, pair, name)
    else if (before.name !== field.name) {
      pair.refuse(field.line, `${name} has the number ${field.number}, which was ${above}${before.name}: take another`)
    } else checkKept(field, before, pair, name)
  }
}

function checkNew(field: FieldShape, older: MessageShape, pair: Pair, name: string): void {
  const moved = older.fields.find((each) => each.name === field.name)
  if (moved !== undefined) {
    pair.refuse(
      field.line,
      `${name} has the number ${field.number}, and had ${moved.number}, which older devices send: keep that`,
    )
  }
  if (!field.hasPresence) {
    pair.refuse(
      field.line,
      `${name} is new and not optional, so that what older devices do not send would be stored as 0: make it optional`,
    )
  }
}

function checkKept(field: FieldShape, before: FieldShape, pair: Pair, name: string): void {
  if (field.hasPresence !== before.hasPresence) {
    const was = before.hasPresence
      ? 'could be absent, and would be stored as 0'
      : 'is not sent where it is 0, and would be lost'
    pair.refuse(
      field.line,
      `${name} was ${before.hasPresence ? '' : 'not '}optional: it ${was}; keep it so, or take a new name and number`,
    )
  }
  const [is, was] = [field.type, before.type]
  if (is.kind === 'message' && was.kind === 'message') compare(is, was, pair, `${name}.`)
  else if (is.kind === 'enum' && was.kind === 'enum') checkSymbols(field, is, was, pair, name)
  else if (is.kind !== was.kind && !WIDER[was.kind]?.includes(is.kind)) {
    pair.refuse(
      field.line,
      `${name} is of type ${is.kind}, and was ${was.kind}: give what changed a new name and number`,
    )
  }
}

function checkSymbols(field: FieldShape, is: EnumShape, was: EnumShape, pair: Pair, name: string): void {
  for (const [number, symbol] of was.symbols) {
    const now = is.symbols.get(number)
    if (now === symbol) continue
    const what =
      now === undefined
        ? `has no value ${number} any more, which was ${symbol}`
        : `is ${now} for ${number}, which was ${symbol}`
    pair.refuse(field.line, `${name} ${what}: keep it`)
  }
}
