/** The main job on every store: a reading by hand and one in Avro come out live and from the past, exactly as sent. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { connectAsync } from 'mqtt'
import type { Reading } from '../../schemas/reading.ts'
import { requireProgram } from '../servers/server.ts'
import { until } from '../until.ts'
import { environmentBody, singleObject } from './avro-by-hand.ts'
import { type Frame, LiveSocket } from './live-socket.ts'
import { RunningPlatform } from './platform.ts'
import { STORES } from './stores.ts'

interface Page {
  readonly readings: readonly Reading[]
  readonly truncated: boolean
  readonly next?: string
}

const TOPIC = 'devices/truck-7/telemetry/environment'

for (const [name, startStore] of Object.entries(STORES)) {
  test(`${name}: JSON by mosquitto_pub and Avro by hand come out live and from the past, and the books balance`, async (t) => {
    if (requireProgram(t, 'mosquitto_pub', 'apt install mosquitto-clients') === undefined) return
    const store = await startStore(t)
    if (store === undefined) return
    const platform = await RunningPlatform.start(t, store.options && { store: store.options })
    const token = await platform.deviceToken('truck-7')
    const live = await LiveSocket.open(platform.url, await platform.appToken())
    t.after(() => live.close())
    live.send({ type: 'subscribe', id: '1', filter: 'devices/+/telemetry/environment', start: 'now' })
    await live.next('live')

    const ts = Date.now()
    const values = { temperature: 21.3, humidity: 40.5, pressure: 1013.25, battery: 90, rssi: -61 }
    const json = { device: 'truck-7', stream: 'environment', ts, values }
    const to = ['-h', '127.0.0.1', '-p', String(platform.mqttPort), '-i', 'truck-7', '-u', 'truck-7', '-P', token]
    await promisify(execFile)('mosquitto_pub', [...to, '-q', '1', '-t', TOPIC, '-m', JSON.stringify({ ts, ...values })])
    const first = await live.next('readings')
    assert.deepEqual(asSent(first), [json])

    const avro = { ...json, ts: ts + 1, values: { ...values, temperature: -0.1, rssi: -128 } }
    const client = await connectAsync({
      port: platform.mqttPort,
      clientId: 'truck-7',
      username: 'truck-7',
      password: token,
    })
    const sentAt = performance.now()
    await client.publishAsync(TOPIC, singleObject(environmentBody({ ts: ts + 1, ...avro.values })), { qos: 1 })
    const second = await live.next('readings')
    assert.deepEqual(asSent(second), [avro])
    t.diagnostic(`publish to live: ${(performance.now() - sentAt).toFixed(1)} ms`)
    await client.endAsync()

    const ledger = await platform.settled()
    assert.deepEqual(ledger, {
      accepted: 2,
      stored: 2,
      deadLettered: 0,
      pending: 0,
      balanced: true,
      readings: 2,
      superseded: 0,
      held: 0,
      replayed: 0,
    })
    if (store.victoria !== undefined) {
      let series = await store.victoria.samples('truck-7')
      // VictoriaMetrics makes new samples searchable a moment after it has acknowledged them.
      await until(async () => {
        series = (await store.victoria?.samples('truck-7')) ?? []
        return series.length >= 5 && series.every(({ timestamps }) => timestamps.length >= 2)
      })
      const temperature = series.find(({ metric }) => metric.__name__ === 'environment_temperature')
      assert.deepEqual(
        [temperature?.values, temperature?.timestamps],
        [
          [21.3, -0.1],
          [ts, ts + 1],
        ],
      )
      assert.equal(temperature?.metric.device, 'truck-7')
      await assert.rejects(platform.readings('order=newest'), /history-unsupported/)
    } else {
      // The embedded store knows the receipts that were told live.
      const isEmbedded = store.options === undefined
      const [jsonStored, avroStored] = isEmbedded ? [first, second].flatMap(readingsOf) : [json, avro]
      assert.deepEqual(await platform.readings(''), [jsonStored, avroStored])
      const page = await platform.get<Page>('/v1/readings?order=newest&limit=1')
      assert.deepEqual([page.readings, page.truncated], [[avroStored], true])
      const rest = await platform.get<Page>(`/v1/readings?order=newest&after=${page.next}`)
      assert.deepEqual(rest, { readings: [jsonStored], truncated: false })
    }
    assert.equal(await platform.stop(), 0)
  })

  test(`${name}: 100,000 QoS 1 messages of 50 devices are acknowledged and stored, none twice`, async (t) => {
    const store = await startStore(t)
    if (store === undefined) return
    const platform = await RunningPlatform.start(t, store.options && { store: store.options })
    const summary = await platform.simulate('--devices', '50', '--messages', '100000', '--rate', '0', '--seed', '3')
    assert.deepEqual([summary.sent, summary.acknowledged], [100_000, 100_000])
    const ledger = await platform.settled()
    assert.deepEqual([ledger.accepted, ledger.stored, ledger.readings], [100_000, 100_000, 100_000])
    if (store.victoria === undefined) {
      assert.equal(await platform.countStored('environment', 'temperature'), 100_000)
    } else {
      let count = 0
      await until(async () => {
        const devices = Array.from({ length: 50 }, (_, index) => `sim-${index + 1}`)
        count = 0
        for (const device of devices) {
          const series = (await store.victoria?.samples(device)) ?? []
          count += series.find(({ metric }) => metric.__name__ === 'environment_temperature')?.timestamps.length ?? 0
        }
        return count >= 100_000
      })
      assert.equal(count, 100_000)
    }
  })
}

const readingsOf = ({ readings }: Frame) => readings as Reading[]

/** The readings of a frame without their receipt, which lies between its sending and now. */
function asSent(frame: Frame): object[] {
  return readingsOf(frame).map(({ received, ...reading }) => {
    assert.ok(received === undefined || Math.abs(received - Date.now()) < 600_000)
    return reading
  })
}
