import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  commandsTopic,
  errorsTopic,
  filterCovers,
  isDeviceId,
  isTopicFilter,
  parseTopic,
  selectionCovers,
  selectionOf,
  selectsForeignTopics,
  selectsTelemetry,
  selectsTopics,
  statusTopic,
  telemetryTopic,
} from '../../identity/topics.ts'
import { FRAMING_LEVELS } from '../../schemas/content-type.ts'

/** MQTT 3.1.1 section 4.7, written from the text and for reading only. */
function matches(filter: string, topic: string): boolean {
  const [head, ...rest] = filter.split('/')
  const levels = topic.split('/')
  if (head === '#') return true
  if (topic === '' && filter !== '') return false
  const [first, ...others] = levels
  if (head !== '+' && head !== first) return false
  if (rest.length === 0) return others.length === 0
  if (others.length === 0) return rest.length === 1 && rest[0] === '#'
  return matches(rest.join('/'), others.join('/'))
}

const device = fc.constantFrom('truck-7', 'truck-8', 'a')
const stream = fc.constantFrom('environment', 'power')
const level = fc.constantFrom('devices', 'telemetry', 'truck-7', 'truck-8', 'environment', 'power', 'cbor', '+', 'x')
const filter = fc
  .tuple(fc.array(level, { maxLength: 5 }), fc.boolean())
  .map(([levels, open]) => [...levels, ...(open ? ['#'] : [])].join('/'))
  .filter((text) => text !== '')

test('a selection selects just the telemetry topics that its filter matches', () => {
  fc.assert(
    fc.property(filter, device, stream, (text, id, name) => {
      const selection = selectionOf(text)
      const selected = selection !== undefined && selectionCovers(selection, { device: id, stream: name })
      assert.equal(selected, matches(text, telemetryTopic(id, name)), text)
    }),
  )
})

test('a filter selects telemetry if it matches a topic of it, whatever its framing', () => {
  fc.assert(
    fc.property(filter, (text) => {
      const [, id = ''] = text.split('/')
      const ids = ['truck-7', ...(isDeviceId(id) ? [id] : [])]
      const names = ['environment', 'power', 'cbor', 'devices', 'telemetry', 'x']
      const topics = ids.flatMap((of) =>
        names.flatMap((name) => ['', '/cbor', '/msgpack'].map((level) => telemetryTopic(of, name) + level)),
      )
      const isMatched = isTopicFilter(text) && topics.some((topic) => matches(text, topic))
      assert.equal(isTopicFilter(text) && selectsTelemetry(text), isMatched, text)
    }),
  )
})

test('a filter selects topics if it matches one of them', () => {
  fc.assert(
    fc.property(filter, (text) => {
      const [, id = ''] = text.split('/')
      const ids = ['truck-7', ...(isDeviceId(id) ? [id] : [])]
      const names = ['environment', 'power', 'cbor', 'devices', 'telemetry', 'x']
      const topics = ids.flatMap((of) => [
        statusTopic(of),
        errorsTopic(of),
        commandsTopic(of),
        ...names.map((name) => telemetryTopic(of, name)),
        ...names.map((name) => `${telemetryTopic(of, name)}/cbor`),
      ])
      const isMatched = isTopicFilter(text) && topics.some((topic) => matches(text, topic))
      assert.equal(selectsTopics(text), isMatched, text)
    }),
  )
  for (const text of ['devices/a/status', 'devices/+/errors', 'devices/a/commands/#', '+/+/+'])
    assert(selectsTopics(text), text)
  for (const text of ['devices/a', 'device/+/telemetry/#', 'devices/a/telemetry', 'devices/a/state']) {
    assert(!selectsTopics(text), text)
  }
})

test('a filter selects foreign topics if it can match one that begins with neither devices/ nor $', () => {
  for (const text of ['spBv1.0/#', 'a', '+/a', '#', '/devices', 'device/+/telemetry/#'])
    assert(selectsForeignTopics(text), text)
  for (const text of ['devices', 'devices/#', 'devices/+/x', '$SYS/#', '$share/a/b'])
    assert(!selectsForeignTopics(text), text)
})

test('a filter that covers another matches all that the other matches', () => {
  fc.assert(
    fc.property(filter, filter, device, stream, (outer, inner, id, name) => {
      const topic = telemetryTopic(id, name)
      if (filterCovers(outer, inner) && matches(inner, topic))
        assert(matches(outer, topic), `${outer} ${inner} ${topic}`)
      if (filterCovers(outer, topic)) assert(matches(outer, topic))
    }),
  )
})

test('which filters are well-formed', () => {
  for (const good of ['#', '+', 'a', '/', 'a//b', 'a/+/b', 'a/#', '+/+/#']) assert(isTopicFilter(good), good)
  for (const bad of ['', 'a#', 'a/#/b', 'a+', '+a/b', '#/a', 'a\0b']) assert(!isTopicFilter(bad), bad)
})

test('which topics mean something', () => {
  assert.deepEqual(parseTopic('devices/A-z.0_9:/telemetry/e_1'), {
    kind: 'telemetry',
    device: 'A-z.0_9:',
    stream: 'e_1',
    framing: 0,
  })
  for (const [name, framing] of FRAMING_LEVELS) {
    assert.deepEqual(parseTopic(`devices/d/telemetry/e/${name}`), {
      kind: 'telemetry',
      device: 'd',
      stream: 'e',
      framing,
    })
  }
  assert.deepEqual(parseTopic('devices/d/status'), { kind: 'status', device: 'd' })
  const none = [
    'devices/d/telemetry',
    'devices/d/telemetry/E',
    'devices/d/telemetry/e/f',
    'devices/d/telemetry/e/',
    'devices/d/telemetry/e/constructor',
    'devices/d/telemetry/e/cbor/cbor',
    'devices/d/telemetry/e/CBOR',
    'devices//telemetry/e',
    `devices/${'d'.repeat(65)}/status`,
    'devices/d d/status',
    'devices/d/status/x',
    'Devices/d/status',
    '/devices/d/status',
    'devices/d\0/status',
  ]
  for (const topic of none) assert.equal(parseTopic(topic), undefined, topic)
})
