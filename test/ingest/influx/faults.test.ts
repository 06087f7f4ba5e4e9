/** What the store does with each answer a server can give: nothing is lost, and only bad lines are set aside. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import { createGzip } from 'node:zlib'
import type { InfluxOptions } from '../../../ingest/influx/connection.ts'
import { INFLUX_ERROR_BYTES_MAX } from '../../../ingest/influx/connection.ts'
import { InfluxStore } from '../../../ingest/influx/store.ts'
import { retryWaitMs, writeUntilStored } from '../../../ingest/retry.ts'
import { type StoreBatch, StoreError } from '../../../ingest/store.ts'
import type { Stream } from '../../../schemas/reading.ts'
import { pageOf } from '../../history.ts'
import { entryOf, pulses, reading, STREAMS, T0, weather } from '../streams.ts'
import { startFaultServer } from './fault-server.ts'

const ONE_MIB = Buffer.alloc(2 ** 20, 'x')
const signal = () => new AbortController().signal
const batch = (count: number, from = 0): StoreBatch => ({
  entries: Array.from({ length: count }, (_, n) => entryOf(reading(weather, 'a', T0 + from + n, { count: from + n }))),
})

async function open(t: test.TestContext, options: Partial<InfluxOptions> = {}) {
  const server = await startFaultServer(t)
  const url = server.url
  const store = new InfluxStore(
    { kind: 'influx', url, token: 'secret', org: 'my org', bucket: 'b/c', api: 'v2', ...options },
    { streams: STREAMS },
  )
  t.after(() => store.stop())
  return { server, store }
}

/** Writes until it is stored and says which failures there were on the way. Waits are cut to nothing. */
async function persist(store: InfluxStore, what: StoreBatch) {
  const failures: StoreError[] = []
  const outcome = await writeUntilStored(
    // The waits themselves are tested apart.
    { ...facade(store), write: (b, s) => store.write(b, s).catch((error) => Promise.reject(hasty(error))) },
    what,
    signal(),
    { random: () => 0, onRetry: (error) => failures.push(error) },
  )
  return { failures, outcome }
}
const facade = (store: InfluxStore) => ({
  name: store.name,
  useStreams: (streams: readonly Stream[]) => store.useStreams(streams),
  history: store.history,
  start: () => store.start(),
  stop: () => store.stop(),
})
function deferred() {
  let resolve: () => void = () => undefined
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve: () => resolve() }
}
const hasty = (error: unknown) =>
  error instanceof StoreError
    ? new StoreError('store-unavailable', `${error.code} ${error.retry} ${error.retryAfterMs ?? ''}`.trim(), {
        retry: error.retry,
        retryAfterMs: 1,
      })
    : error

test('the request is the one the API asks for', async (t) => {
  const v2 = await open(t)
  await v2.store.write(batch(1), signal())
  assert.deepEqual(
    v2.server.requests.map(({ path, authorization }) => [path, authorization]),
    [['/api/v2/write?org=my+org&bucket=b%2Fc&precision=ns', 'Token secret']],
  )
  assert.deepEqual([...v2.server.lines], [`weather,device=a count=0i ${T0}000000`])
  const v1 = await open(t, { api: 'v1', token: '' })
  await v1.store.write(batch(5000), signal())
  assert.deepEqual(
    v1.server.requests.map(({ path, authorization, lines }) => [path, authorization, lines]),
    [['/write?db=b%2Fc&precision=ns', '', 5000]],
  )
})

test('a body is compressed on its way to another machine', async (t) => {
  const { server } = await open(t)
  // This address reaches the same server and is not known to be this machine's.
  const url = server.url.replace('127.0.0.1', '0.0.0.0')
  const store = new InfluxStore(
    { kind: 'influx', url, token: '', org: 'o', bucket: 'b', api: 'v2' },
    { streams: STREAMS },
  )
  t.after(() => store.stop())
  await store.write(batch(5000), signal())
  await store.write(batch(1), signal())
  assert.deepEqual(
    server.requests.map(({ encoding, lines }) => [encoding, lines]),
    [
      ['gzip', 5000],
      ['', 1],
    ],
  )
  assert.equal(server.lines.size, 5000)
})

test('busy, failing, cut off and unauthorized servers are tried again until they take it', async (t) => {
  const { server, store } = await open(t)
  const script = [
    { status: 429, headers: { 'retry-after': '3' } },
    { status: 503, headers: { 'retry-after': '2' }, body: 'over capacity' },
    { status: 500, body: { code: 'internal error', message: 'engine closed' } },
    { status: 0 },
    { status: 401, body: { code: 'unauthorized', message: 'unauthorized access' } },
    { status: 404, body: { code: 'not found', message: 'bucket "b" not found' } },
    { status: 302, headers: { location: '/login' } },
    // It is asked whether it takes a write without lines, too.
    { status: 400, body: '<html>The plain HTTP request was sent to HTTPS port</html>' },
    { status: 400, body: '<html>The plain HTTP request was sent to HTTPS port</html>' },
    { status: 200, body: 'welcome' },
    { status: 201, body: 'created' },
  ]
  server.decide = (_lines, index) => script[index]
  const { failures, outcome } = await persist(store, batch(100))
  assert.deepEqual(
    failures.map(({ message }) => message),
    [
      'store-busy soon 3000',
      'store-unavailable soon 2000',
      'store-unavailable soon',
      'store-unavailable soon',
      'store-refused slowly',
      'store-refused slowly',
      'store-refused slowly',
      'store-refused slowly',
      'store-refused slowly',
      'store-refused slowly',
    ],
  )
  assert.deepEqual(outcome.rejected, [])
  assert.equal(server.lines.size, 100)
})

test('a query that nobody wants any more is ended at the server', { timeout: 60_000 }, async (t) => {
  const asked = deferred()
  const ended = deferred()
  const server = createServer((request, response) => {
    response.on('close', ended.resolve)
    request.resume()
    asked.resolve()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { store } = await open(t, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  const left = new AbortController()
  const query = { selections: [{}], from: T0, to: T0 + 1, limit: 1 }
  const page = assert.rejects(store.history.readings(query, left.signal))
  await asked.promise
  left.abort()
  await page
  await ended.promise
})

test('an answer that becomes too large with its last piece is told as one, and nothing else fails', async (t) => {
  const { server, store } = await open(t, { answerBytesMax: 1_000 })
  server.decide = () => ({ status: 200, body: 'x'.repeat(1_001) })
  const query = { selections: [{ stream: weather.name }], from: T0, to: T0 + 1, limit: 10 }
  for (let round = 0; round < 20; round++) {
    await assert.rejects(pageOf(store.history, query), { code: 'store-unavailable', message: /larger than 1000 bytes/ })
  }
})

test('a query that is refused is told as one, and is no failed write', async (t) => {
  const { server, store } = await open(t)
  const script = [401, 403, 404, 429, 503].map((status) => ({ status, body: { code: 'c', message: 'no' } }))
  server.decide = (_lines, index) => script[index]
  const query = { selections: [{}], from: T0, to: T0 + 1, limit: 1 }
  const codes: string[] = []
  for (const { status } of script) {
    const error = await pageOf(store.history, query).catch((thrown: unknown) => thrown)
    assert(error instanceof StoreError)
    assert.match(error.message, new RegExp(`answered ${status}: no`))
    assert.doesNotMatch(error.message, /write/)
    codes.push(error.code)
  }
  assert.deepEqual(codes, ['store-refused', 'store-refused', 'store-refused', 'store-busy', 'store-unavailable'])
})

for (const encoding of ['identity', 'gzip']) {
  test(`the error that a server never stops telling (${encoding}) is not read on`, async (t) => {
    let sent = 0
    const server = createServer((request, response) => {
      request.resume()
      response.writeHead(503, {
        'content-type': 'application/json',
        ...(encoding === 'gzip' && { 'content-encoding': encoding }),
      })
      const zip = createGzip()
      const body = encoding === 'gzip' ? zip : response
      if (encoding === 'gzip') zip.pipe(response)
      const more = () => {
        if (response.destroyed) return
        sent += ONE_MIB.length
        body.write(ONE_MIB, () => setImmediate(more))
      }
      more()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const store = new InfluxStore(
      { kind: 'influx', url, token: '', org: 'o', bucket: 'b', api: 'v2' },
      { streams: STREAMS },
    )
    t.after(() => store.stop())
    const tooLarge = { code: 'store-unavailable', message: /answered 503 with more than \d+ bytes/ }
    await assert.rejects(store.write(batch(1), signal()), tooLarge)
    const query = { selections: [{}], from: T0, to: T0 + 1, limit: 1 }
    await assert.rejects(pageOf(store.history, query), tooLarge)
    assert(sent < 8 * INFLUX_ERROR_BYTES_MAX, `${sent} bytes`)
  })
}

test('a 201 that is not InfluxDB’s own sets nothing aside', async (t) => {
  const { server, store } = await open(t)
  server.decide = () => ({ status: 201, body: 'created' })
  await assert.rejects(store.write(batch(10), signal()), { code: 'store-refused', message: /answered 201/ })
})

test('a redirect is told with where it leads', async (t) => {
  const { server, store } = await open(t)
  server.decide = () => ({ status: 301, headers: { location: 'https://influx.example/' }, body: '' })
  const message = /answered 301: Moved Permanently to https:\/\/influx.example\/ \(check INFLUX_URL/
  await assert.rejects(store.write(batch(1), signal()), { code: 'store-refused', message })
})

test('a batch that is too large is halved until it is not', async (t) => {
  const { server, store } = await open(t)
  server.decide = (lines) => (lines.length > 30 ? { status: 413 } : undefined)
  const { rejected } = await store.write(batch(1000), signal())
  assert.deepEqual(rejected, [])
  assert.equal(server.lines.size, 1000)
})

for (const [what, refuse] of Object.entries({
  'that refuses a batch whole (400)': { status: 400, body: { code: 'invalid', message: "unable to parse 'x'" } },
  'that writes a part (422)': {
    status: 422,
    body: { code: 'unprocessable entity', message: 'partial write: dropped=1' },
  },
  'that calls a part an internal error (500)': { status: 500, body: { message: 'partial write: conflict dropped=1' } },
  'that is InfluxDB 3 (201)': { status: 201, body: { code: 'invalid', message: 'unable to parse line 1' } },
  'that is VictoriaMetrics (400 in plain text)': { status: 400, body: 'cannot read: too long line: dropped' },
  'that is InfluxDB 1 (400 with error)': { status: 400, body: { error: 'partial write: unable to parse dropped=0' } },
})) {
  test(`with a server ${what}, the bad lines are found and only they are set aside`, async (t) => {
    const { server, store } = await open(t)
    const isBad = (line: string) => / count=(7|500|501|999)i /.test(line)
    server.decide = (lines) => (lines.some(isBad) ? refuse : undefined)
    const { rejected } = await store.write(batch(1000), signal())
    assert.deepEqual(
      rejected.map(({ index }) => index),
      [7, 500, 501, 999],
    )
    assert.match(rejected[0]?.reason ?? '', /unable to parse|dropped/)
    assert.equal(server.lines.size, 996)
    assert(server.requests.length < 160, `${server.requests.length} requests`)
  })
}

test('a whole batch that is refused costs one request, not one a line', async (t) => {
  const { server, store } = await open(t)
  const message = `partial write: field type conflict on ${'tag'.repeat(1_000)} dropped=4000`
  server.decide = () => ({ status: 422, body: { code: 'unprocessable entity', message } })
  assert.equal((await store.write(batch(4000), signal())).rejected.length, 4000)
  assert.equal(server.requests.length, 1)
})

test('a stream, and a device, of which every line is refused costs a few requests, however much it is mixed with others', async (t) => {
  const { server, store } = await open(t)
  const isBad = (line: string) => /^pulses|device=w3 /.test(line)
  server.decide = (lines) => {
    const dropped = lines.filter(isBad).length
    if (dropped === 0) return undefined
    return {
      status: 422,
      body: { code: 'unprocessable entity', message: `partial write: conflict dropped=${dropped}` },
    }
  }
  const entries = Array.from({ length: 5000 }, (_, n) =>
    n % 3 === 0
      ? entryOf(reading(pulses, `p${n % 50}`, T0 + n, { level: n }))
      : entryOf(reading(weather, `w${n % 50}`, T0 + n, { count: n })),
  )
  const { rejected } = await store.write({ entries }, signal())
  const bad = entries.flatMap(({ readings: [first] }, index) =>
    first?.stream === 'pulses' || first?.device === 'w3' ? [index] : [],
  )
  assert.deepEqual(
    rejected.map(({ index }) => index).sort((a, b) => a - b),
    bad,
  )
  assert.equal(server.lines.size, entries.length - bad.length)
  assert(server.requests.length < 60, `${server.requests.length} requests`)
})

test('a server that fails now and then is done with a batch of which it refuses many lines', async (t) => {
  const { server, store } = await open(t)
  const isBad = (line: string) => / count=\d+50i /.test(line)
  server.decide = (lines, index) => {
    if (index % 100 === 99) return { status: 503 }
    return lines.some(isBad) ? { status: 400, body: { code: 'invalid', message: 'unable to parse' } } : undefined
  }
  const { failures, outcome } = await persist(store, batch(3000))
  assert.deepEqual(
    outcome.rejected.map(({ index }) => index),
    Array.from({ length: 29 }, (_, n) => n * 100 + 150),
  )
  assert.equal(server.lines.size, 2971)
  assert(failures.length > 1 && failures.length < 10, `${failures.length} failures`)
})

test('a reading that line protocol cannot express is set aside, its neighbours are written', async (t) => {
  const { server, store } = await open(t)
  const entries = [
    reading(weather, 'a', T0, { count: 1 }),
    reading(weather, 'a', T0, { site: 'only a tag' }),
    reading(weather, 'a', T0, { site: 'tail\\', count: 1 }),
    reading(weather, 'a', T0 + 1, { count: 2 }),
  ].map((one) => entryOf(one))
  const { rejected } = await store.write({ entries }, signal())
  assert.deepEqual(
    rejected.map(({ index }) => index),
    [1, 2],
  )
  assert.equal(server.lines.size, 2)
})

test('a line over which the server fails, again and again, is set aside; its neighbours are written', async (t) => {
  const { server, store } = await open(t)
  server.decide = (lines) => (lines.some((line) => /count=(7|4999)i/.test(line)) ? { status: 500 } : undefined)
  const { outcome } = await persist(store, batch(6_000))
  assert.deepEqual(
    outcome.rejected.map(({ index }) => index).sort((a, b) => a - b),
    [7, 4999],
  )
  assert.match(outcome.rejected[0]?.reason ?? '', /500/)
  assert.equal(server.lines.size, 5_998)
  server.decide = (lines) => (lines.some((line) => /count=8000i/.test(line)) ? { status: 500 } : undefined)
  const { outcome: alone } = await persist(store, batch(1, 8_000))
  assert.deepEqual(
    alone.rejected.map(({ index }) => index),
    [0],
  )
})

test('a server that fails over everything is waited for, and nothing is set aside', async (t) => {
  const { server, store } = await open(t)
  const ill = 150
  server.decide = (_lines, index) => (index < ill ? { status: 500 } : undefined)
  for (const count of [3_000, 1]) {
    const { outcome } = await persist(store, batch(count, count))
    assert.deepEqual(outcome.rejected, [])
    assert(server.requests.length > ill)
  }
  assert.equal(server.lines.size, 3_001)
})

for (const count of [2, 5, 16, 17]) {
  test(`a server that fails over everything is waited for with ${count} lines, too`, async (t) => {
    const { server, store } = await open(t)
    await persist(store, batch(1, 100))
    let failing = 200
    server.decide = () => (failing-- > 0 ? { status: 500 } : undefined)
    const { outcome } = await persist(store, batch(count))
    assert.deepEqual(outcome.rejected, [])
    assert.equal(server.lines.size, count + 1)
  })
}

test('a line that is refused while another over which the server fails is looked for counts once', async (t) => {
  const { server, store } = await open(t)
  server.decide = (lines) => {
    if (lines.some((line) => / count=7i /.test(line))) return { status: 500 }
    const isBad = lines.some((line) => / count=3i /.test(line))
    return isBad ? { status: 400, body: { code: 'invalid', message: 'unable to parse' } } : undefined
  }
  const { outcome } = await persist(store, batch(20))
  assert.deepEqual(
    outcome.rejected.map(({ index, refused }) => [index, refused]),
    [
      [3, 1],
      [7, 1],
    ],
  )
  assert.equal(server.lines.size, 18)
})

test('a server that refuses a line and fails over all others is waited for: it has taken none', async (t) => {
  const { server, store } = await open(t)
  const refusal = { status: 400, body: { code: 'invalid', message: 'partial write: field type conflict dropped=1' } }
  const ill = 400
  server.decide = (lines, index) => {
    const bad = lines.filter((line) => / count=3i /.test(line)).length
    if (bad === lines.length || (bad > 0 && index >= ill)) return refusal
    return index < ill ? { status: 500 } : undefined
  }
  const { outcome } = await persist(store, batch(20))
  assert.deepEqual(
    outcome.rejected.map(({ index }) => index),
    [3],
  )
  assert(server.requests.length > ill)
  assert.equal(server.lines.size, 19)
})

test('to see whether a server is ill, nothing is written that a later value has replaced', async (t) => {
  const { server, store } = await open(t)
  const stored = new Map<string, string>()
  server.decide = (lines) => {
    if (lines.some((line) => / count=666i /.test(line))) return { status: 500 }
    if (lines.some((line) => / count=7i /.test(line))) return { status: 400, body: { code: 'invalid', message: 'no' } }
    for (const line of lines) stored.set(line.replace(/ .* /, ' '), line)
    return undefined
  }
  const at = (ts: number, count: number) => entryOf(reading(weather, 'a', ts, { count }))
  await persist(store, { entries: [at(T0, 1)] })
  await persist(store, { entries: [at(T0, 2), at(T0 + 1, 7)] })
  const { outcome } = await persist(store, { entries: [at(T0 + 2, 666)] })
  assert.equal(outcome.rejected.length, 1)
  assert.deepEqual([...stored.values()], [`weather,device=a count=2i ${T0}000000`])
})

test('the same within one batch, of which a part was written', async (t) => {
  const { server, store } = await open(t)
  const stored = new Map<string, string>()
  server.decide = (lines) => {
    if (lines.some((line) => / count=666i /.test(line))) return { status: 500 }
    for (const line of lines) stored.set(line.replace(/ .* /, ' '), line)
    return undefined
  }
  const at = (ts: number, count: number) => entryOf(reading(weather, 'a', ts, { count }))
  await persist(store, { entries: [at(T0, 1)] })
  // One more than a request holds.
  const first = Array.from({ length: 4_999 }, (_, n) => at(T0 + n, 10_000 + n))
  const { outcome } = await persist(store, { entries: [...first, at(T0 + 5_000, 1_000), at(T0 + 5_001, 666)] })
  assert.deepEqual(
    outcome.rejected.map(({ index }) => index),
    [5_000],
  )
  assert.equal(stored.get(`weather,device=a ${T0}000000`), `weather,device=a count=10000i ${T0}000000`)
})

test('an abort ends the wait for a store that asked for a long one', async (t) => {
  const { server, store } = await open(t)
  const stop = new AbortController()
  server.decide = () => {
    setImmediate(() => stop.abort())
    return { status: 503, headers: { 'retry-after': '1000' } }
  }
  const writing = writeUntilStored(store, batch(1), stop.signal, { random: () => 1, onRetry: () => {} })
  await assert.rejects(writing, { code: 'store-stopped' })
})

test('waits do not grow while the batch gets on', async (t) => {
  const { server, store } = await open(t)
  // Of each 10 requests one fails, and halving takes hundreds.
  server.decide = (lines, index) => {
    if (index % 10 === 9) return { status: 503 }
    return lines.some((line) => line.endsWith('5000000')) ? { status: 422, body: { message: 'no' } } : undefined
  }
  const waits: number[] = []
  await writeUntilStored(store, batch(60), signal(), {
    random: () => 0,
    onRetry: (_error, waitMs) => waits.push(waitMs),
  })
  assert(waits.length > 3, `${waits.length} failures`)
  assert.deepEqual(new Set(waits), new Set([100]))
})

test('waits grow, are jittered and bounded; the server’s own wait comes first', () => {
  const error = (retry: 'soon' | 'slowly', retryAfterMs?: number) =>
    new StoreError('store-unavailable', '', { retry, retryAfterMs })
  const soon = (failures: number, random: number) => retryWaitMs(error('soon'), failures, random)
  assert.deepEqual(
    [0, 1, 2, 3].map((failures) => soon(failures, 1)),
    [200, 400, 800, 1600],
  )
  assert.equal(soon(0, 0), 100)
  assert.equal(soon(1000, 1), 30_000)
  assert.equal(retryWaitMs(error('slowly'), 0, 1), 15_000)
  assert.equal(retryWaitMs(error('soon', 7000), 50, 0), 7000)
  assert.equal(retryWaitMs(error('soon', 1e9), 0, 0), 300_000)
  assert.equal(retryWaitMs(error('soon', 0), 0, 0), 200)
})
