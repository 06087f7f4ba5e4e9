/**
 * Owns what one version of a stream is by its files: an `.avsc`, a `.proto`, or both, which then agree; and in which of their lines
 * a field stands.
 */

import type { CheckedVersion } from './compatibility.ts'
import { type Definition, defineSchema } from './definition.ts'
import { lineOfField } from './json-lines.ts'
import { defineProto, type ProtoVersion } from './protobuf-definition.ts'
import type { MessageShape } from './protobuf-shape.ts'
import { refuse, type SchemaFile, type SchemaFormat } from './schema-files.ts'

export interface StreamVersion extends CheckedVersion {
  /** Of the file that defines it. */
  readonly format: SchemaFormat
  /** Of its `.proto`, where it has one. */
  readonly proto: ProtoVersion | undefined
}

/** The files of a stream by their versions, oldest first. */
export function byVersion(files: readonly SchemaFile[]): SchemaFile[][] {
  return [...new Set(files.map(({ version }) => version))].map((version) =>
    files.filter((file) => file.version === version),
  )
}

/** `nameOf`: what a file is called in errors. Throws `SchemaError`. */
export function defineVersion(files: readonly SchemaFile[], nameOf: (file: SchemaFile) => string): StreamVersion {
  let avsc: { readonly file: SchemaFile; readonly definition: Definition } | undefined
  let proto: { readonly file: SchemaFile; readonly version: ProtoVersion } | undefined
  for (const file of files) {
    const { stream, version, format, text } = file
    if (format === 'avsc') avsc = { file, definition: defineSchema(nameOf(file), stream, version, text) }
    else proto = { file, version: defineProto(nameOf(file), stream, version, text, avsc?.definition) }
  }
  const common = { proto: proto?.version }
  if (avsc !== undefined) {
    const { file, definition } = avsc
    const lineOf = (path: readonly string[]) => lineOfField(file.text, path)
    return { ...common, file: nameOf(file), format: 'avsc', definition, lineOf }
  }
  if (proto === undefined) return refuse('a version of a stream', 'has no file')
  const { file, version } = proto
  const lineOf = (path: readonly string[]) => lineInMessage(version.message, path)
  return { ...common, file: nameOf(file), format: 'proto', definition: version.definition, lineOf }
}

function lineInMessage(message: MessageShape, path: readonly string[]): number {
  let line = 1
  let within: MessageShape | undefined = message
  for (const name of path) {
    const field: MessageShape['fields'][number] | undefined = within?.fields.find((each) => each.name === name)
    if (field === undefined) break
    line = field.line
    within = field.type.kind === 'message' ? field.type : undefined
  }
  return line
}
