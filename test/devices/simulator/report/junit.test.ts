/** What a build server is told of a run: read by a parser of XML that nobody here wrote, Python's. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { CHECKS, junitXml } from '../../../../devices/simulator/report/junit.ts'
import { FINDINGS, type Summary } from '../../../../devices/simulator/report/summary.ts'
import { requireProgram } from '../../../servers/server.ts'
import { BAD, GOOD, HOSTILE } from './finished-run.ts'

interface Element {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly text: string
  readonly children: readonly Element[]
}

const READ = `
import json, sys, xml.etree.ElementTree as tree
def read(e): return {'name': e.tag, 'attributes': e.attrib, 'text': e.text or '', 'children': [read(c) for c in e]}
print(json.dumps(read(tree.fromstring(sys.stdin.buffer.read()))))`

function parse(t: TestContext, summary: Summary): Element | undefined {
  const python = requireProgram(t, 'python3', 'apt install python3')
  if (python === undefined) return undefined
  const { status, stdout, stderr } = spawnSync(python, ['-c', READ], { input: junitXml(summary), encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout) as Element
}

/** Of junit-10.xsd of the xUnit plugin: what each element may hold, and its attributes; `!` is required. */
const SCHEMA: Readonly<
  Record<string, { readonly children: readonly string[]; readonly attributes: readonly string[] }>
> = {
  testsuites: { children: ['testsuite'], attributes: ['name', 'time', 'tests', 'failures', 'errors'] },
  testsuite: {
    children: ['testsuite', 'properties', 'testcase', 'system-out', 'system-err'],
    attributes: ['name!', 'tests!', 'failures!', 'errors!', 'group', 'time', 'skipped', 'timestamp', 'hostname', 'id'],
  },
  properties: { children: ['property'], attributes: [] },
  property: { children: [], attributes: ['name!', 'value!'] },
  testcase: {
    children: ['skipped', 'error', 'failure', 'system-out'],
    attributes: ['name!', 'time', 'classname', 'group'],
  },
  failure: { children: [], attributes: ['type', 'message'] },
  skipped: { children: [], attributes: ['type', 'message'] },
}

function assertValid({ name, attributes, children }: Element): void {
  const rule = SCHEMA[name] ?? assert.fail(`no element <${name}>`)
  const names = rule.attributes.map((each) => each.replace('!', ''))
  for (const each of Object.keys(attributes)) assert(names.includes(each), `<${name}> has no ${each}`)
  for (const each of rule.attributes) {
    if (each.endsWith('!')) assert(Object.hasOwn(attributes, each.slice(0, -1)), `<${name}> needs ${each}`)
  }
  if (attributes.time !== undefined) assert.match(attributes.time, /^\d+(\.\d+)?$/)
  for (const child of children) {
    assert(rule.children.includes(child.name), `<${child.name}> in <${name}>`)
    assertValid(child)
  }
}

const casesOf = (root: Element) =>
  root.children.flatMap(({ children }) => children.filter(({ name }) => name === 'testcase'))
const outcomesOf = (root: Element) =>
  new Map(casesOf(root).map(({ attributes, children }) => [attributes.name, children.map(({ name }) => name)]))

test('of a run in which all is well, each check is a case that passed; the totals are theirs', (t) => {
  const root = parse(t, GOOD)
  if (root === undefined) return
  assertValid(root)
  const outcomes = outcomesOf(root)
  assert.deepEqual(
    [...outcomes],
    [
      ['the run', []],
      ['acknowledged', []],
      ...Object.keys(CHECKS).map((name) => [name, []]),
      ['fail-if lost>0', []],
      ['fail-if p99>250ms', []],
      ['link-loss at 60 s', []],
      ['truncated at 120 s', []],
      ['mute at 240 s', ['skipped']],
    ],
  )
  const { tests, failures, skipped, timestamp } = root.children[0]?.attributes ?? {}
  assert.deepEqual([tests, failures, skipped, timestamp], [String(outcomes.size), '0', '1', '2026-11-30T12:00:00'])
})

test('what is wrong fails its case with a sentence, whatever it is called', (t) => {
  const root = parse(t, BAD)
  if (root === undefined) return
  assertValid(root)
  const failed = casesOf(root).filter(({ children }) => children.some(({ name }) => name === 'failure'))
  assert.deepEqual(
    failed.map(({ attributes, children }) => `${attributes.name}: ${children[0]?.attributes.message}`),
    [
      'acknowledged: 598,990 of 599,000 messages were acknowledged, 10 not.',
      'lost: LOST 3 at ingest: They were acknowledged and seen live, and the store has them neither by history nor by Flux.',
      'live: LIVE DUPLICATED 1 at live: One reading came twice to the app, and no gap was told between.',
      'fail-if lost>0: fail-if lost>0: IT IS SO (3)',
      'fail-if live-p99>20ms: fail-if live-p99>20ms: IT IS SO (41.5 ms)',
      'fail-if slip-p99>1s: fail-if slip-p99>1s: NOT MEASURED, which fails the run',
      'truncated at 120 s: 117 of 118 times it was as expected: Each is acknowledged and set aside as truncated-avro.',
    ],
  )
  const shown = HOSTILE.replace('\u001b', '\\u001b')
    .replace('\u202e', '\\u202e')
    .replace(/[\ud800\uffff]/g, '\ufffd')
  assert.equal(root.attributes.name, `telltale simulate: a bad day ${shown}`)
  const lost = failed[1]?.children[0]?.text.split('\n') ?? []
  assert.deepEqual([lost.length, lost[3]], [4, `${shown} vehicle 2026-11-30T12:00:09.500Z`])
  assert.equal(root.children[0]?.attributes.failures, '7')
})

test('what nobody looked at is skipped, and a run that failed has a case that failed', (t) => {
  const { verification: _, ...rest } = GOOD
  const root = parse(t, { ...rest, toAcknowledge: 0, acknowledged: 0, ok: false })
  if (root === undefined) return
  assertValid(root)
  const outcomes = outcomesOf(root)
  for (const name of ['acknowledged', ...Object.keys(CHECKS)]) assert.deepEqual(outcomes.get(name), ['skipped'], name)
  assert.deepEqual(outcomes.get('verdict'), ['failure'])
})

test('each finding fails one check', () => {
  assert.deepEqual(Object.values(CHECKS).flat().sort(), [...FINDINGS].sort())
})
