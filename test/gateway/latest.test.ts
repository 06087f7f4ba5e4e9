import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Latest } from '../../gateway/latest.ts'
import type { Entry } from '../../log/entry.ts'
import { LATEST_RAW_BYTES_MAX, LATEST_SERIES_PER_DEVICE_MAX } from '../../platform/limits.ts'
import type { Reading } from '../../schemas/reading.ts'
import { type Message, Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { environment, NOW, vibration } from './platform.ts'

const registry = Registry.load(SHIPPED_SCHEMAS_DIR)

function entry(device: string, stream: string, payload: Buffer | object): Entry {
  const bytes = Buffer.isBuffer(payload) ? payload : registry.encode(stream, payload)
  return { offset: 0, device, stream, receivedAt: NOW, flags: 0, payload: bytes }
}

const timesOf = (latest: Latest, device: string) => latest.lastOf(device).map((reading) => reading.ts - NOW)

test('a payload is decoded when somebody asks, once, and not before', () => {
  let decoded = 0
  const counting = {
    stream: (name: string) => registry.stream(name),
    decode: (message: Message) => {
      decoded++
      return registry.decode(message)
    },
  }
  const latest = new Latest(counting)
  for (let index = 0; index < 100; index++) latest.take(entry('a', 'environment', environment(NOW + index)))
  assert.equal(decoded, 0)
  assert.deepEqual(timesOf(latest, 'a'), [99])
  assert.deepEqual(timesOf(latest, 'a'), [99])
  assert.equal(decoded, 2)
})

test('the last is the latest by its own time: one overtaken, an older one of the store, and a malformed one do not win', () => {
  const latest = new Latest(registry)
  latest.take(entry('a', 'environment', environment(NOW + 5)))
  latest.take(entry('a', 'environment', environment(NOW + 3)))
  assert.deepEqual(timesOf(latest, 'a'), [5])
  latest.take(entry('a', 'environment', environment(NOW + 4)))
  latest.seed({ device: 'a', stream: 'environment', ts: NOW + 1, values: {} })
  assert.deepEqual(timesOf(latest, 'a'), [5])
  latest.take(entry('a', 'environment', environment(NOW + 8)))
  latest.take(entry('a', 'environment', Buffer.from('c301', 'hex')))
  assert.deepEqual(timesOf(latest, 'a'), [8])
})

test('a kept payload survives that its memory is used again', () => {
  const latest = new Latest(registry)
  const message = entry('a', 'environment', environment(NOW))
  latest.take(message)
  message.payload.fill(0)
  assert.deepEqual(timesOf(latest, 'a'), [0])
})

test('streams with tags have a last reading of each series', () => {
  const latest = new Latest(registry)
  latest.take(entry('a', 'vibration', [vibration(NOW, 's1'), vibration(NOW + 1, 's2'), vibration(NOW - 1, 's2')]))
  latest.take(entry('a', 'vibration', vibration(NOW + 2, 's1', 'y')))
  const series = () => latest.changed({ stream: 'vibration' }, -1).map((slot) => latest.read(slot)?.ts ?? 0)
  assert.deepEqual(
    series().map((ts) => ts - NOW),
    [0, 1, 2],
  )
  assert.deepEqual(timesOf(latest, 'a'), [2])
})

test('changes are found by selection and by when they came', () => {
  const latest = new Latest(registry)
  latest.take(entry('a', 'environment', environment(NOW)))
  const before = latest.sequence
  latest.take(entry('b', 'environment', environment(NOW)))
  latest.take(entry('b', 'vibration', vibration(NOW)))
  const found = (selection: object, since: number) =>
    latest.changed(selection, since).map((slot) => `${latest.read(slot)?.device} ${slot.stream}`)
  assert.deepEqual(found({}, before), ['b environment', 'b vibration'])
  assert.deepEqual(found({ stream: 'environment' }, -1), ['a environment', 'b environment'])
  assert.deepEqual(found({ device: 'a' }, -1), ['a environment'])
  assert.deepEqual(found({ device: 'a' }, before), [])
  assert.deepEqual(found({ device: 'z' }, -1), [])
})

test('a full table drops the devices not heard of for longest, and counts them', () => {
  const latest = new Latest(registry, { seriesMax: 20, bytesMax: 1e9 })
  for (let index = 0; index < 100; index++) {
    latest.take(entry('chatty', 'environment', environment(NOW + index)))
    latest.take(entry(`d${index}`, 'environment', environment(NOW)))
    assert.ok(latest.series <= 20)
  }
  assert.ok(latest.has('chatty'))
  assert.ok(latest.has('d99'))
  assert.ok(!latest.has('d0'))
  assert.equal(latest.dropped, 100 + 1 - [...latest.devices()].length)
})

test('bytes are bounded too, and what is dropped is given back', () => {
  const latest = new Latest(registry, { seriesMax: 1e6, bytesMax: 100_000 })
  const batch = Array.from({ length: 60 }, (_, index) => environment(NOW + index))
  assert.ok(registry.encode('environment', batch).length < LATEST_RAW_BYTES_MAX)
  for (let index = 0; index < 1000; index++) {
    latest.take(entry(`d${index}`, 'environment', batch))
    latest.take(entry(`d${index}`, 'vibration', vibration(NOW, 'x'.repeat(500))))
    assert.ok(latest.bytes <= 100_000 && latest.bytes > 0)
  }
  assert.ok(latest.dropped > 900)
})

test('one device cannot fill the table with series of its own', () => {
  const latest = new Latest(registry)
  for (let index = 0; index < LATEST_SERIES_PER_DEVICE_MAX + 50; index++) {
    latest.take(entry('a', 'vibration', vibration(NOW, `s${index}`)))
  }
  assert.equal(latest.changed({}, -1).length, LATEST_SERIES_PER_DEVICE_MAX)
  assert.equal(latest.dropped, 50)
})

test('a payload too large to keep is decoded at once', () => {
  const latest = new Latest(registry)
  const batch = Array.from({ length: 1000 }, (_, index) => environment(NOW + index))
  latest.take(entry('a', 'environment', batch))
  assert.deepEqual(timesOf(latest, 'a'), [999])
  assert.ok(latest.bytes < 2000)
})

test('a stream that is not registered leaves no trace', () => {
  const latest = new Latest(registry)
  latest.take(entry('a', 'unknown', Buffer.from('{}')))
  latest.seed({ device: 'b', stream: 'unknown', ts: NOW, values: {} } satisfies Reading)
  assert.deepEqual([...latest.devices()], [])
})
