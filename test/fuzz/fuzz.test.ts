/** The short form; the long one is `npm run fuzz`. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RunningPlatform } from '../e2e/platform.ts'
import { fuzzDevices } from './devices.ts'
import { fuzzPackets } from './packets.ts'
import { fuzzPayloads } from './payloads.ts'

const PAYLOADS = 50_000
const PACKETS = 5_000
const seed = Math.floor(Math.random() * 2 ** 31)

test('a mutated payload is decoded or rejected, and never throws', (t) => {
  t.diagnostic(`seed ${seed}`)
  const { decoded, rejected, payloads } = fuzzPayloads(PAYLOADS, seed)
  t.diagnostic(`decoded ${decoded}, rejected ${JSON.stringify(rejected)}`)
  const refused = Object.values(rejected).reduce((sum, count) => sum + count, 0)
  assert.equal(decoded + refused, payloads)
  for (const code of [
    'empty',
    'unknown-framing',
    'unknown-schema',
    'malformed-avro',
    'malformed-json',
    'invalid-reading',
  ]) {
    assert((rejected[code] ?? 0) > 0, `no payload was ${code}: the fuzzer does not reach that far`)
  }
  assert(decoded > 0)
})

test('mutated packets neither end the broker nor keep an honest device from being served', async (t) => {
  t.diagnostic(`seed ${seed}`)
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_LOG_LEVEL: 'error' } })
  const target = { port: platform.mqttPort, devices: await fuzzDevices(platform) }
  const [report, honest] = await Promise.all([
    fuzzPackets(PACKETS, seed, target),
    platform.simulate('--devices', '2', '--messages', '100', '--rate', '25'),
  ])
  t.diagnostic(JSON.stringify(report))
  assert.equal(honest.acknowledged, 100)
  assert(report.packets >= PACKETS)
  // Which side was first to close is a matter of how busy the machine is; what broke the protocol is not.
  const metrics = await (await fetch(`${platform.url}/metrics`)).text()
  const [, errors = ''] = /^telltale_broker_protocol_errors_total (\d+)$/m.exec(metrics) ?? []
  assert(Number(errors) > 0, 'no packet was refused: the fuzzer does not reach that far')
  const ledger = await platform.settled()
  assert(ledger.accepted >= 100)
  assert.equal(await platform.stop(), 0)
})
