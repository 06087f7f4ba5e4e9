/**
 * Owns reading the project's compose files as Docker Compose does: YAML with merge keys, `${NAME}`, `${NAME:-default}` and
 * `${NAME:?message}` filled in, an override file laid over another.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export interface Service {
  readonly environment: Readonly<Record<string, string>>
  readonly ports: readonly string[]
  readonly volumes: readonly string[]
  readonly image: string
  readonly [key: string]: unknown
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
  readonly [key: string]: unknown
}

export type Variables = Readonly<Record<string, string>>

export const readText = (path: string) => readFileSync(join(ROOT, path), 'utf8')

/** The file with its variables filled in. Throws the message of a `:?` whose variable is missing. */
export function readCompose(path: string, variables: Variables): ComposeFile {
  return fillIn(parse(readText(path), { merge: true }), variables) as ComposeFile
}

/** The service of `override` laid over that of `base`: maps are merged, lists appended, anything else is replaced. */
export function laidOver(base: Service, override: Partial<Service>): Service {
  const merged: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(override)) {
    const below = merged[key]
    if (Array.isArray(below) && Array.isArray(value)) merged[key] = [...below, ...value]
    else if (isMap(below) && isMap(value)) merged[key] = { ...below, ...value }
    else merged[key] = value
  }
  return merged as unknown as Service
}

function fillIn(value: unknown, variables: Variables): unknown {
  if (typeof value === 'string') return interpolate(value, variables)
  if (Array.isArray(value)) return value.map((item) => fillIn(item, variables))
  if (!isMap(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fillIn(item, variables)]))
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** One variable whose default holds no further one: an inner one is filled in before the outer. */
const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([-?])([^${}]*))?\}/

function interpolate(text: string, variables: Variables): string {
  let filled = text
  for (let match = VARIABLE.exec(filled); match; match = VARIABLE.exec(filled)) {
    const [whole, name = '', kind, rest = ''] = match
    const value = variables[name] ?? ''
    if (value === '' && kind === '?') throw new Error(`${name} ${rest}`)
    filled = filled.replace(whole, () => (value === '' && kind === '-' ? rest : value))
  }
  return filled
}
