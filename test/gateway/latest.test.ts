import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Latest } from '../../gateway/latest.ts'
import type { Entry } from '../../log/entry.ts'
import { LATEST_SERIES_PER_DEVICE_MAX } from '../../platform/limits.ts'
import { Decoder } from '../../schemas/decoder.ts'
import type { Reading } from '../../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { at } from '../log/only.ts'
import { environment, NOW, vibration } from './platform.ts'

const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
const decoder = new Decoder(registry)

function entry(device: string, stream: string, payload: Buffer | object): Entry {
  const bytes = Buffer.isBuffer(payload) ? payload : registry.encode(stream, payload)
  return { offset: at(0), device, stream, receivedAt: NOW, flags: 0, payload: bytes }
}

const take = (latest: Latest, message: Entry) => latest.take(message, decoder.decode(message))
const timesOf = (latest: Latest, device: string) => latest.lastOf(device).map((reading) => reading.ts - NOW)

test('the last is the latest by its own time: one overtaken, an older one of the store, and a malformed one do not win', () => {
  const latest = new Latest(registry)
  take(latest, entry('a', 'environment', environment(NOW + 5)))
  for (const late of [3, 2, 4]) take(latest, entry('a', 'environment', environment(NOW + late)))
  assert.deepEqual(timesOf(latest, 'a'), [5])
  take(latest, entry('a', 'environment', environment(NOW + 4)))
  latest.seed({ device: 'a', stream: 'environment', ts: NOW + 1, values: {} })
  assert.deepEqual(timesOf(latest, 'a'), [5])
  take(latest, entry('a', 'environment', environment(NOW + 8)))
  for (const hex of ['c301', '7b', '']) take(latest, entry('a', 'environment', Buffer.from(hex, 'hex')))
  assert.deepEqual(timesOf(latest, 'a'), [8])
})

test('streams with tags have a last reading of each series', () => {
  const latest = new Latest(registry)
  take(latest, entry('a', 'vibration', [vibration(NOW, 's1'), vibration(NOW + 1, 's2'), vibration(NOW - 1, 's2')]))
  take(latest, entry('a', 'vibration', vibration(NOW + 2, 's1', 'y')))
  const series = () => latest.changed({ stream: 'vibration' }, -1).map(({ reading }) => reading.ts)
  assert.deepEqual(
    series().map((ts) => ts - NOW),
    [0, 1, 2],
  )
  assert.deepEqual(timesOf(latest, 'a'), [2])
})

test('changes are found by selection and by when they came', () => {
  const latest = new Latest(registry)
  take(latest, entry('a', 'environment', environment(NOW)))
  const before = latest.sequence
  take(latest, entry('b', 'environment', environment(NOW)))
  take(latest, entry('b', 'vibration', vibration(NOW)))
  const found = (selection: object, since: number) =>
    latest.changed(selection, since).map(({ reading }) => `${reading.device} ${reading.stream}`)
  assert.deepEqual(found({}, before), ['b environment', 'b vibration'])
  assert.deepEqual(found({ stream: 'environment' }, -1), ['a environment', 'b environment'])
  assert.deepEqual(found({ device: 'a' }, -1), ['a environment'])
  assert.deepEqual(found({ device: 'a' }, before), [])
  assert.deepEqual(found({ device: 'z' }, -1), [])
})

test('a full table drops the devices not heard of for longest, and counts them', () => {
  const latest = new Latest(registry, { seriesMax: 20, bytesMax: 1e9 })
  for (let index = 0; index < 100; index++) {
    take(latest, entry('chatty', 'environment', environment(NOW + index)))
    take(latest, entry(`d${index}`, 'environment', environment(NOW)))
    assert.ok(latest.series <= 20)
  }
  assert.ok(latest.has('chatty'))
  assert.ok(latest.has('d99'))
  assert.ok(!latest.has('d0'))
  assert.equal(latest.dropped, 100 + 1 - [...latest.devices()].length)
})

test('bytes are bounded too, and what is dropped is given back', () => {
  const latest = new Latest(registry, { seriesMax: 1e6, bytesMax: 100_000 })
  for (let index = 0; index < 1000; index++) {
    take(latest, entry(`d${index}`, 'environment', environment(NOW)))
    take(latest, entry(`d${index}`, 'vibration', vibration(NOW, 'x'.repeat(100))))
    assert.ok(latest.bytes <= 100_000 && latest.bytes > 0)
  }
  assert.ok(latest.dropped > 1800)
})

test('one device cannot fill the table with series of its own', () => {
  const latest = new Latest(registry)
  for (let index = 0; index < LATEST_SERIES_PER_DEVICE_MAX + 50; index++) {
    take(latest, entry('a', 'vibration', vibration(NOW, `s${index}`)))
  }
  assert.equal(latest.changed({}, -1).length, LATEST_SERIES_PER_DEVICE_MAX)
  assert.equal(latest.dropped, 50)
})

test('of a batch the latest reading is kept, whatever its size', () => {
  const latest = new Latest(registry)
  const batch = Array.from({ length: 1000 }, (_, index) => environment(NOW + index))
  take(latest, entry('a', 'environment', batch))
  assert.deepEqual(timesOf(latest, 'a'), [999])
  assert.ok(latest.bytes < 2000)
})

test('a stream that is not registered leaves no trace', () => {
  const latest = new Latest(registry)
  take(latest, entry('a', 'unknown', Buffer.from('{}')))
  latest.seed({ device: 'b', stream: 'unknown', ts: NOW, values: {} } satisfies Reading)
  assert.deepEqual([...latest.devices()], [])
})
