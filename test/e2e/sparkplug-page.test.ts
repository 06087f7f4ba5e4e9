/** docs/sparkplug.md, run: its messages through the broker, and the readings that the page says are stored. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Reading } from '../../schemas/reading.ts'
import { write } from '../maps/sparkplug/edge.ts'
import { ROOT } from '../tree.ts'
import { EdgeNode } from './edge-node.ts'
import { RunningPlatform } from './platform.ts'

const page = readFileSync(join(ROOT, 'docs/sparkplug.md'), 'utf8')
const block = (name: string) =>
  new RegExp(`\`\`\`${name}\n(.*?)\`\`\``, 's').exec(page)?.[1]?.trim() ?? assert.fail(name)

test('the messages of the page go in, and its readings come out, at their times', async (t) => {
  const platform = await RunningPlatform.start(t, {
    environment: { TELLTALE_READING_TIME_MIN: '2015-01-01T00:00:00Z' },
  })
  const { client, rebirths } = await EdgeNode.connect(t, platform)
  for (const line of block('sparkplug').split('\n')) {
    const at = line.indexOf(' ')
    await client.publishAsync(line.slice(0, at), write(JSON.parse(line.slice(at + 1))), { qos: 1 })
  }
  const ledger = await platform.settled()
  assert.deepEqual([ledger.accepted, ledger.stored, rebirths], [4, 4, 0])
  const expected = JSON.parse(block('json')) as Reading[]
  const stored = await platform.readings('from=2025-11-23T00:00:00Z&to=2025-11-24T00:00:00Z')
  const order = (a: { ts: number; device: string }, b: { ts: number; device: string }) =>
    a.ts - b.ts || a.device.localeCompare(b.device)
  // They are of long ago: told apart by microseconds.
  const inMilliseconds = stored.map(({ received: _received, ts, ...reading }) => ({ ...reading, ts: Math.floor(ts) }))
  assert.deepEqual(inMilliseconds.sort(order), expected.sort(order))
})
