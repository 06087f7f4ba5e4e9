/**
 * Owns how a scenario is read of a YAML file (docs/simulator.md): `scenario.ts` says what it becomes, `schema.ts` what may stand in it.
 *
 * Always true: a file with a mistake is not run, and all its mistakes are told at once, in the order of the file, each as
 * `file:line:column: path: what is wrong; what is allowed`. Bounds: `SCENARIO_BYTES_MAX` a file; `MISTAKES_MAX` mistakes are told.
 */

import { closeSync, openSync, readSync } from 'node:fs'
import { basename, extname } from 'node:path'
import type { z } from 'zod'
import { messageOf, TelltaleError } from '../../../platform/errors.ts'
import { shown } from './scalars.ts'
import type { Scenario } from './scenario.ts'
import { checkScenario } from './scenario-checks.ts'
import { scenarioSchema } from './schema.ts'
import type { KnownStreams, Mistake } from './sending-checks.ts'
import { type Path, YamlText } from './yaml-text.ts'

/** A file is larger: refused. */
export const SCENARIO_BYTES_MAX = 1024 * 1024
/** Of more mistakes it is told how many there are. */
const MISTAKES_MAX = 50

/** `bad-scenario`: a line for each mistake. */
export class ScenarioError extends TelltaleError {
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    const more = mistakes.length - MISTAKES_MAX
    super('bad-scenario', [...mistakes.slice(0, MISTAKES_MAX), ...(more > 0 ? [`and ${more} more`] : [])].join('\n'))
    this.mistakes = mistakes
  }
}

/** Throws a `ScenarioError`. Without `streams` nothing is checked of streams, versions and columns. */
export function readScenario(file: string, streams?: KnownStreams): Scenario {
  return parseScenario(file, bytesOf(file), streams)
}

/** At most one byte more than a file may have: also of what has no end. */
function bytesOf(file: string): Buffer {
  const bytes = Buffer.alloc(SCENARIO_BYTES_MAX + 1)
  let length = 0
  try {
    const handle = openSync(file, 'r')
    try {
      for (let read = -1; read !== 0 && length < bytes.length; length += read) {
        read = readSync(handle, bytes, length, bytes.length - length, null)
      }
    } finally {
      closeSync(handle)
    }
  } catch (error) {
    throw new ScenarioError([`${file}: cannot be read: ${messageOf(error)}`])
  }
  return bytes.subarray(0, length)
}

/** The same of what the file says. */
export function parseScenario(file: string, bytes: Buffer, streams?: KnownStreams): Scenario {
  const yaml = new YamlText(textOf(file, bytes))
  if (yaml.faults.length > 0) {
    throw new ScenarioError(yaml.faults.map(({ line, column, what }) => `${file}:${line}:${column}: ${what}`))
  }
  if (yaml.value === null) throw new ScenarioError([`${file}:1:1: is empty; a scenario has at least a fleet`])
  const parsed = scenarioSchema.safeParse(yaml.value)
  const mistakes = [...(parsed.error?.issues.flatMap(mistakesOf) ?? []), ...checkScenario(yaml.value, streams)]
  if (mistakes.length > 0 || !parsed.success) throw new ScenarioError(inOrder(mistakes, file, yaml))
  return { ...parsed.data, name: parsed.data.name ?? basename(file, extname(file)) }
}

function textOf(file: string, bytes: Buffer): string {
  if (bytes.length > SCENARIO_BYTES_MAX) {
    throw new ScenarioError([`${file}: is larger than 1 MiB; a scenario has at most ${SCENARIO_BYTES_MAX} bytes`])
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    const line = bytes.toString('utf8').split('\ufffd', 1)[0]?.split('\n').length ?? 1
    throw new ScenarioError([`${file}:${line}: is not UTF-8, which a scenario is written in`])
  }
}

/** Of several unknown keys a message has a line each. */
function mistakesOf(issue: z.core.$ZodIssue): Mistake[] {
  const path = issue.path as Path
  if (issue.code !== 'unrecognized_keys') return [{ path, what: issue.message }]
  const lines = issue.message.split('\n')
  return issue.keys.map((key, index) => ({ path, key, what: lines[index] ?? '' }))
}

function inOrder(mistakes: readonly Mistake[], file: string, yaml: YamlText): string[] {
  return mistakes
    .map(({ path, key, what }) => {
      const { line, column } = key === undefined ? yaml.placeOf(path) : yaml.placeOfKey(path, key)
      const at = pathText(path)
      return { line, column, text: `${file}:${line}:${column}: ${at === '' ? '' : `${at}: `}${what}` }
    })
    .sort((a, b) => a.line - b.line || a.column - b.column)
    .map(({ text }) => text)
}

/** Such as `fleet[0].sends[1].every`. */
function pathText(path: Path): string {
  return path
    .map((step) => {
      if (typeof step === 'number') return `[${step}]`
      return /^[\w-]+$/.test(step) ? `.${step}` : `[${shown(step)}]`
    })
    .join('')
    .replace(/^\./, '')
}
