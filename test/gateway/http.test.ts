import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { gunzipSync } from 'node:zlib'
import type { DevicesPage } from '../../gateway/devices/devices.ts'
import type { DeviceRecord } from '../../gateway/devices/one-device.ts'
import type { Why } from '../../gateway/devices/why.ts'
import { ServerError } from '../../gateway/server/server.ts'
import { TelltaleError } from '../../platform/errors.ts'
import type { HistoryPage, HistoryQuery } from '../../schemas/history.ts'
import type { Reading } from '../../schemas/reading.ts'
import { pageWith, type WholePage } from '../history.ts'
import { until } from '../until.ts'
import { App, environment, HOUR_MS, NOW, onEachServer, startPlatform } from './platform.ts'

interface ErrorBody {
  readonly error: { readonly code: string; readonly message: string }
}

/** What a proxy may add, of whom alone. */
const OF_PROXIES = [
  ...[
    'Forwarded',
    'Via',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Forwarded-Proto',
    'X-Forwarded-Port',
    'X-Forwarded',
  ],
  ...['X-Real-IP', 'True-Client-IP', 'Client-IP', 'X-Client-IP', 'X-Cluster-Client-IP', 'X-Original-Forwarded-For'],
  ...['CF-Connecting-IP', 'CF-Ray', 'CDN-Loop', 'Fastly-Client-IP', 'Fly-Client-IP', 'X-Envoy-External-Address'],
]

const errorOf = async (response: Response) => ((await response.json()) as ErrorBody).error

onEachServer('operations need no token on loopback, and one elsewhere or behind a proxy', async (t, server) => {
  const platform = await startPlatform(t, server)
  for (const path of ['/healthz', '/readyz', '/metrics']) {
    assert.equal((await platform.get(path, { token: null })).status, 200, path)
    const proxied = { headers: { 'x-forwarded-for': '203.0.113.7' } }
    assert.equal((await platform.get(path, proxied)).status, 200, path)
  }
  for (const name of OF_PROXIES) {
    assert.equal((await platform.get('/metrics', { token: null, headers: { [name]: 'a' } })).status, 401, name)
  }
  const metrics = await (await platform.get('/metrics', { token: null })).text()
  assert.match(metrics, /telltale_gateway_sockets 0/)
  const closed = await startPlatform(t, server, { options: { loopbackMetrics: false } })
  assert.equal((await closed.get('/metrics', { token: null })).status, 401)
})

onEachServer('readyz says why not, and healthz stays', async (t, server) => {
  let reason: string | undefined = 'the log is full'
  const platform = await startPlatform(t, server, { ready: () => reason })
  const response = await platform.get('/readyz')
  assert.equal(response.status, 503)
  assert.ok(response.headers.get('retry-after'))
  assert.equal((await errorOf(response)).message, 'the log is full')
  assert.equal((await platform.get('/healthz')).status, 200)
  reason = undefined
  assert.equal((await platform.get('/readyz')).status, 200)
})

onEachServer('every refusal is JSON with a code and a sentence, and is counted', async (t, server) => {
  const platform = await startPlatform(t, server)
  const narrow = await platform.identity.signApp(['devices/a/telemetry/environment'], HOUR_MS)
  const device = await platform.identity.signDevice('a', HOUR_MS)
  const expired = await platform.identity.signApp(['#'], 1000)
  platform.clock.time += 2000
  type Case = [path: string, options: Parameters<typeof platform.get>[1], status: number, code: string, message: RegExp]
  const cases: Case[] = [
    ['/v1/devices', { token: null }, 401, 'token-missing', /token/],
    ['/v1/devices', { token: 'x' }, 401, 'token-invalid', /not valid/],
    ['/v1/devices', { token: expired }, 401, 'token-expired', /expired/],
    ['/v1/devices', { token: device }, 403, 'not-an-app', /device a/],
    ['/v1/readings?filter=%23', { token: narrow }, 403, 'forbidden', /"#" lies outside/],
    ['/v1/devices?filter=devices/b/%23', { token: narrow }, 403, 'forbidden', /"devices\/b\/#"/],
    ['/v1/ledger?device=b', { token: narrow }, 403, 'forbidden', /"b" lies outside/],
    ['/nothing', {}, 404, 'not-found', /"\/nothing"/],
    ['/v1/schemas/environment/9', {}, 404, 'not-found', /environment\/9.*versions 1 to 1/],
    ['/v1/schemas/nope/1', {}, 404, 'not-found', /no stream/],
    ['/v1/devices', { method: 'DELETE' }, 405, 'method-not-allowed', /DELETE.*GET/],
    ['/v1/live', {}, 426, 'upgrade-required', /WebSocket/],
    ['/v1/readings?fliter=x', {}, 400, 'bad-parameter', /fliter is "x".*filter, from, to/],
    ['/v1/readings?filter=devices/+/telemetry/', {}, 400, 'bad-parameter', /filter is .*%23/],
    ['/v1/readings?from=yesterday', {}, 400, 'bad-parameter', /from is "yesterday".*ISO 8601.*-15m/],
    [
      '/v1/readings?from=1763864000',
      {},
      400,
      'bad-parameter',
      /from is "1763864000".*1763864000000 if 1763864000 is in seconds, which is 2025-11-23T02:13:20/,
    ],
    ['/v1/readings?from=2025-13-01', {}, 400, 'bad-parameter', /from is "2025-13-01"/],
    ['/v1/readings?from=2025-02-30T10:00Z', {}, 400, 'bad-parameter', /from is "2025-02-30T10:00Z"/],
    ['/v1/readings?from=now&to=-1m', {}, 400, 'bad-parameter', /from is "now".*before to/],
    ['/v1/readings?from=1&from=2', {}, 400, 'bad-parameter', /from is "1, 2".*one value/],
    ['/v1/readings?limit=0', {}, 400, 'bad-parameter', /limit is "0".*1 to 100000/],
    ['/v1/readings?limit=1e3', {}, 400, 'bad-parameter', /limit is "1e3"/],
    ['/v1/readings?every=soon', {}, 400, 'bad-parameter', /every is "soon".*1m/],
    ['/v1/readings?every=1ms&from=-365d', {}, 400, 'bad-parameter', /every is "1ms".*windows/],
    ['/v1/readings?every=1m&fn=sum', {}, 400, 'bad-parameter', /fn is "sum".*mean, min, max/],
    ['/v1/readings?fn=mean', {}, 400, 'bad-parameter', /fn is "mean" without every: add .*every=1m/],
    ['/v1/devices?last=no', {}, 400, 'bad-parameter', /last is "no".*true or false/],
    ['/v1/devices?limit=x', {}, 400, 'bad-parameter', /limit is "x"/],
    ['/v1/devices?after=%20', {}, 400, 'bad-parameter', /after is " "/],
    ['/v1/devices?label=north', {}, 400, 'bad-parameter', /label is "north".*fleet:north/],
    [`/v1/devices?${'label=a:b&'.repeat(17)}`, {}, 400, 'bad-parameter', /label is "17 labels".*at most 16/],
    ['/v1/ledger?a=b', {}, 400, 'bad-parameter', /a is "b".*device/],
    ['/v1/ledger?device=a/b', {}, 400, 'bad-parameter', /device is "a\/b".*device id/],
  ]
  for (const [path, options, status, code, message] of cases) {
    const response = await platform.get(path, options)
    assert.equal(response.status, status, path)
    assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8')
    const error = await errorOf(response)
    assert.equal(error.code, code, path)
    assert.match(error.message, message)
    if (status === 401) assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer/)
    if (status === 405) assert.match(response.headers.get('allow') ?? '', /GET/)
  }
  const metrics = await platform.metrics.metrics()
  assert.match(metrics, /refusals_total\{reason="not-an-app"\} 1\n/)
  assert.match(metrics, /requests_total\{route="unknown",status="404"\} 1\n/)
})

onEachServer('a page on another origin may read with a token; HEAD has headers only', async (t, server) => {
  const platform = await startPlatform(t, server)
  const preflight = await platform.get('/v1/devices', { method: 'OPTIONS', token: null })
  assert.equal(preflight.status, 204)
  assert.equal(preflight.headers.get('access-control-allow-origin'), '*')
  assert.match(preflight.headers.get('access-control-allow-headers') ?? '', /Authorization/)
  const response = await platform.get(`/v1/ledger?access_token=${platform.token}`, { token: null })
  assert.equal(response.headers.get('access-control-allow-origin'), '*')
  const head = await platform.get('/v1/ledger', { method: 'HEAD' })
  assert.equal(head.status, 200)
  assert.equal(await head.text(), '')
})

onEachServer('the ledger is that of the log, of all devices or of one', async (t, server) => {
  const platform = await startPlatform(t, server)
  await platform.publish('a', 'environment', environment(NOW))
  await platform.publish('b', 'environment', environment(NOW))
  const ledger = { accepted: 2, stored: 0, deadLettered: 0, pending: 2, balanced: true, readings: 0, superseded: 0 }
  assert.deepEqual(await (await platform.get('/v1/ledger')).json(), { ...ledger, held: 0, replayed: 0 })
  const one = { device: 'a', ...ledger, accepted: 1, pending: 1, pendingSince: NOW }
  assert.deepEqual(await (await platform.get('/v1/ledger?device=a')).json(), one)
  const none = { device: 'c', ...ledger, accepted: 0, pending: 0 }
  assert.deepEqual(await (await platform.get('/v1/ledger?device=c')).json(), none)
})

onEachServer('schemas: all streams, and one version with its fingerprint', async (t, server) => {
  const platform = await startPlatform(t, server)
  const { schemas } = (await (await platform.get('/v1/schemas')).json()) as { schemas: { stream: string }[] }
  assert.deepEqual(
    schemas.map(({ stream }) => stream),
    platform.registry.streams.map(({ name }) => name),
  )
  const [registered] = platform.registry.versions('environment')
  assert.deepEqual(await (await platform.get('/v1/schemas/environment/1')).json(), registered)
  // As a batch of them is named on the wire.
  const batch = platform.registry.encode('environment', [environment(NOW)])
  assert.equal(registered?.batchFingerprint, Buffer.from(batch.subarray(2, 10)).reverse().toString('hex'))
})

onEachServer('devices: presence, last seen and last readings, within the token, page by page', async (t, server) => {
  const platform = await startPlatform(t, server, {
    history: {
      latest: async () => [
        { device: 'old', stream: 'environment', ts: NOW - HOUR_MS, values: { temperature: 1 } },
        { device: 'a', stream: 'environment', ts: NOW - HOUR_MS, values: { temperature: 2 } },
      ],
    },
    prepare: async (log) => {
      await log.presence.update('a', () => ({ online: true, since: NOW - 100 }))
      await log.presence.update('quiet', () => ({ online: false, since: NOW - 200 }))
    },
  })
  const app = await App.connect(t, platform)
  await app.subscribe({ filter: '#' })
  await platform.publish('a', 'environment', environment(NOW - 2))
  await platform.publish('a', 'vibration', Buffer.from('nonsense'))
  await platform.publish('unseen', 'environment', environment(NOW - 1))
  await app.until(() => app.readings().length === 2)
  const values = { temperature: 21.3, humidity: 40.5, pressure: 1013.25, battery: 87, rssi: -61 }
  const a = {
    device: 'a',
    state: 'online',
    cause: 'well',
    sentence: 'all is well with a: its last message came just now',
    online: true,
    since: NOW - 100,
    lastSeen: NOW,
    streams: ['environment', 'vibration'],
    last: { environment: { ts: NOW - 2, values } },
  }
  const offline = { state: 'offline', cause: 'offline' }
  const old = { ts: NOW - HOUR_MS, values: { temperature: 1 } }
  const all = [
    a,
    {
      device: 'old',
      ...offline,
      sentence: 'old is not connected',
      online: false,
      lastSeen: NOW - HOUR_MS,
      streams: ['environment'],
      last: { environment: old },
    },
    {
      device: 'quiet',
      ...offline,
      sentence: `quiet is offline since 2025-11-23T02:13:19Z (just now)`,
      online: false,
      since: NOW - 200,
      lastSeen: NOW - 200,
      streams: [],
      last: {},
    },
    {
      device: 'unseen',
      ...offline,
      cause: 'well',
      sentence: 'all is well with unseen, which is not connected just now: its last message came just now',
      online: false,
      lastSeen: NOW,
      streams: ['environment'],
      last: { environment: { ts: NOW - 1, values } },
    },
  ]
  const page = async (query: string, token = platform.token) =>
    (await platform.get(`/v1/devices${query}`, { token })).json()
  assert.deepEqual(await page(''), { devices: all })
  assert.deepEqual(await page('?limit=2'), { devices: all.slice(0, 2), next: 'old' })
  assert.deepEqual(await page('?limit=2&after=old'), { devices: all.slice(2) })
  assert.deepEqual(await page('?filter=devices/a/telemetry/vibration'), {
    devices: [{ ...a, streams: ['vibration'], last: {} }],
  })
  const narrow = await platform.identity.signApp(['devices/a/#', 'devices/zz/#'], HOUR_MS)
  assert.deepEqual(await page('', narrow), { devices: [a] })
  const { last: _, ...withoutLast } = a
  assert.deepEqual(await page('?limit=1&last=false'), { devices: [withoutLast], next: 'a' })
  assert.deepEqual(await page('?last=false', narrow), { devices: [withoutLast] })
  await platform.log.presence.update('a', () => ({ online: false, since: NOW }))
  assert.deepEqual(await page('?limit=1&last=false'), { devices: [withoutLast], next: 'a' }, 'of the same second')
  platform.clock.time += 1_000
  const [later] = ((await page('?limit=1&last=false')) as DevicesPage).devices
  assert.equal(later?.online, false)
})

onEachServer('a site or a label with a space is found by %20 and by +, one with a + by %2B', async (t, server) => {
  const platform = await startPlatform(t, server, {
    devices: `
    - { device: a, site: depot 4, labels: { fleet: far north } }
    - { device: b, site: depot+4, labels: { fleet: c+ } }`,
  })
  const ids = async (query: string) =>
    ((await (await platform.get(`/v1/devices?${query}`)).json()) as DevicesPage).devices.map(({ device }) => device)
  for (const query of [
    'site=depot+4',
    'site=depot%204',
    'label=fleet:far+north',
    'filter=devices/+/%23&label=fleet:far%20north',
  ])
    assert.deepEqual(await ids(query), ['a'], query)
  for (const query of ['site=depot%2B4', 'label=fleet%3Ac%2B']) assert.deepEqual(await ids(query), ['b'], query)
})

onEachServer(
  'devices that are declared: before they come, by site and label, and what is expected of them',
  async (t, server) => {
    const platform = await startPlatform(t, server, {
      prepare: (log) => log.presence.update('truck-2', () => ({ online: true, since: NOW - HOUR_MS })),
      devices: `
      - { device: truck-1, site: depot, streams: [environment, vehicle], interval: 10s }
      - { devices: [truck-2, truck-4], site: yard }
      - { devices: ["truck-*"], site: north, labels: { fleet: north, axles: 3 } }`,
    })
    const get = async (path: string, token = platform.token) => (await platform.get(path, { token })).json()
    const ids = async (query: string) =>
      ((await get(`/v1/devices${query}`)) as DevicesPage).devices.map(({ device }) => device)
    await platform.publish('truck-1', 'environment', environment(NOW))
    await platform.publish('truck-3', 'environment', environment(NOW))
    await until(async () => (await ids('')).length === 4)
    assert.deepEqual(await ids('?label=fleet:north&label=axles:3'), ['truck-1', 'truck-2', 'truck-3', 'truck-4'])
    assert.deepEqual(await ids('?site=yard'), ['truck-2', 'truck-4'])
    assert.deepEqual(await ids('?site=north'), ['truck-3'])
    assert.deepEqual(await ids('?site=yard&label=fleet:north&limit=1'), ['truck-2'])
    assert.deepEqual(await ids('?site=yard&limit=1&after=truck-2'), ['truck-4'])
    assert.deepEqual(await ids('?label=constructor:x'), [])
    assert.deepEqual(await get('/v1/devices?filter=devices/truck-4/%23'), {
      devices: [
        {
          device: 'truck-4',
          state: 'offline',
          cause: 'never-connected',
          sentence: 'truck-4 has never connected, though its file in config/devices says that it should',
          site: 'yard',
          labels: { fleet: 'north', axles: '3' },
          online: false,
          streams: [],
          last: {},
        },
      ],
    })
    const narrow = await platform.identity.signApp(['devices/truck-4/#'], HOUR_MS)
    assert.equal((await platform.get('/v1/devices/truck-2', { token: narrow })).status, 403)

    const record = (await get('/v1/devices/truck-1')) as DeviceRecord
    assert.deepEqual(
      [record.site, record.intervalMs, record.streams.map(({ stream, expected }) => [stream, expected])],
      [
        'depot',
        10_000,
        [
          ['environment', true],
          ['vehicle', true],
        ],
      ],
    )
    platform.clock.time += 30_000
    await platform.publish('truck-1', 'environment', environment(NOW + 29_000))
    await platform.publish('truck-3', 'environment', environment(NOW + 29_000))
    platform.clock.time += 30_001
    const causes = Object.fromEntries(
      ((await get('/v1/devices')) as DevicesPage).devices.map(({ device, cause }) => [device, cause]),
    )
    // Nothing says how often truck-3 should send.
    assert.deepEqual([causes['truck-1'], causes['truck-3']], ['offline', 'well'])
    const listed = ((await get('/v1/devices?limit=1')) as DevicesPage).devices[0]
    assert.deepEqual(listed?.streams, ['environment', 'vehicle'])
    assert.equal(listed.intervalMs, 10_000)
    assert.match(((await get('/v1/devices/truck-4/why')) as Why).sentence, /never connected, though its file/)
    assert.match(JSON.stringify(await get('/v1/devices/truk-4')), /near to it: truck-4/)
  },
)

onEachServer(
  'readings: parameters reach the store, by default the last hour of what the token may read',
  async (t, server) => {
    const queries: HistoryQuery[] = []
    const platform = await startPlatform(t, server, {
      history: {
        readings: async (query) => {
          queries.push(query)
          return pageWith()
        },
      },
    })
    const narrow = await platform.identity.signApp(['devices/a/#', 'devices/b/telemetry/power'], HOUR_MS)
    assert.deepEqual(await (await platform.get('/v1/readings', { token: narrow })).json(), {
      readings: [],
      truncated: false,
    })
    await platform.get('/v1/readings?filter=devices/+/telemetry/environment&from=-15m&to=now&every=10s&fn=max&limit=5')
    await platform.get(
      '/v1/readings?filter=devices%2Fa%2F%23&filter=devices/b/%23&from=2025-11-23&to=2025-11-23T01:00:00.5+01:00',
    )
    await platform.get(`/v1/readings?from=${NOW - 5}&to=${NOW + 5}&every=1m`)
    assert.deepEqual(queries, [
      {
        selections: [{ device: 'a' }, { device: 'b', stream: 'power' }],
        from: NOW - HOUR_MS,
        to: NOW + 300_000,
        limit: 10_000,
      },
      {
        selections: [{ stream: 'environment' }],
        from: NOW - 900_000,
        to: NOW,
        limit: 5,
        window: { everyMs: 10_000, aggregate: 'max' },
      },
      {
        selections: [{ device: 'a' }, { device: 'b' }],
        from: Date.UTC(2025, 10, 23),
        to: Date.UTC(2025, 10, 23, 0, 0, 0, 500),
        limit: 10_000,
      },
      { selections: [{}], from: NOW - 5, to: NOW + 5, limit: 10_000, window: { everyMs: 60_000, aggregate: 'mean' } },
    ])
  },
)

onEachServer('readings as JSON and as CSV are the same, also when they are many', async (t, server) => {
  const many: Reading[] = Array.from({ length: 12_345 }, (_, index) => ({
    device: `d${index % 7}`,
    stream: index % 2 === 0 ? 'environment' : 'vehicle',
    ts: NOW + index,
    values: index % 2 === 0 ? { temperature: index / 10, rssi: index - 99 } : { fleet: 'a "b", c', velocity: index },
  }))
  const platform = await startPlatform(t, server, {
    history: { readings: async () => pageWith(many, true) },
  })
  const json = (await (await platform.get('/v1/readings')).json()) as WholePage
  assert.deepEqual(json, { readings: many, truncated: true })
  const response = await platform.get('/v1/readings', { headers: { accept: 'text/csv' } })
  assert.match(response.headers.get('content-type') ?? '', /^text\/csv/)
  assert.equal(response.headers.get('x-telltale-truncated'), 'true')
  const lines = (await response.text()).split('\r\n')
  assert.equal(lines.length, many.length + 2)
  assert.match(lines[0] ?? '', /^ts,device,stream,temperature,humidity,pressure,battery,rssi,fleet,driver,latitude,/)
  const columns = lines[0]?.split(',') ?? []
  const row = (fields: Record<string, unknown>) => columns.map((name) => fields[name] ?? '').join(',')
  assert.equal(lines[1], row({ ts: NOW, device: 'd0', stream: 'environment', temperature: 0, rssi: -99 }))
  const fleet = '"a ""b"", c"'
  assert.equal(lines[2], row({ ts: NOW + 1, device: 'd1', stream: 'vehicle', fleet, velocity: 1 }))
  assert.equal(lines.at(-1), '')
})

onEachServer('a store that is down, one that cannot, and one that fails are told apart', async (t, server) => {
  let error: Error = new TelltaleError('store-unavailable', 'InfluxDB does not answer')
  const platform = await startPlatform(t, server, { history: { readings: () => Promise.reject(error) } })
  const down = await platform.get('/v1/readings')
  assert.equal(down.status, 503)
  assert.ok(down.headers.get('retry-after'))
  assert.equal((await errorOf(down)).message, 'InfluxDB does not answer')
  error = new TelltaleError('store-busy', 'InfluxDB answered 429')
  const busy = await platform.get('/v1/readings')
  assert.equal(busy.status, 503)
  assert.ok(busy.headers.get('retry-after'))
  error = new TelltaleError('store-refused', 'InfluxDB does not answer queries')
  const refused = await platform.get('/v1/readings')
  assert.equal(refused.status, 503)
  assert.deepEqual(await errorOf(refused), { code: 'store-refused', message: 'InfluxDB does not answer queries' })
  error = new TelltaleError('history-unsupported', 'this store has no history')
  assert.equal((await platform.get('/v1/readings')).status, 501)
  error = new Error('secret detail')
  const failed = await platform.get('/v1/readings')
  assert.equal(failed.status, 500)
  assert.doesNotMatch(await failed.text(), /secret/)
})

onEachServer('a store that is down at the start does not hold the gateway up', async (t, server) => {
  const platform = await startPlatform(t, server, {
    history: { latest: () => Promise.reject(new TelltaleError('store-unavailable', 'down')) },
  })
  assert.equal((await platform.get('/readyz')).status, 200)
})

onEachServer('what ingest has not stored yet is among the last readings after a start', async (t, server) => {
  const platform = await startPlatform(t, server, {
    prepare: async (log, registry) => {
      const payload = registry.encode('environment', environment(NOW))
      await new Promise<void>((resolve) => {
        log.append({ device: 'a', stream: 'environment', receivedAt: NOW, flags: 0, payload }, () => resolve())
      })
    },
  })
  const { devices } = (await (await platform.get('/v1/devices')).json()) as { devices: { device: string }[] }
  assert.deepEqual(
    devices.map(({ device }) => device),
    ['a'],
  )
})

onEachServer('a peer that leaves in the middle of an answer is counted, and harms nobody', async (t, server) => {
  let answer: (page: HistoryPage) => void = () => undefined
  let asked: () => void = () => undefined
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve
  })
  const platform = await startPlatform(t, server, {
    history: {
      readings: () => {
        asked()
        return new Promise((resolve) => {
          answer = resolve
        })
      },
    },
  })
  const socket = connect(platform.gateway.port, '127.0.0.1')
  socket.write(`GET /v1/readings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${platform.token}\r\n\r\n`)
  await isAsked
  await new Promise<void>((resolve) => {
    socket.destroy().on('close', () => resolve())
  })
  await until(async () => (await platform.metrics.metrics()).includes('status="499"'))
  answer(pageWith())
  assert.equal((await platform.get('/v1/ledger')).status, 200)
})

onEachServer('a port that is taken, and a certificate that is none, are said at the start', async (t, server) => {
  const platform = await startPlatform(t, server)
  await assert.rejects(
    startPlatform(t, server, { options: { port: platform.gateway.port } }),
    (error) => error instanceof ServerError && /taken/.test(error.message),
  )
  await assert.rejects(
    startPlatform(t, server, { options: { tls: { certFile: '/none.pem', keyFile: '/none.pem' } } }),
    (error) => error instanceof ServerError && /\/none\.pem/.test(error.message),
  )
})

onEachServer('the dashboard is sent in a third of its bytes to who takes that, and once', async (t, server) => {
  const { gateway } = await startPlatform(t, server)
  const ask = (headers: Record<string, string>) => answerTo(gateway.port, headers)
  const plain = await ask({ 'Accept-Encoding': 'gzip;q=0, identity' })
  assert.equal(plain.headers['content-encoding'], undefined)
  const zipped = await ask({ 'Accept-Encoding': 'br, gzip' })
  assert.equal(zipped.headers['content-encoding'], 'gzip')
  assert.equal(gunzipSync(zipped.body).toString(), plain.body.toString())
  assert(zipped.body.byteLength < plain.body.byteLength / 2)
  const { etag = '' } = zipped.headers
  for (const had of [etag, `W/${etag}`, `"another", ${etag}`]) {
    const again = await ask({ 'If-None-Match': had })
    assert.deepEqual([again.status, again.body.byteLength], [304, 0])
  }
  assert.equal((await ask({ 'If-None-Match': '"another"' })).status, 200)
})

onEachServer('the dashboard is one page with a policy that lets nothing else in', async (t, server) => {
  const platform = await startPlatform(t, server)
  const response = await platform.get('/', { token: null })
  assert.equal(response.status, 200)
  const policy = response.headers.get('content-security-policy') ?? ''
  assert.match(policy, /default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; connect-src 'self'/)
  const html = await response.text()
  assert.match(html, /<title>Telltale<\/title>/)
  const markup = html.replaceAll(/<(script|style)>.*?<\/\1>/gs, '')
  assert.doesNotMatch(markup, /<(script|link)[^>]*(src|href)="(?!data:)|style="/)
})

/** As it comes: `fetch` unzips. */
async function answerTo(port: number, headers: Record<string, string>) {
  const [answer] = (await once(get({ host: '127.0.0.1', port, headers }), 'response')) as [IncomingMessage]
  const body = Buffer.concat(await answer.toArray())
  return { status: answer.statusCode, headers: answer.headers, body }
}
