/** Owns a directory of schemas written for one test and removed after it. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { Registry } from '../../schemas/registry.ts'

export const TIME = { name: 'ts', type: { type: 'long', logicalType: 'timestamp-millis' } }

/** A version of the stream `probe` with the time and the given fields. */
export const probe = (...fields: object[]): object => ({
  type: 'record',
  name: 'probe',
  namespace: 'telltale',
  fields: [TIME, ...fields],
})

/** Writes files by their path below the directory (objects as JSON) and returns the directory. */
export function schemaFolder(t: TestContext, files: Readonly<Record<string, object | string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'telltale-schemas-'))
  t.after(() => rmSync(directory, { recursive: true }))
  writeSchemas(directory, files)
  return directory
}

export function writeSchemas(directory: string, files: Readonly<Record<string, object | string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), typeof content === 'string' ? content : JSON.stringify(content))
  }
}

/** A registry of the stream `probe` in the given versions. */
export function probeRegistry(t: TestContext, ...versions: object[]): Registry {
  return Registry.load(
    schemaFolder(t, Object.fromEntries(versions.map((schema, index) => [`probe/${index + 1}.avsc`, schema]))),
  )
}
