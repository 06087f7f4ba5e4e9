/** What the log does not hold any more, and the store has, as the SDK's loop gets it: however often it stops on the way. */

import assert from 'node:assert/strict'
import { connect } from '../../client/client.ts'
import { aged, duckdb } from '../gateway/live/aged.ts'
import { environment, NOW, onEachServer } from '../gateway/platform.ts'

onEachServer(
  'a loop that stops within what the store has goes on there: each reading once, then what comes',
  async (t, server) => {
    const { platform, token } = await aged(t, server, duckdb)
    const live = connect(platform.url, { token, random: () => 0 })
    t.after(() => live.close())
    const states: string[] = []
    const subscription = live.subscribe('devices/a/telemetry/environment', {
      start: { last: '11h' },
      buffer: 10,
      onState: (state) => states.push(state),
      onGap: (gap) => assert.fail(JSON.stringify(gap)),
    })
    const numbers: number[] = []
    for await (const event of subscription.events()) {
      if (event.type === 'readings') numbers.push(...event.readings.map(({ ts }) => ts - NOW))
      if (event.type === 'live' && numbers.length === 600)
        await platform.publish('a', 'environment', environment(NOW + 600))
      if (numbers.length > 600) break
    }
    assert.deepEqual(numbers, [...Array(601).keys()])
    assert(states.includes('paused'), states.join())
  },
)
