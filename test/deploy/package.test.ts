/** The package that `npm pack` makes, installed where nothing else is: it runs, with its production dependencies only. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { plainEnvironment, RunningPlatform } from '../e2e/platform.ts'
import { scratchDirectory } from '../scratch.ts'
import { ROOT, readText } from './compose-file.ts'
import { pack, packed } from './package.ts'

test('the package has what is built and what it reads, and no source', () => {
  const files = packed(ROOT)
  const wrong = files.filter(
    (file) =>
      !/^(dist\/.*\.js(\.map)?|schemas\/(\w+\/\d+\.avsc|lock\.json)|maps\/shipped\/[\w-]+\.yaml|devices\/simulator\/(scenarios\/[\w-]+\.yaml|scenario\/scenario\.schema\.json)|(docs|deploy)\/.*)$/.test(
        file,
      ),
  )
  const pages = ['ARCHITECTURE.md', 'CHANGELOG.md', 'LICENSE', 'README.md']
  const built = ['dist/dashboard/index.html', 'dist/report/index.html']
  const others = [...pages, 'cli/telltale.js', ...built, 'log/FORMAT.md', 'package.json']
  assert.deepEqual(wrong, others)
})

test('what the pages of the package link to is in it', () => {
  const files = new Set(packed(ROOT))
  for (const page of ['README.md', 'ARCHITECTURE.md']) {
    for (const [, target = ''] of readText(page).matchAll(/\]\(([^)#:]+)\)/g))
      assert(files.has(target), `${page}: ${target}`)
  }
})

test('the package runs where it is installed: its commands, and a platform that stores', async (t) => {
  const directory = join(scratchDirectory(t), 'installed')
  mkdirSync(directory)
  const file = pack(ROOT, join(directory, '..'))
  const env = { ...plainEnvironment(), TELLTALE_DATA_DIR: join(directory, 'data'), npm_config_prefer_offline: 'true' }
  const run = async (program: string, ...args: string[]) =>
    (await promisify(execFile)(program, args, { cwd: directory, env })).stdout.trim()
  await run('npm', 'install', file)
  for (const name of ['esbuild', 'tsx', 'typescript'])
    assert(!existsSync(join(directory, 'node_modules', name)), `${name} is not needed`)
  const { version } = JSON.parse(readText('package.json')) as { version: string }
  assert.equal(await run('npx', 'telltale', '--version'), version)
  assert.match(await run('npx', 'telltale', 'token', 'device', 'x'), /^[\w-]+\.[\w-]+\.[\w-]+$/)

  const telltale = join(directory, 'node_modules/telltale/cli/telltale.js')
  const platform = await RunningPlatform.start(t, { telltale })
  const { acknowledged } = await platform.simulate('--devices', '10', '--messages', '100', '--rate', '0')
  const { accepted, stored } = await platform.settled()
  assert.deepEqual([acknowledged, accepted, stored], [100, 100, 100])
  assert.match(await (await fetch(platform.url)).text(), /<!doctype html>/i)
  assert.equal(await platform.stop(), 0)
})
