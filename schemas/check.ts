/**
 * Owns the check of a folder of schemas before anybody runs on it: all that is found, not the first alone. What it has no error
 * for, a platform starts with.
 */

import { messageOf } from '../platform/errors.ts'
import { type CheckedVersion, checkVersions, type Finding } from './compatibility.ts'
import { defineSchema, SchemaError } from './definition.ts'
import { lineOfField } from './json-lines.ts'
import { Lock } from './lock.ts'
import { Registry } from './registry.ts'
import { fileName, type SchemaFile, type SchemaFiles } from './schema-files.ts'

/** Throws `SchemaError` if the folder's lock is none. */
export function checkSchemas(files: SchemaFiles): Finding[] {
  const findings = Lock.read(files)
    .drift(files)
    .map(
      ({ file, line = 1, what }): Finding => ({
        file,
        line,
        severity: 'error',
        code: 'drift',
        what: `it is released, and has changed: ${what}`,
        devices: 'they go on sending what it was',
        stored: 'what is in the log and was written by it could be read wrongly, or not at all',
        mend: '`telltale schemas lock --restore`, and what is new becomes the next version; `--replace` if no device has ever sent it',
      }),
    )
  for (const stream of new Set(files.files.map((file) => file.stream))) {
    const versions = files.files.filter((file) => file.stream === stream)
    const defined = versions.map((file) => definitionOf(file, findings))
    const whole = defined.filter((version) => version !== undefined)
    if (whole.length === versions.length) findings.push(...checkVersions(whole))
  }
  if (!findings.some(({ severity }) => severity === 'error')) findings.push(...unusable(files))
  return findings
}

function definitionOf(file: SchemaFile, findings: Finding[]): CheckedVersion | undefined {
  const name = fileName(file)
  try {
    return { file: name, text: file.text, definition: defineSchema(name, file.stream, file.version, file.text) }
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error
    findings.push(invalid(name, file.text, error.message.slice(name.length + 2)))
    return undefined
  }
}

/** What only a whole registry shows, such as two versions that have one fingerprint. */
function unusable(files: SchemaFiles): Finding[] {
  try {
    Registry.of({ ...files, directory: '' })
    return []
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error
    const [, name = '', what = ''] = /^\/?([^:]+\.avsc)(?::\d+)?: (.*)$/s.exec(messageOf(error)) ?? []
    const text = files.files.find((file) => fileName(file) === name)?.text ?? '{}'
    return [invalid(name, text, what || error.message)]
  }
}

function invalid(file: string, text: string, what: string): Finding {
  const [, path = ''] = /^([A-Za-z_][\w.]*) /.exec(what) ?? []
  return {
    file,
    line: isJson(text) ? lineOfField(text, path.split('.')) : 1,
    severity: 'error',
    code: 'invalid',
    what,
    devices: 'no platform starts with it; one that runs goes on by the schemas of before',
    stored: 'nothing changes',
    mend: 'what the sentence says would be right: docs/schemas.md, "What a schema may be"',
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
