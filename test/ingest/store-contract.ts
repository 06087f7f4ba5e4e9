/** What every point store must do, run against each of them with its real server. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { PointStore } from '../../ingest/store.ts'
import type { HistoryQuery } from '../../schemas/history.ts'
import { LIST_NUMBERS_MAX } from '../../schemas/numbers.ts'
import type { Reading, Stream, Value } from '../../schemas/reading.ts'
import { pageOf, type WholePage } from '../history.ts'
import { bursts, entryOf, members, pulses, reading, STREAMS, T0, weather } from './streams.ts'

/** Opens a store that is empty; undefined if its server is missing (the test is skipped). Its end is the caller's. */
export type OpenStore = (t: TestContext, streams: readonly Stream[]) => Promise<PointStore | undefined>

const NASTY = [
  'plain',
  'with space, comma=equals',
  'quote " and \\ backslash \\\\ pair',
  'ends with backslash\\',
  'line\nfeed\r\nand\ttab',
  'ünïcödé ☃ 😀',
  "it's; DROP TABLE weather; --",
  'nul \0 inside',
  '',
]

export async function write(store: PointStore, ...readings: Reading[]): Promise<readonly number[]> {
  const entries = readings.map((one) => entryOf(one))
  const { rejected } = await store.write({ entries }, new AbortController().signal)
  return rejected.map(({ index }) => index)
}

/** A page of history without the receipts, for not every store keeps them. */
export async function pageFrom(store: PointStore, query: HistoryQuery): Promise<WholePage> {
  const page = await pageOf(store.history, query)
  return { ...page, readings: page.readings.map(({ received, ...reading }) => reading) }
}

const all = { selections: [{}], from: T0 - 1000, to: T0 + 86_400_000, limit: 1000 }
const at = (ts: number, device: string, values: Record<string, Value>) => reading(weather, device, ts, values)

export function storeContract(name: string, open: OpenStore): void {
  const contract = (title: string, body: (store: PointStore, t: TestContext) => Promise<void>) =>
    it(title, async (t) => {
      const store = await open(t, STREAMS)
      if (store === undefined) return
      await store.start()
      t.after(() => store.stop())
      await body(store, t)
    })

  describe(`the point store ${name}`, () => {
    contract('gives back every kind of value exactly as written', async (store) => {
      const written = [
        at(T0, 'a', { site: 'north', temperature: 21.3, count: 42, on: true, note: 'hello' }),
        at(T0 + 1, 'a', { site: 'north', temperature: -0.1, count: -9_007_199_254_740_991, on: false, note: 'x' }),
        at(T0 + 2, 'a', { site: 'north', temperature: 1e300, count: 0 }),
        at(T0 + 3, 'a', { temperature: 5e-324 }),
        at(T0 + 4, 'a', { temperature: 3 }),
      ]
      assert.deepEqual(await write(store, ...written), [])
      const { readings, truncated } = await pageFrom(store, all)
      assert.deepEqual(readings, written)
      assert.equal(truncated, false)
    })

    contract(
      'stores what is given and no more where columns are named as the members of an object are',
      async (store) => {
        const given: Record<string, Value>[] = [
          { toString: 'x' },
          { constructor: 'c', valueOf: 1.5 },
          { hasOwnProperty: 7 },
          { constructor: 'constructor', isPrototypeOf: true, toString: 'valueOf' },
        ]
        const written = given.map((values, index) => reading(members, 'constructor', T0 + index, values))
        assert.deepEqual(await write(store, ...written), [])
        assert.deepEqual((await pageFrom(store, all)).readings, written)
        assert.deepEqual((await store.history.latest([{}], 10)).map(({ ts }) => ts - T0).sort(), [1, 2, 3])
      },
    )

    contract('takes no value of another kind than its column, and all else beside it', async (store) => {
      const unfit: Record<string, Value>[] = [
        { on: 'OFF', temperature: 1 },
        { on: 1 },
        { count: '12' },
        { count: 12.7 },
        { temperature: '21.3' },
        { note: 5 },
        { note: true },
      ]
      const written = [...unfit, { temperature: 21 }].map((values, index) => at(T0 + index, 'a', values))
      const rejected = await write(store, ...written)
      assert.deepEqual(
        rejected,
        unfit.map((_, index) => index),
      )
      assert.deepEqual((await pageFrom(store, all)).readings, written.slice(unfit.length))
    })

    contract('keeps lists of numbers, to the longest, and knows one that replaces another', async (store) => {
      const longest = Array.from({ length: LIST_NUMBERS_MAX }, (_, index) => -1.234_567_890_123_456e-300 * (index + 1))
      const given: Record<string, Value>[] = [
        { samples: [21.3, -0.1, 0, 5e-324, 1e300], counts: [1, -9_007_199_254_740_991, 0], peak: 1 },
        { samples: [], counts: [] },
        { samples: longest, peak: 2.5 },
        { counts: Array.from({ length: LIST_NUMBERS_MAX }, (_, index) => 2 ** 52 + index) },
        { peak: 3 },
      ]
      const written = given.map((values, index) => reading(bursts, 'a', T0 + index, values))
      assert.deepEqual(await write(store, ...written), [])
      assert.deepEqual((await pageFrom(store, all)).readings, written)
      assert.deepEqual((await store.history.latest([{}], 10)).at(0)?.values.peak, 3)
      const window = (aggregate: 'mean' | 'last' | 'count') => ({ ...all, window: { everyMs: 86_400_000, aggregate } })
      const aggregated = async (aggregate: 'mean' | 'last' | 'count') =>
        (await pageFrom(store, window(aggregate))).readings[0]?.values
      assert.deepEqual(await aggregated('mean'), { peak: 6.5 / 3 })
      assert.deepEqual(await aggregated('last'), { samples: longest, counts: given[3]?.counts, peak: 3 })
      assert.deepEqual(await aggregated('count'), { samples: 3, counts: 3, peak: 3 })

      const again = reading(bursts, 'b', T0, { samples: [1, 2] })
      const signal = new AbortController().signal
      const replaced = async (one: Reading) => (await store.write({ entries: [entryOf(one)] }, signal)).superseded
      await write(store, again)
      const same = await replaced(again)
      const other = await replaced(reading(bursts, 'b', T0, { samples: [1, 2.5] }))
      assert.deepEqual([same.length, other.map(({ count }) => count)], [0, [1]])
    })

    contract('keeps microseconds', async (store) => {
      const written = [0, 0.001, 0.999, 1].map((more, index) =>
        reading(pulses, 'a', T0 + more, { level: 1.5, from: index }),
      )
      await write(store, ...written)
      assert.deepEqual((await pageFrom(store, all)).readings, written)
    })

    contract('keeps nasty strings, in fields and in tags', async (store) => {
      const tags = NASTY.filter((text) => !/\p{Cc}|\\$/u.test(text))
      const notes = NASTY.map((note, index) => at(T0 + index, 'a', { count: 1, note }))
      const sites = tags.map((site, index) => at(T0 + 100 + index, 'b', { ...(site !== '' && { site }), count: 1 }))
      assert.deepEqual(await write(store, ...notes, ...sites), [])
      assert.deepEqual((await pageFrom(store, all)).readings, [...notes, ...sites])
    })

    contract('holds a reading once, however often it is written, and the newer value of two', async (store) => {
      const first = at(T0, 'a', { site: 'x', temperature: 1 })
      const later = at(T0 + 10, 'a', { site: 'x', temperature: 2 })
      const other = at(T0, 'a', { site: 'y', temperature: 3 })
      await write(store, first, later, first)
      await write(store, first, other)
      await write(store, at(T0, 'a', { site: 'x', temperature: 8 }), at(T0, 'a', { site: 'x', temperature: 9 }))
      await write(store, later)
      const { readings } = await pageFrom(store, { ...all, selections: [{ device: 'a' }] })
      const values = readings.map(({ ts, values }) => [ts - T0, values.site, values.temperature])
      assert.deepEqual(
        values.sort(),
        [
          [0, 'x', 9],
          [0, 'y', 3],
          [10, 'x', 2],
        ].sort(),
      )
    })

    contract('takes late readings between earlier ones', async (store) => {
      await write(store, ...[0, 2, 4].map((n) => at(T0 + n, 'a', { count: n })))
      await write(store, ...[1, 3, 2, 5].map((n) => at(T0 + n, 'a', { count: n * 10 })))
      const { readings } = await pageFrom(store, all)
      assert.deepEqual(
        readings.map(({ values }) => values.count),
        [0, 10, 20, 30, 4, 50],
      )
    })

    contract(
      'selects by device, stream and time, orders by time, device, stream, and says when there is more',
      async (store) => {
        const written: Reading[] = []
        for (let n = 0; n < 5; n++) {
          for (const device of ['a', 'b', "c'; --"]) {
            written.push(reading(pulses, device, T0 + n, { from: n }), at(T0 + n, device, { count: n }))
          }
        }
        await write(store, ...written)
        const ask = async (query: object) => (await pageFrom(store, { ...all, ...query })).readings
        assert.deepEqual(await ask({}), written)
        assert.deepEqual(
          await ask({ selections: [{ device: "c'; --" }] }),
          written.filter((r) => r.device === "c'; --"),
        )
        assert.deepEqual(
          await ask({ selections: [{ stream: 'pulses' }] }),
          written.filter((r) => r.stream === 'pulses'),
        )
        assert.deepEqual(
          await ask({ selections: [{ stream: 'weather', device: 'a' }, { device: 'b' }] }),
          written.filter((r) => r.device === 'b' || (r.device === 'a' && r.stream === 'weather')),
        )
        assert.deepEqual(
          await ask({ from: T0 + 1, to: T0 + 3 }),
          written.filter((r) => r.ts >= T0 + 1 && r.ts < T0 + 3),
        )
        assert.deepEqual(await ask({ selections: [{ stream: 'nobody' }] }), [])
        const cut = await pageFrom(store, { ...all, limit: 7 })
        assert.equal(cut.truncated, true)
        assert.deepEqual(
          cut.readings.map(({ ts }) => ts - T0),
          [0, 0, 0, 0, 0, 0, 1],
        )
        assert.equal((await pageFrom(store, { ...all, limit: written.length })).truncated, false)
      },
    )

    contract('aggregates by windows aligned to 1970', async (store) => {
      // T0 is 20 s past a full minute.
      const minute = T0 - (T0 % 60_000)
      await write(
        store,
        at(minute, 'a', { site: 'x', temperature: 1, count: 5, on: true, note: 'first' }),
        at(minute + 30_000, 'a', { site: 'x', temperature: 4, count: 6, on: false }),
        at(minute + 60_000, 'a', { site: 'x', temperature: 7 }),
        at(minute + 1, 'a', { site: 'y', temperature: 100 }),
        at(minute + 2, 'b', { note: 'only' }),
      )
      const ask = async (aggregate: 'mean' | 'min' | 'max' | 'first' | 'last' | 'count', device: string) => {
        const window = { everyMs: 60_000, aggregate }
        const query = { ...all, from: minute - 60_000, selections: [{ device }], window }
        const { readings } = await pageFrom(store, query)
        return readings
          .map(({ ts, values }) => ({ at: (ts - minute) / 1000, ...values }))
          .sort((a, b) => a.at - b.at || (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
      }
      assert.deepEqual(await ask('mean', 'a'), [
        { at: 0, site: 'x', temperature: 2.5, count: 5.5 },
        { at: 0, site: 'y', temperature: 100 },
        { at: 60, site: 'x', temperature: 7 },
      ])
      assert.deepEqual((await ask('min', 'a'))[0], { at: 0, site: 'x', temperature: 1, count: 5 })
      assert.deepEqual((await ask('max', 'a'))[0], { at: 0, site: 'x', temperature: 4, count: 6 })
      assert.deepEqual((await ask('first', 'a'))[0], {
        at: 0,
        site: 'x',
        temperature: 1,
        count: 5,
        on: true,
        note: 'first',
      })
      assert.deepEqual((await ask('last', 'a'))[0], {
        at: 0,
        site: 'x',
        temperature: 4,
        count: 6,
        on: false,
        note: 'first',
      })
      assert.deepEqual((await ask('count', 'a'))[0], { at: 0, site: 'x', temperature: 2, count: 2, on: 2, note: 1 })
      assert.deepEqual(await ask('last', 'b'), [{ at: 0, note: 'only' }])
      assert.deepEqual(await ask('mean', 'b'), [])
    })

    contract('knows the last reading of each series', async (store) => {
      await write(
        store,
        at(T0, 'a', { site: 'x', count: 1 }),
        at(T0 + 5, 'a', { site: 'x', count: 2 }),
        at(T0 + 1, 'a', { site: 'y', count: 3 }),
        at(T0 + 2, 'b', { count: 4 }),
        reading(pulses, 'a', T0 + 0.25, { level: 2.5 }),
      )
      const latest = async (selection: object, limit = 100) =>
        (await store.history.latest([selection], limit))
          .map(({ device, stream, ts, values }) => [device, stream, ts - T0, values.count ?? values.level])
          .sort()
      assert.deepEqual(await latest({ stream: 'weather' }), [
        ['a', 'weather', 1, 3],
        ['a', 'weather', 5, 2],
        ['b', 'weather', 2, 4],
      ])
      assert.deepEqual(await latest({ device: 'a', stream: 'pulses' }), [['a', 'pulses', 0.25, 2.5]])
      assert.equal((await latest({}, 2)).length, 2)
    })

    contract('writes many streams and 12,000 readings in one batch', async (store) => {
      const readings = Array.from({ length: 12_000 }, (_, n) =>
        n % 2 === 0 ? at(T0 + n, `d${n % 50}`, { count: n }) : reading(pulses, `d${n % 50}`, T0 + n, { from: n }),
      )
      assert.deepEqual(await write(store, ...readings), [])
      const { readings: back } = await pageFrom(store, { ...all, limit: 20_000 })
      assert.deepEqual(
        back.map(({ values }) => values.count ?? values.from),
        readings.map((_, n) => n),
      )
    })
  })
}
