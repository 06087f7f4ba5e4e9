/**
 * Owns `npm run test:nodes`: the tests in which a Node can make a difference, on each version that people have; and those of
 * uWebSockets.js on a Debian where it loads. Whatever a Node calls deprecated fails a test.
 */

import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { parseArgs } from 'node:util'
import { MissingServer } from '../servers/server.ts'
import { installDebian, runInDebian13 } from './debian13.ts'
import { binOf, installNodes, MAJORS, ownMajor, ROOT } from './nodes.ts'

/** Folders and files below `test/`. */
const TESTS = [
  'platform',
  'schemas',
  'maps',
  'log',
  'ingest',
  'broker',
  'gateway',
  'devices',
  'cli',
  'client',
  'conformance',
  'e2e/readings.test.ts',
  'e2e/processes.test.ts',
  'e2e/kill.test.ts',
  'storm/storm.test.ts',
  'build.test.ts',
  'readme.test.ts',
  'examples.test.ts',
]
/** The Nodes for which uWebSockets.js has a binary that needs a newer GLIBC than Debian 12 has. */
const ON_DEBIAN_13 = [22, 24]

const { values } = parseArgs({ options: { install: { type: 'boolean' }, only: { type: 'string' } } })
try {
  if (values.install) {
    installNodes()
    installDebian()
  } else if (!run(values.only === undefined ? undefined : Number(values.only))) {
    process.exitCode = 1
  }
} catch (error) {
  if (!(error instanceof MissingServer)) throw error
  console.error(error.message)
  process.exitCode = 1
}

/** Ends with the first that fails: what is printed last says which tests did. */
function run(only: number | undefined): boolean {
  const majors = only === undefined ? MAJORS.filter((major) => major !== ownMajor) : [only]
  const passed = majors.every((major) => {
    const here = says(`Node ${major}`, runHere(major, TESTS))
    if (!here || !ON_DEBIAN_13.includes(major)) return here
    const there = runThere(major, ['platform/unloadable.test.ts', 'gateway'])
    return says(`Node ${major} on Debian 13: uWebSockets.js`, there)
  })
  return majors.length > 0 && passed
}

function says(what: string, passed: boolean): boolean {
  console.log(`${passed ? 'passed' : 'FAILED'}  ${what}`)
  return passed
}

function runHere(major: number, tests: readonly string[]): boolean {
  const bin = binOf(major)
  console.log(`\n# Node ${major}\n`)
  const env = { ...environment(), PATH: `${bin}${delimiter}${process.env.PATH}` }
  const args = ['test/run.js', ...filesOf(tests)]
  return spawnSync(join(bin, 'node'), args, { cwd: ROOT, stdio: 'inherit', env }).status === 0
}

function runThere(major: number, tests: readonly string[]): boolean {
  console.log(`\n# Node ${major} on Debian 13\n`)
  const command = ['node', 'test/run.js', '--test-name-pattern=\\[uws\\]$|uWebSockets.js where', ...filesOf(tests)]
  return runInDebian13(binOf(major), command, environment()) === 0
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, NODE_OPTIONS: '--pending-deprecation --throw-deprecation' }
}

/** From the root of the tree. */
function filesOf(tests: readonly string[]): string[] {
  return tests.flatMap((path) => {
    if (path.endsWith('.ts')) return [`test/${path}`]
    const files = readdirSync(join(ROOT, 'test', path), { recursive: true }).map(String)
    return files.filter((file) => file.endsWith('.test.ts')).map((file) => `test/${path}/${file}`)
  })
}
