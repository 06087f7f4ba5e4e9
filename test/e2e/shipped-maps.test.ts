/** docs/shipped-maps.md, run: each message through the broker, and the readings that the page says are stored and live. */

import assert from 'node:assert/strict'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectAsync } from 'mqtt'
import { SHIPPED_MAPS_DIR, shippedMaps } from '../../maps/shipped-maps.ts'
import type { Reading } from '../../schemas/reading.ts'
import { scratchDirectory } from '../scratch.ts'
import { ROOT } from '../tree.ts'
import { until } from '../until.ts'
import { LiveSocket } from './live-socket.ts'
import { RunningPlatform } from './platform.ts'

interface Shown extends Omit<Reading, 'ts'> {
  readonly ts?: number
}

const page = readFileSync(join(ROOT, 'docs/shipped-maps.md'), 'utf8')
const sections = page
  .split(/^## /m)
  .slice(1)
  .map((text) => ({
    name: text.split('\n')[0] ?? '',
    files: [...text.matchAll(/`([a-z0-9-]+\.yaml)`/g)].map(([, file]) => file),
    messages: (/```mqtt\n(.*?)```/s.exec(text)?.[1] ?? '')
      .trim()
      .split('\n')
      .map((line) => {
        // A topic of zigbee2mqtt may have a space: the payload is what follows the last level.
        const at = line.startsWith('zigbee2mqtt/') ? line.indexOf(' {') : line.indexOf(' ')
        return { topic: line.slice(0, at), payload: line.slice(at + 1).replaceAll('\\n', '\n') }
      }),
    readings: JSON.parse(/```json\n(.*?)```/s.exec(text)?.[1] ?? '[]') as Shown[],
  }))

test('the page has a section for each shipped map', () => {
  assert.deepEqual(
    sections.flatMap(({ files }) => files).sort(),
    shippedMaps().map(({ name }) => name),
  )
})

test('each message of the page goes in, and its readings come out stored and live; nothing is set aside', async (t) => {
  const config = scratchDirectory(t)
  cpSync(SHIPPED_MAPS_DIR, join(config, 'maps'), { recursive: true })
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_CONFIG_DIR: config } })
  const live = await LiveSocket.open(platform.url, await platform.appToken())
  t.after(() => live.close())
  live.send({ type: 'subscribe', id: '1', filter: 'devices/+/telemetry/#', start: 'now' })
  await live.next('live')
  const gateway = await connectAsync({
    port: platform.mqttPort,
    clientId: 'gateway',
    username: 'gateway',
    password: (await platform.telltale('token', 'device', 'gateway', '--also', '*')).trim(),
  })
  t.after(() => gateway.end(true))
  const messages = sections.flatMap((section) => section.messages)
  await Promise.all(messages.map(({ topic, payload }) => gateway.publishAsync(topic, payload, { qos: 1 })))

  const ledger = await platform.settled()
  assert.equal(ledger.deadLettered, 0, await platform.telltale('deadletters', 'list'))
  const expected = sections.flatMap(({ readings }) => readings)
  const stored = await platform.readings('from=2025-01-01&limit=1000')
  assert.deepEqual(sorted(stored, expected), sorted(expected, expected))

  const parts = new Map<string, Reading['values']>()
  await until(async () => {
    for (const reading of (await live.next('readings')).readings as Reading[]) {
      const key = keyOf(reading)
      parts.set(key, { ...parts.get(key), ...reading.values })
    }
    return expected.every(
      (each) => Object.keys(parts.get(keyOf(each)) ?? {}).length === Object.keys(each.values).length,
    )
  })
  assert.deepEqual(
    new Map([...parts].sort()),
    new Map(expected.map((each) => [keyOf(each), each.values] as const).sort()),
  )

  assert.equal(await platform.telltale('map', 'propose'), '# nothing came without a map\n')
})

/** Device, stream and tags. */
function keyOf({ device, stream, values }: Shown): string {
  const tags = ['relay', 'component', 'instance', 'cpu'].map((tag) => values[tag] ?? '')
  return [device, stream, ...tags].join(' ')
}

/**
 * By series. What was received when it came has another time at each run, and what was gathered may be two readings, if a window ended
 * just then.
 */
function sorted(readings: readonly Shown[], expected: readonly Shown[]): unknown[] {
  const timed = new Set(expected.filter(({ ts }) => ts !== undefined).map(keyOf))
  const found = new Map<string, { ts: number | undefined; values: Reading['values'] }>()
  for (const reading of readings) {
    const key = keyOf(reading)
    const values = { ...found.get(key)?.values, ...reading.values }
    found.set(key, { ts: timed.has(key) ? reading.ts : undefined, values })
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1))
}
