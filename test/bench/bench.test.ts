import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { figure, figureTable, missRatio } from '../../bench/figure.ts'
import { requireProgram } from '../servers/server.ts'

const MAIN = fileURLToPath(new URL('../../bench/main.ts', import.meta.url))

test('the short bench of accept prints a cost for Telltale and for Mosquitto', async (t) => {
  if (requireProgram(t, 'mosquitto', 'apt install mosquitto') === undefined) return
  const args = ['--import', 'tsx', MAIN, '--quick', '--only', 'accept', '--json']
  const { stdout } = await promisify(execFile)(process.execPath, args)
  const { figures, cores } = JSON.parse(stdout)
  assert(cores > 0)
  for (const figure of figures) assert(figure.median > 0, JSON.stringify(figure))
  assert.deepEqual(figures[0].target, { atMost: 8 })
})

test('a wrong measure is refused with what there is', async () => {
  await assert.rejects(
    promisify(execFile)(process.execPath, ['--import', 'tsx', MAIN, '--only', 'speed']),
    (error: Error & { code?: number; stderr?: string }) =>
      error.code === 2 &&
      /"speed".*accept, path, live, fanout, servers, fleet, profile, connections/.test(error.stderr ?? ''),
  )
})

test('a broker to be measured beside is a port and a process', async () => {
  await assert.rejects(
    promisify(execFile)(process.execPath, ['--import', 'tsx', MAIN, '--beside', 'localhost:1883']),
    (error: Error & { code?: number; stderr?: string }) =>
      error.code === 2 && /"localhost:1883".*a port and a process/.test(error.stderr ?? ''),
  )
})

test('a figure is the median of its rounds, and its ratio says by how much a target is missed', () => {
  const odd = figure('a', 'us', [3, 1, 2], { target: { atMost: 4 } })
  assert.deepEqual([odd.median, odd.min, odd.max, missRatio(odd)], [2, 1, 3, 0.5])
  const even = figure('b', '/s', [10, 30], { target: { atLeast: 40 } })
  assert.deepEqual([even.median, missRatio(even)], [20, 2])
  assert.match(figureTable([odd, even]), /held[\s\S]*2\.00 MISSED/)
})
