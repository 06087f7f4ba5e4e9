import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { FairShare } from '../../../broker/inbound/fair-share.ts'
import { RETAINED_BYTES_MAX, RETAINED_MESSAGES_MAX, RetainedMessages } from '../../../broker/outbound/retained.ts'
import { BrokerMetrics } from '../../../broker/reports/metrics.ts'
import { systemClock } from '../../../platform/clock.ts'
import { createMetrics } from '../../../platform/metrics.ts'

function store() {
  const registry = createMetrics()
  const metrics = new BrokerMetrics(registry, () => 0)
  const retained = new RetainedMessages({ metrics, fairShare: new FairShare(), clock: systemClock })
  const keep = (topic: string, text: string) =>
    retained.keep({ cmd: 'publish', topic, payload: Buffer.from(text), qos: 0, retain: true, dup: false })
  const find = async (...filters: string[]) => {
    const found: string[] = []
    for await (const { topic, payload } of retained.find(filters, () => true)) found.push(`${topic}=${payload}`)
    return found
  }
  return { keep, find, registry }
}

test('filters find what they match once, the newest of each topic, and nothing that begins with $ by a wildcard', async () => {
  const { keep, find } = store()
  for (const [topic, text] of [
    ['a/b', '1'],
    ['a/b', '2'],
    ['a/c', '3'],
    ['$x/y', '4'],
    ['gone', '5'],
    ['gone', ''],
  ] as const) {
    keep(topic, text)
  }
  assert.deepEqual(await find('a/b'), ['a/b=2'])
  assert.deepEqual(await find('a/b', 'a/+', '#'), ['a/b=2', 'a/c=3'])
  assert.deepEqual(await find('gone'), [])
  assert.deepEqual(await find('$x/#'), ['$x/y=4'])
})

test('a topic beyond the limit is not kept and counted; one that is known is replaced', async () => {
  const { keep, find, registry } = store()
  for (let index = 0; index < RETAINED_MESSAGES_MAX; index++) keep(`t/${index}`, 'x')
  keep('surplus', 'x')
  keep('t/7', 'new')
  assert.deepEqual(await find('surplus'), [])
  assert.deepEqual(await find('t/7'), ['t/7=new'])
  assert.match(await registry.metrics(), /deliveries_dropped_total\{reason="too-many-retained"\} 1/)
})

test('matching wildcards against many messages leaves others their turn', async (t) => {
  const { keep, find } = store()
  const messages = RETAINED_MESSAGES_MAX
  for (let index = 0; index < messages; index++) keep(`devices/truck-${index}/status`, 'x')
  const matching = Promise.all([find('devices/+/errors'), find('+/truck-1/#', 'devices/truck-2/+')])
  let turns = 0
  let ended = false
  const counting = matching.finally(() => {
    ended = true
  })
  while (!ended) {
    await turn()
    turns++
  }
  assert.deepEqual((await counting).flat(), ['devices/truck-1/status=x', 'devices/truck-2/status=x'])
  // In a turn of the event loop a few thousand are looked at.
  assert(turns >= 5, `${turns} turns`)
  t.diagnostic(`${turns} turns of the event loop`)
})

test('no more bytes are kept than allowed, and what is taken away makes room', async () => {
  const { keep, find, registry } = store()
  const large = 'x'.repeat(2 ** 20)
  for (let index = 0; index <= RETAINED_BYTES_MAX / large.length; index++) keep(`t/${index}`, large)
  assert.match(await registry.metrics(), /deliveries_dropped_total\{reason="too-many-retained"\} 2/)
  keep('t/0', '')
  keep('small', 'x')
  assert.deepEqual(await find('small'), ['small=x'])
})
