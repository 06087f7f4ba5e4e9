/** Owns `GET /v1/schemas` and `/v1/schemas/{stream}/{n}`: what is registered. */

import type { Registry } from '../schemas/registry.ts'
import { Refusal } from './refusal.ts'

/** Each stream with its columns as readers see them, and its versions, oldest first. */
export function listSchemas(registry: Pick<Registry, 'streams' | 'versions'>): object {
  const schemas = registry.streams.map((stream) => ({
    stream: stream.name,
    version: stream.version,
    timeField: stream.timeField,
    precision: stream.precision,
    columns: stream.columns,
    versions: registry.versions(stream.name).map(({ version, fingerprint, batchFingerprint, id, batchId }) => {
      return { version, fingerprint, batchFingerprint, id, batchId }
    }),
  }))
  return { schemas }
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
