/** Faults that the platform is asked about while a simulated fleet does them: silence, and commands that are not acknowledged. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Summary } from '../../devices/simulator/report/summary.ts'
import { scratchDirectory } from '../scratch.ts'
import { RunningPlatform } from './platform.ts'

const SCENARIO = `
name: asked
duration: 13s
fleet:
  - prefix: asked-
    devices: 4
    sends: [{ stream: environment, every: 250ms }]
faults:
  - { kind: mute, at: 4s, for: 9s, devices: asked-1 }
  - { kind: never-acknowledges, at: 2s, for: 4s, devices: asked-2 }
`

test('a mute device is told to be silent, a command that is not acknowledged stays sent; with a token that may not command nobody looked', async (t) => {
  const platform = await RunningPlatform.start(t)
  const directory = scratchDirectory(t)
  const scenario = join(directory, 'asked.yaml')
  writeFileSync(scenario, SCENARIO)
  const run = async (...args: string[]) => {
    const out = join(directory, `run-${args.length}`)
    const summary = await platform.simulate('--scenario', scenario, '--out', out, '--verify', ...args)
    const { faults, ok } = summary as unknown as Summary
    return { ok, looks: faults.map(({ looked, asExpected }) => [looked, asExpected]) }
  }
  assert.deepEqual(await run(), {
    ok: true,
    looks: [
      [1, 1],
      [1, 1],
    ],
  })
  // Too short for silence.
  const reader = ['--duration', '7s', '--token', await platform.appToken()]
  assert.deepEqual(await run(...reader), {
    ok: true,
    looks: [
      [undefined, undefined],
      [undefined, undefined],
    ],
  })
})
