/**
 * Owns Autobahn's test suite for WebSocket (PyPI, `autobahntestsuite`): where it is, how it gets there, and what it says of a server.
 *
 * The suite is written in Python 2.7, with libraries of 2015 to 2021 that its package names in no way pip reads, so they are named
 * here. No Debian since 12 has a Python 2.7; pyenv does.
 */

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MissingServer } from '../servers/server.ts'
import { type Behavior, type Results, surprises } from './differences.ts'
import type { EchoServer } from './echo.ts'

export const SUITE_VERSION = '25.10.1'
/** Installs it, where there is a Python 2.7. */
export const INSTALL = 'npm run conformance:ws -- --install'

/** Git does not see it. */
const FOLDER = fileURLToPath(new URL('../../.autobahn', import.meta.url))
/** Made last: without it the folder is half done. */
const MADE = join(FOLDER, `made-${SUITE_VERSION}`)
const PACKAGES = [
  ...[`autobahntestsuite==${SUITE_VERSION}`, 'autobahn==0.10.9', 'txaio==2.1.0', 'six==1.16.0'],
  ...['Twisted==19.10.0', 'zope.interface==4.6.0', 'incremental==16.10.1', 'constantly==15.1.0', 'Automat==22.10.0'],
  ...['attrs==21.4.0', 'hyperlink==21.0.0', 'idna==2.10', 'typing==3.10.0.0', 'setuptools==44.1.1'],
  ...['pyOpenSSL==19.1.0', 'cryptography==3.3.2', 'cffi==1.15.1', 'pycparser==2.21', 'enum34==1.1.10'],
  ...['ipaddress==1.0.23', 'service-identity==18.1.0', 'pyasn1==0.5.1', 'pyasn1-modules==0.3.0'],
  ...['jinja2==2.11.3', 'markupsafe==1.1.1', 'unittest2==1.1.0', 'traceback2==1.4.0', 'linecache2==1.0.0'],
]
/** pyenv's commands run the version that this names; nobody else looks at it. */
const ENVIRONMENT = { ...process.env, PYENV_VERSION: process.env.PYENV_VERSION ?? '2.7.18' }
/** Runs what is in a folder, given first, as if it were installed; the suite's own way in is none for a folder. */
const RUN = `
import site, sys
site.addsitedir(sys.argv.pop(1))
from autobahntestsuite.wstest import run
run()
`
/** Without compression, which the gateway does not offer; the suite has no cases 8 and 11. */
const COMPRESSION = ['12.*', '13.*']

interface Case {
  readonly behavior: Behavior
  readonly behaviorClose: Behavior
}

/** Throws a `MissingServer` where there is no Python 2.7. */
export function installAutobahn(): void {
  if (existsSync(MADE)) return
  requirePython()
  rmSync(FOLDER, { recursive: true, force: true })
  const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--target', FOLDER]
  execFileSync('python2.7', [...args, ...PACKAGES], { stdio: 'inherit', env: ENVIRONMENT })
  mkdirSync(MADE)
}

function requirePython(): void {
  try {
    execFileSync('python2.7', ['--version'], { stdio: 'ignore', env: ENVIRONMENT })
  } catch {
    throw new MissingServer('needs python2.7, which the suite is written for (pyenv install 2.7.18)')
  }
}

/**
 * Runs all cases. What surprises is tried once more, for the suite gives a server a second for
 * each step, and a busy machine may take longer. Throws a `MissingServer` if the suite is not there.
 */
export async function runAutobahn(
  servers: readonly EchoServer[],
  directory: string,
): Promise<ReadonlyMap<EchoServer, Results>> {
  const runs = await runOnce(servers, directory, ['*'])
  for (const [server, results] of runs) {
    const again = Object.keys(surprises(server.kind, results))
    if (again.length === 0) continue
    const second = (await runOnce([server], directory, again)).get(server)
    runs.set(server, new Map([...results, ...(second ?? [])]))
  }
  return runs
}

async function runOnce(
  servers: readonly EchoServer[],
  directory: string,
  cases: readonly string[],
): Promise<Map<EchoServer, Results>> {
  if (!existsSync(MADE)) throw new MissingServer(`needs Autobahn's test suite (${INSTALL})`)
  requirePython()
  const reports = join(directory, 'reports')
  const specification = join(directory, 'specification.json')
  const content = {
    outdir: reports,
    servers: servers.map(({ kind, url }) => ({ agent: kind, url })),
    cases,
    'exclude-cases': COMPRESSION,
    'exclude-agent-cases': {},
  }
  writeFileSync(specification, JSON.stringify(content))
  const args = ['-c', RUN, FOLDER, '--mode', 'fuzzingclient', '--spec', specification]
  const suite = spawn('python2.7', args, { cwd: directory, env: ENVIRONMENT, stdio: ['ignore', 'ignore', 'pipe'] })
  let lastWords = ''
  suite.stderr.on('data', (chunk: Buffer) => {
    lastWords = (lastWords + chunk.toString()).slice(-2_000)
  })
  const [status] = await once(suite, 'exit')
  if (status !== 0) throw new Error(`Autobahn's test suite ended with ${status}: ${lastWords}`)
  const index = JSON.parse(readFileSync(join(reports, 'index.json'), 'utf8')) as Record<string, Record<string, Case>>
  return new Map(servers.map((server) => [server, resultsOf(index[server.kind] ?? {})]))
}

/** What is right but for how the connection ended is as wrong as the end. */
function resultsOf(cases: Readonly<Record<string, Case>>): Results {
  const isGood = (behavior: Behavior) => behavior === 'OK' || behavior === 'INFORMATIONAL'
  return new Map(
    Object.keys(cases)
      .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
      .map((id) => {
        const { behavior = 'FAILED', behaviorClose = 'FAILED' } = cases[id] ?? {}
        return [id, isGood(behavior) && !isGood(behaviorClose) ? behaviorClose : behavior]
      }),
  )
}
