/** Every kind of fault of a simulated fleet at a whole platform: each is done and counted, what is expected is seen, and nothing is lost. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { LATE, type Summary, type Verification } from '../../devices/simulator/report/summary.ts'
import { FAULT_KINDS } from '../../devices/simulator/scenario/fault-schema.ts'
import { scratchDirectory } from '../scratch.ts'
import { RunningPlatform } from './platform.ts'

/** By MQTT 5 and 3.1.1, and each quality of service; the chance of each fault to befall a message is high enough for several. */
const SCENARIO = `
name: every kind of fault
seed: 11
duration: 22s
fleet:
  - prefix: five-
    devices: 6
    mqtt: 5
    sends: [{ stream: environment, every: 250ms }]
  - prefix: three-
    devices: 6
    mqtt: 3.1.1
    sends: [{ stream: vehicle, every: 250ms, qos: 2 }]
  - prefix: zero-
    devices: 2
    mqtt: 5
    sends: [{ stream: power, every: 250ms, qos: 0 }]
faults:
  - { kind: link-loss, at: 1s, for: 2s, devices: '*-1' }
  - { kind: reconnect-storm, at: 4s, for: 1s }
  - { kind: reconnect-storm, at: 6s, for: 1s, jitter: 500ms, devices: 50% }
  - { kind: duplicates, at: 1s, for: 10s, share: 20% }
  - { kind: reordering, at: 1s, for: 10s, share: 10%, devices: '*e-2' }
  - { kind: clock-offset, at: 1s, for: 5s, devices: '*-2', by: 45s }
  - { kind: clock-drift, at: 1s, for: 5s, devices: '*e-3', per-hour: 1h }
  - { kind: clock-jump, at: 8s, devices: three-3, by: -1m }
  - { kind: clock-jump, at: 10s, devices: five-3, by: 20d }
  - { kind: repeated-times, at: 7s, for: 5s, devices: '*-2', share: 30% }
  - { kind: stuck, at: 8s, for: 5s, devices: '*-4' }
  - { kind: spikes, at: 5s, for: 5s, devices: '*-5', share: 30%, factor: 1e6 }
  - { kind: truncated, at: 12s, for: 5s, devices: '*-2', share: 30% }
  - { kind: hostile, at: 12s, for: 5s, devices: '*-2', share: 30% }
  - { kind: unknown-schema, at: 12s, for: 5s, devices: '*-1', share: 30% }
  - { kind: forbidden-topic, at: 12s, for: 5s, devices: '*-6', share: 30% }
  - { kind: expired-token, at: 9s, for: 3s, devices: '*e-1' }
  - { kind: revoked-token, at: 9s, for: 3s, devices: '*e-2' }
  - { kind: wrong-client-id, at: 9s, for: 3s, devices: '*e-3' }
  - { kind: same-id, at: 14s, for: 4s, devices: '*-4' }
  - { kind: mute, at: 10s, devices: '*e-5' }
  - { kind: never-acknowledges, at: 14s, for: 6s, devices: '*e-6' }
`

test('every kind of fault is done, what is expected of the platform is seen each time, and nothing is lost', async (t) => {
  const platform = await RunningPlatform.start(t)
  const directory = scratchDirectory(t)
  const scenario = join(directory, 'faults.yaml')
  writeFileSync(scenario, SCENARIO)
  const args = ['--scenario', scenario, '--out', join(directory, 'run'), '--verify']
  const summary = (await platform.simulate(...args)) as unknown as Summary
  // What came late may be this machine's.
  assert.deepEqual(
    summary.verification?.findings.filter(({ code }) => !LATE.includes(code)),
    [],
  )
  assert.deepEqual([...new Set(summary.faults.map(({ kind }) => kind))].sort(), [...FAULT_KINDS].sort())
  for (const { kind, times, looked = times, asExpected } of summary.faults) {
    assert(times > 0, `${kind} was never done`)
    if (kind !== 'mute' && kind !== 'never-acknowledges') assert.deepEqual([looked, asExpected], [times, times], kind)
  }
  assert(summary.refusals > 0 && summary.resent > 0 && summary.reconnects > 0)
  const codes = Object.keys(summary.errors)
  for (const code of ['bad-timestamp', 'malformed-avro', 'publish-forbidden', 'unknown-schema'])
    assert(codes.includes(code), code)
  assert.equal(summary.ok, true)
  const later = JSON.parse(await platform.telltale('verify', join(directory, 'run'), '--json')) as Verification
  assert.deepEqual(later.faults, summary.verification?.faults)
})
