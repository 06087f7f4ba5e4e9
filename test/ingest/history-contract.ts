/**
 * What every store's history must do, run against each of them with its real server: pages by `next`, put together, are the whole,
 * in one and the same order, whatever is written meanwhile.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { PointStore } from '../../ingest/store.ts'
import {
  AGGREGATES,
  HISTORY_ORDERS,
  type HistoryKey,
  type HistoryOrderName,
  type HistoryQuery,
} from '../../schemas/history.ts'
import { type Reading, valueIn } from '../../schemas/reading.ts'

import { type OpenStore, pageFrom, write } from './store-contract.ts'
import { members, pulses, reading, STREAMS, T0, weather } from './streams.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
/** At the beginning of an hour; each property run has an hour of its own. */
const BEGIN = T0 - (T0 % HOUR_MS) + HOUR_MS

/** In UTF-16 the third comes before the second; in UTF-8, and by code points, it does not. */
const TAGS = ['', 'Z', '\uff5e', '\u{1f600}', '\u{1f600}b', 'a', 'a b', 'ä']
const DEVICES = ['A', 'a', 'a-1', 'a.1', 'a:1', 'b', 'truck-10', 'truck-9']

const TAG_OF: Readonly<Record<string, string>> = { weather: 'site', members: 'constructor' }
const SEED = process.env.TELLTALE_TEST_SEED

/** Written once, independently of the stores': by the bytes of UTF-8. */
function compareKeys(a: HistoryKey, b: HistoryKey): number {
  if (a.ts !== b.ts) return a.ts - b.ts
  const texts = ({ device, stream, tags }: HistoryKey) => [
    device,
    stream,
    String(valueIn(tags, TAG_OF[stream] ?? '') ?? ''),
  ]
  const [of, other] = [texts(a), texts(b)]
  for (let at = 0; at < 3; at++) {
    const order = Buffer.compare(Buffer.from(of[at] ?? ''), Buffer.from(other[at] ?? ''))
    if (order !== 0) return order
  }
  return 0
}

function keyOf({ ts, device, stream, values }: Reading, everyMs?: number): HistoryKey {
  const name = TAG_OF[stream] ?? ''
  const tag = valueIn(values, name) ?? ''
  const start = everyMs === undefined ? ts : ts - (ts % everyMs)
  return { ts: start, device, stream, tags: Object.fromEntries(tag === '' ? [] : [[name, String(tag)]]) }
}

const compareIn = (order: HistoryOrderName) => (a: HistoryKey, b: HistoryKey) =>
  order === 'oldest' ? compareKeys(a, b) : compareKeys(b, a)

function sorted(readings: readonly Reading[], order: HistoryOrderName): Reading[] {
  return [...readings].sort((a, b) => compareIn(order)(keyOf(a), keyOf(b)))
}

/** A reading without its time: few devices, tags and times, so that many have one time. */
interface Draft {
  readonly device: string
  readonly stream: string
  readonly tag: string
  /** Microseconds since the run's beginning. */
  readonly at: number
}

const draft: fc.Arbitrary<Draft> = fc.record({
  device: fc.constantFrom('a', 'a', 'a', ...DEVICES),
  stream: fc.constantFrom('weather', 'weather', 'weather', 'pulses', 'members'),
  tag: fc.constantFrom(...TAGS),
  at: fc.oneof(
    { arbitrary: fc.constantFrom(0, 1_000, 1_001, 2_000, 60_000_000), weight: 6 },
    { arbitrary: fc.nat(180_000_000), weight: 1 },
  ),
})

function readingOf({ device, stream, tag, at }: Draft, begin: number, value: number): Reading {
  const ts = (begin * 1000 + at) / 1000
  if (stream === 'pulses') return reading(pulses, device, ts, { level: value + 0.5, from: value })
  const whole = Math.floor(ts)
  if (stream === 'weather') return reading(weather, device, whole, { ...(tag !== '' && { site: tag }), count: value })
  return reading(members, device, whole, { ...(tag !== '' && { constructor: tag }), hasOwnProperty: value })
}

const drafts = fc.array(draft, { maxLength: 80, size: 'max' })

/** Each place once. */
function distinct(readings: readonly Reading[]): Reading[] {
  return [...new Map(readings.map((one) => [JSON.stringify(keyOf(one)), one])).values()]
}

const selected = fc.constantFrom<HistoryQuery['selections']>(
  [{}],
  [{}],
  [{ stream: 'weather' }],
  [{ stream: 'pulses' }, { stream: 'members' }],
  [{ device: 'a' }, { device: 'truck-10', stream: 'weather' }, { stream: 'members' }],
)

const isSelected = ({ device, stream }: Reading, selections: HistoryQuery['selections']) =>
  selections.some((one) => (one.device ?? device) === device && (one.stream ?? stream) === stream)

const question = fc.record({
  selections: selected,
  order: fc.constantFrom(...HISTORY_ORDERS),
  /** Microseconds since the run's beginning. */
  from: fc.constantFrom(0, 1_000, 1_001, 1_002),
  to: fc.constantFrom(180_000_001, 60_000_001, 60_000_000, 2_001),
  limits: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 4 }),
})

/** Takes pages until one is not truncated; `between` is called after each with the place at which the next begins. */
async function pages(
  store: PointStore,
  query: HistoryQuery,
  limits: readonly number[],
  between: (next: HistoryKey) => Promise<void> = async () => undefined,
): Promise<Reading[]> {
  const all: Reading[] = []
  let after: HistoryKey | undefined
  for (let page = 0; ; page++) {
    const limit = limits[page % limits.length] ?? 1
    const { readings, truncated, next } = await pageFrom(store, { ...query, limit, ...(after && { after }) })
    all.push(...readings)
    assert.equal(next !== undefined, truncated)
    if (next === undefined) return all
    assert.equal(readings.length, limit)
    const last = readings.at(-1)
    assert(last)
    assert.deepEqual(next, keyOf(last))
    // As it comes back from an app.
    after = JSON.parse(JSON.stringify(next))
    await between(next)
  }
}

export function historyContract(name: string, open: OpenStore): void {
  describe(`the history of ${name}`, () => {
    const contract = (title: string, body: (store: PointStore, report: (line: string) => void) => Promise<void>) =>
      it(title, async (t) => {
        const store = await open(t, STREAMS)
        if (store === undefined) return
        await store.start()
        t.after(() => store.stop())
        await body(store, (line) => t.diagnostic(line))
      })

    contract(
      'pages put together are the whole, in both orders, and what is written meanwhile shifts nothing',
      async (store, report) => {
        let runs = 0
        const arbitrary = fc.tuple(drafts, fc.array(draft, { maxLength: 20 }), question)
        const property = fc.asyncProperty(
          arbitrary,
          async ([before, meanwhile, { selections, order, from, to, limits }]) => {
            const begin = BEGIN + runs++ * HOUR_MS
            const written = distinct(before.map((one, index) => readingOf(one, begin, index)))
            await write(store, ...written)
            const query = { selections, order, from: begin + from / 1000, to: begin + to / 1000, limit: 1_000 }
            const isAsked = (one: Reading) => one.ts >= query.from && one.ts < query.to && isSelected(one, selections)
            const whole = sorted(written.filter(isAsked), order)
            assert.deepEqual((await pageFrom(store, query)).readings, whole)
            assert.deepEqual(await pages(store, query, limits), whole)
            const late = distinct(meanwhile.map((one, index) => readingOf(one, begin, 1_000 + index)))
            const places = new Set(written.map((one) => JSON.stringify(keyOf(one))))
            const fresh = late.filter((one) => !places.has(JSON.stringify(keyOf(one))))
            const expected = [...whole]
            const found = await pages(store, query, limits, async (next) => {
              const one = fresh.pop()
              if (one === undefined) return
              await write(store, one)
              if (isAsked(one) && compareIn(order)(keyOf(one), next) > 0) expected.push(one)
            })
            assert.deepEqual(found, sorted(expected, order))
          },
        )
        const seed = Number(SEED ?? Date.now() % 2 ** 31)
        report(`seed ${seed} (TELLTALE_TEST_SEED)`)
        await fc.assert(property, { numRuns: 40, seed })
      },
    )

    contract(
      'pages of windows put together are all windows, in both orders, and what is written before them shifts nothing',
      async (store, report) => {
        let runs = 0
        const arbitrary = fc.tuple(
          drafts,
          fc.array(draft, { maxLength: 10 }),
          question,
          fc.constantFrom(...AGGREGATES),
          fc.constantFrom(1_000, 7_000, MINUTE_MS),
        )
        const property = fc.asyncProperty(arbitrary, async ([before, meanwhile, asked, aggregate, everyMs]) => {
          const { selections, order, from, to, limits } = asked
          const begin = BEGIN + runs++ * HOUR_MS
          const written = distinct(before.map((one, index) => readingOf(one, begin, index)))
          await write(store, ...written)
          const times = { from: begin + from / 1000, to: begin + to / 1000 }
          const query = { selections, order, ...times, limit: 1_000, window: { everyMs, aggregate } }
          const isAsked = (one: Reading) => one.ts >= query.from && one.ts < query.to && isSelected(one, selections)
          const windows = new Map(
            written.filter(isAsked).map((one) => [JSON.stringify(keyOf(one, everyMs)), keyOf(one, everyMs)]),
          )
          const whole = (await pageFrom(store, query)).readings
          assert.deepEqual(
            whole.map((one) => keyOf(one)),
            [...windows.values()].sort(compareIn(order)),
          )
          for (const one of whole) {
            const members = written.filter((member) => {
              return isAsked(member) && compareKeys(keyOf(member, everyMs), keyOf(one)) === 0
            })
            const [value, of] = [numberOf(one), members.sort((a, b) => a.ts - b.ts).map(numberOf)]
            assert.ok(Math.abs(value - AGGREGATED[aggregate](of)) < 1e-9, `${aggregate} of ${of} is ${value}`)
          }
          assert.deepEqual(await pages(store, query, limits), whole)
          const places = new Set(written.map((one) => JSON.stringify(keyOf(one))))
          const late = distinct(meanwhile.map((one, index) => readingOf(one, begin, 1_000 + index)))
          const fresh = late.filter((one) => !places.has(JSON.stringify(keyOf(one))))
          const found = await pages(store, query, limits, async (next) => {
            const gone = fresh.filter((one) => compareIn(order)(keyOf(one, everyMs), next) <= 0)
            if (gone.length > 0) await write(store, ...gone)
          })
          assert.deepEqual(found, whole)
        })
        const seed = Number(SEED ?? Date.now() % 2 ** 31)
        report(`seed ${seed} (TELLTALE_TEST_SEED)`)
        await fc.assert(property, { numRuns: 40, seed })
      },
    )

    contract('more readings of one time than a page has are paged as any others', async (store) => {
      const devices = Array.from({ length: 2_500 }, (_, n) => `d${n}`)
      const at = (ts: number) => devices.map((device, n) => reading(weather, device, ts, { count: n }))
      const others = [0, 1, 2].flatMap((n) => reading(pulses, 'p', BEGIN + n + 0.001, { from: n }))
      const written = [...at(BEGIN), ...at(BEGIN + 2), ...others]
      await write(store, ...written)
      for (const order of HISTORY_ORDERS) {
        const query = { selections: [{}], from: BEGIN, to: BEGIN + 10, order, limit: 1 }
        assert.deepEqual(await pages(store, query, [700, 1]), sorted(written, order))
        const window = { everyMs: 1, aggregate: 'last' } as const
        const [windows, readings] = [await pages(store, { ...query, window }, [1_100]), sorted(written, order)]
        assert.deepEqual(
          windows.map((one) => keyOf(one)),
          readings.map((one) => keyOf(one, 1)).sort(compareIn(order)),
        )
      }
    })

    contract('all of time may be asked for, and no time', async (store) => {
      const written = [1, 2, 3].map((n) => reading(weather, 'b', BEGIN + n, { count: n }))
      await write(store, ...written)
      const always = { selections: [{}], from: Date.parse('0001-01-01'), to: 999_999_999_999_999, limit: 2 }
      for (const order of HISTORY_ORDERS) {
        assert.deepEqual(await pages(store, { ...always, order }, [2]), sorted(written, order))
        const window = { everyMs: MINUTE_MS, aggregate: 'count' } as const
        assert.equal((await pages(store, { ...always, order, window }, [1])).length, 1)
        assert.deepEqual(await pages(store, { ...always, order, from: BEGIN + 2, to: BEGIN + 2 }, [2]), [])
      }
    })

    contract('a place beyond what is asked for, or that no reading has, is one like others', async (store) => {
      const written = [1, 2, 3].map((n) => reading(weather, 'b', BEGIN + n, { count: n }))
      await write(store, ...written)
      const ask = async (order: HistoryOrderName, after: Partial<HistoryKey>, more: object = {}) => {
        const place = { ts: BEGIN + 2, device: 'b', stream: 'weather', tags: {}, ...after }
        const query = { selections: [{}], from: BEGIN, to: BEGIN + 10, limit: 10, order, after: place, ...more }
        return (await pageFrom(store, query)).readings.map(({ ts }) => ts - BEGIN)
      }
      assert.deepEqual(await ask('oldest', {}), [3])
      assert.deepEqual(await ask('newest', {}), [1])
      assert.deepEqual(await ask('oldest', { device: 'a' }), [2, 3])
      assert.deepEqual(await ask('newest', { device: 'a' }), [1])
      assert.deepEqual(await ask('oldest', { stream: 'unknown' }), [2, 3])
      assert.deepEqual(await ask('newest', { stream: 'a', device: 'c' }), [2, 1])
      assert.deepEqual(await ask('oldest', { tags: { site: "'; DROP" } }), [3])
      assert.deepEqual(await ask('newest', { tags: { site: "'; DROP", unknown: 'x' } }), [2, 1])
      const window = { window: { everyMs: 1, aggregate: 'max' } }
      for (const more of [{}, window]) {
        assert.deepEqual(await ask('oldest', { ts: BEGIN - 1 }, more), [1, 2, 3])
        assert.deepEqual(await ask('newest', { ts: BEGIN - 1 }, more), [])
        assert.deepEqual(await ask('oldest', { ts: BEGIN + 10 }, more), [])
        assert.deepEqual(await ask('newest', { ts: BEGIN + 10 }, more), [3, 2, 1])
      }
    })
  })
}

/** Of a reading the number that it was made with. */
function numberOf({ stream, values }: Reading): number {
  return Number(stream === 'weather' ? values.count : stream === 'pulses' ? values.from : values.hasOwnProperty)
}

/** Of values in the order of time. */
const AGGREGATED = {
  mean: (of: readonly number[]) => of.reduce((sum, one) => sum + one, 0) / of.length,
  min: (of: readonly number[]) => Math.min(...of),
  max: (of: readonly number[]) => Math.max(...of),
  first: (of: readonly number[]) => of[0] ?? Number.NaN,
  last: (of: readonly number[]) => of.at(-1) ?? Number.NaN,
  count: (of: readonly number[]) => of.length,
}
