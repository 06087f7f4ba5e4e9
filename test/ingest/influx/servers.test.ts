/** What real servers hold after a write, asked in their own words; and what they do with a bad line. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { InfluxStore } from '../../../ingest/influx/store.ts'
import { Ingest } from '../../../ingest/ingest.ts'
import { createStore } from '../../../ingest/stores.ts'
import { systemClock } from '../../../platform/clock.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import { CurrentSchemas } from '../../../schemas/current-schemas.ts'
import { HISTORY_ORDERS } from '../../../schemas/history.ts'
import type { Reading } from '../../../schemas/reading.ts'
import { SHIPPED_SCHEMAS_DIR } from '../../../schemas/registry.ts'
import { pageOf } from '../../history.ts'
import { type Influxdb1, startInfluxdb1 } from '../../servers/influxdb1.ts'
import { createBucket, type Influxdb2, startInfluxdb2 } from '../../servers/influxdb2.ts'
import { requireServer } from '../../servers/server.ts'
import { startVictoriaMetrics } from '../../servers/victoriametrics.ts'
import { until } from '../../until.ts'
import { append, openLog, registry, settled, temporaryDirectory } from '../log-fixture.ts'
import { entryOf, pulses, reading, STREAMS, T0, weather } from '../streams.ts'

const signal = new AbortController().signal
const entry = (one: Reading) => entryOf(one)
const full = reading(weather, 'truck-7', T0 + 123, { site: 'a b', temperature: 21.3, count: 55, on: true, note: 'x' })

for (const start of [startInfluxdb1, startInfluxdb2]) {
  test(`${start.name}: kinds, tags and time are the server's own`, async (t) => {
    const server = await requireServer<Influxdb1 | Influxdb2>(t, start)
    if (server === undefined) return
    const store = new InfluxStore(server.store, { streams: STREAMS })
    t.after(() => store.stop())
    await store.write({ entries: [entry(full), entry(reading(pulses, 'p', T0 + 0.001, { level: 3 }))] }, signal)
    const ask = async (q: string) => {
      const query = new URLSearchParams({ db: server.bucket, epoch: 'ns', q })
      const headers = { authorization: `Token ${server.token}` }
      const answer = await (await fetch(`${server.url}/query?${query}`, { headers })).text()
      // Nanoseconds exceed 2^53: read as text.
      return JSON.parse(answer.replace(/\[(\d{19}),/g, '["$1",')).results[0].series[0]
    }
    const kinds = Object.fromEntries((await ask('SHOW FIELD KEYS FROM weather')).values)
    assert.deepEqual(kinds, { temperature: 'float', count: 'integer', on: 'boolean', note: 'string' })
    assert.deepEqual((await ask('SHOW TAG KEYS FROM weather')).values.flat(), ['device', 'site'])
    const { columns, values } = await ask('SELECT * FROM weather')
    const row = Object.fromEntries(columns.map((name: string, at: number) => [name, values[0][at]]))
    assert.deepEqual(row, { ...full.values, time: `${T0 + 123}000000`, device: 'truck-7' })
    assert.equal((await ask('SELECT level FROM pulses')).values[0][0], `${T0}001000`)
    assert.deepEqual(Object.fromEntries((await ask('SHOW FIELD KEYS FROM pulses')).values), { level: 'float' })
  })

  test(`${start.name}: a field type conflict sets aside its own entry, the rest is written`, async (t) => {
    const server = await requireServer<Influxdb1 | Influxdb2>(t, start)
    if (server === undefined) return
    // `level` is an integer here, put there by somebody else.
    const path =
      server.api === 'v2' ? `/api/v2/write?org=${server.org}&bucket=${server.bucket}` : `/write?db=${server.bucket}`
    const headers = { authorization: `Token ${server.token}` }
    await fetch(server.url + path, { method: 'POST', headers, body: `pulses,device=z level=1i ${T0}000000` })
    const store = new InfluxStore(server.store, { streams: STREAMS })
    t.after(() => store.stop())
    const entries = Array.from({ length: 200 }, (_, n) =>
      entry(reading(pulses, 'p', T0 + n, n === 150 || n === 33 ? { level: 1.5, from: n } : { from: n })),
    )
    const { rejected } = await store.write({ entries }, signal)
    assert.deepEqual(
      rejected.map(({ index }) => index),
      [33, 150],
    )
    assert.match(rejected[0]?.reason ?? '', /field type conflict/)
    const query = { selections: [{ device: 'p' }], from: T0 - 1, to: T0 + 1000, limit: 1000 }
    const { readings } = await pageOf(store.history, query)
    assert(readings.length >= 198, `${readings.length}`)
  })
}

for (const start of [startInfluxdb1, startInfluxdb2]) {
  test(`${start.name}: what somebody else wrote into a measurement, without a device, ends no paging`, async (t) => {
    const server = await requireServer<Influxdb1 | Influxdb2>(t, start)
    if (server === undefined) return
    const path =
      server.api === 'v2' ? `/api/v2/write?org=${server.org}&bucket=${server.bucket}` : `/write?db=${server.bucket}`
    const headers = { authorization: `Token ${server.token}` }
    const foreign = Array.from({ length: 3_000 }, (_, n) => `weather,host=h${n % 5} count=${n}i ${T0 + n}000000`)
    await fetch(server.url + path, { method: 'POST', headers, body: foreign.join('\n') })
    const store = new InfluxStore(server.store, { streams: STREAMS })
    t.after(() => store.stop())
    const readings = [0, 1, 2_999, 2_999.5].map((n, index) =>
      reading(weather, `d${index}`, T0 + Math.floor(n), { count: index }),
    )
    await store.write({ entries: readings.map(entry) }, signal)
    for (const order of HISTORY_ORDERS) {
      const found: Reading[] = []
      let page: Awaited<ReturnType<typeof pageOf>> | undefined
      do {
        const query = {
          selections: [{}],
          from: T0,
          to: T0 + 10_000,
          limit: 1,
          order,
          ...(page?.next && { after: page.next }),
        }
        page = await pageOf(store.history, query)
        found.push(...page.readings)
      } while (page.next !== undefined)
      assert.deepEqual(found, order === 'oldest' ? readings : readings.toReversed())
    }
  })
}

for (const start of [startInfluxdb1, startInfluxdb2]) {
  test(`${start.name}: a page whose answer would be too large is asked for in parts, but for the readings of one time`, async (t) => {
    const server = await requireServer<Influxdb1 | Influxdb2>(t, start)
    if (server === undefined) return
    const store = new InfluxStore({ ...server.store, answerBytesMax: 20_000 }, { streams: STREAMS })
    t.after(() => store.stop())
    const readings = Array.from({ length: 1_200 }, (_, n) =>
      reading(weather, `d${n % 20}`, T0 + Math.floor(n / 3) * 100, { count: n }),
    )
    const whole = [...readings].sort((a, b) => a.ts - b.ts || (a.device < b.device ? -1 : 1))
    const crowd = Array.from({ length: 1_000 }, (_, n) => reading(weather, `d${n}`, T0 + 86_400_000, { count: n }))
    await store.write({ entries: [...readings, ...crowd].map(entry) }, signal)
    const query = { selections: [{}], from: T0, to: T0 + 86_400_000, limit: 1_000 }
    for (const order of HISTORY_ORDERS) {
      const first = await pageOf(store.history, { ...query, order })
      assert(first.next)
      const second = await pageOf(store.history, { ...query, order, after: first.next })
      assert.equal(second.truncated, false)
      const both = [...first.readings, ...second.readings]
      assert.deepEqual(both, order === 'oldest' ? whole : whole.toReversed())
      const window = { everyMs: 100, aggregate: 'last' } as const
      const windows = await pageOf(store.history, { ...query, order, window, limit: 2_000 })
      assert.deepEqual(windows, { readings: both, truncated: false })
    }
    const ofOneTime = pageOf(store.history, { ...query, from: query.to, to: query.to + 1 })
    await assert.rejects(ofOneTime, { code: 'store-unavailable', message: /larger than 20000 bytes/ })
  })
}

test('InfluxDB 1.x with max-row-limit: history and the last readings are whole all the same', async (t) => {
  const server = await requireServer(t, () => startInfluxdb1({ maxRowLimit: 10 }))
  if (server === undefined) return
  const store = new InfluxStore(server.store, { streams: STREAMS })
  t.after(() => store.stop())
  const readings = Array.from({ length: 60 }, (_, n) =>
    n % 2 === 0
      ? reading(weather, `d${n % 30}`, T0 + n, { count: n })
      : reading(pulses, `d${n % 30}`, T0 + n, { from: n }),
  )
  await store.write({ entries: readings.map(entry) }, signal)
  const query = { selections: [{}], from: T0, to: T0 + 1000, limit: 1000 }
  assert.deepEqual(await pageOf(store.history, query), { readings, truncated: false })
  const cut = await pageOf(store.history, { ...query, limit: 10 })
  const next = { ts: T0 + 9, device: 'd9', stream: 'pulses', tags: {} }
  assert.deepEqual(cut, { readings: readings.slice(0, 10), truncated: true, next })
  assert.equal((await store.history.latest([{}], 1000)).length, 30)
})

test('InfluxDB 2.x: a bucket with slashes in its name answers history as it takes writes', async (t) => {
  const server = await requireServer(t, startInfluxdb2)
  if (server === undefined) return
  for (const bucket of ['plant/north', 'plant/north/hall 2', 'plant//south']) {
    await createBucket(server, bucket)
    const store = new InfluxStore({ ...server.store, bucket }, { streams: STREAMS })
    t.after(() => store.stop())
    await store.write({ entries: [entry(full)] }, signal)
    const query = { selections: [{}], from: T0, to: T0 + 1000, limit: 10 }
    assert.deepEqual((await pageOf(store.history, query)).readings, [full], bucket)
    assert.deepEqual(await store.history.latest([{}], 10), [full], bucket)
  }
})

test('InfluxDB 2.x: of a batch across the retention the rest is stored, and the reason says how much', async (t) => {
  const server = await requireServer(t, startInfluxdb2)
  if (server === undefined) return
  await createBucket(server, 'two days', 2 * 86_400)
  const directory = await temporaryDirectory(t)
  const log = await openLog(join(directory, 'log'))
  t.after(() => log.stop())
  const deps = { log, clock: systemClock, logger: silentLogger(), metrics: createMetrics() }
  const store = { ...server.store, bucket: 'two days' }
  const ingest = new Ingest(
    { workers: 1, store, schemas: new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR }) },
    deps,
  )
  await ingest.start()
  t.after(() => ingest.stop())
  const now = Date.now()
  const batch = (...days: number[]) =>
    registry.encode(
      'environment',
      days.map((ago) => ({
        ts: now - ago * 86_400_000,
        ...{ temperature: 1, humidity: 2, pressure: 3, battery: 4, rssi: 5 },
      })),
    )
  await append(log, 'late', batch(5, 1, 0))
  await append(log, 'later', batch(6, 5))
  await append(log, 'single', batch(5))
  const { stored, deadLettered, readings, balanced } = await settled(log)
  assert.deepEqual(
    { stored, deadLettered, readings, balanced },
    { stored: 0, deadLettered: 3, readings: 2, balanced: true },
  )
  const reasons = (await log.deadLetters({ limit: 10 })).map(({ reason }) => reason)
  assert.match(reasons[0] ?? '', /^1 of its 3 readings is not stored, the other 2 are: 422: .*outside retention policy/)
  assert.match(reasons[1] ?? '', /^none of its 2 readings is stored: 422: /)
  assert.match(reasons[2] ?? '', /^422: /)
  const asked = await createStore(store, { streams: registry.streams })
  t.after(() => asked.stop())
  const query = { selections: [{}], from: now - 7 * 86_400_000, to: now + 1, limit: 10 }
  assert.equal((await pageOf(asked.history, query)).readings.length, readings)
})

test('VictoriaMetrics takes the writes, and says that it has no history for us', async (t) => {
  const server = await requireServer(t, startVictoriaMetrics)
  if (server === undefined) return
  const store = new InfluxStore(server.store, { streams: STREAMS })
  t.after(() => store.stop())
  const readings = Array.from({ length: 3000 }, (_, n) =>
    reading(weather, 'truck-7', T0 + n, { site: 'a b', temperature: n / 10, count: n }),
  )
  const outcome = await store.write({ entries: readings.map(entry) }, signal)
  assert.deepEqual(outcome, { rejected: [], superseded: [] })
  const series = await server.samples('truck-7')
  const count = series.find(({ metric }) => metric.__name__ === 'weather_count')
  assert.equal(count?.metric.site, 'a b')
  assert.deepEqual(
    count?.values,
    readings.map((_, n) => n),
  )
  assert.deepEqual(
    count?.timestamps,
    readings.map(({ ts }) => ts),
  )
  const temperature = series.find(({ metric }) => metric.__name__ === 'weather_temperature')
  assert.equal(temperature?.values[213], 21.3)
  const query = { selections: [{}], from: T0, to: T0 + 10, limit: 10 }
  await assert.rejects(pageOf(store.history, query), { code: 'history-unsupported' })
  await assert.rejects(store.history.latest([{}], 10), { code: 'history-unsupported' })
})

test('VictoriaMetrics: what it would store as something else, or not at all, is set aside, and all else is stored', async (t) => {
  const server = await requireServer(t, () => startVictoriaMetrics('30d'))
  if (server === undefined) return
  const now = Date.now()
  const store = new InfluxStore(server.store, { streams: STREAMS, clock: { now: () => now } })
  t.after(() => store.stop())
  const readings = [
    reading(weather, 'v', now, { site: 'a', count: 1, on: true }),
    reading(weather, 'v', now - 1, { site: 'a', count: 2, note: 'twelve' }),
    reading(weather, 'v', now - 31 * 86_400_000, { count: 3 }),
    reading(weather, 'v', now - 2, { count: 4, on: false }),
  ]
  for (const again of [0, 10]) {
    const entries = readings.map((one) => entry({ ...one, ts: one.ts - again }))
    const { rejected } = await store.write({ entries }, signal)
    assert.deepEqual(
      rejected.map(({ index }) => index),
      [1, 2],
    )
    assert.match(rejected[0]?.reason ?? '', /^note is a string, of which VictoriaMetrics would make 0/)
    assert.match(rejected[1]?.reason ?? '', /is before its retention \(30 days\)/)
  }
  const held = async () => {
    const on = (await server.samples('v')).filter(({ metric }) => metric.__name__ === 'weather_on')
    return on.flatMap(({ values }) => [...new Set(values)]).sort()
  }
  // It makes new samples searchable a moment after it has acknowledged them.
  await until(async () => (await held()).length >= 2)
  assert.deepEqual(await held(), [0, 1])
})

test('VictoriaMetrics: a line longer than it takes is set aside, and does not hold up the others', async (t) => {
  const server = await requireServer(t, startVictoriaMetrics)
  if (server === undefined) return
  const store = new InfluxStore(server.store, { streams: STREAMS })
  t.after(() => store.stop())
  // Each quotation mark is two bytes of the line, of which 256 KiB are taken.
  const entries = [0, 1, 2].map((n) =>
    entry(reading(weather, 'truck-8', T0 + n, n === 2 ? { count: n, note: '"'.repeat(200_000) } : { count: n })),
  )
  const { rejected } = await store.write({ entries }, signal)
  assert.deepEqual(
    rejected.map(({ index }) => index),
    [2],
  )
  assert.match(rejected[0]?.reason ?? '', /too long line/)
  await until(async () => (await server.samples('truck-8')).length > 0)
  const series = await server.samples('truck-8')
  assert.deepEqual(new Set(series[0]?.timestamps), new Set([T0, T0 + 1]))
})

test('a server that is away is an unavailable store', async () => {
  const options = { kind: 'influx', url: 'http://127.0.0.1:1', token: '', org: '', bucket: 'b', api: 'v1' } as const
  const store = new InfluxStore(options, { streams: STREAMS })
  const query = { selections: [{}], from: T0, to: T0 + 10, limit: 10 }
  await assert.rejects(pageOf(store.history, query), { code: 'store-unavailable', message: /ECONNREFUSED/ })
  await assert.rejects(store.write({ entries: [entry(full)] }, signal), { code: 'store-unavailable', retry: 'soon' })
  await store.stop()
})
