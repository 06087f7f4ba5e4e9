/**
 * Owns the part of Confluent's Schema Registry API that reads, served of our registry, so that other people's tools find a schema by the
 * id in a message. A subject is a stream. Only released versions are there, for only they have ids.
 */

import { candidateOf, errorsIn } from '../schemas/candidate.ts'
import type { CurrentSchemas } from '../schemas/current-schemas.ts'
import type { RegisteredSchema } from '../schemas/registry.ts'
import { badParameter, Refusal } from './refusal.ts'

/** Of a stream, oldest first. Throws a `Refusal` `not-found`. */
function released({ registry }: CurrentSchemas, subject: string): readonly RegisteredSchema[] {
  const versions = registry.versions(subject).filter(({ id }) => id !== undefined)
  if (versions.length === 0) throw new Refusal('not-found', registry.unknownStream(subject))
  return versions
}

/** `latest`, or a number. */
function versionOf(schemas: CurrentSchemas, subject: string, version: string): RegisteredSchema {
  const versions = released(schemas, subject)
  const found = version === 'latest' ? versions.at(-1) : versions.find((each) => String(each.version) === version)
  if (found !== undefined) return found
  throw new Refusal('not-found', `${subject} has no version ${version}: it has 1 to ${versions.length}, and latest`)
}

export const subjects = ({ registry }: CurrentSchemas): string[] =>
  registry.streams.map(({ name }) => name).filter((name) => registry.versions(name).some(({ id }) => id !== undefined))

export const versionsOf = (schemas: CurrentSchemas, subject: string): number[] =>
  released(schemas, subject).map(({ version }) => version)

export function versionAsSubject(schemas: CurrentSchemas, subject: string, given: string): object {
  const { version, id, schema } = versionOf(schemas, subject, given)
  return { subject, version, id, schemaType: 'AVRO', schema: JSON.stringify(schema) }
}

/** Of a record, or of an array of it: each has an id of its own. */
export function schemaById({ registry }: CurrentSchemas, id: string): object {
  const codec = /^[1-9]\d{0,9}$/.test(id) ? registry.byId(Number(id)) : undefined
  if (codec === undefined) throw new Refusal('not-found', `no schema has the id ${id}`)
  const { schema } = codec.definition
  return { schemaType: 'AVRO', schema: JSON.stringify(codec.batch ? { type: 'array', items: schema } : schema) }
}

/** Whether a schema, given as text in `{"schema"}`, could be the version after this one. Always with the reasons. */
export function compatibility(schemas: CurrentSchemas, subject: string, version: string, body: string): object {
  const against = versionOf(schemas, subject, version)
  const candidate = candidateOf(textIn(body), schemas.registry)
  if (candidate.file.stream !== subject) {
    throw new Refusal('schema-invalid', `the schema is named ${candidate.file.stream}, and the subject is ${subject}`)
  }
  if (candidate.same !== undefined) return { is_compatible: true, messages: [] }
  const next = { file: { ...candidate.file, version: against.version + 1 }, same: undefined }
  const errors = errorsIn(next, schemas.files.files)
  const [invalid] = errors.filter(({ code }) => code === 'invalid')
  if (invalid !== undefined) throw new Refusal('schema-invalid', `line ${invalid.line}: ${invalid.what}`)
  const messages = errors.map(({ what, devices, mend }) => `${what}: ${mend} (otherwise ${devices})`)
  return { is_compatible: errors.length === 0, messages }
}

function textIn(body: string): string {
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    parsed = undefined
  }
  const { schema, schemaType = 'AVRO' } = (parsed ?? {}) as { schema?: unknown; schemaType?: unknown }
  if (schemaType !== 'AVRO') throw badParameter('schemaType', String(schemaType), 'AVRO')
  if (typeof schema === 'string') return schema
  throw new Refusal('schema-invalid', 'the body has no text "schema": {"schema": "..."} is expected')
}
