/**
 * Owns the sentence that says why one version of a stream cannot read what another wrote (Avro 1.12, "Schema Resolution"):
 * which field, what was and what is, and what would be right. avsc, which resolves, says less, and of the nearest type.
 */

import type { Definition, EnumLeaf, Field, RecordShape, Shape } from './definition.ts'

/** What a number may be read as, beside itself. */
const WIDER: Partial<Record<Shape['kind'], readonly Shape['kind'][]>> = {
  int: ['long', 'float', 'double'],
  long: ['float', 'double'],
  float: ['double'],
}

/** Undefined if `reader` reads all that `writer` wrote, or fails for a reason that is not known here. */
export function whyUnreadable(writer: Definition, reader: Definition): string | undefined {
  return inRecord(writer.shape, reader.shape, [])
}

function inRecord(writer: RecordShape, reader: RecordShape, above: readonly string[]): string | undefined {
  const at = above.length === 0 ? 'the record' : above.join('.')
  if (!isNamed(writer.name, reader)) return renamed(at, writer.name, reader.name)
  for (const field of reader.fields) {
    const path = [...above, field.name]
    const sources = writer.fields.filter(({ name }) => name === field.name || field.aliases.includes(name))
    const [source] = sources
    if (source !== undefined && sources.length > 1) {
      const names = sources.map(({ name }) => name).join(' and ')
      return `${path.join('.')} stands for ${names}, which are two fields there: let its aliases name one of them`
    }
    const why = source === undefined ? whyMissing(field, path, writer, reader) : inField(source, field, path)
    if (why !== undefined) return why
  }
  return undefined
}

function whyMissing(field: Field, path: readonly string[], writer: RecordShape, reader: RecordShape) {
  if (field.default !== undefined) return undefined
  const kept = new Set(reader.fields.flatMap(({ name, aliases }) => [name, ...aliases]))
  const gone = writer.fields.find(({ name, shape }) => !kept.has(name) && shape.kind === field.shape.kind)
  const was = gone && `; if it is ${gone.name} under a new name, "aliases": ["${gone.name}"]`
  return `${path.join('.')} is new and has no default: give it one${was ?? ''}`
}

function inField(writer: Field, reader: Field, path: readonly string[]): string | undefined {
  const at = path.join('.')
  if (writer.nullBranch !== undefined && reader.nullBranch === undefined) {
    return `${at} could be null and cannot be any more: keep the union with null`
  }
  const [was, is] = [writer.shape, reader.shape]
  if (was.kind === 'record' && is.kind === 'record') return inRecord(was, is, path)
  if (was.kind === 'enum' && is.kind === 'enum') return inEnum(was, is, at)
  if (was.kind === is.kind || WIDER[was.kind]?.includes(is.kind)) return undefined
  const wider = WIDER[was.kind]
  const may = wider === undefined ? '' : ` (${was.kind} may become ${wider.join(' or ')})`
  return `${at} was ${was.kind} and is ${is.kind}, which cannot read it${may}: give what changed a new name`
}

function inEnum(writer: EnumLeaf, reader: EnumLeaf, at: string): string | undefined {
  if (!isNamed(writer.name, reader)) return renamed(at, writer.name, reader.name)
  const lost = writer.symbols.filter((symbol) => !reader.symbols.includes(symbol))
  if (lost.length === 0 || reader.hasDefault) return undefined
  return `${at} has lost ${lost.join(', ')}: keep what it could be, or give the enum a default symbol`
}

/** Avro asks for the unqualified name only. */
const isNamed = (
  name: string,
  { name: own, aliases }: { readonly name: string; readonly aliases: readonly string[] },
) => [own, ...aliases].some((each) => unqualified(each) === unqualified(name))

const unqualified = (name: string) => name.slice(name.lastIndexOf('.') + 1)

const renamed = (at: string, was: string, is: string) =>
  `the type of ${at} was called ${was} and is called ${is}: keep the name, or give it "aliases": ["${was}"]`
