/** How the SDK comes back, or does not: each close code, tokens that are over, gateways that are gone or refuse. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Backoff } from '../../client/backoff.ts'
import { type ConnectOptions, connect } from '../../client/client.ts'
import { freePort } from '../servers/server.ts'
import { ROOT } from '../tree.ts'
import { reading, ScriptedGateway } from './scripted-gateway.ts'

async function all<T>(given: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of given) items.push(item)
  return items
}

const ENVIRONMENT = 'devices/+/telemetry/environment'

async function start(t: TestContext, options: ConnectOptions = {}) {
  const gateway = await ScriptedGateway.start(t)
  const live = connect(gateway.url, { random: () => 0, ...options })
  t.after(() => live.close())
  return { gateway, live, subscribe: () => live.subscribe(ENVIRONMENT)[Symbol.asyncIterator]() }
}

for (const code of [1000, 1001, 1011, 1012, 4000, 4001, 4002, 4408, 4409, 4499]) {
  test(`closed with ${code} it comes back, and goes on`, async (t) => {
    const { gateway, subscribe } = await start(t)
    const readings = subscribe()
    const first = await gateway.app()
    await first.subscribe()
    first.readings('c1', 1)
    first.socket.close(code)
    const second = await gateway.app()
    assert.deepEqual((await second.subscribe()).start, { after: 'c1' })
    second.readings('c2', 2)
    assert.deepEqual(
      [await readings.next(), await readings.next()].map(({ value }) => value),
      [reading(1), reading(2)],
    )
  })
}

for (const code of [1002, 1003, 1007, 1009, 4500, 4502, 4503, 4999]) {
  test(`closed with ${code} it does not come back: the loop gets what came before, and why`, async (t) => {
    const { gateway, live, subscribe } = await start(t, { token: () => 'a' })
    const readings = subscribe()
    const app = await gateway.app()
    await app.subscribe()
    app.readings('c1', 1)
    app.socket.close(code, 'because')
    assert.deepEqual((await readings.next()).value, reading(1))
    const message = `the gateway has closed the connection with ${code}: because`
    for (let times = 0; times < 2; times++) {
      await assert.rejects(readings.next(), { code: 'closed', closeCode: code, message, retry: false })
    }
    assert.equal(gateway.connections, 1)
    // What is asked for after that is tried.
    live.subscribe(ENVIRONMENT)
    await (await gateway.app()).next('subscribe')
  })
}

for (const [code, name] of [
  [4501, 'token-expired'],
  [4504, 'token-revoked'],
] as const) {
  test(`closed with ${code} it comes back with another token; with one that is a string it does not`, async (t) => {
    const tokens = ['first', 'second']
    const { gateway, subscribe } = await start(t, { token: async () => tokens.shift() ?? 'none is left' })
    subscribe()
    const first = await gateway.app()
    assert.equal(first.token, 'first')
    await first.subscribe('s1', 'c1')
    first.socket.close(code)
    const second = await gateway.app()
    assert.equal(second.token, 'second')
    assert.deepEqual((await second.subscribe()).start, { after: 'c1' })

    const live = connect(gateway.url, { token: 'text' })
    const ended = live.subscribe(ENVIRONMENT)[Symbol.asyncIterator]().next()
    const third = await gateway.app()
    await third.subscribe()
    third.socket.close(code)
    await assert.rejects(ended, { code: name, closeCode: code, retry: false })
  })
}

test('a token that is refused before there is a WebSocket is replaced, and a third that is refused ends it', async (t) => {
  const given: string[] = []
  const token = () => {
    given.push(`t${given.length + 1}`)
    return given.at(-1) ?? ''
  }
  const { gateway, live, subscribe } = await start(t, { token })
  gateway.refuse = (shown) => (shown === 't1' ? { status: 401, code: 'token-expired' } : undefined)
  const readings = subscribe()
  const app = await gateway.app()
  assert.equal(app.token, 't2')
  await app.subscribe()
  assert.deepEqual(given, ['t1', 't2'])
  gateway.refuse = () => ({ status: 401, code: 'token-revoked' })
  app.socket.close(4504)
  await assert.rejects(readings.next(), { code: 'token-refused' })
  assert.deepEqual(given, ['t1', 't2', 't3', 't4'])
  await assert.rejects(all(live.devices()), { code: 'token-refused' })
})

test('a refusal that is not of the token ends it with what the gateway says', async (t) => {
  const { gateway, subscribe } = await start(t, { token: 'of-a-device' })
  gateway.refuse = () => ({ status: 403, code: 'not-an-app' })
  await assert.rejects(subscribe().next(), { code: 'not-an-app', status: 403, message: 'it is not-an-app' })
})

test('a token that cannot stand in a subprotocol ends it', async (t) => {
  const { subscribe } = await start(t, { token: 'of two words' })
  await assert.rejects(subscribe().next(), { code: 'bad-token', retry: false })
})

test("the README lists the codes of the SDK's own, and of the contract's", () => {
  const page = readFileSync(join(ROOT, 'client/README.md'), 'utf8')
  const listed = new Set([...page.matchAll(/`([a-z]+(?:-[a-z]+)*)`/g)].map(([, code]) => code))
  const files = readdirSync(join(ROOT, 'client')).filter((name) => name.endsWith('.ts') && name !== 'command.ts')
  const source = files.map((name) => readFileSync(join(ROOT, 'client', name), 'utf8')).join('')
  const own = [...source.matchAll(/(?:TelltaleError\(|errorOf\(\w+, )'([a-z-]+)'/g)].map(([, code]) => code)
  const contract = readFileSync(join(ROOT, 'docs/contract.md'), 'utf8')
  const errors = /^Errors: ([\s\S]*?)\. The last/m.exec(contract)?.[1] ?? assert.fail('the contract lists none')
  const gateways = [...errors.matchAll(/`([a-z-]+)`/g)].map(([, code]) => code)
  const refusals = readFileSync(join(ROOT, 'gateway/refusal.ts'), 'utf8')
  const http = [...refusals.matchAll(/^ {2}'?([a-z-]+)'?: '\d{3} /gm)].map(([, code]) => code)
  assert(own.length > 5 && gateways.length > 5 && http.length > 5)
  assert.deepEqual(
    [...own, ...gateways, ...http].filter((code) => !listed.has(code)),
    [],
  )
})

test('a gateway that is full, or a proxy that has none behind it, is tried again', async (t) => {
  const { gateway, subscribe } = await start(t)
  let refusals = 0
  gateway.refuse = () => (refusals++ < 6 ? { status: 503, code: 'too-busy' } : undefined)
  subscribe()
  await (await gateway.app()).subscribe()
  assert(gateway.connections >= 3)
})

for (const [how, fail] of [
  ['rejects', () => Promise.reject(new Error('the login is away'))],
  [
    'throws at once',
    () => {
      throw new Error('the login is away')
    },
  ],
] as const) {
  test(`a token function that ${how} is called again: at the start, and in mid-run`, async (t) => {
    let asked = 0
    const { gateway, live } = await start(t, { token: () => (asked++ % 2 === 0 ? fail() : `t${asked}`) })
    live.subscribe(ENVIRONMENT)
    const app = await gateway.app()
    assert.equal(app.token, 't2')
    await app.subscribe()
    app.socket.close(4501)
    assert.equal((await gateway.app()).token, 't4')
    await assert.rejects(all(connect(gateway.url, { token: fail }).devices()), { message: 'the login is away' })
  })
}

test('one that says when to come back is believed', async (t) => {
  const { gateway, subscribe } = await start(t, { random: () => 0.999 })
  subscribe()
  const app = await gateway.app()
  await app.subscribe()
  app.send({ type: 'closing', code: 4001, message: 'stopping', retryMs: 1 })
  app.socket.close(4001)
  await (await gateway.app()).subscribe()
})

test('nobody there, and then a gateway: why each attempt failed is told', async (t) => {
  const port = await freePort()
  const live = connect(`ws://127.0.0.1:${port}/`, { random: () => 0 })
  t.after(() => live.close())
  const told: unknown[] = []
  const message = `http://127.0.0.1:${port} cannot be reached: connect ECONNREFUSED 127.0.0.1:${port}`
  await new Promise<void>((resolve) => {
    live.subscribe(ENVIRONMENT, {
      onState: (state, why) => {
        told.push([state, why?.code, why?.message, why?.retry])
        if (told.length === 3) ScriptedGateway.start(t, port).then(async (gateway) => (await gateway.app()).subscribe())
        if (state === 'live') resolve()
      },
    })
  })
  const failed = ['connecting', 'unreachable', message, true]
  assert.deepEqual(told.slice(0, 3), [['connecting', undefined, undefined, undefined], failed, failed])
})

test('one that cannot be reached, or that refuses for now, is told to latest as it is to history and devices', async (t) => {
  const nobody = connect(`http://127.0.0.1:${await freePort()}`, { random: () => 0 })
  t.after(() => nobody.close())
  await assert.rejects(nobody.latest(ENVIRONMENT), { code: 'unreachable', retry: true })
  await assert.rejects(all(nobody.history(ENVIRONMENT)), { code: 'unreachable', retry: true })
  const { gateway, live } = await start(t)
  gateway.refuse = () => ({ status: 503, code: 'too-busy' })
  await assert.rejects(live.latest(ENVIRONMENT), { code: 'too-busy', status: 503, retry: true })
  assert.equal(gateway.connections, 5)
  const gone = new AbortController()
  gone.abort(new Error('the page was left'))
  await assert.rejects(live.latest(ENVIRONMENT, { signal: gone.signal }), { message: 'the page was left' })
})

test('a token that was refused, and one that cannot be had, are told while others are asked for', async (t) => {
  const tokens: (() => string)[] = [
    () => 'old',
    () => {
      throw new Error('the login is away')
    },
    () => 'new',
  ]
  const { gateway, live } = await start(t, { token: () => tokens.shift()?.() ?? 'none is left' })
  gateway.refuse = (shown) => (shown === 'old' ? { status: 401, code: 'token-expired' } : undefined)
  const told: (string | undefined)[] = []
  live.subscribe(ENVIRONMENT, { onState: (state, why) => told.push(why?.code ?? state) })
  await (await gateway.app()).next('subscribe')
  assert.deepEqual(told, ['connecting', 'token-expired', 'no-token'])
})

test('the pauses between are random, up to a bound that doubles', () => {
  const backoff = new Backoff(() => 0.5)
  const pauses = (count: number) => Array.from({ length: count }, () => backoff.next())
  assert.deepEqual(pauses(8), [250, 500, 1_000, 2_000, 2_500, 2_500, 2_500, 2_500])
  backoff.reset()
  assert.deepEqual(pauses(1), [250])
})

test('an answer that a kill has cut off is asked for again', async (t) => {
  const bodies = ['', '{"devices":[]}']
  const server = createServer((socket) => {
    const body = bodies.shift() ?? ''
    socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  assert(typeof address === 'object' && address !== null)
  const live = connect(`http://127.0.0.1:${address.port}`, { random: () => 0 })
  assert.deepEqual(await all(live.devices()), [])
  assert.deepEqual(bodies, [])
})

test('what is no gateway says so', async (t) => {
  const server = createServer((socket) =>
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello'),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  assert(typeof address === 'object' && address !== null)
  const live = connect(`http://127.0.0.1:${address.port}`, { random: () => 0 })
  await assert.rejects(all(live.devices()), {
    code: 'bad-answer',
    message: '/v1/devices was answered with 200, and not by a gateway of Telltale',
  })
})
