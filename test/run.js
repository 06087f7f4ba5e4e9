/**
 * Runs the tests: every `*.test.ts` below `test/`, or what is named: flags of `node --test`, then files. With a folder or a
 * quoted glob that ran nothing and exited 0 on Node 20, so the files are listed here and an empty list is an error.
 */

import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from '../build.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const named = process.argv.slice(2)
const files =
  named.length > 0
    ? named
    : readdirSync(here, { recursive: true })
        .filter((file) => file.endsWith('.test.ts'))
        .sort()
        .map((file) => join(here, file))

if (files.length === 0) {
  console.error('no test files found')
  process.exit(1)
}

// Once, and not by each test that runs the command line.
await build()
const { status } = spawnSync(
  process.execPath,
  [
    ...['--import', 'tsx', '--import', new URL('overdue.js', import.meta.url).href],
    ...['--test', '--test-concurrency=3', '--test-timeout=300000'],
    ...['spec', join(here, 'slowest.js')].flatMap((reporter) => [
      `--test-reporter=${reporter}`,
      '--test-reporter-destination=stdout',
    ]),
    ...files,
  ],
  { stdio: 'inherit' },
)
process.exit(status ?? 1)
