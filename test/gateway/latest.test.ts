import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Latest } from '../../gateway/latest.ts'
import { readingsOf } from '../../gateway/live/telemetry.ts'
import { type Entry, REPLAYED } from '../../log/entry.ts'
import { mapMaker } from '../../maps/maps.ts'
import { LATEST_SERIES_PER_DEVICE_MAX } from '../../platform/limits.ts'
import { FOREIGN } from '../../schemas/content-type.ts'
import { CurrentSchemas } from '../../schemas/current-schemas.ts'
import { Decoder } from '../../schemas/decoder.ts'
import { foreignPayload } from '../../schemas/foreign.ts'
import { type Reading, Rejection } from '../../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { at } from '../log/only.ts'
import { environment, HOUR_MS, NOW, vibration } from './platform.ts'

const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
const decoder = new Decoder(registry)

function entry(device: string, stream: string, payload: Buffer | object): Entry {
  const bytes = Buffer.isBuffer(payload) ? payload : registry.encode(stream, payload)
  return { offset: at(0), device, stream, receivedAt: NOW, flags: 0, payload: bytes }
}

const take = (latest: Latest, message: Entry) => latest.take(message, readingsOf(message, decoder))
const timesOf = (latest: Latest, device: string) => latest.lastOf(device).map((reading) => reading.ts - NOW)

test('the last is the latest by its own time: one overtaken, an older one of the store, and a malformed one do not win', () => {
  const latest = new Latest(registry)
  take(latest, entry('a', 'environment', environment(NOW + 5)))
  for (const late of [3, 2, 4]) take(latest, entry('a', 'environment', environment(NOW + late)))
  assert.deepEqual(timesOf(latest, 'a'), [5])
  take(latest, entry('a', 'environment', environment(NOW + 4)))
  latest.seed({ device: 'a', stream: 'environment', ts: NOW + 1, values: {} }, NOW + 5)
  assert.deepEqual(timesOf(latest, 'a'), [5])
  take(latest, entry('a', 'environment', environment(NOW + 8)))
  for (const hex of ['c301', '7b', '']) take(latest, entry('a', 'environment', Buffer.from(hex, 'hex')))
  assert.deepEqual(timesOf(latest, 'a'), [8])
})

test('what is replayed came before: it is no pace of its device', () => {
  const latest = new Latest(registry)
  const message = (n: number, flags: number) => ({
    ...entry('a', 'environment', environment(NOW + n * 1_000)),
    receivedAt: NOW + n * 1_000,
    flags,
  })
  for (let n = 0; n < 4; n++) latest.take(message(n, 0), undefined)
  const paceOf = () => latest.sentBy('a').get('environment')?.pace.intervalMs
  assert.equal(paceOf(), 1_000)
  const again = new Latest(registry)
  for (let n = 0; n < 9; n++) take(again, message(n / 4, REPLAYED))
  assert.equal(again.sentBy('a').get('environment')?.pace.intervalMs, undefined)
  assert.equal(again.heardAt('a'), NOW + 2_000)
  for (let n = 0; n < 9; n++) take(latest, message(3 + n / 4, REPLAYED))
  assert.equal(paceOf(), 1_000)
})

test('a reading from a clock that runs ahead hides nothing that is received after it, nor what the store has', () => {
  const latest = new Latest(registry)
  const receive = (ahead: number, after: number) => {
    const message = { ...entry('a', 'environment', environment(NOW + after + ahead)), receivedAt: NOW + after }
    take(latest, message)
  }
  latest.seed({ device: 'a', stream: 'environment', ts: NOW + HOUR_MS, values: {} }, NOW)
  assert.deepEqual(timesOf(latest, 'a'), [HOUR_MS], 'there is no other')
  receive(20 * HOUR_MS, 1_000)
  assert.deepEqual(timesOf(latest, 'a'), [1_000 + 20 * HOUR_MS])
  receive(20 * HOUR_MS, 2_000)
  assert.deepEqual(timesOf(latest, 'a'), [2_000 + 20 * HOUR_MS])
  receive(-5, 3_000)
  assert.deepEqual(timesOf(latest, 'a'), [2_995])
  receive(-2_000, 3_500)
  assert.deepEqual(timesOf(latest, 'a'), [2_995], 'what was overtaken on the way does not win')
  take(latest, entry('b', 'environment', [environment(NOW + 9), environment(NOW + 8)]))
  assert.deepEqual(timesOf(latest, 'b'), [9])
  take(latest, entry('c', 'vibration', vibration(NOW + HOUR_MS, 's1')))
  take(latest, { ...entry('c', 'vibration', vibration(NOW + 1, 's2')), receivedAt: NOW + 1 })
  assert.deepEqual(timesOf(latest, 'c'), [1])
})

test('parts are one reading within their window, at the time of its first, and none of them is in the next', () => {
  const schemas = new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR, foreign: { make: mapMaker() } })
  const text = `
- { topic: "s/{device}/{field}", stream: s, gather: 2s }
- { topic: "whole/{device}", stream: s }
- { topic: "other/{device}/{field}", stream: s, gather: 2s }`
  schemas.useMaps([{ file: 's.yaml', text }])
  const latest = new Latest({ stream: (name) => schemas.registry.stream(name) })
  const T = Math.ceil(NOW / 2000) * 2000
  const say = (ms: number, offset: number, topic: string, value: string, flags = 0) => {
    const payload = foreignPayload(topic, Buffer.from(value))
    const message = {
      offset: at(offset),
      device: 'a',
      stream: 's',
      receivedAt: T + ms,
      flags,
      framing: FOREIGN,
      payload,
    }
    const decoded = schemas.decode(message)
    latest.take(message, decoded instanceof Rejection ? undefined : decoded)
  }
  const last = () => latest.lastOf('a').map(({ ts, values }) => [ts - T, values])[0]
  // The place of the first in the log is its microsecond: the next one's is smaller.
  say(0, 999, 's/a/temperature', '21')
  say(0, 1_000, 's/a/humidity', '40')
  assert.deepEqual(last()?.[1], { temperature: 21, humidity: 40 })
  say(1_500, 1_001, 's/a/temperature', '22')
  assert.deepEqual(last()?.[1], { temperature: 22, humidity: 40 })
  say(1_600, 1_002, 's/a/temperature', 'warm')
  say(2_000, 1_000, 's/a/temperature', '23')
  assert.deepEqual(last(), [2_000, { temperature: 23 }])
  say(2_100, 0, 'whole/a', '{"humidity":1}')
  assert.deepEqual(last(), [2_100, { humidity: 1 }])
  say(2_200, 0, 's/a/temperature', '24')
  assert.deepEqual(last(), [2_200, { temperature: 24 }], 'a reading by itself is no part')
  say(2_300, 0, 'other/a/pressure', '1000')
  assert.deepEqual(last(), [2_300, { pressure: 1000 }], 'nor is what another map gathers')
  say(2_400, 0, 'other/a/dew', '7', REPLAYED)
  assert.deepEqual(last(), [2_400, { dew: 7 }])

  // What the store has of the window of which parts have come is more of the same reading; of another it is another.
  const reading = (ms: number, values: Reading['values']) => ({ device: 'a', stream: 's', ts: T + ms, values })
  say(4_500, 0, 's/a/temperature', '25')
  latest.seed(reading(4_100, { humidity: 45, temperature: 24 }), T + 4_600)
  assert.deepEqual(last(), [4_100, { humidity: 45, temperature: 25 }])
  latest.seed(reading(3_900, { humidity: 46 }), T + 4_600)
  assert.deepEqual(last(), [4_100, { humidity: 45, temperature: 25 }])
  latest.seed(reading(6_100, { humidity: 47 }), T + 6_200)
  say(6_500, 0, 's/a/temperature', '26')
  say(6_600, 0, 's/a/dew', '8')
  assert.deepEqual(last(), [6_100, { humidity: 47, temperature: 26, dew: 8 }])
  say(8_000, 0, 's/a/dew', '9')
  assert.deepEqual(last(), [8_000, { dew: 9 }])
})

test('the offset of a clock is told by live messages; a backlog, of whatever age and pace, is none', () => {
  const latest = new Latest(registry)
  let at = NOW
  const receive = (device: string, ts: number) =>
    take(latest, { ...entry(device, 'environment', environment(ts)), receivedAt: at })
  for (let second = 0; second < 120; second++, at += 1_000) {
    receive('right', at - 200)
    receive('ahead', at + 2 * HOUR_MS)
    receive('behind', at - 7 * HOUR_MS - (second % 2) * 300)
    // Ten minutes of its past in each second, then live.
    receive('backlog', Math.min(at, NOW - 12 * HOUR_MS + second * 600_000))
    if (second % 60 === 0) receive('slow', at - 3 * HOUR_MS)
  }
  const offset = (device: string) => latest.clockOffsetMs(device)
  assert.deepEqual([offset('right'), offset('ahead')], [200, -2 * HOUR_MS])
  assert.ok(Math.abs((offset('behind') ?? 0) - 7 * HOUR_MS) <= 300)
  assert.ok(Math.abs(offset('backlog') ?? 0) < 1_000, `${offset('backlog')}`)
  assert.equal(offset('slow'), undefined, 'too little is known')
  for (let second = 0; second < 60; second++, at += 1_000) receive('ahead', at)
  assert.equal(offset('ahead'), 0, 'it was set right')
})

test('streams with tags have a last reading of each series', () => {
  const latest = new Latest(registry)
  take(latest, entry('a', 'vibration', [vibration(NOW, 's1'), vibration(NOW + 1, 's2'), vibration(NOW - 1, 's2')]))
  take(latest, entry('a', 'vibration', vibration(NOW + 2, 's1', 'y')))
  const series = () => latest.changed([{ stream: 'vibration' }], -1).map(({ reading }) => reading.ts)
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
    latest.changed([selection], since).map(({ reading }) => `${reading.device} ${reading.stream}`)
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
  assert.equal(latest.changed([{}], -1).length, LATEST_SERIES_PER_DEVICE_MAX)
  assert.equal(latest.dropped, 50)
})

test('of a batch the latest reading is kept, whatever its size', () => {
  const latest = new Latest(registry)
  const batch = Array.from({ length: 1000 }, (_, index) => environment(NOW + index))
  take(latest, entry('a', 'environment', batch))
  assert.deepEqual(timesOf(latest, 'a'), [999])
  assert.ok(latest.bytes < 2000)
})

test('of a stream that is not registered it is known that its device was heard, and nothing else', () => {
  const latest = new Latest(registry)
  take(latest, entry('a', 'unknown', Buffer.from('{}')))
  latest.seed({ device: 'b', stream: 'unknown', ts: NOW, values: {} } satisfies Reading, NOW)
  assert.deepEqual([...latest.devices()], ['a'])
  assert.equal(latest.heardAt('a'), NOW)
  assert.deepEqual([latest.streamsOf('a'), latest.lastOf('a')], [[], []])
})
