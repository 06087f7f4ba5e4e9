/**
 * Avro of other people's encoders on the whole platform: what programs in Python (fastavro), Go (hamba/avro) and Java (Apache Avro) write
 * of one .avsc is stored and live, each under the fingerprint that its own library computes. Each runs where its tools are installed.
 */

import { execFileSync } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { messageOf } from '../../platform/errors.ts'
import { scratchDirectory } from '../scratch.ts'
import { pythonWith } from '../servers/python.ts'
import { findOrSkip, findProgram, MissingServer } from '../servers/server.ts'
import { Machines, TS } from './machines.ts'

const HERE = new URL('./avro/', import.meta.url).pathname
const SCHEMA = join(HERE, 'machine.avsc')
const ARGUMENTS = [SCHEMA, String(TS)]
const GO_MODULE = 'github.com/hamba/avro/v2@v2.28.0'

const machines = new Machines({ name: '1.avsc', text: readFileSync(SCHEMA, 'utf8') })
after(() => machines.stop())

/** What a program of `avro/` prints: the hexadecimal digits of a reading, and of a batch of two. */
async function arrives(t: TestContext, device: string, output: string): Promise<void> {
  await machines.arrive(
    t,
    device,
    output
      .trim()
      .split('\n')
      .map((hex) => ['', hex]),
  )
}

test("Python's fastavro", async (t) => {
  const python = findOrSkip(t, () => pythonWith('fastavro', 'pip install fastavro'))
  if (python === undefined) return
  const output = execFileSync(python, [join(HERE, 'machine.py'), ...ARGUMENTS], { encoding: 'utf8' })
  await arrives(t, 'by-fastavro', output)
})

/** Not asked for by CI: Go and Java, and what they fetch, are a quarter of a gigabyte each. */
const hasTool = (t: TestContext, tool: string, hint: string) =>
  findOrSkip(t, () => findProgram(tool, hint)) !== undefined

/** False, and the test skipped, if the library is not to be had. */
const fetchOrSkip = (t: TestContext, fetch: () => unknown) =>
  findOrSkip(t, () => {
    try {
      fetch()
      return true
    } catch (error) {
      throw new MissingServer(`needs what it fetches: ${messageOf(error).slice(0, 500)}`)
    }
  }) === true

test("Go's hamba/avro", async (t) => {
  if (!hasTool(t, 'go', 'https://go.dev/dl')) return
  const module = scratchDirectory(t)
  const go = (...args: string[]) => {
    const env = { ...process.env, GOFLAGS: '-mod=mod' }
    return execFileSync('go', args, { cwd: module, encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] })
  }
  go('mod', 'init', 'stranger')
  if (!fetchOrSkip(t, () => go('get', GO_MODULE))) return
  cpSync(join(HERE, 'machine.go'), join(module, 'main.go'))
  await arrives(t, 'by-hamba', go('run', '.', ...ARGUMENTS))
})

test("Java's Avro", async (t) => {
  if (!hasTool(t, 'mvn', 'apt install maven') || !hasTool(t, 'javac', 'apt install default-jdk-headless')) return
  const project = scratchDirectory(t)
  cpSync(join(HERE, 'pom.xml'), join(project, 'pom.xml'))
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  const fetched = fetchOrSkip(t, () =>
    run('mvn', '--batch-mode', '--quiet', 'dependency:build-classpath', '-Dmdep.outputFile=classpath'),
  )
  if (!fetched) return
  const classpath = readFileSync(join(project, 'classpath'), 'utf8').trim()
  await arrives(t, 'by-java', run('java', '-cp', classpath, join(HERE, 'Machines.java'), ...ARGUMENTS))
})
