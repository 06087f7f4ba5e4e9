/** What runs is what the sources are now: tried with copies of the tree that are changed, killed in the middle, and locked. */

import assert from 'node:assert/strict'
import { type ChildProcess, type SpawnSyncOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { plainEnvironment } from './e2e/platform.ts'
import { freePort } from './servers/server.ts'
import { copyTree, ROOT } from './tree.ts'
import { until } from './until.ts'

const ROUNDS = 6

/** A tree that is not built. */
class Checkout {
  readonly directory: string

  constructor(t: TestContext) {
    this.directory = copyTree(t)
    symlinkSync(join(ROOT, 'node_modules'), this.#path('node_modules'))
  }

  #path(file: string): string {
    return join(this.directory, file)
  }

  run(args: readonly string[], { env, ...options }: SpawnSyncOptions = {}) {
    const environment = { ...plainEnvironment(), TELLTALE_DATA_DIR: this.#path('data'), ...env }
    const given = { cwd: this.directory, env: environment, encoding: 'utf8' as const, timeout: 300_000, ...options }
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { ...given, encoding: 'utf8' })
    return { status, stdout, stderr }
  }

  telltale(...args: string[]) {
    return this.run(['cli/telltale.js', ...args])
  }

  /** What `telltale --help` prints. */
  help(): string {
    const { status, stdout, stderr } = this.telltale('--help')
    assert.deepEqual([status, stderr], [0, ''])
    return stdout
  }

  /** What `npm run build` says: how many of all sources it built. */
  build(): [built: number, sources: number] {
    const { status, stdout, stderr } = this.run(['build.js'])
    assert.deepEqual([status, stderr], [0, ''])
    const [, built, sources] = /^dist\/: (\d+) of (\d+) sources built, in \d+ ms\n$/.exec(stdout) ?? assert.fail(stdout)
    return [Number(built), Number(sources)]
  }

  building(): ChildProcess {
    return spawn(process.execPath, ['build.js'], { cwd: this.directory, stdio: ['ignore', 'ignore', 'inherit'] })
  }

  read(file: string): string {
    return readFileSync(this.#path(file), 'utf8')
  }

  write(file: string, text: string): void {
    mkdirSync(dirname(this.#path(file)), { recursive: true })
    writeFileSync(this.#path(file), text)
  }

  /** The line of the source that now has `added` before it. */
  insert(file: string, before: string, added: string): number {
    const lines = this.read(file).split('\n')
    const index = lines.findIndex((line) => line.includes(before))
    assert(index >= 0, `${file} has ${before}`)
    this.write(file, [...lines.slice(0, index), added, ...lines.slice(index)].join('\n'))
    return index + 1
  }

  remove(file: string): void {
    rmSync(this.#path(file), { recursive: true, force: true })
  }

  has(file: string): boolean {
    return existsSync(this.#path(file))
  }

  time(file: string): number {
    return statSync(this.#path(file)).mtimeMs
  }

  setTime(file: string, milliseconds: number): void {
    utimesSync(this.#path(file), milliseconds / 1_000, milliseconds / 1_000)
  }

  /** What is built, by its name. */
  outputs(): ReadonlyMap<string, string> {
    const all = readdirSync(this.#path('dist'), { recursive: true }).map(String).sort()
    const files = all.filter((file) => /\.(js|map)$/.test(file))
    return new Map(files.map((file) => [file, this.read(join('dist', file))]))
  }

  /** Runs it as somebody who may not write `dist/`. */
  telltaleLocked(...args: string[]) {
    const isRoot = process.getuid?.() === 0
    chmodSync(this.directory, 0o755)
    chmodSync(this.#path('dist'), 0o555)
    try {
      return this.run(['cli/telltale.js', ...args], isRoot ? { uid: 65_534, gid: 65_534 } : {})
    } finally {
      chmodSync(this.#path('dist'), 0o755)
    }
  }
}

test('a source that is changed, added, removed, or old again, is at the next start, and no other is built for it', (t) => {
  const checkout = new Checkout(t)
  assert.match(checkout.help(), /the registered streams and their schemas/)
  const [built, all] = checkout.build()
  assert.deepEqual([built, all > 100], [0, true])

  const [text, time] = [checkout.read('cli/main.ts'), checkout.time('cli/main.ts')]
  checkout.write('cli/main.ts', text.replace('the registered streams and their schemas', 'THE CHANGED TEXT'))
  const untouched = checkout.time('dist/cli/token.js')
  assert.match(checkout.help(), /THE CHANGED TEXT/)
  assert.equal(checkout.time('dist/cli/token.js'), untouched)
  checkout.write('cli/main.ts', text)
  checkout.setTime('cli/main.ts', time)
  assert.match(checkout.help(), /the registered streams and their schemas/)

  checkout.write('cli/added/added.ts', 'export const added: number = 1\n')
  assert.deepEqual(checkout.build(), [1, all + 1])
  assert.match(checkout.read('dist/cli/added/added.js'), /^const added = 1;\nexport /)
  checkout.remove('cli/added')
  assert.deepEqual(checkout.build(), [0, all])
  assert(!checkout.has('dist/cli/added/added.js') && !checkout.has('dist/cli/added/added.js.map'))

  checkout.remove('dist/platform/errors.js')
  assert.deepEqual(checkout.build(), [1, all])
  checkout.setTime('package.json', Date.now() + 1_000)
  assert.deepEqual(checkout.build(), [all, all], 'esbuild may be another one')
})

test('a schema, and the version, are read where they are and not built', (t) => {
  const checkout = new Checkout(t)
  assert.match(checkout.telltale('schemas', 'list').stdout, /environment/)
  checkout.write('schemas/pump/1.avsc', checkout.read('schemas/environment/1.avsc').replaceAll(/environment/gi, 'pump'))
  const listed = checkout.telltale('schemas', 'list')
  assert.match(listed.stdout, /pump/, listed.stderr)
  checkout.write('package.json', checkout.read('package.json').replace(/"version": "[^"]+"/, '"version": "7.8.9"'))
  assert.equal(checkout.telltale('--version').stdout, '7.8.9\n')
})

test('every import of what is built names a file that is built', (t) => {
  const checkout = new Checkout(t)
  checkout.build()
  const outputs = checkout.outputs()
  let imports = 0
  for (const [file, text] of outputs) {
    for (const [, target = ''] of text.matchAll(/\b(?:from |import |import\()"(\.[^"]+)"/g)) {
      imports++
      assert(outputs.has(join(dirname(file), target)), `${file}: ${target}`)
    }
    assert.doesNotMatch(text, /\b(from |import |import\()"\.[^"]*\.ts"/)
  }
  assert(imports > 500, `${imports} imports`)
})

test('an error in a source is told with its place, and changes nothing', (t) => {
  const checkout = new Checkout(t)
  checkout.build()
  const before = checkout.outputs()
  const line = checkout.insert('broker/admission/admission.ts', 'export class', 'const const = 1')
  checkout.insert('cli/main.ts', 'const FAILED', 'const NEW = 1')
  for (const args of [['cli/telltale.js', '--version'], ['build.js']]) {
    const { status, stdout, stderr } = checkout.run(args)
    assert.deepEqual([status, stdout], [1, ''])
    assert.match(
      stderr,
      new RegExp(`^(telltale: )?broker/admission/admission\\.ts:${line}:7: Expected identifier [^\\n]+\\n$`),
    )
  }
  assert.deepEqual(checkout.outputs(), before)
})

test('two at once build the same, and each runs', async (t) => {
  const checkout = new Checkout(t)
  const start = () =>
    spawn(process.execPath, ['cli/telltale.js', '--help'], { cwd: checkout.directory, stdio: 'ignore' })
  for (let round = 0; round < 2; round++) {
    checkout.setTime('package.json', Date.now() + round * 1_000)
    const ended = await Promise.all([start(), start(), start()].map((child) => once(child, 'exit')))
    assert.deepEqual(ended.flat(), [0, null, 0, null, 0, null])
    assert.equal(checkout.build()[0], 0)
  }
  assert.deepEqual(
    readdirSync(join(checkout.directory, 'dist')).filter((name) => name.startsWith('under-way')),
    [],
  )
})

test('a build killed at any moment leaves whole files, and the next one finds out which are stale', async (t) => {
  const checkout = new Checkout(t)
  const [, all] = checkout.build()
  const whole = checkout.outputs()
  let halfway = 0
  for (let round = 0; round < ROUNDS; round++) {
    checkout.remove('dist')
    const child = checkout.building()
    const exited = once(child, 'exit')
    await until(() => checkout.has('dist/cli') || child.exitCode !== null)
    await delay(round)
    child.kill('SIGKILL')
    await exited
    const left = checkout.outputs()
    for (const [file, text] of left) assert.equal(text, whole.get(file), file)
    if (left.size > 0 && left.size < whole.size) halfway++
    if (round % 2 === 0) checkout.setTime('package.json', Date.now())
    const [built] = checkout.build()
    assert(built >= all - left.size / 2, `${built} built, ${left.size} outputs were there`)
    assert.deepEqual(checkout.outputs(), whole)
  }
  t.diagnostic(`${halfway} of ${ROUNDS} were killed between two outputs`)
})

test('what a killed build leaves is removed a minute later', (t) => {
  const checkout = new Checkout(t)
  checkout.build()
  checkout.write('dist/under-way-killed/1', 'half')
  checkout.write('cli/added.ts', 'export const added = 1\n')
  checkout.build()
  assert(checkout.has('dist/under-way-killed/1'), 'it may still be at work')
  checkout.setTime('dist/under-way-killed', Date.now() - 61_000)
  checkout.remove('cli/added.ts')
  checkout.build()
  assert(!checkout.has('dist/under-way-killed'))
})

test('a checkout that cannot be written runs if it is built, and says what is wrong if it is not', (t) => {
  const checkout = new Checkout(t)
  checkout.build()
  const { status, stderr } = checkout.telltaleLocked('--version')
  assert.deepEqual([status, stderr], [0, ''])
  checkout.insert('cli/main.ts', 'const FAILED', 'const NEW = 1')
  const stale = checkout.telltaleLocked('--version')
  assert.deepEqual([stale.status, stale.stdout], [1, ''])
  assert.match(
    stale.stderr,
    /^telltale: the sources have changed .* dist\/ cannot be written \(EACCES\): right is [^\n]+\n$/,
  )
})

test('a stack has the lines of the sources, in a worker thread too', async (t) => {
  const checkout = new Checkout(t)
  const line = checkout.insert('cli/config.ts', 'const settings', "    throw new Error('a mistake' as string)")
  const { status, stderr } = checkout.telltale('config')
  assert.equal(status, 1)
  assert.match(
    stderr,
    new RegExp(`^Error: a mistake\\n    at .*${checkout.directory}/cli/config\\.ts:${line}:\\d+\\)?\\n`),
  )

  const mistake = "if (port) throw new Error('in a thread' as string)"
  const there = checkout.insert('ingest/worker.ts', 'const setup', mistake)
  const env = { TELLTALE_MQTT_PORT: String(await freePort()), TELLTALE_GATEWAY_PORT: String(await freePort()) }
  const up = checkout.run(['cli/telltale.js', 'up'], { env })
  assert.equal(up.status, 1)
  assert.match(
    up.stderr,
    new RegExp(`Error: in a thread\\n    at .*${checkout.directory}/ingest/worker\\.ts:${there}:\\d+\\)?\\n`),
  )
})
