/**
 * Owns the names that avsc is given for fields: their own, but for those that every object has without being given them
 * (`constructor`, `toString`), by which avsc 5.7.9 resolves wrongly or throws ("resolvers[name].push is not a function").
 *
 * Always true: two fields never get one name, for no field of a schema begins with an underscore (`definition.ts`); no byte
 * and no fingerprint changes, for names are neither written nor read by avsc, and fingerprints are of the schema as it is.
 */

const INHERITED: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype))

export const avscName = (name: string): string => (INHERITED.has(name) ? `_${name}` : name)

/** A copy of a schema, as parsed JSON, with the names for avsc. */
export function avscSchema(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(avscSchema)
  if (typeof schema !== 'object' || schema === null) return schema
  const { fields, ...rest } = schema as { readonly fields?: unknown }
  const type = 'type' in rest ? { type: avscSchema(rest.type) } : {}
  const items = 'items' in rest ? { items: avscSchema(rest.items) } : {}
  return { ...rest, ...type, ...items, ...(Array.isArray(fields) && { fields: fields.map(avscField) }) }
}

/** A copy of a record, or of an array of records, with the names for avsc. */
export function avscRecord(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(avscRecord)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [avscName(name), avscRecord(item)]))
}

function avscField(field: { readonly name: string; readonly type: unknown }): unknown {
  const { name, type, ...rest } = field
  const aliases = 'aliases' in rest && Array.isArray(rest.aliases) ? { aliases: rest.aliases.map(avscName) } : {}
  const fallback = 'default' in rest ? { default: avscRecord(rest.default) } : {}
  return { ...rest, ...aliases, ...fallback, name: avscName(name), type: avscSchema(type) }
}
