/** Pages of `/v1/readings`, of the embedded store: by `next` an app has all, in the order it asked for, and is told what cannot go on. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { DuckdbStore } from '../../ingest/duckdb/store.ts'
import type { Reading } from '../../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { scratchDirectory } from '../scratch.ts'
import { NOW, onEachServer, type ServerKind, startPlatform } from './platform.ts'

interface Page {
  readonly readings: readonly Reading[]
  readonly truncated: boolean
  readonly next?: string
}

const { streams } = Registry.load(SHIPPED_SCHEMAS_DIR)
const BEGIN = NOW - 3_600_000

async function startWith(t: TestContext, server: ServerKind, readings: readonly Reading[]) {
  const store = new DuckdbStore({ kind: 'duckdb', path: `${scratchDirectory(t)}/store.duckdb` }, { streams })
  await store.start()
  t.after(() => store.stop())
  const write = async (...written: readonly Reading[]) => {
    const entries = written.map((one) => {
      const stream = streams.find(({ name }) => name === one.stream)
      assert(stream)
      return { stream, readings: [one], receivedAt: one.ts, offset: 0 }
    })
    const { rejected } = await store.write({ entries }, new AbortController().signal)
    assert.deepEqual(rejected, [])
  }
  await write(...readings)
  return {
    write,
    ...(await startPlatform(t, server, { history: { readings: (...asked) => store.readings(...asked) } })),
  }
}

const vehicle = (device: string, ts: number, fleet: string, velocity: number): Reading => {
  return { device, stream: 'vehicle', ts, values: { fleet, velocity } }
}
const vibration = (ts: number, rms: number): Reading => {
  return { device: 'pump', stream: 'vibration', ts, values: { acceleration_rms: rms } }
}

/** Of one time 40 readings, of 10 devices and 4 fleets, the tag of which is nasty; beside them microseconds. */
function manyOfOneTime(): Reading[] {
  const fleets = ['', 'a b', 'ä "q"', '\u{1f600}']
  const vehicles = Array.from({ length: 10 }, (_, n) => fleets.map((fleet) => vehicle(`v${n}`, NOW - 1_000, fleet, n)))
  const bare = vehicles.flat().map(({ values: { fleet, ...values }, ...one }) => {
    return { ...one, values: fleet === '' || fleet === undefined ? values : { fleet, ...values } } as Reading
  })
  return [vibration(NOW - 1_000.001, 1), ...bare, vibration(NOW - 999.999, 2), vibration(NOW - 999.998, 3)]
}

onEachServer('pages by next are the whole, as JSON and as CSV, oldest or newest first', async (t, server) => {
  const written = manyOfOneTime()
  const platform = await startWith(t, server, written)
  for (const order of ['oldest', 'newest']) {
    const path = `/v1/readings?from=-1h&order=${order}&limit=7`
    const found: Reading[] = []
    const lines: string[] = []
    for (let after = ''; ; ) {
      const { readings, truncated, next } = (await (await platform.get(path + after)).json()) as Page
      found.push(...readings)
      const csv = await platform.get(path + after, { headers: { accept: 'text/csv' } })
      assert.equal(csv.headers.get('x-telltale-next'), next ?? null)
      assert.match(csv.headers.get('access-control-expose-headers') ?? '', /X-Telltale-Next/)
      lines.push(...(await csv.text()).split('\r\n').slice(1, -1))
      assert.equal(truncated, next !== undefined)
      if (next === undefined) break
      assert.match(next, /^[A-Za-z0-9._~-]+$/)
      after = `&after=${next}`
      // From -1h is another time by now, and yet the first page's.
      platform.clock.time += 60_000
    }
    const expected = order === 'oldest' ? written : [...written].reverse()
    assert.deepEqual(
      found,
      expected.map((reading) => ({ ...reading, received: Math.round(reading.ts) })),
    )
    assert.deepEqual(
      lines.map((line) => line.split(',').slice(0, 3)),
      expected.map(({ ts, device, stream }) => [String(ts), device, stream]),
    )
    platform.clock.time = NOW
  }
})

onEachServer('windows are paged as readings are; what comes meanwhile shifts nothing', async (t, server) => {
  const written = Array.from({ length: 30 }, (_, n) => vehicle(`v${n % 3}`, BEGIN + n * 20_000, `f${n % 2}`, n))
  const platform = await startWith(t, server, written)
  const path = `/v1/readings?from=${BEGIN}&to=${NOW}&every=1m&fn=max&order=newest`
  const whole = (await (await platform.get(path)).json()) as Page
  assert.equal(whole.readings.length, 30)
  const found: Reading[] = []
  for (let next: string | undefined = ''; next !== undefined; ) {
    const page: Page = (await (await platform.get(`${path}&limit=4${next && `&after=${next}`}`)).json()) as Page
    found.push(...page.readings)
    await platform.write(vehicle('late', NOW - found.length, 'x', 1))
    next = page.next
  }
  assert.deepEqual(found, whole.readings)
})

onEachServer('a time may be given to the microsecond, as it is printed or in ISO 8601', async (t, server) => {
  const written = [0, 0.001, 0.002, 0.999, 1].map((more, n) => vibration(BEGIN + more, n))
  const platform = await startWith(t, server, written)
  const ask = async (from: string, to: string) => {
    const { readings } = (await (await platform.get(`/v1/readings?from=${from}&to=${to}`)).json()) as Page
    return readings.map(({ values }) => values.acceleration_rms)
  }
  const iso = (micros: string) => new Date(BEGIN).toISOString().replace('000Z', `${micros}Z`)
  assert.deepEqual(await ask(`${BEGIN}.001`, `${BEGIN}.999`), [1, 2])
  assert.deepEqual(await ask(iso('000001'), iso('000999')), [1, 2])
  assert.deepEqual(await ask(iso('0009'), iso('001001')), [3, 4])
  assert.deepEqual(await ask(String(BEGIN), `${BEGIN}.001`), [0])
})

onEachServer(
  'an after that is none, or of another question, is refused with what would be right',
  async (t, server) => {
    const platform = await startWith(t, server, manyOfOneTime())
    const first = '/v1/readings?filter=devices/v1/%23&filter=devices/v2/%23&from=-1h&limit=2'
    const { next } = (await (await platform.get(first)).json()) as Page
    assert.ok(next)
    const forge = (...fields: unknown[]) => `h1.${Buffer.from(JSON.stringify(fields)).toString('base64url')}`
    const fields = JSON.parse(Buffer.from(next.slice(3), 'base64url').toString())
    const cases: [path: string, message: RegExp][] = [
      [`${first}&after=0-12`, /after is "0-12".*the next of a page of \/v1\/readings/],
      [`${first}&after=${next.replace('h1', 'h2')}`, /the next of a page/],
      [`${first}&after=${next.slice(0, -4)}`, /the next of a page/],
      [`${first}&after=${forge()}`, /the next of a page/],
      [`${first}&after=${forge(...fields.with(4, 1.5))}`, /the next of a page/],
      [`${first}&after=${forge(...fields.with(5, "'; DROP"))}`, /the next of a page/],
      [`${first}&after=${forge(...fields.with(7, { fleet: 7 }))}`, /the next of a page/],
      [`${first}&after=${next}&order=newest`, /after was given for order=oldest/],
      [`${first.replace('v2', 'v3')}&after=${next}`, /another question.*same filter, from, to, every and fn/],
      [`${first}&every=1m&after=${next}`, /another question/],
      [`${first}&to=now&after=${next}`, /another question/],
      [`${first}&order=upwards`, /order is "upwards".*oldest or newest/],
    ]
    for (const [path, message] of cases) {
      const response = await platform.get(path)
      const { error } = (await response.json()) as { error: { code: string; message: string } }
      assert.equal(response.status, 400, path)
      assert.equal(error.code, 'bad-parameter')
      assert.match(error.message, message)
    }
    const narrow = await platform.identity.signApp(['devices/v1/#'], 3_600_000)
    assert.equal((await platform.get(`${first}&after=${next}`, { token: narrow })).status, 403)
    // The order of filters and the limit are no part of the question.
    const swapped = '/v1/readings?filter=devices/v2/%23&filter=devices/v1/%23&from=-1h&limit=5'
    assert.equal(((await (await platform.get(`${swapped}&after=${next}`)).json()) as Page).readings.length, 5)
  },
)
