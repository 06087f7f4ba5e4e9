/** kill -9 while telemetry of MQTT 5 is looked at before it is acknowledged: each message is stored or set aside, once for each time it was taken. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connectAsync } from 'mqtt'
import { openLocal } from '../log/local/open-local.ts'
import { until } from '../until.ts'
import { RunningPlatform } from './platform.ts'

const MESSAGES = 6_000
const IN_FLIGHT_MAX = 200
const PAYLOAD_FORMAT_INVALID = 0x99
const T0 = Date.now() - 3_600_000

const isBad = (number: number) => number % 3 === 0
const payloadOf = (number: number) => {
  const reading = { ts: T0 + number, temperature: 1, humidity: 40, pressure: 1013, battery: 80, rssi: -60 }
  // What is bad says which it is, too.
  return JSON.stringify(isBad(number) ? { ts: T0 + number, number } : reading)
}

/** Publishes all, the unacknowledged again after each end of the connection; calls back with each acknowledgement's reason code. */
async function publishAll(
  t: TestContext,
  platform: RunningPlatform,
  acknowledged: (number: number, code: number) => void,
) {
  const password = await platform.deviceToken('truck-7')
  const client = await connectAsync({
    host: '127.0.0.1',
    port: platform.mqttPort,
    protocolVersion: 5,
    clientId: 'truck-7',
    username: 'truck-7',
    password,
    reconnectPeriod: 50,
  })
  t.after(() => client.endAsync(true))
  client.on('error', () => undefined)
  let inFlight = 0
  let next = 0
  await new Promise<void>((resolve) => {
    const fill = () => {
      while (inFlight < IN_FLIGHT_MAX && next < MESSAGES) {
        const number = next++
        const qos = number % 5 === 0 ? 2 : 1
        inFlight++
        client.publish('devices/truck-7/telemetry/environment', payloadOf(number), { qos }, (error) => {
          inFlight--
          acknowledged(number, (error as { code?: number } | undefined)?.code ?? 0)
          if (next === MESSAGES && inFlight === 0) resolve()
          else fill()
        })
      }
    }
    fill()
  })
}

test('two kills in the middle: what was told to be set aside is, and nothing is set aside twice or lost', async (t) => {
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_MQTT5_CHECK: 'decode' } })
  const codes = new Map<number, number>()
  const publishing = publishAll(t, platform, (number, code) => codes.set(number, code))
  for (const share of [0.2, 0.6]) {
    await until(() => codes.size > share * MESSAGES)
    await platform.kill()
    await platform.start()
  }
  await publishing
  assert.equal(codes.size, MESSAGES)
  for (const [number, code] of codes) assert.equal(code, isBad(number) ? PAYLOAD_FORMAT_INVALID : 0, `${number}`)
  const { accepted, stored, deadLettered } = await platform.settled()
  assert.equal(accepted, stored + deadLettered)
  const good = [...codes.keys()].filter((number) => !isBad(number)).length
  assert.equal(await platform.countStored('environment', 'temperature'), good)
  await platform.stop()

  const log = await openLocal(t, { directory: join(platform.directory, 'log') })
  const letters = await log.deadLetters({ limit: 2 * MESSAGES })
  assert.equal(letters.length, deadLettered)
  assert.equal(new Set(letters.map(({ offset }) => offset)).size, letters.length, 'no entry has two dead letters')
  const numbers = new Set(letters.map(({ payload }) => JSON.parse(`${Buffer.from(payload)}`).number))
  const bad = [...codes.keys()].filter(isBad)
  assert.deepEqual(
    [...numbers].toSorted((a, b) => a - b),
    bad.toSorted((a, b) => a - b),
  )
  assert(stored >= good && deadLettered >= bad.length, `${stored} stored and ${deadLettered} dead letters`)
})
