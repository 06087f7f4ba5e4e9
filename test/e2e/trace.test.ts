/** `telltale trace` on a real platform: what became of a message, by its receipt and by the time of its reading, now and after kill -9. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeviceRecord } from '../../gateway/devices/one-device.ts'
import type { Trace } from '../../gateway/devices/trace.ts'
import { until } from '../until.ts'
import { LiveSocket } from './live-socket.ts'
import { RunningPlatform } from './platform.ts'
import { Site, topicOf } from './why/planted.ts'

const AWAY = {
  INFLUX_URL: 'http://127.0.0.1:9',
  INFLUX_TOKEN: 'x',
  INFLUX_ORG: 'x',
  INFLUX_BUCKET: 'x',
  TELLTALE_STORE: 'influx',
}
const DEVICE = 'truck-7'
const FILTER = 'devices/+/telemetry/environment'

const reading = (ts: number, temperature = 20): string =>
  JSON.stringify({ ts, temperature, humidity: 40, pressure: 1_013, battery: 90, rssi: -60 })

/** What the command prints, and how it ends. */
async function run(
  platform: RunningPlatform,
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, stdout: await platform.telltale('trace', ...args), stderr: '' }
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string }
  }
}

async function subscribe(platform: RunningPlatform, more: object = {}): Promise<LiveSocket> {
  const socket = await LiveSocket.open(platform.url, await platform.appToken())
  socket.send({ type: 'subscribe', id: '1', filter: FILTER, ...more })
  await socket.next('live')
  return socket
}

test('each step of a message is told: stored, replaced, set aside, sent to apps; and what kill -9 has made unknown', async (t) => {
  const platform = await RunningPlatform.start(t)
  const site = await Site.of(platform)
  t.after(() => site.stop())
  const traceAt = (at: number | string, more = '') =>
    platform.get<Trace>(`/v1/devices/${DEVICE}/trace?at=${encodeURIComponent(at)}${more}`)
  const only = ({ messages }: Trace) => {
    assert.equal(messages.length, 1, JSON.stringify(messages))
    return messages[0] ?? assert.fail()
  }
  const apps = await Promise.all([subscribe(platform), subscribe(platform), subscribe(platform)])
  apps.push(
    await subscribe(platform, { maxRate: 1 }),
    await subscribe(platform, { fields: ['battery'], maxDelay: '1s' }),
  )
  t.after(() => {
    for (const app of apps) app.close()
  })

  // A device that kept it for an hour sends a reading of then.
  const ts = Date.now() - 3_600_000 + 7
  const client = await site.connect(DEVICE)
  const send = (payload: string | Buffer) => client.publishAsync(topicOf(DEVICE), payload, { qos: 1 })
  await send(reading(ts))
  for (const app of apps.slice(0, 3)) await app.next('readings')
  await platform.settled()

  // From where it came is in the journal, a quarter of a second later.
  await until(async () => (await platform.get<DeviceRecord>(`/v1/devices/${DEVICE}`)).from !== undefined)

  const byReading = await traceAt(ts)
  const message = only(byReading)
  const { received, committed, outcome, live } = message
  assert.deepEqual([message.stream, message.shard, message.offset, message.matched], ['environment', 0, 0, ['reading']])
  assert.deepEqual([received.topic, received.framing, received.bytes], [topicOf(DEVICE), 'json', reading(ts).length])
  assert.deepEqual(received.readings, { count: 1, first: ts, last: ts })
  assert.match(received.from ?? '', /127\.0\.0\.1/)
  const receivedAt = received.at ?? assert.fail()
  const times = [receivedAt, committed.at, outcome.at].map((time) => time ?? assert.fail(JSON.stringify(message)))
  assert.deepEqual(
    times.toSorted((a, b) => a - b),
    times,
    'in this order',
  )
  assert.equal(committed.afterMs, (committed.at ?? 0) - receivedAt)
  assert.deepEqual([outcome.state, outcome.replaced], ['stored', undefined])
  assert.match(outcome.store ?? '', /^embedded, in /)
  // The one with a longest delay is sent none that is an hour old.
  assert.deepEqual([live.subscriptions, live.reduced], [3, 1])
  assert.match(
    byReading.sentence,
    /^the message of truck-7 \(environment\) with a reading of .* is stored, .* went live to 4 subscriptions$/,
  )
  assert.deepEqual(only(await traceAt(receivedAt)), { ...message, matched: ['received'] })
  // Who names a second means all of it, and is told when in it the message came.
  const bySecond = await traceAt(`${new Date(receivedAt).toISOString().slice(0, 19)}Z`)
  assert(bySecond.sentence.includes(` received at ${new Date(receivedAt).toISOString()} `), bySecond.sentence)
  const near = await traceAt(receivedAt + 3_000.5)
  assert.match(
    near.sentence,
    /^no message of truck-7 is exactly of .*; the nearest was received 3 s before: it is stored/,
  )
  assert.deepEqual([near.messages[0]?.offMs, near.messages[0]?.matched], [-3_000.5, ['received']])

  // Two readings of one time: the later one is in the store.
  await send(reading(ts + 1, 1))
  await send(reading(ts + 1, 2))
  await send('{"ts":')
  await platform.settled()
  const twice = await traceAt(ts + 1, '&stream=environment')
  assert.deepEqual(
    twice.messages.map(({ offset, outcome: { state, replaced } }) => [offset, state, replaced]),
    [
      [1, 'superseded', 1],
      [2, 'stored', undefined],
    ],
  )
  assert.match(twice.sentence, /^2 messages of truck-7 are of .*: 1 superseded, 1 stored$/)
  assert.deepEqual((await traceAt(ts + 1, '&stream=vehicle')).messages, [])

  const letter = JSON.parse(await platform.telltale('deadletters', 'list', '--json'))
  const bad = (await traceAt(letter.receivedAt)).messages.find(({ offset }) => offset === 3) ?? assert.fail()
  assert.deepEqual([bad.outcome.state, bad.outcome.code, bad.outcome.letter], ['set-aside', 'malformed-json', 1])
  assert.match(bad.outcome.mend ?? '', /telltale deadletters show/)
  assert.equal(bad.live.subscriptions, 0)
  assert.equal(bad.outcome.at, letter.setAsideAt)

  const printed = await run(platform, DEVICE, new Date(ts).toISOString())
  assert.equal(printed.code, 0)
  const shown = printed.stdout.split('\n')
  assert.match(shown[0] ?? '', /^the message of truck-7/)
  assert.match(printed.stdout, /^environment, entry 0 of shard 0$/m)
  assert.match(printed.stdout, /Z {2}received on devices\/truck-7\/telemetry\/environment, from 127\.0\.0\.1/)
  assert.match(
    printed.stdout,
    /Z {2}committed to disk .*\n.*Z {2}stored \(embedded, in .*\n.*Z {2}sent live to 3 subscriptions of apps, and/,
  )
  assert.deepEqual(JSON.parse((await run(platform, DEVICE, String(ts), '--json')).stdout), byReading)
  const nothing = await run(platform, DEVICE, '5h')
  assert.deepEqual([nothing.code, nothing.stderr], [1, ''])
  assert.match(
    nothing.stdout,
    /^nothing of truck-7 was received within 10 min of .*; the log reaches back to .*TELLTALE_LOG_RETENTION/,
  )
  const unknown = await run(platform, 'truck-8', '1m')
  assert.equal(unknown.code, 1)
  assert.match(unknown.stderr, /no device truck-8 has ever .*near to it: truck-7/)
  const headers = { authorization: `Bearer ${await platform.appToken()}` }
  const statusOf = async (path: string) => (await fetch(`${platform.url}/v1/devices/${path}`, { headers })).status
  for (const query of ['', '?at=noon', '?at=-1m&stream=X', '?at=-1m&x=1'])
    assert.equal(await statusOf(`${DEVICE}/trace${query}`), 400, query)
  assert.equal(await statusOf('truck-8/trace?at=-1m'), 404)

  await platform.kill()
  const down = only(JSON.parse((await run(platform, DEVICE, String(ts), '--json')).stdout))
  assert.match(down.live.unknown ?? '', /only a gateway knows/)
  assert.match(down.committed.unknown ?? '', /only the broker knows/)
  assert.deepEqual(down.outcome, outcome)
  await platform.start()
  const again = only(await traceAt(ts))
  assert.match(again.committed.text, /^committed to disk, .*not known: the broker keeps it of the last 8192 commits/)
  assert.match(again.live.text, /not known: the gateway keeps it of the last 65536 messages/)
  assert.deepEqual(again.outcome, outcome)
  assert.deepEqual(again.received, received)
})

test('while the store is away a message is pending, and its trace says for what it waits', async (t) => {
  const platform = await RunningPlatform.start(t, { environment: AWAY })
  const site = await Site.of(platform)
  t.after(() => site.stop())
  const client = await site.connect(DEVICE)
  const ts = Date.now()
  await client.publishAsync(topicOf(DEVICE), reading(ts), { qos: 1 })
  let trace: Trace | undefined
  const outcome = () => trace?.messages[0]?.outcome
  await until(
    async () => {
      trace = await platform.get<Trace>(`/v1/devices/${DEVICE}/trace?at=${ts}`)
      return /the store is away since/.test(outcome()?.text ?? '')
    },
    () => JSON.stringify(trace),
  )
  assert.deepEqual([outcome()?.state, outcome()?.at], ['pending', undefined])
  assert.match(trace?.sentence ?? '', /is not stored yet/)
  await platform.kill()
  const { stdout } = await platform.telltale('trace', DEVICE, String(ts)).then((stdout) => ({ stdout }))
  assert.match(stdout, /not stored yet, and not set aside/)
})
