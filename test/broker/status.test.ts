import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scratchDirectory } from '../scratch.ts'
import { until } from '../until.ts'
import { closed, message, startBroker } from './harness.ts'

const STATUS = 'devices/truck-7/status'
const ONLINE = '{"online":true,"firmware":"1.2"}'
const WILL = { topic: STATUS, payload: Buffer.from('{"online":false,"by":"will"}'), qos: 1, retain: true } as const

test('a retained status outlives a restart of the broker, an empty one is gone', async (t) => {
  const directory = scratchDirectory(t)
  const first = await startBroker(t, { directory })
  const device = await first.device('truck-7')
  await device.publishAsync(STATUS, ONLINE, { qos: 1, retain: true })
  const other = await first.device('truck-8')
  await other.publishAsync('devices/truck-8/status', ONLINE, { qos: 1, retain: true })
  await other.publishAsync('devices/truck-8/status', '', { qos: 1, retain: true })
  await device.endAsync()
  await other.endAsync()
  await first.stop()

  const second = await startBroker(t, { directory })
  const app = await second.app(['devices/#'])
  const arrived = message(app)
  await app.subscribeAsync('devices/+/status')
  assert.deepEqual(await arrived, [STATUS, ONLINE])
  assert.equal(second.log.presence.get('truck-8')?.status, undefined)
  assert.equal(second.log.presence.get('truck-7')?.online, false)
})

test('a status that is no JSON is kept and handed on as it is: nothing here reads it', async (t) => {
  const bench = await startBroker(t)
  const device = await bench.device('truck-7')
  await device.publishAsync(STATUS, 'on air', { qos: 1, retain: true })
  assert.equal(bench.log.presence.get('truck-7')?.online, true)
  const app = await bench.app(['devices/#'])
  const arrived = message(app)
  await app.subscribeAsync('devices/+/status')
  assert.deepEqual(await arrived, [STATUS, 'on air'])
})

for (const qos of [0, 1, 2] as const) {
  test(`a will at QoS ${qos} replaces the status when a device is cut off, and presence says so`, async (t) => {
    const bench = await startBroker(t)
    const device = await bench.device('truck-7', { will: { ...WILL, qos } })
    await device.publishAsync(STATUS, ONLINE, { qos: 1, retain: true })
    const known = bench.log.presence.get('truck-7')
    assert.equal(known?.online, true)
    assert.equal(Buffer.from(known?.status ?? []).toString(), ONLINE)
    const app = await bench.app(['devices/#'])
    const retained = message(app)
    await app.subscribeAsync('devices/+/status')
    assert.deepEqual(await retained, [STATUS, ONLINE])
    const will = message(app)
    device.stream.destroy()
    assert.deepEqual(await will, [STATUS, WILL.payload.toString()])
    await until(() => !bench.log.presence.get('truck-7')?.online)
  })
}

test('after a crash, a device that was connected is shown as its will says', async (t) => {
  const directory = scratchDirectory(t)
  const first = await startBroker(t, { directory })
  const device = await first.device('truck-7', { will: WILL })
  await device.publishAsync(STATUS, ONLINE, { qos: 1, retain: true })
  const gone = closed(device)
  // What a killed process leaves: the records as they are while the device is connected.
  const known = first.log.presence.get('truck-7')
  await first.stop()
  await gone
  const between = await startBroker(t, { directory })
  await between.log.presence.update('truck-7', () => known ?? assert.fail())
  await between.stop()

  const second = await startBroker(t, { directory })
  const app = await second.app(['devices/#'])
  const arrived = message(app)
  await app.subscribeAsync('devices/+/status')
  assert.deepEqual(await arrived, [STATUS, WILL.payload.toString()])
  assert.equal(second.log.presence.get('truck-7')?.online, false)
})
