/** What the log does not hold any more, and the store has, as the SDK's loop gets it: however often it stops on the way. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../../client/client.ts'
import { aged, duckdb } from '../gateway/live/aged.ts'
import { environment, NOW, onEachServer } from '../gateway/platform.ts'
import { startInfluxdb2 } from '../servers/influxdb2.ts'
import { requireServer } from '../servers/server.ts'

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

test('InfluxDB: a loop that stops behind a gap goes on with what was read in it', async (t) => {
  const influx = await requireServer(t, startInfluxdb2)
  if (influx === undefined) return
  const { platform, token, cursors } = await aged(t, 'node', () => influx.store)
  const live = connect(platform.url, { token, random: () => 0 })
  t.after(() => live.close())
  const [[, after] = [0, '']] = cursors
  const states: string[] = []
  const gaps: number[] = []
  const subscription = live.subscribe('devices/a/telemetry/environment', {
    start: { after },
    buffer: 10,
    onState: (state) => states.push(state),
    onGap: ({ missed }) => gaps.push(missed),
  })
  const [numbers, byTime]: [number[], number[]] = [[], []]
  for await (const event of subscription.events()) {
    if (event.type === 'readings') {
      for (const { ts } of event.readings) (event.byTime ? byTime : numbers).push(ts - NOW)
      if (numbers.at(-1) === 600) break
    } else if (event.type === 'live') await platform.publish('a', 'environment', environment(NOW + 600))
  }
  assert.deepEqual(byTime, [...Array(600).keys()])
  // What the log has still: its retention goes on.
  assert.deepEqual(numbers, [...Array(601).keys()].slice(-numbers.length))
  assert.deepEqual([gaps.length, states.includes('paused')], [1, true])
})
