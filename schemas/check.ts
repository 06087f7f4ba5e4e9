/**
 * Owns the check of a folder of schemas before anybody runs on it: all that is found, not the first alone. What it has no error
 * for, a platform starts with.
 */

import { type CheckedVersion, checkVersions, type Finding } from './compatibility.ts'
import { SchemaError } from './definition.ts'
import { lineOfField } from './json-lines.ts'
import { Lock } from './lock.ts'
import { Registry } from './registry.ts'
import { fileName, type SchemaFile, type SchemaFiles } from './schema-files.ts'
import { byVersion, defineVersion } from './version.ts'

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
        devices: 'devices go on sending what it was',
        stored: 'what is in the log and was written by it could be read wrongly, or not at all',
        mend: '`telltale schemas lock --restore`, and what is new becomes the next version; `--replace` if no device has ever sent it',
      }),
    )
  for (const stream of new Set(files.files.map((file) => file.stream))) {
    const versions = byVersion(files.files.filter((file) => file.stream === stream))
    const defined = versions.map((ofVersion) => versionOf(ofVersion, findings))
    const whole = defined.filter((version) => version !== undefined)
    if (whole.length === versions.length) findings.push(...checkVersions(whole))
  }
  if (!findings.some(({ severity }) => severity === 'error')) findings.push(...unusable(files))
  return findings
}

function versionOf(files: readonly SchemaFile[], findings: Finding[]): CheckedVersion | undefined {
  try {
    return defineVersion(files, fileName)
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error
    findings.push(told(error, files))
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
    return [told(error, files.files)]
  }
}

/** An error that begins with a file's name, and perhaps its line. */
function told({ message }: SchemaError, files: readonly SchemaFile[]): Finding {
  const [, name = '', line, what = ''] = /^\/?([^:]+\.(?:avsc|proto))(?::(\d+))?: (.*)$/s.exec(message) ?? []
  const text = files.find((file) => fileName(file) === name)?.text ?? '{}'
  const found = invalid(name, text, what || message)
  return line === undefined ? found : { ...found, line: Number(line) }
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
    mend: `what the sentence says would be right: docs/schemas.md, "${file.endsWith('.proto') ? 'Protobuf' : 'What a schema may be'}"`,
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
