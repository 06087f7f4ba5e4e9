/** `/v1/stream`: what a subscription of `/v1/live` does, as events. */

import assert from 'node:assert/strict'
import { LIVE_STREAM_PING_MS } from '../../../gateway/live/session.ts'
import { until } from '../../until.ts'
import {
  App,
  environment,
  HOUR_MS,
  NOW,
  onEachServer,
  overwhelm,
  startPlatform,
  type TestPlatform,
  untilCutOff,
  vibration,
} from '../platform.ts'
import { Events } from './events.ts'

const ALL = 'filter=%23'

/** Publishes readings numbered `from` to `to`, exclusive, of one device, by their time. */
async function number(platform: TestPlatform, from: number, to: number, device = 'a'): Promise<void> {
  for (let each = from; each < to; each++) await platform.publish(device, 'environment', environment(NOW + each))
}

const numbers = (events: Events) => events.readings.map(({ ts }) => ts - NOW)
const upTo = (count: number, from = 0) => Array.from({ length: count - from }, (_, index) => from + index)

async function untilNumber(events: Events, last: number): Promise<void> {
  await events.until(() => events.readings.at(-1)?.ts === NOW + last)
}

async function metric(platform: TestPlatform, name: string): Promise<string> {
  const [, value = ''] = new RegExp(`^telltale_gateway_${name} (.*)$`, 'm').exec(await platform.metrics.metrics()) ?? []
  return value
}

onEachServer('events are the frames, each with its cursor for an id', async (t, server) => {
  const platform = await startPlatform(t, server)
  const events = await Events.open(t, platform, ALL)
  const { headers } = events.response
  assert.equal(headers['content-type'], 'text/event-stream; charset=utf-8')
  assert.equal(headers['cache-control'], 'no-store')
  assert.equal(headers['x-accel-buffering'], 'no')
  assert.deepEqual(events.types, ['welcome', 'subscribed', 'live'])
  await platform.publish('a', 'vibration', vibration(NOW, 'größe'))
  const frame = await events.next('readings')
  assert.equal(events.lastEventId, frame.cursor)
  assert.equal(events.readings[0]?.values.sensor, 'größe')
  assert.equal(await metric(platform, 'subscriptions'), '1')
  events.response.destroy()
  await until(async () => (await metric(platform, 'subscriptions')) === '0')
})

onEachServer('several filters are one subscription, their union', async (t, server) => {
  const platform = await startPlatform(t, server)
  const filters = ['devices/a/%23', 'devices/+/telemetry/vibration', 'devices/a/telemetry/environment']
  const events = await Events.open(t, platform, filters.map((filter) => `filter=${filter}`).join('&'))
  await platform.publish('b', 'environment', environment(NOW))
  await platform.publish('a', 'vibration', vibration(NOW))
  await platform.publish('b', 'vibration', vibration(NOW))
  await platform.publish('a', 'environment', environment(NOW))
  await events.until(() => events.readings.at(-1)?.stream === 'environment')
  const had = events.readings.map(({ device, stream }) => `${device} ${stream}`)
  assert.deepEqual(had, ['a vibration', 'b vibration', 'a environment'])
  assert.equal(new Set(events.frames.map(({ subscription }) => subscription).filter(Boolean)).size, 1)
})

onEachServer('each option does what it does in a command', async (t, server) => {
  const platform = await startPlatform(t, server)
  const first = await Events.open(t, platform, ALL)
  await number(platform, 0, 5)
  await untilNumber(first, 4)
  platform.clock.time += HOUR_MS / 4
  await platform.publish('a', 'environment', environment(platform.clock.time))
  await first.until(() => first.readings.length === 6)
  const latest = await Events.open(t, platform, `${ALL}&start=latest`)
  assert.deepEqual(numbers(latest), [HOUR_MS / 4])
  const last = await Events.open(t, platform, `${ALL}&last=10m`)
  assert.deepEqual(numbers(last), [HOUR_MS / 4])
  const { cursor, readings: before } = await first.next('readings')
  const after = await Events.open(t, platform, `${ALL}&after=${encodeURIComponent(String(cursor))}`)
  assert.deepEqual(numbers(after), numbers(first).slice((before as unknown[]).length))
  const now = await Events.open(t, platform, `${ALL}&start=now&fields=humidity,battery&maxDelay=1m`)
  const begin = Math.ceil(platform.clock.time / 500) * 500
  platform.clock.time = begin
  const reduced = await Events.open(t, platform, `${ALL}&maxRate=2&reduce=max`)
  const { maxRate, reduce } = await reduced.next('subscribed')
  assert.deepEqual([maxRate, reduce], [2, 'max'])
  await platform.publish('late', 'environment', environment(NOW))
  for (let each = 0; each < 10; each++) await platform.publish('a', 'environment', environment(begin + each, each))
  await now.until(() => now.readings.length === 10)
  assert.deepEqual(now.readings[0]?.values, { humidity: 40.5, battery: 87 })
  platform.clock.time = begin + 500
  await reduced.until(() => reduced.readings.length === 2)
  assert.deepEqual(reduced.readings.map(({ device, values }) => `${device} ${values.temperature}`).sort(), [
    'a 9',
    'late 21.3',
  ])
  assert.equal(
    reduced.frames.reduce((sum, { merged }) => sum + Number(merged ?? 0), 0),
    9,
  )
})

onEachServer('who comes back with Last-Event-ID goes on behind it, whatever the URL says', async (t, server) => {
  const platform = await startPlatform(t, server)
  const had: number[] = []
  let lastEventId = ''
  let sent = 0
  for (const start of ['start=latest', 'start=now', 'last=15m', 'start=latest', 'after=x', '']) {
    const headers: Record<string, string> = lastEventId === '' ? {} : { 'last-event-id': lastEventId }
    const events = await Events.open(t, platform, `${ALL}&${start}`, { headers })
    await number(platform, sent, sent + 20)
    sent += 20
    // Sometimes with what came last still on its way.
    await events.until(() => events.readings.length > 0)
    events.response.destroy()
    had.push(...numbers(events))
    ;({ lastEventId } = events)
  }
  const headers = { 'last-event-id': lastEventId }
  const events = await Events.open(t, platform, ALL, { headers })
  had.push(...numbers(events))
  assert.deepEqual(had, upTo(sent))
})

onEachServer('what cannot be had is refused with a status', async (t, server) => {
  const platform = await startPlatform(t, server)
  const narrow = await platform.identity.signApp(['devices/a/#'], HOUR_MS)
  const refused: readonly (readonly [query: string, status: number, code: string, message: RegExp, token?: string])[] =
    [
      ['', 400, 'bad-parameter', /^filter has 0 filters: allowed are 1 to 20$/],
      [Array.from({ length: 21 }, () => ALL).join('&'), 400, 'bad-parameter', /^filter has 21 filters/],
      ['filter=weather', 400, 'bad-parameter', /^filter is "weather": allowed is an MQTT topic filter/],
      [`${ALL}&fitler=x`, 400, 'bad-parameter', /^fitler is "x": allowed is one of the parameters filter, /],
      [`${ALL}&start=soon`, 400, 'bad-parameter', /^start is "soon"/],
      [`${ALL}&start=latest&last=15m`, 400, 'bad-parameter', /^start, last and after are given together/],
      [`${ALL}&start=now&start=latest`, 400, 'bad-parameter', /^start is "now, latest": allowed is one value/],
      [`${ALL}&last=soon`, 400, 'bad-parameter', /^last is "soon": allowed is a duration/],
      [`${ALL}&after=x`, 400, 'bad-parameter', /cursor/],
      [`${ALL}&fields=warmth`, 400, 'bad-parameter', /^fields has "warmth": allowed is /],
      [`${ALL}&fields=,`, 400, 'bad-parameter', /^fields has ""/],
      [`${ALL}&maxRate=fast`, 400, 'bad-parameter', /^maxRate is "fast": allowed is a number/],
      [`${ALL}&maxRate=1001`, 400, 'bad-parameter', /^maxRate is 1001: allowed is a number/],
      [`${ALL}&maxRate=0x10`, 400, 'bad-parameter', /^maxRate is "0x10": allowed is a number/],
      [`${ALL}&reduce=max`, 400, 'bad-parameter', /^reduce is given without maxRate$/],
      [`${ALL}&maxRate=1&reduce=median`, 400, 'bad-parameter', /^reduce is "median": allowed is last, /],
      [`${ALL}&maxDelay=-1`, 400, 'bad-parameter', /^maxDelay is "-1": allowed is a duration/],
      [ALL, 403, 'forbidden', /^the filter "#" lies outside the token's filters$/, narrow],
      [ALL, 401, 'token-invalid', /./, 'x'],
    ]
  for (const [query, status, code, message, token] of refused) {
    const answer = await platform.get(`/v1/stream?${query}`, token === undefined ? {} : { token })
    assert.equal(answer.status, status, query)
    const { error } = (await answer.json()) as { error: { code: string; message: string } }
    assert.equal(error.code, code, `${query}: ${error.message}`)
    assert.match(error.message, message)
  }
  const headers = { 'last-event-id': 'x' }
  assert.equal((await platform.get(`/v1/stream?${ALL}`, { headers })).status, 400)
  assert.equal((await platform.get(`/v1/stream?${ALL}`, { method: 'POST' })).status, 405)
  assert.equal(await metric(platform, 'groups'), '0')
})

onEachServer('HEAD is answered with the head, and nothing is subscribed', async (t, server) => {
  const platform = await startPlatform(t, server)
  for (const query of [ALL, `${ALL}&last=5m`, `${ALL}&start=latest`]) {
    const events = await Events.ask(t, platform, query, { method: 'HEAD' })
    await events.untilOver()
    assert.equal(events.response.statusCode, 200)
    assert.match(events.response.headers['content-type'] ?? '', /^text\/event-stream/)
    assert.deepEqual(events.frames, [])
  }
  assert.equal(await metric(platform, 'groups'), '0')
  assert.equal(await metric(platform, 'sockets'), '0')
})

onEachServer('one that is quiet has a comment each 15 s, and stays', async (t, server) => {
  const platform = await startPlatform(t, server)
  const events = await Events.open(t, platform, 'filter=devices/a/%23')
  for (let quarters = 1; quarters <= 6; quarters++) {
    platform.clock.time += LIVE_STREAM_PING_MS
    await events.until(() => events.comments === quarters)
  }
  assert.equal(LIVE_STREAM_PING_MS, 15_000)
  // More than end an app that answers no ping. Each half minute it was told where the log has come to.
  await events.until(() => events.types.filter((type) => type === 'readings').length >= 2)
  assert.deepEqual(events.readings, [])
  await number(platform, 0, 1)
  await untilNumber(events, 0)
})

onEachServer('a reader that stops is sent all it missed when it goes on; others never wait', async (t, server) => {
  const platform = await startPlatform(t, server)
  const slow = await Events.open(t, platform, ALL)
  const other = await App.connect(t, platform)
  await other.subscribe({ filter: '#' })
  slow.response.pause()
  let sent = await overwhelm(platform)
  for (let more = 0; more < 20; more++, sent++) await platform.publish('a', 'environment', environment(NOW + sent))
  await other.until(() => other.readings().length === sent)
  slow.response.resume()
  await slow.until(() => slow.types.filter((type) => type === 'live').length === 2)
  await number(platform, sent, sent + 1)
  await untilNumber(slow, sent)
  assert.deepEqual(numbers(slow), upTo(sent + 1))
  assert.equal(await metric(platform, 'dropped_frames_total'), '0')
})

onEachServer('a reader that takes little by little has all at last', async (t, server) => {
  const platform = await startPlatform(t, server)
  const slow = await Events.open(t, platform, ALL)
  slow.response.pause()
  const sent = await overwhelm(platform)
  let taken = 0
  slow.response.on('data', (text: string) => {
    taken += text.length
    if (taken < 256 * 1024) return
    taken = 0
    slow.response.pause()
    setImmediate(() => slow.response.resume())
  })
  slow.response.resume()
  await untilNumber(slow, sent - 1)
  assert.deepEqual(numbers(slow), upTo(sent))
})

onEachServer('a reader that takes nothing for 10 s is closed, and told so if it reads on', async (t, server) => {
  const platform = await startPlatform(t, server)
  const slow = await Events.open(t, platform, ALL)
  slow.response.pause()
  const sent = await overwhelm(platform)
  await untilCutOff(platform)
  slow.response.resume()
  await slow.untilOver()
  assert.equal(slow.isWhole, true)
  const closing = slow.frames.at(-1)
  assert.deepEqual([closing?.type, closing?.code], ['closing', 4408])
  const headers = { 'last-event-id': slow.lastEventId }
  const again = await Events.open(t, platform, ALL, { headers })
  assert.deepEqual([...numbers(slow), ...numbers(again)], upTo(sent))
})

onEachServer('a gateway that stops tells when to come back; its successor goes on from there', async (t, server) => {
  const platform = await startPlatform(t, server)
  const all = await Promise.all(Array.from({ length: 10 }, () => Events.open(t, platform, ALL)))
  await number(platform, 0, 5)
  await Promise.all(all.map((events) => untilNumber(events, 4)))
  await platform.restart()
  await number(platform, 5, 10)
  for (const events of all) {
    await events.untilOver()
    assert.equal(events.isWhole, true)
    const closing = await events.next('closing')
    assert.equal(closing.code, 4001)
    assert.equal(events.retryMs, closing.retryMs)
    const again = await Events.open(t, platform, ALL, { headers: { 'last-event-id': events.lastEventId } })
    assert.deepEqual([...numbers(events), ...numbers(again)], upTo(10))
  }
  assert.ok(new Set(all.map(({ retryMs }) => retryMs)).size > 5, 'not all at once')
})

onEachServer('a token that is over ends the stream, and says with which code', async (t, server) => {
  const platform = await startPlatform(t, server)
  const token = await platform.identity.signApp(['#'], 60_000)
  const events = await Events.open(t, platform, ALL, { token })
  platform.clock.time += 60_001
  await events.untilOver()
  assert.deepEqual([events.isWhole, (await events.next('closing')).code], [true, 4501])
  assert.equal(events.retryMs, undefined)
})
