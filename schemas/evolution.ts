/**
 * Owns which versions of a stream may stand side by side. The newest must read what every older one wrote, and a column
 * must mean the same in all of them. A fingerprint does not see logical types, tags or units (fingerprint.ts): a change
 * from millis to micros would be a silent factor of 1,000.
 */

import { type Definition, SchemaError } from './definition.ts'

/** Checks the versions of one stream, oldest first. Throws `SchemaError`. */
export function checkEvolution(file: (version: number) => string, versions: readonly Definition[]): void {
  const columns = new Map<string, { meaning: string; version: number }>()
  let first: Definition | undefined
  for (const definition of versions) {
    const refuse = (what: string) => {
      throw new SchemaError('schema-invalid', `${file(definition.version)}: ${what}`)
    }
    first ??= definition
    if (definition.timeField !== first.timeField) {
      refuse(`the time is ${definition.timeField}, in version ${first.version} it is ${first.timeField}; it must stay`)
    }
    if (definition.precision !== first.precision) {
      refuse(
        `${definition.timeField} is in ${definition.precision}, in version ${first.version} in ${first.precision}; it must stay, or make a new stream`,
      )
    }
    for (const { column } of definition.places) {
      const meaning = `${column.kind}${column.tag ? ' tag' : ''}${column.unit === undefined ? '' : ` in ${column.unit}`}`
      const before = columns.get(column.name)
      if (before === undefined) columns.set(column.name, { meaning, version: definition.version })
      else if (before.meaning !== meaning) {
        refuse(
          `${column.name} is ${meaning}, in version ${before.version} it is ${before.meaning}; give what changed a new name`,
        )
      }
    }
  }
}
