/**
 * Owns how the tests read a description of an interface (docs/openapi.yaml, docs/asyncapi.yaml) and what they make of its schemas.
 * Always true: an object may have only the members that are described, though the descriptions leave objects open for clients: new
 * members may come.
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Ajv, ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { parse } from 'yaml'
import { PACKAGE_DIR } from '../../../platform/package.ts'

export type Schema = Readonly<Record<string, unknown>>

/** JSON as it was parsed. */
export interface Description {
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly [member: string]: unknown
}

export function readDescription(file: string): Description {
  return parse(readFileSync(join(PACKAGE_DIR, file), 'utf8')) as Description
}

/** What a `$ref` within the description points to; anything else as it is. */
export function resolve<T extends object>(description: Description, value: T | { readonly $ref: string }): T {
  if (!('$ref' in value)) return value
  const found = value.$ref
    .replace(/^#\//, '')
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], description)
  assert(found !== undefined, `${value.$ref} is there`)
  return resolve(description, found as T)
}

/** Makes schemas of one description into functions, each once. A misspelt keyword throws. */
export class Schemas {
  readonly #ajv: Ajv
  readonly #components: unknown
  readonly #compiled = new Map<object, ValidateFunction>()

  /** By JSON Schema 2020-12, or by the draft that `Draft` is of. */
  constructor(description: Description, Draft: typeof Ajv2020 | typeof Ajv = Ajv2020) {
    this.#ajv = new Draft({ allErrors: true, strictTypes: false, strictRequired: false })
    addFormats.default(this.#ajv)
    // The root of each schema has the description's, so that references lead there.
    this.#ajv.addKeyword('components')
    this.#components = closed(description.components)
  }

  /** What is wrong with the value; undefined if it fits. */
  problem(schema: Schema, value: unknown): string | undefined {
    const fits = this.compile(schema)
    if (fits(value)) return undefined
    return `${this.#ajv.errorsText(fits.errors, { dataVar: '' })}: ${JSON.stringify(value).slice(0, 1_000)}`
  }

  compile(schema: Schema): ValidateFunction {
    const known = this.#compiled.get(schema)
    if (known !== undefined) return known
    const fits = this.#ajv.compile({ ...(closed(schema) as Schema), components: this.#components })
    this.#compiled.set(schema, fits)
    return fits
  }
}

/** With every object closed, but for what narrows another schema by `$ref`: that one is closed where it stands. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null || '$ref' in schema) return schema
  const entries = Object.entries(schema).map(([name, value]) => [name, closed(value)])
  const isOpen = 'properties' in schema && typeof schema.properties === 'object' && !('additionalProperties' in schema)
  return { ...Object.fromEntries(entries), ...(isOpen && isSchema(schema) && { additionalProperties: false }) }
}

/** A column or a member may be called `properties` as well. */
const isSchema = (value: object) => 'type' in value || 'required' in value
