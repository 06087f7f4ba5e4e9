/**
 * Protobuf of other people's encoders on the whole platform: what programs in Python, C (nanopb) and Go write of one .proto is stored
 * and live. Each runs where its tools are installed.
 */

import { execFileSync } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import protobuf from 'protobufjs'
import { scratchDirectory } from '../scratch.ts'
import { pythonWith } from '../servers/python.ts'
import { findOrSkip, findProgram, requireProgram, skipIfMissing } from '../servers/server.ts'
import { Machines, TS } from './machines.ts'

const HERE = new URL('./protobuf/', import.meta.url).pathname
const OPTIONS = new URL('../../docs/protobuf/', import.meta.url).pathname
const PATHS = [HERE, OPTIONS].map((folder) => `-I${folder}`)
const PROTOC = 'apt install protobuf-compiler libprotobuf-dev'
const OPTIONS_FILE = 'telltale/options.proto'
const MACHINE = readFileSync(join(HERE, 'machine.proto'), 'utf8')
const GO_MODULE = 'google.golang.org/protobuf'

const machines = new Machines({ name: '1.proto', text: MACHINE })
after(() => machines.stop())

/** What a program of `protobuf/` prints: the hexadecimal digits of a reading, and of a batch of two. */
async function arrives(t: TestContext, device: string, output: string): Promise<void> {
  const [reading = '', batch = ''] = output.trim().split('\n')
  await machines.arrive(t, device, [
    ['/protobuf', reading],
    ['/protobuf-batch', batch],
  ])
}

test('protobufjs', async (t) => {
  const { root } = protobuf.parse(MACHINE, { keepCase: true })
  const write = (name: string, value: object) =>
    Buffer.from(root.lookupType(`telltale.${name}`).encode(value).finish()).toString('hex')
  const motor = { speed: 1450, load: 0.75 }
  const full = {
    ts: TS,
    temperature: 21.3,
    line: 'Süd-3',
    state: 1,
    motor,
    cycles: 2 ** 53 - 2,
    offset: -7,
    alarm: true,
  }
  const others = [{ ts: TS + 1 }, { ts: TS + 2, temperature: 0, offset: 2 ** 31 - 1 }]
  await arrives(t, 'by-protobufjs', `${write('Machine', full)}\n${write('MachineBatch', { readings: others })}`)
})

test("Python's protobuf", async (t) => {
  try {
    const python = pythonWith('google.protobuf', 'apt install python3-protobuf')
    const protoc = findProgram('protoc', PROTOC)
    const out = scratchDirectory(t)
    execFileSync(protoc, [...PATHS, `--python_out=${out}`, 'machine.proto', OPTIONS_FILE])
    const env = { ...process.env, PYTHONPATH: [out, process.env.PYTHONPATH].filter(Boolean).join(':') }
    const output = execFileSync(python, [join(HERE, 'machine.py'), String(TS)], { encoding: 'utf8', env })
    await arrives(t, 'by-python', output)
  } catch (error) {
    skipIfMissing(t, error)
  }
})

test('nanopb, in C', async (t) => {
  const protoc = requireProgram(t, 'protoc', PROTOC)
  const plugin = requireProgram(t, 'protoc-gen-nanopb', 'apt install nanopb libnanopb-dev')
  const gcc = requireProgram(t, 'gcc', 'apt install gcc libc6-dev')
  if (protoc === undefined || plugin === undefined || gcc === undefined) return
  const out = scratchDirectory(t)
  // Our options are for the platform; the code needs none of them.
  const parameters = `-f ${join(HERE, 'machine.options')} -x ${OPTIONS_FILE}`
  execFileSync(protoc, [...PATHS, `--plugin=${plugin}`, `--nanopb_out=${parameters}:${out}`, 'machine.proto'])
  const program = join(out, 'machine')
  const sources = [join(HERE, 'machine.c'), join(out, 'machine.pb.c')]
  execFileSync(gcc, ['-o', program, `-I${out}`, ...sources, '-lprotobuf-nanopb'])
  await arrives(t, 'by-nanopb', execFileSync(program, [String(TS)], { encoding: 'utf8' }))
})

/** Not asked for by CI: Go and what it fetches are a quarter of a gigabyte. */
test("Go's protobuf", async (t) => {
  const go = findOrSkip(t, () => findProgram('go', 'https://go.dev/dl') && findProgram('protoc', PROTOC))
  if (go === undefined) return
  const module = scratchDirectory(t)
  const run = (program: string, ...args: string[]) => {
    const env = { ...process.env, GOFLAGS: '-mod=mod', PATH: `${module}:${process.env.PATH}` }
    return execFileSync(program, args, { cwd: module, encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] })
  }
  run('go', 'mod', 'init', 'stranger')
  run('go', 'get', `${GO_MODULE}@v1.36.10`)
  run('go', 'build', '-o', 'protoc-gen-go', `${GO_MODULE}/cmd/protoc-gen-go`)
  const packages = ['Mmachine.proto=stranger/machine', `M${OPTIONS_FILE}=stranger/telltale`, 'module=stranger']
  const options = packages.map((each) => `--go_opt=${each}`)
  run('protoc', ...PATHS, '--go_out=.', ...options, 'machine.proto', OPTIONS_FILE)
  cpSync(join(HERE, 'machine.go'), join(module, 'main.go'))
  await arrives(t, 'by-go', run('go', 'run', '.', String(TS)))
})
