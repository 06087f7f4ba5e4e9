/** A library whose binary is not there, or is none, is one sentence: tried with a copy of the tree whose binaries are taken away. */

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { chooseServer } from '../../gateway/server/choose.ts'
import { ServerError } from '../../gateway/server/server.ts'
import { whyUnloadable } from '../../platform/unloadable.ts'
import { plainEnvironment } from '../e2e/platform.ts'
import { copyTree, ROOT } from '../tree.ts'

const HERE = new RegExp(`on Node ${process.versions.node} \\(linux ${process.arch}, (GLIBC [\\d.]+|musl)\\)`)
const PREBUILT = `linux-${process.arch}`

/** A copy of the tree with dependencies of its own, whose files may be removed and replaced, but not written to. */
function copyWithDependencies(t: TestContext): string {
  const directory = copyTree(t)
  // Itself, and not a link to it: what is removed below must be the copy's.
  const [from, to] = [realpathSync(join(ROOT, 'node_modules')), join(directory, 'node_modules')]
  // By hard links where the temporary directory is on the same disk.
  execFileSync('sh', ['-c', 'cp -al "$0" "$1" 2>/dev/null || { rm -rf "$1"; cp -a "$0" "$1"; }', from, to])
  return directory
}

function up(directory: string, environment: Record<string, string> = {}) {
  const env = { ...plainEnvironment(), TELLTALE_DATA_DIR: join(directory, 'data'), ...environment }
  const { status, stderr } = spawnSync(process.execPath, ['cli/telltale.js', 'up'], {
    cwd: directory,
    env,
    timeout: 300_000,
  })
  return { status, said: stderr.toString() }
}

test('a binary that is not there is one sentence: which library, on which Node and system, and what is right', (t) => {
  for (const [name, folder] of [
    ['lmdb', `@lmdb/lmdb-${PREBUILT}`],
    ['DuckDB', '@duckdb/node-bindings-*'],
  ] as const) {
    const directory = copyWithDependencies(t)
    execFileSync('sh', ['-c', `rm -r ${folder}`], { cwd: join(directory, 'node_modules') })
    const { status, said } = up(directory)
    assert.equal(status, 1, said)
    assert.match(
      said,
      new RegExp(`^telltale: ${name} cannot be loaded ${HERE.source}: .* is not installed; right is [^\\n]+\\n$`),
    )
  }
})

test('without esbuild, or its binary, what is built runs, and what is not is one sentence', (t) => {
  for (const missing of [`@esbuild/${PREBUILT}`, 'esbuild']) {
    const directory = copyWithDependencies(t)
    execFileSync(process.execPath, ['build.js'], { cwd: directory })
    rmSync(join(directory, 'node_modules', missing), { recursive: true })
    assert.equal(execFileSync(process.execPath, ['cli/telltale.js', '--version'], { cwd: directory }).length > 0, true)
    rmSync(join(directory, 'dist'), { recursive: true })
    const { status, said } = up(directory)
    assert.equal(status, 1, said)
    assert.match(
      said,
      /^telltale: the sources have changed .* esbuild.* cannot be loaded \([^\n]+\): right is `npm ci --include=dev`[^\n]*\n$/,
    )
  }
})

test('a binary that is damaged is one sentence too', (t) => {
  const directory = copyWithDependencies(t)
  const folder = join(directory, 'node_modules/@lmdb', `lmdb-${PREBUILT}`)
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.node'))) {
    rmSync(join(folder, file))
    writeFileSync(join(folder, file), 'no binary')
  }
  const { status, said } = up(directory)
  assert.equal(status, 1, said)
  assert.match(
    said,
    /^telltale: lmdb cannot be loaded on Node .*(invalid ELF header|file too short).*; right is [^\n]+\n$/,
  )
})

test('uWebSockets.js that was asked for and is not there is one sentence', (t) => {
  const directory = copyWithDependencies(t)
  execFileSync('sh', ['-c', 'rm node_modules/uWebSockets.js/*.node'], { cwd: directory })
  const { status, said } = up(directory, { TELLTALE_GATEWAY_SERVER: 'uws' })
  assert.equal(status, 1, said)
  assert.match(
    said,
    /^telltale: TELLTALE_GATEWAY_SERVER is uws, but uWebSockets\.js cannot be loaded on Node [^\n]+\n$/,
  )
})

/** As their loaders said it, on systems that are not here. */
const SAID: readonly [message: string, says: RegExp][] = [
  [
    "This version of uWS.js supports only ...\n\nError: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /app/node_modules/uWebSockets.js/uws_linux_x64_127.node)",
    /^uWebSockets\.js cannot be loaded .*: its binary for this Node needs GLIBC 2\.38; right is Node 20, or Node 22 or 24 with/,
  ],
  [
    'This version of uWS.js supports only ...\n\nError: Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by /app/node_modules/uWebSockets.js/uws_linux_x64_115.node)',
    /^uWebSockets\.js cannot be loaded .*: its binary is for glibc; right is a system with glibc/,
  ],
  [
    "This version of uWS.js supports only ...\n\nError: Cannot find module './uws_linux_x64_147.node'",
    /^uWebSockets\.js cannot be loaded .*: it has no binary for this Node; right is Node 20, or Node 22 or 24 with GLIBC 2\.38/,
  ],
  [
    "Cannot find module '@duckdb/node-bindings-linux-x64-musl/duckdb.node'",
    /^DuckDB cannot be loaded .*: its binary for this system is not installed; right is `npm ci` on this system/,
  ],
]

test('what loaders say on other systems', () => {
  for (const [message, says] of SAID) assert.match(whyUnloadable(new Error(message)) ?? '', says)
  assert.equal(whyUnloadable(new Error('lmdb is a database')), undefined)
  assert.equal(whyUnloadable(new Error("Cannot find module 'left-pad'")), undefined)
  assert.equal(whyUnloadable('lmdb'), undefined)
})

/** For which Nodes uWebSockets.js has a binary, and what GLIBC it needs (`readelf -V`, uwebsockets 3.0.6). */
const UWS_NEEDS: Readonly<Record<number, number>> = { 20: 2.27, 22: 2.38, 24: 2.38, 25: 2.38 }

test('the gateway has uWebSockets.js where that can be loaded, else node:http with ws, and says why', async () => {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } }
  const needs = UWS_NEEDS[Number(process.versions.node.split('.')[0])]
  const canLoad = needs !== undefined && Number(header.glibcVersionRuntime ?? 0) >= needs
  const auto = await chooseServer('auto')
  assert.equal(auto.kind, canLoad ? 'uws' : 'node')
  assert.match(
    auto.why,
    canLoad ? /^uWebSockets\.js$/ : /^node:http with ws, for uWebSockets\.js cannot be loaded on Node/,
  )
  assert.equal((await chooseServer('node')).kind, 'node')
  if (canLoad) assert.equal((await chooseServer('uws')).kind, 'uws')
  else
    await assert.rejects(chooseServer('uws'), (error) => error instanceof ServerError && /right is/.test(error.message))
})
