/** Devices by libraries that nobody here wrote speak MQTT 5 to the broker. What is not built or installed is skipped, in CI too. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { startBroker } from '../broker/harness.ts'
import { plainEnvironment } from '../e2e/platform.ts'
import { findOrSkip } from '../servers/server.ts'
import { commandOf, DEVICES } from './devices.ts'

for (const name of DEVICES) {
  test(`${name}: connects with properties, subscribes, publishes telemetry and reads what the PUBACK says`, async (t) => {
    const command = findOrSkip(t, () => commandOf(name))
    if (command === undefined) return
    const bench = await startBroker(t)
    const token = await bench.identity.signDevice('truck-7', 60_000)
    const [file, ...args] = command
    const env = { ...plainEnvironment(), PORT: String(bench.port), TELLTALE_TOKEN: token }
    const { stdout } = await promisify(execFile)(file, args, { env })
    const lines = stdout.split('\n').map((line) => line.trim())
    assert.deepEqual(lines.slice(0, 3), ['connack 0', 'suback 1', 'puback 0'])
    assert.match(lines[3] ?? '', /^puback 135 topic "devices\/truck-8\/telemetry\/environment" may not/)
    assert.deepEqual(lines.slice(4), ['told devices/truck-7/errors', ''])
    const entries = await bench.entries()
    assert.deepEqual(
      entries.map(({ device, stream, payload }) => [device, stream, `${payload}`]),
      [['truck-7', 'environment', '{"ts":1763900000123,"temperature":21.3}']],
    )
  })
}
