import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  SUBSCRIPTION_BYTES_MAX,
  SUBSCRIPTION_BYTES_PER_CLIENT_MAX,
  Subscriptions,
  SubscriptionsTotal,
  subscriptionBytes,
} from '../../../broker/session/subscriptions.ts'
import { filterCovers } from '../../../identity/topics.ts'
import { SUBSCRIPTIONS_PER_CLIENT_MAX } from '../../../platform/limits.ts'

const LONG = 'x'.repeat(65_000)

test('the QoS of a message is the greatest of the filters that match it, as subscriptions come and go', () => {
  const filter = fc.constantFrom('a/b', 'a/+', 'a/#', '#', '+/b', 'c', '+')
  const step = fc.record({ filter, qos: fc.integer({ min: 0, max: 2 }), isGone: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step), fc.integer({ min: 0, max: 2 }), (steps, qos) => {
      const granted = new Subscriptions(new SubscriptionsTotal())
      const model = new Map<string, number>()
      for (const { filter, qos, isGone } of steps) {
        if (isGone) granted.delete(filter)
        else assert(granted.add(filter, qos))
        if (isGone) model.delete(filter)
        else model.set(filter, qos)
      }
      for (const topic of ['a/b', 'c']) {
        const matching = [...model].filter(([filter]) => filterCovers(filter, topic)).map(([, granted]) => granted)
        if (matching.length === 0) continue
        assert.equal(granted.qosOf(topic, qos), Math.min(qos, Math.max(...matching)))
      }
    }),
  )
})

test('a client has so many filters, and so many bytes of them', () => {
  const granted = new Subscriptions(new SubscriptionsTotal())
  for (let index = 0; index < SUBSCRIPTIONS_PER_CLIENT_MAX; index++) assert(granted.add(`a/${index}`, 0))
  assert(!granted.add('one more', 0))
  assert(granted.add('a/0', 1), 'a filter that is there may be granted again')
  const other = new Subscriptions(new SubscriptionsTotal())
  let bytes = 0
  for (let index = 0; other.add(`${LONG}/${index}`, 0); index++) bytes += subscriptionBytes(`${LONG}/${index}`)
  assert(bytes <= SUBSCRIPTION_BYTES_PER_CLIENT_MAX && bytes > SUBSCRIPTION_BYTES_PER_CLIENT_MAX / 2)
})

test('all clients together have so many bytes; a connection that ends gives its own back', () => {
  const total = new SubscriptionsTotal()
  const clients: Subscriptions[] = []
  for (;;) {
    const granted = new Subscriptions(total)
    if (!granted.add(LONG, 0)) break
    while (granted.add(`${LONG}/${granted.size}`, 0));
    clients.push(granted)
  }
  assert(total.bytes <= SUBSCRIPTION_BYTES_MAX)
  clients[0]?.clear()
  assert(new Subscriptions(total).add(LONG, 0))
  for (const each of clients) each.clear()
  assert.equal(total.bytes, subscriptionBytes(LONG))
})
