import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Packet } from 'mqtt-packet'
import { SubscribeOrder } from '../../../broker/inbound/subscribe-order.ts'

/** What has gone on to Aedes, and what is to be told of it. */
function order(isConnected = true) {
  const gone: string[] = []
  const unsubscribed: (() => void)[] = []
  const subscribes = new SubscribeOrder({
    accept: ({ cmd }) => gone.push(String(cmd)),
    unsubscribe: ({ cmd }, done) => {
      gone.push(String(cmd))
      unsubscribed.push(done)
    },
    readOn: () => gone.push('read on'),
    isConnected: () => isConnected,
  })
  const take = (...commands: string[]) => {
    for (const cmd of commands) subscribes.take({ cmd } as Packet)
  }
  return { subscribes, take, unsubscribed: () => unsubscribed.shift()?.(), gone: () => gone.splice(0) }
}

test('a SUBSCRIBE waits for the one before, and all that comes after it; nothing is read meanwhile', () => {
  const { subscribes, take, gone } = order()
  take('publish', 'subscribe', 'publish')
  assert.deepEqual([gone(), subscribes.isHolding], [['publish', 'subscribe', 'publish'], false])
  take('subscribe', 'publish', 'subscribe')
  assert.deepEqual([gone(), subscribes.isHolding], [[], true])
  subscribes.delivered()
  assert.deepEqual([gone(), subscribes.isHolding], [['subscribe', 'publish', 'read on'], true])
  subscribes.delivered()
  assert.deepEqual([gone(), subscribes.isHolding], [['subscribe', 'read on'], false])
})

test('what follows an UNSUBSCRIBE waits until it is carried out, also while a SUBSCRIBE is delivered', () => {
  const { subscribes, take, unsubscribed, gone } = order()
  take('unsubscribe', 'publish', 'subscribe')
  assert.deepEqual([gone(), subscribes.isHolding], [['unsubscribe'], true])
  unsubscribed()
  assert.deepEqual(gone(), ['publish', 'subscribe', 'read on'])
  take('unsubscribe', 'subscribe')
  subscribes.delivered()
  assert.deepEqual([gone(), subscribes.isHolding], [['unsubscribe'], true])
  unsubscribed()
  assert.deepEqual([gone(), subscribes.isHolding], [['subscribe', 'read on'], false])
  take('unsubscribe', 'subscribe')
  unsubscribed()
  assert.deepEqual([gone(), subscribes.isHolding], [['unsubscribe', 'read on'], true])
  subscribes.delivered()
  assert.deepEqual([gone(), subscribes.isHolding], [['subscribe', 'read on'], false])
})

test('before CONNACK an UNSUBSCRIBE goes on as any packet; what is delivered and was not asked for changes nothing', () => {
  const { subscribes, take, gone } = order(false)
  subscribes.delivered()
  take('unsubscribe', 'publish')
  assert.deepEqual([gone(), subscribes.isHolding], [['unsubscribe', 'publish'], false])
})
