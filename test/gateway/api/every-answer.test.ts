/** Everything that docs/openapi.yaml describes is tried, on each server: operations, parameters, answers, and errors by their code. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { decodeJwt } from 'jose'
import { WebSocket } from 'ws'
import { HISTORY_QUERIES_PER_TOKEN_MAX } from '../../../gateway/history-places.ts'
import { TelltaleError } from '../../../platform/errors.ts'
import { SHIPPED_SCHEMAS_DIR } from '../../../schemas/registry.ts'
import { pageWith } from '../../history.ts'
import { scratchDirectory } from '../../scratch.ts'
import { until } from '../../until.ts'
import {
  environment,
  HOUR_MS,
  NOW,
  onEachServer,
  type ServerKind,
  startPlatform,
  type TestPlatform,
  type TestPlatformOptions,
  vibration,
} from '../platform.ts'
import { type Events, readEvents } from './events.ts'
import { HTTP_API } from './openapi.ts'

const OPERATIONS = ['/healthz', '/readyz', '/metrics']
const STREAM = '/v1/stream?filter=devices/a/telemetry/environment'
const REGISTRY = [
  ...['/subjects', '/subjects/environment/versions', '/subjects/environment/versions/latest'],
  ...['/subjects/vehicle/versions/1', '/schemas/ids/2'],
]
const OTHERS = [
  ...[
    '/v1/alerts',
    '/v1/deadletters',
    '/v1/deadletters/counts',
    '/v1/deadletters/1',
    '/v1/devices',
    '/v1/devices/a',
    '/v1/devices/a/why',
    '/v1/devices/a/trace?at=now',
    '/v1/readings',
    '/v1/schemas',
    '/v1/schemas/types',
    '/v1/schemas/environment/1',
    '/v1/ledger',
    '/v1/platform',
  ],
  ...REGISTRY,
]
const COMMANDS = '/v1/devices/a/commands'
const LETTERS = ['/v1/deadletters/replay', '/v1/deadletters/purge']
const POSTS = ['/v1/schemas', '/compatibility/subjects/environment/versions/latest', COMMANDS, ...LETTERS]
const COMMAND = `${COMMANDS}/00000000-1`
/** All that changes something, or could. */
const CHANGES: readonly (readonly [target: string, asked: { method: string; body?: string }])[] = [
  ...POSTS.map((target) => [target, { method: 'POST', body: '{}' }] as const),
  [COMMAND, { method: 'DELETE' }],
]
const ALL = [...OTHERS, COMMANDS, STREAM]

/** Asks one gateway after the other, and keeps none for the next. */
class Trial {
  readonly t: TestContext
  readonly #server: ServerKind
  #platform: TestPlatform | undefined

  constructor(t: TestContext, server: ServerKind) {
    this.t = t
    this.#server = server
  }

  async start(given: TestPlatformOptions = {}): Promise<TestPlatform> {
    await this.end()
    this.#platform = await startPlatform(this.t, this.#server, given)
    return this.#platform
  }

  /** Resolves when every answer was looked at. */
  async end(): Promise<void> {
    await this.#platform?.answers.end()
  }

  /** The events of a stream, which ends with the test. */
  events(target: string, headers: Record<string, string> = {}): Promise<Events> {
    assert(this.#platform)
    return readEvents(this.t, `${this.#platform.url}${target}`, this.#platform.token, headers)
  }

  /** Asks for a WebSocket; resolves with the status. */
  async upgrade(
    token: string | undefined,
    {
      query = '',
      protocol = 'telltale.v1',
      headers = {},
    }: Partial<Record<'query' | 'protocol', string>> & {
      headers?: Record<string, string>
    } = {},
  ): Promise<number> {
    assert(this.#platform)
    const target = `/v1/live${query}`
    const all = { ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) }
    const socket = new WebSocket(`${this.#platform.url.replace('http', 'ws')}${target}`, protocol, { headers: all })
    this.t.after(() => socket.terminate())
    socket.on('error', () => undefined)
    const [response] = await Promise.race([
      once(socket, 'upgrade') as Promise<[IncomingMessage]>,
      once(socket, 'unexpected-response').then(([, answer]) => [answer as IncomingMessage] as const),
    ])
    const status = response.statusCode ?? 0
    const body = status === 101 ? '' : await text(response)
    const asked = { 'Sec-WebSocket-Protocol': protocol, 'Sec-WebSocket-Version': '13', ...all }
    const answered = new Headers(response.headers as Record<string, string>)
    HTTP_API.check({ method: 'GET', target, headers: asked }, { status, headers: answered }, body)
    return status
  }
}

/** Tokens that are not good, and no token. */
async function badTokens(platform: TestPlatform): Promise<(string | null)[]> {
  const expired = await platform.identity.signApp(['#'], 1_000)
  const revoked = await platform.identity.signApp(['#'], HOUR_MS)
  platform.clock.time += 2_000
  platform.identity.revocations.add({ id: String(decodeJwt(revoked).jti), before: NOW + HOUR_MS }, NOW)
  platform.identity.refresh()
  return [null, 'x', expired, revoked]
}

async function tryWhatIsThere(trial: Trial): Promise<void> {
  const values = { temperature: 1, fleet: 'x', on: true }
  const reading = { device: 'a', stream: 'environment', ts: NOW, received: NOW + 1, values }
  const next = { ts: NOW, device: 'a', stream: 'environment', tags: {} }
  const platform = await trial.start({
    history: { readings: async () => ({ ...pageWith([reading], true), next }), latest: async () => [reading] },
    prepare: (log) => log.presence.update('b', () => ({ online: true, since: NOW })),
    devices: '{ device: a, site: depot, labels: { fleet: north, model: t1 }, streams: [vehicle], interval: 10s }',
  })
  await platform.publish('a', 'environment', environment(NOW))
  await setAside(platform, 'a')
  const targets = [
    ...['/', ...OPERATIONS, ...OTHERS],
    '/v1/devices?filter=devices/+/telemetry/environment&limit=1&after=0&last=false',
    '/v1/devices?site=depot&label=fleet:north&label=model:t1',
    '/v1/readings?filter=devices/a/%23&filter=devices/b/%23&from=-15m&to=now&every=1m&fn=max&limit=10',
    ...['/v1/ledger?device=a', '/v1/devices/b', '/v1/devices/b/why?at=-1h'],
    '/v1/deadletters?device=a&stream=environment&code=empty&from=-1h&to=now&limit=1&after=9',
    '/v1/deadletters/counts?after=0',
    '/v1/devices/a/trace?at=now&stream=environment',
  ]
  for (const target of targets) {
    for (const method of ['GET', 'HEAD']) assert.equal((await platform.get(target, { method })).status, 200, target)
    assert.equal((await platform.get(target, { method: 'OPTIONS' })).status, 204)
    assert.equal((await platform.get(target, { method: 'DELETE' })).status, 405)
  }
  const etag = (await platform.get('/')).headers.get('etag') ?? ''
  assert.equal((await platform.get('/', { headers: { 'If-None-Match': etag } })).status, 304)
  const page = (await (await platform.get('/v1/readings?order=newest')).json()) as { readings: unknown; next: string }
  assert.deepEqual(page.readings, [reading])
  const second = `/v1/readings?order=newest&after=${page.next}`
  assert.equal((await platform.get(second, { headers: { accept: 'text/csv' } })).status, 200)
  assert.equal(await trial.upgrade(platform.token), 101)
  assert.equal((await platform.get('/v1')).status, 404)
  await tryEvents(trial, platform)
}

async function tryEvents(trial: Trial, platform: TestPlatform): Promise<void> {
  const rate = 'maxRate=2&reduce=mean&maxDelay=1m'
  const first = await trial.events(`${STREAM}&filter=devices/b/%23&start=latest&fields=temperature&${rate}`)
  const { id = '' } = await first.next('live')
  const cursor = encodeURIComponent(id)
  for (const more of ['&last=15m', `&after=${cursor}`]) await (await trial.events(`${STREAM}${more}`)).next('live')
  await (await trial.events(STREAM, { 'last-event-id': id })).next('live')
  assert.equal((await platform.get(STREAM, { method: 'HEAD' })).status, 200)
}

async function tryWhoMay(trial: Trial): Promise<void> {
  const platform = await trial.start({ options: { loopbackMetrics: false } })
  const device = await platform.identity.signDevice('a', HOUR_MS)
  const narrow = await platform.identity.signApp(['devices/a/telemetry/environment'], HOUR_MS)
  const blind = await platform.identity.signApp(['devices/+/status'], HOUR_MS)
  for (const token of await badTokens(platform)) {
    for (const target of [...OPERATIONS, ...ALL])
      assert.equal((await platform.get(target, { token })).status, 401, `${target} ${token}`)
    for (const [target, asked] of CHANGES) assert.equal((await platform.get(target, { token, ...asked })).status, 401)
    assert.equal(await trial.upgrade(token ?? undefined), 401)
  }
  for (const target of [...OPERATIONS, ...ALL])
    assert.equal((await platform.get(target, { token: device })).status, 403)
  for (const [target, asked] of CHANGES)
    assert.equal((await platform.get(target, { token: device, ...asked })).status, 403)
  for (const [target, asked] of CHANGES) {
    const status = target.startsWith('/compatibility') ? 422 : 403
    assert.equal((await platform.get(target, asked)).status, status, `it was not given what ${target} needs`)
  }
  await setAside(platform, 'b')
  const beyond = [
    ...['/v1/deadletters?device=b', '/v1/deadletters/1'],
    ...['/v1/devices?filter=%23', '/v1/readings?filter=%23', '/v1/stream?filter=%23'],
    ...['/v1/ledger?device=b', '/v1/devices/b', '/v1/devices/b/why', '/v1/devices/b/commands'],
    ...['/v1/devices/b/trace?at=now', '/v1/devices/a/trace?at=now&stream=vehicle'],
  ]
  for (const target of beyond) assert.equal((await platform.get(target, { token: narrow })).status, 403, target)
  assert.equal(await trial.upgrade(device), 403)
  assert.equal(await trial.upgrade(blind), 403)

  const open = await trial.start({ options: { refuseForeign: true } })
  const headers = { origin: 'https://elsewhere.example' }
  for (const target of ['/', '/nowhere', ...OPERATIONS, ...ALL])
    assert.equal((await open.get(target, { headers })).status, 403, target)
  for (const [target, asked] of CHANGES) assert.equal((await open.get(target, { headers, ...asked })).status, 403)
  assert.equal(await trial.upgrade(open.token, { headers }), 403)
}

async function tryWhatIsWrong(trial: Trial): Promise<void> {
  const platform = await trial.start()
  for (const target of ALL)
    assert.equal((await platform.get(`${target}${target.includes('?') ? '&' : '?'}x=1`)).status, 400)
  assert.equal(await trial.upgrade(platform.token, { query: '?x=1' }), 400)
  assert.equal(await trial.upgrade(platform.token, { protocol: 'other' }), 400)
  assert.equal((await platform.get('/v1/live')).status, 426)
  for (const target of [
    '/v1/devices/a',
    '/v1/devices/a/why',
    '/v1/deadletters/1',
    '/v1/devices/a/trace?at=now',
    '/v1/schemas/environment/9',
    '/subjects/x/versions',
    '/subjects/environment/versions/9',
  ])
    assert.equal((await platform.get(target)).status, 404)
  assert.equal((await platform.get('/schemas/ids/99')).status, 404)
  assert.equal((await platform.get(POSTS[1] ?? '')).status, 405)
  for (const [target, asked] of CHANGES) assert.equal((await platform.get(`${target}?x=1`, asked)).status, 400)

  const refused = async () => {
    throw new Error('for this test')
  }
  const options = { loopbackMetrics: false }
  const failing = await trial.start({ options, identity: { verify: refused, isRevoked: () => false } })
  for (const target of [...OPERATIONS, ...ALL]) assert.equal((await failing.get(target)).status, 500)
  for (const [target, asked] of CHANGES) assert.equal((await failing.get(target, asked)).status, 500)
  assert.equal(await trial.upgrade('x'), 500)
}

/** Resolves when it is a dead letter. */
function setAside({ log }: TestPlatform, device: string): Promise<void> {
  const entry = { device, stream: 'environment', receivedAt: NOW, flags: 0, payload: Buffer.alloc(0) }
  return new Promise((resolve, reject) =>
    log.appendSetAside(entry, { code: 'empty', reason: 'so' }, (error) => (error ? reject(error) : resolve())),
  )
}

/** Adds schemas to a folder of its own, and asks as Confluent's tools do. */
async function tryToAdd(trial: Trial): Promise<void> {
  const schemasDir = join(scratchDirectory(trial.t), 'schemas')
  cpSync(SHIPPED_SCHEMAS_DIR, schemasDir, { recursive: true, filter: (path) => !path.endsWith('.ts') })
  const platform = await trial.start({ schemasDir })
  const token = await platform.identity.signApp(['#'], HOUR_MS, { schemas: true })
  const post = async (target: string, body: string) => {
    const response = await platform.get(target, { method: 'POST', token, body })
    return { status: response.status, answer: (await response.json()) as Record<string, unknown> }
  }
  const first = JSON.parse(readFileSync(join(schemasDir, 'environment/1.avsc'), 'utf8')) as { fields: object[] }
  const add = (...fields: object[]) => JSON.stringify({ ...first, fields: [...first.fields, ...fields] }, null, 2)
  const second = add({ name: 'co2', type: ['null', 'int'], default: null, unit: '[ppm]' })

  const ask = (schema: string, version = 'latest', stream = 'environment') =>
    post(`/compatibility/subjects/${stream}/versions/${version}`, JSON.stringify({ schema }))
  assert.deepEqual(await ask(second), { status: 200, answer: { is_compatible: true, messages: [] } })
  const bad = await ask(add({ name: 'co2', type: 'int' }))
  assert.equal(bad.answer.is_compatible, false)
  assert.match(String(bad.answer.messages), /co2 is new and has no default/)
  assert.equal((await ask(second, '7')).status, 404)
  assert.equal((await ask(second, 'latest', 'nothing')).status, 404)
  for (const wrong of ['no schema', '{"type":"record","name":"power"}']) assert.equal((await ask(wrong)).status, 422)

  const { status, answer } = await post('/v1/schemas', second)
  assert.deepEqual([status, answer.stream, answer.version, answer.id], [201, 'environment', 2, 11])
  assert.equal(readFileSync(join(schemasDir, 'environment/2.avsc'), 'utf8'), second, 'as it was sent')
  assert.equal((await post('/v1/schemas', second)).status, 200)
  assert.equal((await post('/v1/schemas', add({ name: 'co2', type: 'int' }))).status, 409)
  const pump = {
    type: 'record',
    name: 'pump',
    namespace: 'telltale',
    fields: [first.fields[0], { name: 'flow', type: 'double' }],
  }
  assert.equal((await post('/v1/schemas', JSON.stringify(pump))).status, 201)
  for (const wrong of ['{', '{"name":"../x"}', '{"name":"pipe"}'])
    assert.equal((await post('/v1/schemas', wrong)).status, 422)
  for (const target of POSTS) assert.equal((await post(target, ' '.repeat(2 ** 20 + 1))).status, 413)

  const get = async (target: string) => (await platform.get(target)).json() as Promise<unknown>
  assert.deepEqual(await get('/subjects'), ['environment', 'power', 'pump', 'vehicle', 'vibration'])
  assert.deepEqual(await get('/subjects/environment/versions'), [1, 2])
  const latest = (await get('/subjects/environment/versions/latest')) as { id: number; schema: string }
  assert.deepEqual([latest.id, JSON.parse(latest.schema)], [11, JSON.parse(second)])
  const batch = (await get('/schemas/ids/12')) as { schema: string }
  assert.deepEqual(JSON.parse(batch.schema), { type: 'array', items: JSON.parse(second) })

  writeFileSync(join(schemasDir, 'environment/3.avsc'), '{')
  assert.equal((await post('/v1/schemas', add())).status, 503)
}

/** An alert that is firing, one that is over, of the platform and of a series, and a target that is away. */
async function tryAlerts(trial: Trial): Promise<void> {
  const platform = await trial.start()
  const to = 'to: http://127.0.0.1:1/x'
  const above = (name: string, field: string) =>
    `name: ${name}\nabove: { devices: devices/+, field: ${field}, value: 0.1 }\n${to}`
  const texts = [above('hot', 'environment.temperature'), above('shakes', 'vibration.velocity_rms')]
  texts.push(`name: late\nlag: { above: 10s }\n${to}`)
  platform.rules.use(texts.map((text, index) => ({ file: `${index}.yaml`, text })))
  await platform.publish('a', 'environment', environment(NOW))
  await platform.publish('a', 'environment', environment(NOW, -1))
  await platform.publish('a', 'vibration', platform.registry.encode('vibration', vibration(NOW)))
  await until(async () => {
    platform.clock.time += 1_000
    const response = await platform.get('/v1/alerts?limit=10')
    const { alerts, targets } = (await response.json()) as {
      alerts: { kind: string }[]
      targets: { problem?: string }[]
    }
    return alerts.length === 3 && targets[0]?.problem !== undefined
  })
}

async function tryToCommand(trial: Trial): Promise<void> {
  const platform = await trial.start()
  const token = await platform.identity.signApp(['devices/b/#'], 10 * HOUR_MS, { commands: ['a', 'truck-*'] })
  const ask = async (method: string, target: string, body?: object | string) => {
    const text = typeof body === 'object' ? JSON.stringify(body) : body
    const response = await platform.get(target, { method, token, ...(text !== undefined && { body: text }) })
    return { status: response.status, answer: (await response.json()) as Record<string, unknown> }
  }
  const payload = { on: true, text: 'ä' }
  const { status, answer } = await ask('POST', COMMANDS, { payload, expiresIn: '10m' })
  assert.deepEqual([status, Object.keys(answer)], [202, ['id']])
  assert.equal((await ask('POST', '/v1/devices/truck-7/commands', { payload: null })).status, 202)
  const list = { id: answer.id, state: 'waiting', createdAt: NOW, expiresAt: NOW + 600_000, sends: 0 }
  assert.deepEqual(await ask('GET', COMMANDS), { status: 200, answer: { commands: [{ ...list, payload }] } })
  assert.deepEqual(await (await platform.get(COMMANDS)).json(), { commands: [list] }, 'who only reads sees no payload')
  assert.equal((await ask('POST', '/v1/devices/b/commands', { payload })).status, 403)
  for (const method of ['GET', 'POST']) assert.equal((await ask(method, '/v1/devices/a%2Fb/commands')).status, 404)
  assert.equal((await ask('DELETE', '/v1/devices/a%2Fb/commands/00000000-1')).status, 404)

  const wrong = [
    '',
    '[]',
    'null',
    '{}',
    { payload, expires: '1m' },
    { payload, expiresIn: 5 },
    { payload, expiresIn: '31d' },
  ]
  for (const body of wrong) assert.equal((await ask('POST', COMMANDS, body)).status, 422, JSON.stringify(body))
  assert.equal((await ask('POST', COMMANDS, { payload: 'x'.repeat(64 * 1024) })).status, 413)

  const cancelled = await ask('DELETE', `${COMMANDS}/${answer.id}`)
  assert.deepEqual([cancelled.status, cancelled.answer.state], [200, 'cancelled'])
  assert.equal((await ask('DELETE', `${COMMANDS}/${answer.id}`)).status, 409)
  assert.equal((await ask('DELETE', COMMAND)).status, 404)

  // Each second a token may send some; a device has room for more.
  const answers = new Set<number>()
  for (let count = 0; count < 60; count++) answers.add((await ask('POST', COMMANDS, { payload })).status)
  assert.deepEqual(answers, new Set([202, 429]))
  for (let count = 0; count < 100; count++) {
    platform.clock.time += 1_000
    answers.add((await ask('POST', COMMANDS, { payload })).status)
  }
  assert.deepEqual(answers, new Set([202, 429, 409]))
  platform.clock.time += HOUR_MS - 1
  const expired = (await ask('GET', COMMANDS)).answer.commands as { state: string }[]
  assert.equal(expired[1]?.state, 'expired')

  for (const code of ['commands-full', 'log-full']) {
    const full = await trial.start({
      commands: { add: () => Promise.reject(new TelltaleError(code, 'for this test')) },
    })
    const may = await full.identity.signApp(['#'], HOUR_MS, { commands: ['*'] })
    const asked = { method: 'POST', token: may, body: '{"payload":1}' }
    assert.equal((await full.get(COMMANDS, asked)).status, 503)
  }
}

async function tryToRemove(trial: Trial): Promise<void> {
  const platform = await trial.start()
  const token = await platform.identity.signApp(['devices/a/#'], HOUR_MS, { deadLetters: true })
  for (const device of ['a', 'a', 'b']) await setAside(platform, device)
  const ask = (target: string, body: string) => platform.get(target, { method: 'POST', token, body })
  for (const target of LETTERS) {
    assert.equal((await ask(target, '{}')).status, 422)
    assert.equal((await ask(target, '{"ids":["3"]}')).status, 403)
    assert.equal((await ask(target, '{"code":"empty"}')).status, 200)
  }
}

async function tryTheStore(trial: Trial): Promise<void> {
  let code = 'history-unsupported'
  const platform = await trial.start({
    history: { readings: () => Promise.reject(new TelltaleError(code, 'for this test')) },
  })
  assert.equal((await platform.get('/v1/readings')).status, 501)
  for (code of ['store-unavailable', 'store-busy', 'store-refused'])
    assert.equal((await platform.get('/v1/readings')).status, 503)
}

/** A store that answers when `answer` is called. */
function heldStore() {
  let answer: () => void = () => undefined
  const answered = new Promise<void>((resolve) => {
    answer = resolve
  })
  let ask: () => void = () => undefined
  const asked = new Promise<void>((resolve) => {
    ask = resolve
  })
  const readings = () => {
    ask()
    return answered.then(() => pageWith())
  }
  return { asked, answer, history: { readings } }
}

async function tryWhatIsTaken(trial: Trial): Promise<void> {
  const queries = heldStore()
  const asking = await trial.start({ history: queries.history })
  const held = Array.from({ length: HISTORY_QUERIES_PER_TOKEN_MAX }, () => asking.get('/v1/readings'))
  // Of those that were sent at once one may have come after this.
  await until(async () => (await Promise.race([asking.get('/v1/readings'), ...held])).status === 429)
  queries.answer()
  await Promise.all(held)

  // Of two connections one is a WebSocket at most for each token.
  const two = await trial.start({ options: { connectionsMax: 2 } })
  assert.equal(await trial.upgrade(two.token), 101)
  assert.equal(await trial.upgrade(two.token), 429)
  assert.equal((await two.get(STREAM)).status, 429)

  // One connection takes all there are.
  const full = heldStore()
  const one = await trial.start({ history: full.history, options: { connectionsMax: 1, loopbackMetrics: true } })
  const last = one.get('/v1/readings')
  await full.asked
  for (const target of ['/', '/metrics', ...ALL]) assert.equal((await one.get(target)).status, 503)
  for (const [target, asked] of CHANGES) assert.equal((await one.get(target, asked)).status, 503)
  assert.equal(await trial.upgrade(one.token), 503)
  assert.equal((await one.get('/healthz')).status, 200)
  full.answer()
  assert.equal((await last).status, 200)
}

async function tryAtTheEnd(trial: Trial): Promise<void> {
  const full = await trial.start({ ready: () => 'the log is full' })
  assert.equal((await full.get('/readyz')).status, 503)

  const held = heldStore()
  const stopping = await trial.start({ history: held.history })
  const last = stopping.get('/v1/readings')
  await held.asked
  const stopped = stopping.gateway.stop()
  let status = 101
  await until(async () => {
    status = await trial.upgrade(stopping.token)
    return status !== 101
  })
  assert.equal(status, 503)
  await assert.rejects(stopping.get(STREAM), 'a browser would give up at any status but 200')
  held.answer()
  assert.equal((await last).status, 200)
  await stopped
}

onEachServer('everything that docs/openapi.yaml describes is seen', async (t, server) => {
  HTTP_API.seen.clear()
  const trial = new Trial(t, server)
  for (const part of [
    tryWhatIsThere,
    tryWhoMay,
    tryWhatIsWrong,
    tryToAdd,
    tryAlerts,
    tryToCommand,
    tryToRemove,
    tryTheStore,
    tryWhatIsTaken,
    tryAtTheEnd,
  ]) {
    await part(trial)
  }
  await trial.end()
  assert.deepEqual(
    HTTP_API.described().filter((unit) => !HTTP_API.seen.has(unit)),
    [],
  )
})
