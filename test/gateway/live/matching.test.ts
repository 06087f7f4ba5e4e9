import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Group, Groups } from '../../../gateway/live/groups.ts'
import { selectionOf } from '../../../identity/topics.ts'
import { App, environment, NOW, onEachServer, startPlatform, vibration } from '../platform.ts'
import { NO_FEED } from './no-feed.ts'

/** Section 4.7 of MQTT 3.1.1, word for word and without a thought to speed. */
function mqttMatches(filter: string[], topic: string[]): boolean {
  const [level, ...rest] = filter
  if (level === undefined) return topic.length === 0
  if (level === '#') return true
  if (topic.length === 0) return false
  return (level === '+' || level === topic[0]) && mqttMatches(rest, topic.slice(1))
}

const topicOf = (device: string, stream: string) => ['devices', device, 'telemetry', stream]
const device = fc.constantFrom('a', 'b', 'truck-7', 'x:y.z')
const stream = fc.constantFrom('environment', 'vehicle', 'power')
const level = <T>(arbitrary: fc.Arbitrary<T>) => fc.oneof(arbitrary, fc.constant('+'))
const filter: fc.Arbitrary<string[]> = fc.oneof(
  fc.tuple(level(fc.constant('devices')), level(device), level(fc.constant('telemetry')), level(stream)),
  fc.tuple(
    level(fc.constant('devices')),
    level(device),
    level(fc.constant('telemetry')),
    level(stream),
    fc.constant('#'),
  ),
  fc.tuple(level(fc.constant('devices')), level(device), level(fc.constant('telemetry')), fc.constant('#')),
  fc.tuple(level(fc.constant('devices')), level(device), fc.constant('#')),
  fc.constantFrom<string[]>(['#'], ['+', '#']),
)

test('the groups that match are those whose filters match, as subscriptions come and go', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ filter, leaves: fc.boolean() })), device, stream, (steps, ofDevice, ofStream) => {
      const groups = new Groups(() => NO_FEED)
      const joined: { levels: string[]; group: Group }[] = []
      for (const { filter: levels, leaves } of steps) {
        const left = leaves ? joined.shift() : undefined
        if (left) groups.leave(left.group)
        const selection = selectionOf(levels.join('/'))
        assert(selection)
        const group = groups.join({ selections: [selection] })
        assert(group)
        joined.push({ levels, group })
      }
      const expected = joined.filter(({ levels }) => mqttMatches(levels, topicOf(ofDevice, ofStream)))
      assert.deepEqual(new Set(groups.match(ofDevice, ofStream)), new Set(expected.map(({ group }) => group)))
      assert.equal(groups.subscriptions, joined.length)
      for (const { group } of joined) groups.leave(group)
      assert.equal(groups.size, 0)
      assert.deepEqual(groups.match(ofDevice, ofStream), [])
    }),
  )
})

onEachServer('what is delivered over sockets is what a naive matcher selects', async (t, server) => {
  const platform = await startPlatform(t, server)
  const app = await App.connect(t, platform)
  let ts = NOW
  const run = async (filters: string[][], messages: { of: string; at: 'environment' | 'vibration' }[]) => {
    const names: string[] = []
    for (const levels of filters) names.push(await app.subscribe({ filter: levels.join('/') }))
    const sent = messages.map(({ of, at }) => ({ device: of, stream: at, ts: ++ts }))
    for (const { device: of, stream: at, ts: time } of sent) {
      const record = at === 'environment' ? environment(time) : vibration(time)
      platform.log.append(
        { device: of, stream: at, receivedAt: NOW, flags: 0, payload: platform.registry.encode(at, record) },
        () => undefined,
      )
    }
    const last = await app.subscribe({ filter: 'devices/last/#' })
    await platform.publish('last', 'environment', environment(++ts))
    await app.until(() => app.readings(last).some((reading) => reading.ts === ts))
    for (const [index, levels] of filters.entries()) {
      const expected = sent.filter((message) => mqttMatches(levels, topicOf(message.device, message.stream)))
      const got = app.readings(names[index]).filter((reading) => reading.device !== 'last')
      assert.deepEqual(
        got.map((reading) => `${reading.device} ${reading.stream} ${reading.ts}`),
        expected.map((message) => `${message.device} ${message.stream} ${message.ts}`),
      )
    }
    for (const name of new Set([...names, last])) app.send({ type: 'unsubscribe', id: 'u', subscription: name })
    app.frames.length = 0
    // It may give so many commands again.
    platform.clock.time += 60_000
  }
  await fc.assert(
    fc.asyncProperty(
      fc.array(filter, { maxLength: 6 }),
      fc.array(fc.record({ of: device, at: fc.constantFrom('environment' as const, 'vibration' as const) }), {
        maxLength: 20,
      }),
      run,
    ),
    { numRuns: 25 },
  )
})
