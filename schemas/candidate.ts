/**
 * Owns a schema that somebody proposes as the next version of its stream: which version it would be, what is found in it, and its file.
 * Always true: it is written whole, and never over another.
 */

import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { messageOf } from '../platform/errors.ts'
import { makeFile, makeSharedDirectory } from '../platform/files.ts'
import { checkSchemas } from './check.ts'
import type { Finding } from './compatibility.ts'
import { SchemaError } from './definition.ts'
import type { RegisteredSchema, Registry } from './registry.ts'
import { fileName, isStreamFolder, type SchemaFile } from './schema-files.ts'

export interface Candidate {
  readonly file: SchemaFile
  /** What is registered already and says the same. */
  readonly same: RegisteredSchema | undefined
}

/** Throws `SchemaError` `schema-invalid` for a text that names no stream. */
export function candidateOf(text: string, registry: Registry): Candidate {
  const schema = parsed(text)
  const { name } = (schema ?? {}) as { name?: unknown }
  if (typeof name !== 'string' || !isStreamFolder(name)) {
    throw new SchemaError(
      'schema-invalid',
      'the schema is no JSON object whose "name" is that of a stream, such as "environment"',
    )
  }
  const versions = registry.versions(name)
  const same = versions.find((each) => isDeepStrictEqual(each.schema, schema))
  return { file: { stream: name, version: versions.length + 1, format: 'avsc', text }, same }
}

/** The errors in it, beside versions of its stream. */
export function errorsIn({ file }: Candidate, files: readonly SchemaFile[]): Finding[] {
  const older = files.filter(({ stream, version }) => stream === file.stream && version < file.version)
  const findings = checkSchemas({ directory: '', files: [...older, file], lock: undefined })
  return findings.filter(({ severity, file: name }) => severity === 'error' && name === fileName(file))
}

/** Throws `SchemaError` `schema-invalid` or `schema-incompatible` that says all of them. */
export function requireNone(errors: readonly Finding[]): void {
  if (errors.length === 0) return
  const isInvalid = errors.some(({ code }) => code === 'invalid')
  const sentences = errors.map(
    ({ line, what, devices, mend }) => `line ${line}: ${what}: ${mend} (otherwise ${devices})`,
  )
  throw new SchemaError(isInvalid ? 'schema-invalid' : 'schema-incompatible', sentences.join('; '))
}

/** False if another was there first. Throws `SchemaError` `schemas-unwritable`. */
export function writeCandidate(directory: string, { file }: Candidate): boolean {
  try {
    makeSharedDirectory(join(directory, file.stream))
    return makeFile(join(directory, fileName(file)), file.text, 0o644)
  } catch (cause) {
    throw new SchemaError('schemas-unwritable', `the folder of the schemas cannot be written to: ${messageOf(cause)}`, {
      cause,
    })
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
