/** Owns `GET /v1/schemas`, `/v1/schemas/types` and `/v1/schemas/{stream}/{n}`: what is registered. */

import { catalogueOf } from '../schemas/catalogue.ts'
import { declareStreams } from '../schemas/declarations.ts'
import type { Registry } from '../schemas/registry.ts'
import { Refusal } from './refusal.ts'

/** Each stream with its columns as readers see them, its versions, oldest first, and how it is published. */
export function listSchemas(registry: Registry): object {
  return { schemas: catalogueOf(registry) }
}

/** What apps written in TypeScript know of the streams. */
export function schemaTypes(registry: Registry): object {
  return { typescript: declareStreams(catalogueOf(registry)) }
}

/** One version: its `.avsc` as JSON, and its fingerprints. Throws a `Refusal` `not-found`. */
export function showSchema(registry: Pick<Registry, 'versions'>, stream: string, version: string): object {
  const versions = registry.versions(stream)
  const found = versions.find((schema) => String(schema.version) === version)
  if (found === undefined) {
    const known = versions.length === 0 ? 'is no stream of this name' : `are versions 1 to ${versions.length}`
    throw new Refusal('not-found', `there is no schema ${stream}/${version}: there ${known}`)
  }
  return found
}
