/** What a platform costs that has nothing to do: it wakes now and then, and not 390 times a second as it once did. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { RunningPlatform } from './platform.ts'

const WAKE_UPS_PER_SECOND_MAX = 20
const LOOK_SECONDS = 2

test('a platform that nobody is connected to wakes at most 20 times a second', { timeout: 60_000 }, async (t) => {
  const platform = await RunningPlatform.start(t)
  // It has worked, and all that came with that has to end again.
  const { acknowledged } = await platform.simulate('--devices', '3', '--messages', '30', '--rate', '0')
  assert.equal(acknowledged, 30)
  await platform.settled()
  for (let rate = Number.POSITIVE_INFINITY; rate > WAKE_UPS_PER_SECOND_MAX; ) {
    const before = wakeUps(platform.pid)
    await delay(LOOK_SECONDS * 1_000)
    rate = (wakeUps(platform.pid) - before) / LOOK_SECONDS
    t.diagnostic(`${rate} wake-ups a second`)
  }
})

/** How often the main thread went to sleep and was woken. */
function wakeUps(pid: number): number {
  const [, count] = /^voluntary_ctxt_switches:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? []
  assert(count !== undefined)
  return Number(count)
}
