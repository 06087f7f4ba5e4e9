import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Persistence } from '../../broker/aedes.ts'
import { KeptSessions, SESSION_MARKER } from '../../broker/kept-sessions.ts'
import { BrokerMetrics } from '../../broker/metrics.ts'
import { SESSIONS_KEPT_MAX } from '../../platform/limits.ts'
import { createMetrics } from '../../platform/metrics.ts'

/** A persistence that knows no subscriptions, and what was forgotten in it. */
function sessions(isConnected: (id: string) => boolean) {
  const forgotten: string[] = []
  const persistence = {
    subscriptionsByClient: async () => [],
    cleanSubscriptions: async ({ id }: { id: string }) => void forgotten.push(id),
    cleanIncoming: async () => undefined,
  } as unknown as Persistence
  const metrics = new BrokerMetrics(createMetrics(), () => 0)
  new KeptSessions({ isConnected, metrics }).install(persistence)
  return { persistence, forgotten }
}

test('a session without subscriptions is known when it comes back, until a clean one takes its place', async () => {
  const { persistence } = sessions(() => false)
  const resume = () => persistence.subscriptionsByClient({ id: 'a' })
  assert.deepEqual(await resume(), [])
  assert.deepEqual(await resume(), [SESSION_MARKER])
  await persistence.cleanSubscriptions({ id: 'a' })
  assert.deepEqual(await resume(), [])
})

test('for one session more than the limit, the one away longest is forgotten, a connected one never', async () => {
  const { persistence, forgotten } = sessions((id) => id === 's0')
  for (let index = 0; index < SESSIONS_KEPT_MAX; index++) await persistence.subscriptionsByClient({ id: `s${index}` })
  await persistence.subscriptionsByClient({ id: 's1' })
  assert.deepEqual(forgotten, [])
  await persistence.subscriptionsByClient({ id: 'one more' })
  assert.deepEqual(forgotten, ['s2'])
})
