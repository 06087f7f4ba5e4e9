import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AwaitingPubrel } from '../../../broker/session/awaiting-pubrel.ts'
import { QOS2_INFLIGHT_MAX } from '../../../platform/limits.ts'

test('a session has so many QoS 2 messages without a PUBREL, over all its connections; one more is refused, a repeat is not', () => {
  const received = new AwaitingPubrel()
  let appends = 0
  const admit = (id: number): Error | undefined => {
    const outcomes: (Error | undefined)[] = []
    const append = (appended: () => void) => {
      appends++
      appended()
    }
    received.admit(id, append, (error) => outcomes.push(error ?? undefined))
    assert.equal(outcomes.length, 1)
    return outcomes[0]
  }
  for (let id = 1; id <= QOS2_INFLIGHT_MAX; id++) {
    assert.equal(admit(id), undefined)
    assert(received.publish(id))
  }
  assert(admit(QOS2_INFLIGHT_MAX + 1) instanceof Error)
  assert.equal(admit(1), undefined)
  assert.equal(received.publish(1), false)
  assert.equal(appends, QOS2_INFLIGHT_MAX)
  received.release(1)
  assert.equal(admit(QOS2_INFLIGHT_MAX + 1), undefined)
})
