/** Subscriptions of the SDK against a server that does what the test says: what the loop gets, and what the gateway is told. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type ConnectOptions, connect, type Subscription, TelltaleError } from '../../client/client.ts'
import { until } from '../until.ts'
import { type AppSocket, reading, ScriptedGateway } from './scripted-gateway.ts'

const ENVIRONMENT = 'devices/+/telemetry/environment'

async function start(t: TestContext, options: ConnectOptions = {}) {
  const gateway = await ScriptedGateway.start(t)
  const live = connect(gateway.url, { random: () => 0, ...options })
  t.after(() => live.close())
  return { gateway, live }
}

/** The numbers of the next readings. */
async function take(readings: AsyncIterator<{ readonly values: { readonly temperature: number } }>, count: number) {
  const numbers: number[] = []
  while (numbers.length < count) {
    const { done, value } = await readings.next()
    if (done) break
    numbers.push(value.values.temperature)
  }
  return numbers
}

test('a loop gets the readings in order, and to leave it ends the subscription and the connection', async (t) => {
  const { gateway, live } = await start(t)
  const numbers: number[] = []
  const loop = (async () => {
    for await (const { device, values } of live.subscribe(ENVIRONMENT, { fields: ['temperature'] })) {
      numbers.push(values.temperature)
      if (numbers.length === 3) return device
    }
    return undefined
  })()
  const app = await gateway.app()
  assert.deepEqual(app.protocols, ['telltale.v1'])
  const { filter, start: from, fields } = await app.subscribe()
  assert.deepEqual([filter, from, fields], [ENVIRONMENT, undefined, ['temperature']])
  app.readings('c2', 1, 2)
  app.readings('c4', 3, 4)
  assert.equal(await loop, 'truck-7')
  assert.deepEqual(numbers, [1, 2, 3])
  assert.equal((await app.next('unsubscribe')).subscription, 's1')
  assert.equal(await app.untilClosed(), 1000)
})

test('after a lost connection it goes on behind the last frame, whatever of it the loop has had', async (t) => {
  const { gateway, live } = await start(t)
  const states: string[] = []
  const subscription = live.subscribe(ENVIRONMENT, {
    start: { last: '15m' },
    onState: (state, why) => states.push(why === undefined ? state : `${state} ${why.code} ${why.closeCode}`),
  })
  const readings = subscription[Symbol.asyncIterator]()
  const first = await gateway.app()
  assert.deepEqual((await first.subscribe()).start, { last: '15m' })
  first.readings('c2', 1, 2)
  assert.deepEqual(await take(readings, 1), [1])
  first.socket.terminate()
  const second = await gateway.app()
  assert.deepEqual((await second.subscribe()).start, { after: 'c2' })
  second.readings('c3', 3)
  assert.deepEqual(await take(readings, 2), [2, 3])
  const again = ['connecting closed 1006', 'catching-up', 'live']
  assert.deepEqual(states, ['connecting', 'catching-up', 'live', ...again])
})

test('the cursor is that of what the loop is done with; quiet moves it', async (t) => {
  const { gateway, live } = await start(t)
  const subscription = live.subscribe(ENVIRONMENT, { start: { after: 'c0' } })
  const readings = subscription[Symbol.asyncIterator]()
  assert.equal(subscription.cursor, 'c0')
  const app = await gateway.app()
  await app.subscribe('s1', 'c1')
  app.readings('c3', 2, 3)
  assert.deepEqual(await take(readings, 1), [2])
  assert.equal(subscription.cursor, 'c1')
  await take(readings, 1)
  assert.equal(subscription.cursor, 'c1')
  app.readings('c9')
  app.readings('c10', 10)
  await take(readings, 1)
  assert.equal(subscription.cursor, 'c9')
})

test('batches have their cursor, and events what is between, in order', async (t) => {
  const { gateway, live } = await start(t)
  const gaps: number[] = []
  const batches = live.subscribe(ENVIRONMENT, { onGap: ({ missed }) => gaps.push(missed) })
  const taking = batches.batches()[Symbol.asyncIterator]()
  const events: unknown[] = []
  const app = await gateway.app()
  await app.subscribe()
  const gap = { type: 'gap', subscription: 's1', after: 'c1', before: 'c5', reason: 'retention', missed: 4 }
  app.readings('c1', 1)
  app.send(gap)
  app.send({ type: 'readings', subscription: 's1', cursor: 'c6', readings: [], merged: 0 })
  const { value } = await taking.next()
  assert.deepEqual([value?.cursor, value?.readings.length, value?.merged, gaps], ['c1', 1, 0, []])
  app.readings('c7', 7)
  assert.equal((await taking.next()).value?.cursor, 'c7')
  assert.deepEqual([gaps, batches.missed, batches.cursor], [[4], 4, 'c6'])
  batches.close()
  assert.deepEqual(await taking.next(), { done: true, value: undefined })

  const other = live.subscribe('devices/+/telemetry/+')
  await app.next('unsubscribe')
  await app.subscribe()
  app.send(gap)
  app.readings('c7', 7)
  for await (const event of other.events()) {
    events.push(event.type, event.cursor)
    if (event.type === 'readings') break
  }
  assert.deepEqual(events, ['live', 'c0', 'gap', 'c5', 'readings', 'c7'])
})

test('a loop that is slow has the gateway wait, and goes on behind what it has: nothing is lost, nothing comes twice', async (t) => {
  const { gateway, live } = await start(t)
  const states: string[] = []
  const subscription = live.subscribe(ENVIRONMENT, { buffer: 16, onState: (state) => states.push(state) })
  const readings = subscription[Symbol.asyncIterator]()
  const app = await gateway.app()
  await app.subscribe()
  app.readings('c4', 1, 2, 3, 4)
  app.readings('c8', 5, 6, 7, 8)
  const { id } = await app.next('unsubscribe')
  assert.equal(subscription.state, 'paused')
  // On the way still: kept as far as there is room.
  app.readings('c12', 9, 10, 11, 12)
  app.readings('c18', 13, 14, 15, 16, 17, 18)
  app.readings('c19', 19)
  app.send({ type: 'unsubscribed', id, subscription: 's1' })
  await app.settled()
  assert.deepEqual(await take(readings, 9), [1, 2, 3, 4, 5, 6, 7, 8, 9])
  const again = await app.next('subscribe')
  assert.deepEqual([again.start, subscription.state], [{ after: 'c12' }, 'catching-up'])
  app.readings('c20', 20) // As if the answer were late.
  app.send({ type: 'subscribed', id: again.id, subscription: 's1' })
  app.readings('c18', 13, 14, 15, 16, 17, 18)
  app.send({ type: 'live', subscription: 's1', cursor: 'c18' })
  assert.deepEqual(await take(readings, 9), [10, 11, 12, 13, 14, 15, 16, 17, 18])
  assert.deepEqual(states, ['connecting', 'catching-up', 'live', 'paused', 'catching-up', 'live'])
})

test('a loop that goes on while there is no connection is connecting', async (t) => {
  const { gateway, live } = await start(t)
  const states: string[] = []
  const subscription = live.subscribe(ENVIRONMENT, { buffer: 2, onState: (state) => states.push(state) })
  const readings = subscription[Symbol.asyncIterator]()
  const app = await gateway.app()
  await app.subscribe()
  app.readings('c2', 1, 2)
  await app.next('unsubscribe')
  gateway.refuse = () => ({ status: 503, code: 'too-busy' })
  app.socket.terminate()
  await until(() => gateway.connections >= 2)
  assert.deepEqual(await take(readings, 2), [1, 2])
  assert.equal(subscription.state, 'connecting')
  gateway.refuse = () => undefined
  assert.deepEqual((await (await gateway.app()).subscribe()).start, { after: 'c2' })
  assert.deepEqual(states.slice(0, 5), ['connecting', 'catching-up', 'live', 'paused', 'connecting'])
})

test('a snapshot comes whole, in one batch that it can go on from; one that a break has cut begins again', async (t) => {
  const { gateway, live } = await start(t)
  const subscription = live.subscribe(ENVIRONMENT, { start: 'latest', buffer: 2 })
  const batches = subscription.batches()[Symbol.asyncIterator]()
  const cut = await gateway.app()
  const { id } = await cut.next('subscribe')
  cut.send({ type: 'subscribed', id, subscription: 's1' })
  cut.readings('c1!', 1)
  cut.readings('c1!', 2)
  cut.socket.terminate()

  const app = await gateway.app()
  const again = await app.next('subscribe')
  assert.equal(again.start, 'latest')
  app.send({ type: 'subscribed', id: again.id, subscription: 's1' })
  app.readings('c2!', 1)
  app.readings('c2!', 2)
  app.readings('c2!', 3)
  app.send({ type: 'live', subscription: 's1', cursor: 'c3' })
  const { value } = await batches.next()
  assert.deepEqual([value?.cursor, value?.readings], ['c3', [1, 2, 3].map(reading)])
  assert.equal((await app.next('unsubscribe')).subscription, 's1')
  const taking = batches.next()
  assert.deepEqual((await app.subscribe()).start, { after: 'c3' })
  app.readings('c4', 4)
  assert.deepEqual((await taking).value?.readings, [reading(4)])
})

test('a loop that stops and goes on often is not more commands than the gateway takes', async (t) => {
  const { gateway, live } = await start(t)
  const rounds = 130
  const loop = take(live.subscribe(ENVIRONMENT, { buffer: 2 })[Symbol.asyncIterator](), rounds)
  const app = await gateway.app()
  const startedAt = performance.now()
  for (let round = 1; round <= rounds; round++) {
    await app.subscribe()
    app.readings(`c${round}`, round)
    await app.next('unsubscribe')
  }
  assert.equal((await loop).length, rounds)
  // 100 at once, and the others 20 a second.
  assert(performance.now() - startedAt > 1_000)
})

test('an error that passes is waited for, another ends the loop with it', async (t) => {
  const { gateway, live } = await start(t)
  const readings = live.subscribe(ENVIRONMENT)[Symbol.asyncIterator]()
  const app = await gateway.app()
  const { id } = await app.next('subscribe')
  app.send({ type: 'error', id, code: 'store-unavailable', message: 'not now', retry: true })
  const again = await app.next('subscribe')
  app.send({ type: 'error', id: again.id, code: 'forbidden', message: 'not yours', retry: false })
  await assert.rejects(take(readings, 1), { name: 'TelltaleError', code: 'forbidden', message: 'not yours' })
})

test('the rate is changed while it runs, and stays as it was if that is refused', async (t) => {
  const { gateway, live } = await start(t)
  const subscription = live.subscribe(ENVIRONMENT, { maxRate: 2 })
  const readings = subscription[Symbol.asyncIterator]()
  const app = await gateway.app()
  assert.equal((await app.subscribe()).maxRate, 2)
  const updated = subscription.update({ maxRate: 0.5, reduce: 'mean' })
  const { id, ...command } = await app.next('update')
  assert.deepEqual(command, { type: 'update', subscription: 's1', maxRate: 0.5, reduce: 'mean' })
  app.readings('c1', 1)
  app.send({ type: 'subscribed', id, subscription: 's9', replaces: 's1', maxRate: 0.5, reduce: 'mean' })
  await updated
  const frame = { type: 'readings', subscription: 's9', cursor: 'c2', readings: [], merged: 0 }
  app.send({ ...frame, readings: [{ values: { temperature: 2 } }], merged: 3 })
  assert.deepEqual(await take(readings, 2), [1, 2])
  assert.equal(subscription.merged, 3)

  const refused = subscription.update({ maxRate: null })
  const lifted = await app.next('update')
  assert.deepEqual([lifted.subscription, lifted.maxRate], ['s9', null])
  app.send({ type: 'error', id: lifted.id, code: 'bad-rate', message: 'no', retry: false })
  await assert.rejects(refused, { code: 'bad-rate' })
  app.socket.terminate()
  const { maxRate, reduce, start: from } = await (await gateway.app()).subscribe()
  assert.deepEqual([maxRate, reduce, from], [0.5, 'mean', { after: 'c2' }])
})

test('an update on its way is waited for by what comes after it', async (t) => {
  const { gateway, live } = await start(t)
  const subscription = live.subscribe(ENVIRONMENT, { maxRate: 2, buffer: 2 })
  const app = await gateway.app()
  await app.subscribe()
  const updated = subscription.update({ maxRate: 1 })
  const { id } = await app.next('update')
  app.readings('c2', 1, 2)
  await until(() => subscription.state === 'paused')
  app.send({ type: 'subscribed', id, subscription: 's9', replaces: 's1', maxRate: 1 })
  await updated
  assert.equal((await app.next('unsubscribe')).subscription, 's9')
})

test('two that ask for the same have a connection each, for the gateway would make one of them', async (t) => {
  const { gateway, live } = await start(t)
  const [one, same, other] = [ENVIRONMENT, ENVIRONMENT, 'devices/+/telemetry/+'].map((filter) => live.subscribe(filter))
  const connected = [await gateway.app(), await gateway.app()]
  // Either connection may come first.
  await until(() => connected.flatMap(({ commands }) => commands).length === 3)
  const [second, first] = connected.sort((a, b) => a.commands.length - b.commands.length) as [AppSocket, AppSocket]
  await first.subscribe('s1')
  await first.subscribe('s2')
  await second.subscribe('s1')
  assert.equal(gateway.connections, 2)
  second.readings('c1', 1)
  const taken = (subscription: Subscription | undefined) => subscription?.[Symbol.asyncIterator]().next()
  const { value } = (await taken(same)) ?? {}
  assert.equal(value?.ts, 1_763_864_000_001)
  for (const each of [one, same, other]) each?.close()
  assert.deepEqual([await first.untilClosed(), await second.untilClosed()], [1000, 1000])
})

test('a signal ends the loop, close() every loop; what is asked for after that throws', async (t) => {
  const { gateway, live } = await start(t)
  const ending = new AbortController()
  const readings = live.subscribe(ENVIRONMENT, { signal: ending.signal })[Symbol.asyncIterator]()
  const app = await gateway.app()
  await app.subscribe()
  const taken = take(readings, 1)
  ending.abort()
  assert.deepEqual(await taken, [])
  const others = live.subscribe('devices/+/telemetry/power')[Symbol.asyncIterator]().next()
  live.close()
  assert.deepEqual(await others, { done: true, value: undefined })
  await assert.rejects(take(live.subscribe(ENVIRONMENT)[Symbol.asyncIterator](), 1), { code: 'over' })
  await assert.rejects(take(live.history(ENVIRONMENT)[Symbol.asyncIterator](), 1), { code: 'over' })
  await assert.rejects(live.devices()[Symbol.asyncIterator]().next(), { code: 'over' })
  await assert.rejects(live.latest(ENVIRONMENT), { code: 'over' })
})

test('an option that the gateway would refuse, or that there is not, is thrown at once', async (t) => {
  const { gateway, live } = await start(t)
  const refused: readonly (readonly [object, string, string])[] = [
    [{ filed: ['rssi'] }, 'bad-option', 'subscribe has no option filed: allowed are start, fields, maxRate, reduce'],
    [{ reduce: 'mean' }, 'bad-rate', 'reduce is given without maxRate'],
    [{ maxRate: null }, 'bad-rate', 'maxRate is null: leave it out'],
    [{ buffer: 0 }, 'bad-option', 'buffer is 0: allowed is a number from 1'],
    [{ buffer: Number.NaN }, 'bad-option', 'buffer is NaN'],
  ]
  const asTelltale = (code: string, message: string) => (error: unknown) =>
    error instanceof TelltaleError && error.code === code && error.message.startsWith(message)
  for (const [options, code, message] of refused)
    assert.throws(() => live.subscribe(ENVIRONMENT, options), asTelltale(code, message))
  const pages: object = { page: 2, pageSize: 100 }
  assert.throws(() => live.history(ENVIRONMENT, pages), asTelltale('bad-option', 'history has no option page: '))
  assert.throws(() => live.history(ENVIRONMENT, { limit: 0 }), asTelltale('bad-option', 'limit is 0'))
  const limit: object = { limit: 5 }
  assert.throws(() => live.devices([], limit), asTelltale('bad-option', 'devices has no option limit'))
  await assert.rejects(live.latest(ENVIRONMENT, limit), { code: 'bad-option' })
  const headers: object = { headers: {} }
  assert.throws(() => connect(gateway.url, headers), asTelltale('bad-option', 'connect has no option headers'))
  const subscription = live.subscribe(ENVIRONMENT)
  await assert.rejects(subscription.update({ reduce: 'mean' }), { code: 'bad-rate' })
  await assert.rejects(subscription.update(limit), { code: 'bad-option' })
  assert.equal((await (await gateway.app()).subscribe()).maxRate, undefined)
  assert.equal(gateway.connections, 1)
})
