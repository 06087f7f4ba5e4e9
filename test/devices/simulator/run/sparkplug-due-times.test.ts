import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DueTimes } from '../../../../devices/simulator/run/due-times.ts'
import { parseScenario } from '../../../../devices/simulator/scenario/scenario-file.ts'

test('a reading of Sparkplug was due as its edge node was to send it, whatever stream and device maps make of it', () => {
  const text = `fleet:
  - { prefix: "plant:node-", sends: [{ stream: environment, every: 1s, format: sparkplug }, { stream: power, every: 5s }] }`
  const times = new DueTimes(parseScenario('s.yaml', Buffer.from(text)))
  times.begin(1_000_000, 0)
  assert(times.has('plant:node-1') && times.has('plant:node-1:press') && !times.has('plant:node-11'))
  assert.equal(times.of('plant:node-1', 'sparkplug', 2_000), 1_002_000)
  assert.equal(times.of('plant:node-1:press', 'press', 2_000), 1_002_000)
  assert.equal(times.of('plant:node-1', 'power', 2_000), 1_005_000)
})
