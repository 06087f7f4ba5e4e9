/**
 * Owns the sentence that says why one version of a stream cannot read what another wrote (Avro 1.12, "Schema Resolution"):
 * which field, what was and what is, and what would be right. avsc, which resolves, says less, and of the nearest type.
 */

import {
  type Definition,
  type EnumLeaf,
  type Field,
  isLogical,
  type LogicalLeaf,
  type MapShape,
  type RecordShape,
  type Shape,
} from './definition.ts'
import type { NumberType } from './numbers.ts'

/** What a number may be read as, beside itself. */
const WIDER: Partial<Record<Shape['kind'], readonly Shape['kind'][]>> = {
  int: ['long', 'float', 'double'],
  long: ['float', 'double'],
  float: ['double'],
}

/** Something that `reader` cannot read of what `writer` wrote: where, what it is, and what would be right. */
export interface Unreadable {
  readonly path: readonly string[]
  readonly what: string
  readonly mend: string
}

/** Undefined if `reader` reads all that `writer` wrote, or fails for a reason that is not known here. */
export function whyUnreadable(writer: Definition, reader: Definition): string | undefined {
  const [first] = unreadable(writer, reader)
  return first && `${first.what}: ${first.mend}`
}

export function unreadable(writer: Definition, reader: Definition): Unreadable[] {
  return inRecord(writer.shape, reader.shape, [])
}

/** The fields of a record that a reader's field is read from: one, none, or by mistake several. */
export const sourcesOf = (writer: Pick<RecordShape, 'fields'>, field: Field): Field[] =>
  writer.fields.filter(({ name }) => name === field.name || field.aliases.includes(name))

function inRecord(writer: RecordShape, reader: RecordShape, above: readonly string[]): Unreadable[] {
  const at = above.length === 0 ? 'the record' : above.join('.')
  if (!isNamed(writer.name, reader)) return [renamed(above, at, writer.name, reader.name)]
  return reader.fields.flatMap((field): Unreadable[] => {
    const path = [...above, field.name]
    const sources = sourcesOf(writer, field)
    const [source] = sources
    if (source !== undefined && sources.length > 1) {
      const names = sources.map(({ name }) => name).join(' and ')
      const what = `${path.join('.')} stands for ${names}, which are two fields there`
      return [{ path, what, mend: 'let its aliases name one of them' }]
    }
    return source === undefined ? missing(field, path, writer, reader) : inField(source, field, path)
  })
}

function missing(field: Field, path: readonly string[], writer: RecordShape, reader: RecordShape): Unreadable[] {
  if (field.default !== undefined) return []
  const kept = new Set(reader.fields.flatMap(({ name, aliases }) => [name, ...aliases]))
  const gone = writer.fields.find(({ name, shape }) => !kept.has(name) && shape.kind === field.shape.kind)
  const was = gone ? `; if it is ${gone.name} under a new name, "aliases": ["${gone.name}"]` : ''
  return [{ path, what: `${path.join('.')} is new and has no default`, mend: `give it one${was}` }]
}

function inField(writer: Field, reader: Field, path: readonly string[]): Unreadable[] {
  const at = path.join('.')
  if (writer.nullBranch !== undefined && reader.nullBranch === undefined) {
    return [{ path, what: `${at} could be null and cannot be any more`, mend: 'keep the union with null' }]
  }
  const [was, is] = [writer.shape, reader.shape]
  if (was.kind === 'record' && is.kind === 'record') return inRecord(was, is, path)
  if (was.kind === 'enum' && is.kind === 'enum') return inEnum(was, is, path)
  if (isLogical(was) && isLogical(is) && was.kind === is.kind) return inLogical(was, is, path)
  if (was.kind === 'map' && is.kind === 'map') return inMap(was, is, path)
  if (was.kind === 'array' && is.kind === 'array' && was.items !== is.items) return inItems(was.items, is.items, path)
  if (was.kind === is.kind || WIDER[was.kind]?.includes(is.kind)) return []
  const wider = WIDER[was.kind]
  const may = wider === undefined ? '' : ` (${was.kind} may become ${wider.join(' or ')})`
  const what = `${at} was ${was.kind} and is ${is.kind}, which cannot read it${may}`
  return [{ path, what, mend: 'give what changed a new name' }]
}

/** A device sends each key that its version has. */
function inMap(was: MapShape, is: MapShape, path: readonly string[]): Unreadable[] {
  if (was.values !== is.values && !WIDER[was.values]?.includes(is.values)) {
    const what = `${path.join('.')} was a map of ${was.values} and is one of ${is.values}, which cannot read it`
    return [{ path, what, mend: 'give what changed a new name' }]
  }
  const lost = was.fields.filter(({ name }) => !is.fields.some((field) => field.name === name))
  if (lost.length === 0) return []
  const names = lost.map(({ name }) => name).join(', ')
  return [{ path, what: `${path.join('.')} has lost the key ${names}`, mend: 'keep what was a key' }]
}

function inItems(was: NumberType, is: NumberType, path: readonly string[]): Unreadable[] {
  if (WIDER[was]?.includes(is)) return []
  const what = `${path.join('.')} was an array of ${was} and is one of ${is}, which cannot read it`
  return [{ path, what, mend: 'give what changed a new name' }]
}

/** What Avro's resolution takes, or leaves to whoever reads it: what a number of bytes means is in the schema. */
function inLogical(was: LogicalLeaf, is: LogicalLeaf, path: readonly string[]): Unreadable[] {
  const at = path.join('.')
  if (
    is.name !== undefined &&
    was.name !== undefined &&
    !isNamed(was.name, { name: is.name, aliases: is.aliases ?? [] })
  ) {
    return [renamed(path, at, was.name, is.name)]
  }
  const [before, now] = [said(was), said(is)]
  if (before === now) return []
  return [
    { path, what: `${at} was ${before} and is ${now}, which cannot read it`, mend: 'give what changed a new name' },
  ]
}

function said(leaf: LogicalLeaf): string {
  const size = 'size' in leaf && leaf.size !== undefined ? ` in ${leaf.size} bytes` : ''
  return leaf.kind === 'decimal'
    ? `decimal of ${leaf.precision} digits, ${leaf.scale} decimals${size}`
    : leaf.kind + size
}

function inEnum(writer: EnumLeaf, reader: EnumLeaf, path: readonly string[]): Unreadable[] {
  const at = path.join('.')
  if (!isNamed(writer.name, reader)) return [renamed(path, at, writer.name, reader.name)]
  const lost = writer.symbols.filter((symbol) => !reader.symbols.includes(symbol))
  if (lost.length === 0 || reader.default !== undefined) return []
  const mend = 'keep what it could be, or give the enum a default symbol'
  return [{ path, what: `${at} has lost ${lost.join(', ')}`, mend }]
}

/** Avro asks for the unqualified name only. */
const isNamed = (
  name: string,
  { name: own, aliases }: { readonly name: string; readonly aliases: readonly string[] },
) => [own, ...aliases].some((each) => unqualified(each) === unqualified(name))

const unqualified = (name: string) => name.slice(name.lastIndexOf('.') + 1)

const renamed = (path: readonly string[], at: string, was: string, is: string): Unreadable => ({
  path,
  what: `the type of ${at} was called ${was} and is called ${is}`,
  mend: `keep the name, or give it "aliases": ["${was}"]`,
})
