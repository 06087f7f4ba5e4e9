/** One data directory under every Node in turn, and back under the first: the log, the store, keys, dead letters, statuses. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectAsync } from 'mqtt'
import { RunningPlatform } from '../e2e/platform.ts'
import { requireNodes } from './nodes.ts'

const MESSAGES = 2_000
const UNKNOWN_SCHEMA = Buffer.from('c3010000000000000000', 'hex')

test('a data directory goes on under every version of Node, and back, through kill -9', async (t) => {
  const nodes = requireNodes(t)
  if (nodes === undefined) return
  const platform = await RunningPlatform.start(t, { node: nodes[0]?.path ?? '' })
  let accepted = 0
  let deadLettered = 0
  for (const [index, { major, path }] of [...nodes, ...nodes.slice(0, 1)].entries()) {
    if (index > 0) {
      platform.node = path
      await platform.start()
    }
    // What the versions before have left is read and kept.
    const before = await platform.settled()
    assert.deepEqual([before.accepted, before.deadLettered], [accepted, deadLettered], `Node ${major}`)
    const sent = await platform.simulate('--devices', '10', '--messages', String(MESSAGES), '--rate', '0')
    assert.equal(sent.acknowledged, MESSAGES)
    await publishUnknown(platform, `truck-${major}`)
    accepted += MESSAGES + 1
    deadLettered++
    const after = await platform.settled()
    assert.deepEqual([after.accepted, after.deadLettered], [accepted, deadLettered], `Node ${major}`)
    const letters = (await platform.telltale('deadletters', 'list')).match(/unknown-schema/g) ?? []
    assert.equal(letters.length, deadLettered)
    assert.equal(await platform.countStored('environment', 'temperature'), after.readings)
    const { devices } = await platform.get<{ devices: { device: string }[] }>('/v1/devices')
    assert(devices.some(({ device }) => device === `truck-${nodes[0]?.major}`))
    await platform.kill()
  }
})

/** A message that becomes a dead letter. */
async function publishUnknown(platform: RunningPlatform, device: string): Promise<void> {
  const password = await platform.deviceToken(device)
  const client = await connectAsync({ port: platform.mqttPort, clientId: device, username: device, password })
  await client.publishAsync(`devices/${device}/telemetry/environment`, UNKNOWN_SCHEMA, { qos: 1 })
  await client.endAsync()
}
