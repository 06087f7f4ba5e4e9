/**
 * Owns what a person is told of a payload that was set aside: its framing, which schema its fingerprint names, how far it
 * can be read by it, and what would become of it now.
 */

import { isUtf8 } from 'node:buffer'
import type { DeadLetter } from '../../log/log.ts'
import { fingerprintHex, fingerprintOf } from '../../schemas/fingerprint.ts'
import { type Inspection, inspectAvro } from '../../schemas/inspect.ts'
import { jsonFault } from '../../schemas/json-fault.ts'
import { Rejection } from '../../schemas/reading.ts'
import type { RegisteredSchema, Registry } from '../../schemas/registry.ts'

/** Levels of a JSON payload that are shown to such a person; what lies deeper is left out, and said to be. */
const SHOWN_LEVELS_MAX = 32

/** Where the body starts in single-object encoding: after the marker and the fingerprint. */
const BODY_AT = 10

interface Writer extends RegisteredSchema {
  /** The payload is an array of records. */
  readonly batch: boolean
}

export interface Contents {
  readonly framing: 'empty' | 'avro' | 'json' | 'unknown'
  /** Avro: sixteen hexadecimal digits. */
  readonly fingerprint?: string
  /** Avro: the schema it was read by, such as `environment 1`; when the fingerprint is unknown, a guess. */
  readonly schema?: string
  readonly guessed?: boolean
  readonly read?: Inspection
  /** JSON: the value down to `SHOWN_LEVELS_MAX` levels, or what is wrong with the text. */
  readonly json?: unknown
  readonly fault?: string
  /** What would become of the message with the schemas as they are now. */
  readonly now: { readonly readings: number } | { readonly code: string; readonly reason: string }
}

export function readPayload({ payload, ...letter }: DeadLetter, registry: Registry): Contents {
  const bytes = Buffer.from(payload)
  const decoded = registry.decode({ ...letter, payload: bytes })
  const now =
    decoded instanceof Rejection ? { code: decoded.code, reason: decoded.reason } : { readings: decoded.length }
  if (bytes.length === 0) return { framing: 'empty', now }
  if (bytes[0] === 0x7b || bytes[0] === 0x5b) return { framing: 'json', ...readJson(bytes), now }
  if (bytes[0] !== 0xc3 || bytes[1] !== 0x01) return { framing: 'unknown', now }
  if (bytes.length < BODY_AT) return { framing: 'avro', fault: 'it ends inside the fingerprint', now }
  return { framing: 'avro', ...readAvro(bytes, letter.stream, registry), now }
}

function readJson(bytes: Buffer): Pick<Contents, 'json' | 'fault'> {
  if (!isUtf8(bytes)) return { fault: 'it is not UTF-8' }
  const text = bytes.toString('utf8')
  try {
    return { json: cut(JSON.parse(text), SHOWN_LEVELS_MAX) }
  } catch {
    return { fault: jsonFault(text) }
  }
}

/** `value` down to so many levels of objects and arrays: `JSON.stringify` has no stack for all that fits in a payload. */
function cut(value: unknown, levels: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (levels === 0) return `... deeper than ${SHOWN_LEVELS_MAX} levels`
  if (Array.isArray(value)) return value.map((item) => cut(item, levels - 1))
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, cut(item, levels - 1)]))
}

function readAvro(bytes: Buffer, stream: string, registry: Registry): Omit<Contents, 'framing' | 'now'> {
  const fingerprint = fingerprintHex(bytes.readBigUInt64LE(2))
  const known = writers(registry).get(fingerprint)
  const newest = registry.versions(stream).at(-1)
  const writer = known ?? (newest && { ...newest, batch: false })
  if (writer === undefined) return { fingerprint }
  return {
    fingerprint,
    schema: `${writer.stream} ${writer.version}${writer.batch ? ', a batch' : ''}`,
    ...(known === undefined && { guessed: true }),
    read: inspectAvro(writer.schema, writer.batch, bytes, BODY_AT),
  }
}

/** Every registered schema by its fingerprints: of the record, and of an array of it. */
function writers(registry: Registry): Map<string, Writer> {
  const all = new Map<string, Writer>()
  for (const { name } of registry.streams) {
    for (const version of registry.versions(name)) {
      all.set(version.fingerprint, { ...version, batch: false })
      const array = fingerprintHex(fingerprintOf({ type: 'array', items: version.schema }))
      all.set(array, { ...version, batch: true })
    }
  }
  return all
}

/** Names and values, as they are printed. */
export function describeContents(contents: Contents): [string, string][] {
  const { framing, fingerprint, schema, guessed, read, json, fault, now } = contents
  const facts: [string, string][] = []
  if (framing === 'empty') facts.push(['contents', 'nothing'])
  if (framing === 'unknown') facts.push(['contents', 'neither Avro single-object encoding nor JSON'])
  if (framing === 'json') facts.push(['contents', `JSON${fault === undefined ? '' : `: ${fault}`}`])
  if (json !== undefined) facts.push(['', JSON.stringify(json, null, 2)])
  if (framing === 'avro') {
    const named = guessed || schema === undefined ? 'of no registered schema' : `of ${schema}`
    facts.push(['contents', fault ?? `Avro single-object encoding, fingerprint ${fingerprint}, ${named}`])
  }
  if (read !== undefined) {
    if (guessed) facts.push(['', `read as ${schema}, for want of a better one:`])
    facts.push(...describeFields(read))
  }
  const verdict =
    'code' in now
      ? `${now.code}: ${now.reason}`
      : `it can be decoded: ${now.readings} ${now.readings === 1 ? 'reading' : 'readings'}`
  facts.push(['now', verdict])
  return facts
}

function describeFields({ fields, end, fault }: Inspection): [string, string][] {
  const width = Math.max(0, ...fields.map(({ path }) => path.length))
  const lines = fields.map(({ path, value }): [string, string] => [
    '',
    // Not as JSON, to which NaN is null.
    `${path.padEnd(width)}  ${typeof value === 'string' ? JSON.stringify(value) : value}`,
  ])
  if (fault !== undefined) lines.push(['', `stopped at byte ${end}: ${fault}`])
  return lines
}
