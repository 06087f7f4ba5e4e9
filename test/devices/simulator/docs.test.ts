/** What docs/simulator.md says is what the simulator does: its scenario is read, and each key, fault and condition is there. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { SECONDS_HEADER } from '../../../devices/simulator/report/seconds.ts'
import { FAULT_KINDS } from '../../../devices/simulator/scenario/fault-schema.ts'
import { scenarioJsonSchema } from '../../../devices/simulator/scenario/json-schema.ts'
import { parseScenario } from '../../../devices/simulator/scenario/scenario-file.ts'
import { MEASURE_NAMES } from '../../../devices/simulator/scenario/threshold.ts'
import { PACKAGE_DIR } from '../../../platform/package.ts'
import { registry } from './fleet.ts'
import { BAD, GOOD, VERIFICATION } from './report/finished-run.ts'

const DOCS = readFileSync(join(PACKAGE_DIR, 'docs/simulator.md'), 'utf8')
const between = (from: string, to: string): string => DOCS.split(from)[1]?.split(to)[0] ?? assert.fail(`no ${from}`)
/** What is in code there, word by word. */
const codeIn = (text: string): string[] =>
  [...text.matchAll(/`([^`]+)`/g)].flatMap(([, code = '']) => code.split(/,? /)).filter((word) => word !== '')

test('the scenario is read with the shipped schemas', () => {
  const scenario = parseScenario('depot.yaml', Buffer.from(between('```yaml\n', '```')), registry)
  assert.deepEqual([scenario.fleet.length, scenario.faults.length], [2, 2])
})

test('its conditions are those that there are', () => {
  const words = codeIn(between('`--fail-if` conditions:', 'The run fails if')).filter((word) => !/[<>]/.test(word))
  const prefixes = words.filter((word) => word.endsWith('-'))
  const names = words.filter((word) => !word.endsWith('-') && word !== '--verify')
  const percentiles = names.filter((name) => /^p\d+$|^max$/.test(name))
  const all = [...names, ...prefixes.flatMap((prefix) => percentiles.map((name) => prefix + name))]
  assert.deepEqual(all.toSorted(), [...MEASURE_NAMES].toSorted())
})

test('each fault and each of its keys is named', () => {
  const words = codeIn(between('## Faults', '\n## '))
  const { properties } = JSON.parse(JSON.stringify(scenarioJsonSchema())) as {
    properties: { faults: { items: { oneOf: { properties: object }[] } } }
  }
  const keys = properties.faults.items.oneOf.flatMap((kind) => Object.keys(kind.properties))
  assert(keys.includes('per-hour'))
  for (const name of [...FAULT_KINDS, ...keys]) assert(words.includes(name), `${name} is not named`)
})

test('each field of a summary, and each column of its seconds, is named', () => {
  const words = codeIn(between('## What is left of a run', '\n## '))
  const fields = [GOOD, BAD, VERIFICATION].flatMap((each) => Object.keys(each))
  const [, ...columns] = SECONDS_HEADER.trim().split(',')
  assert.deepEqual(
    [...fields, ...columns].filter((name) => !words.includes(name)),
    [],
  )
})
