/** What the Dockerfile builds: a Node that fits, the package and nothing more, an honest health check. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { scratchDirectory } from '../scratch.ts'
import { ROOT, readCompose, readText } from './compose-file.ts'
import { packed } from './package.ts'

/** Instructions in order, with continued lines joined and comments left out. */
const instructions = readText('Dockerfile')
  .replace(/^#.*\n/gm, '')
  .replace(/\\\n\s*/g, ' ')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => ({ name: line.split(' ', 1)[0] ?? '', rest: line.slice(line.indexOf(' ') + 1).trim() }))

const named = (name: string) => instructions.filter((each) => each.name === name).map(({ rest }) => rest)
/** What is copied from the build context. */
const copied = named('COPY')
  .filter((rest) => !rest.startsWith('--from'))
  .flatMap((rest) => rest.split(' ').slice(0, -1))
const imageStage =
  readText('Dockerfile')
    .split(/^FROM /m)
    .at(-1) ?? ''

test("the image's Node is one that package.json allows, the same in every stage, on a Debian where uWebSockets.js loads", () => {
  const { engines } = JSON.parse(readText('package.json')) as { engines: { node: string } }
  const majors = engines.node.split(' || ').map((range) => /^\^(\d+)\./.exec(range)?.[1])
  const tags = named('FROM').map((rest) => /^node:(\d+)-trixie-slim\b/.exec(rest)?.[1])
  assert(tags.length > 1 && new Set(tags).size === 1)
  assert(majors.includes(tags[0]), `Node ${tags[0]}, package.json wants ${engines.node}`)
})

test('every file copied is there, and .dockerignore lets it through', () => {
  const [everything, ...allowed] = readText('.dockerignore').trim().split('\n').slice(1)
  assert.equal(everything, '*')
  for (const path of copied) {
    assert(existsSync(join(ROOT, path)), path)
    assert(allowed.includes(`!${path}`), `${path} is in .dockerignore`)
  }
  assert.equal(allowed.length, new Set(copied).size)
})

test('the image is the package, made of what is copied, with the production dependencies and the health check', (t) => {
  const directory = scratchDirectory(t)
  for (const path of copied)
    cpSync(join(ROOT, path), join(directory, path), { recursive: true, preserveTimestamps: true })
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  const files = packed(directory)
  assert(files.includes('dist/broker/broker.js') && files.includes('schemas/environment/1.avsc'), files.join(' '))
  assert.deepEqual(files, packed(ROOT))
  assert(files.includes('deploy/healthcheck.js'))
  assert.deepEqual(
    [...imageStage.matchAll(/^COPY (.*)$/gm)].map(([, rest]) => rest),
    ['--from=dependencies /app/node_modules ./node_modules', '--from=package /app/package ./'],
  )
  assert.doesNotMatch(readText('deploy/healthcheck.js'), /from '[^n]/)
})

test('every package of the lockfile has its hash, for each kind of machine', () => {
  const { packages } = JSON.parse(readText('package-lock.json')) as { packages: Record<string, { integrity?: string }> }
  const without = Object.entries(packages).filter(([name, { integrity }]) => name !== '' && integrity === undefined)
  assert.deepEqual(without, [])
  for (const machine of ['linux-x64', 'linux-arm64']) {
    for (const library of ['@duckdb/node-bindings', '@lmdb/lmdb']) {
      assert(packages[`node_modules/${library}-${machine}`], `${library} for ${machine}`)
    }
  }
})

test('the platform runs as node, which owns the data directory and nothing else', () => {
  assert.deepEqual(named('USER'), ['node'])
  assert.match(imageStage, /install --directory --owner=node --group=node --mode=0700 \/data\b/)
  assert.doesNotMatch(imageStage, /COPY .*--chown/)
  const { telltale } = readCompose('docker-compose.yml', { INFLUX_ADMIN_TOKEN: 'a', ...PASSWORDS }).services
  assert.equal(telltale?.environment.TELLTALE_DATA_DIR, named('VOLUME')[0])
  assert(telltale?.volumes.some((volume) => volume.endsWith(`:${named('VOLUME')[0]}`)))
})

test('the health check is 0 for 200, and 1 for another answer or none', async (t) => {
  const [, script, url] = JSON.parse(named('HEALTHCHECK')[0]?.replace(/^.* CMD /, '') ?? '') as string[]
  assert.equal(url, 'http://127.0.0.1:8080/healthz')
  const check = async (target: string) => {
    const child = spawn(process.execPath, [join(ROOT, script ?? ''), target], { stdio: 'ignore' })
    const [code] = await once(child, 'exit')
    return code as number
  }
  let status = 200
  const server = createServer((_, response) => response.writeHead(status).end()).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}/healthz`
  assert.equal(await check(target), 0)
  status = 503
  assert.equal(await check(target), 1)
  server.close()
  assert.equal(await check(target), 1)
})

const PASSWORDS = { INFLUX_ADMIN_PASSWORD: 'b', GRAFANA_ADMIN_PASSWORD: 'c' }
