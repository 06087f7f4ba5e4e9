/** kill -9 in the middle of a run: every acknowledged message is stored, once by series and time, and the books balance. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../until.ts'
import { RunningPlatform } from './platform.ts'
import { STORES } from './stores.ts'

const MESSAGES = 30_000

for (const name of ['the embedded store', 'InfluxDB 2.7']) {
  test(`${name}: two kills in the middle of a run lose nothing and store nothing twice`, async (t) => {
    const store = await STORES[name]?.(t)
    if (store === undefined) return
    const platform = await RunningPlatform.start(t, store.options && { store: store.options })
    const args = ['--devices', '20', '--messages', String(MESSAGES), '--rate', '0', '--seed', '5']
    const running = platform.simulate(...args)
    for (const share of [0.2, 0.5]) {
      await until(async () => (await platform.ledger()).accepted >= MESSAGES * share)
      await platform.kill()
      await platform.start()
    }
    const summary = await running
    assert.deepEqual([summary.sent, summary.acknowledged], [MESSAGES, MESSAGES])
    assert(summary.reconnects >= 20, `${summary.reconnects} reconnects`)
    const ledger = await platform.settled()
    assert(ledger.accepted >= MESSAGES, 'a message sent again because its PUBACK was lost counts twice as accepted')
    assert.equal(ledger.stored, ledger.accepted)
    assert.equal(await platform.countStored('environment', 'temperature'), MESSAGES)
  })
}

test('a device is offline after the crash, online again after it came back', async (t) => {
  const platform = await RunningPlatform.start(t)
  await platform.simulate('--devices', '1', '--messages', '1')
  const { devices } = await platform.get<{ devices: { device: string; online: boolean }[] }>('/v1/devices')
  assert.deepEqual(
    devices.map(({ device, online }) => [device, online]),
    [['sim-1', false]],
  )
})
