import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from 'aedes'
import type { Persistence, QueuedPacket } from '../../../broker/aedes/internals.ts'
import { patchPersistence } from '../../../broker/outbound/persistence.ts'
import {
  PersistentSessions,
  SESSION_MARKER,
  SESSION_QUEUE_BYTES_MAX,
  SESSION_QUEUE_MESSAGES_MAX,
  SESSIONS_KEPT_BYTES_MAX,
  SESSIONS_KEPT_MAX,
} from '../../../broker/outbound/persistent-sessions.ts'
import { BrokerMetrics, type Drop } from '../../../broker/reports/metrics.ts'
import { InFlight } from '../../../broker/session/in-flight.ts'
import type { Session } from '../../../broker/session/session.ts'
import { subscriptionBytes } from '../../../broker/session/subscriptions.ts'
import { systemClock } from '../../../platform/clock.ts'
import { createMetrics } from '../../../platform/metrics.ts'

/** A persistence that knows no subscriptions, and what was forgotten in it. */
function sessions(isConnected: (id: string) => boolean) {
  const forgotten: string[] = []
  const persistence = {
    subscriptionsByClient: async () => [],
    cleanSubscriptions: async ({ id }: { id: string }) => void forgotten.push(id),
    cleanIncoming: async () => undefined,
    addSubscriptions: async () => undefined,
  } as unknown as Persistence
  const registry = createMetrics()
  const metrics = new BrokerMetrics(registry, () => 0)
  const persistent = new PersistentSessions({ isConnected, metrics, clock: systemClock })
  const session = { subscriptions: { has: () => true }, inFlight: new InFlight() } as unknown as Session
  const awaitingPubrel = (client: Client) => persistent.awaitingPubrel(client, session)
  patchPersistence(persistence, { session: () => session, awaitingPubrel, persistent, acknowledged: () => undefined })
  const dropped = async (reason: Drop = 'session-queue-full') => {
    const lines = (await registry.metrics()).split('\n')
    return Number(lines.find((line) => line.includes(`dropped_total{reason="${reason}"}`))?.split(' ')[1] ?? 0)
  }
  return { persistence, forgotten, dropped }
}

const client = (id: string) => ({ id }) as Client

function message(brokerCounter: number, bytes = 1): QueuedPacket {
  return { cmd: 'publish', brokerCounter, topic: 'a/b', payload: Buffer.alloc(bytes), qos: 2, dup: false }
}

/** All that a session is owed, each message sent with its number as packet id. */
async function owed(persistence: Persistence, id: string): Promise<QueuedPacket[]> {
  const all: QueuedPacket[] = []
  for await (const kept of persistence.outgoingStream({ id }) as AsyncIterable<QueuedPacket>) {
    all.push(kept)
    await persistence.outgoingUpdate(client(id), { ...kept, messageId: kept.brokerCounter })
  }
  return all
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
  const { persistence, forgotten, dropped } = sessions((id) => id === 's0')
  for (let index = 0; index < SESSIONS_KEPT_MAX; index++) await persistence.subscriptionsByClient({ id: `s${index}` })
  await persistence.subscriptionsByClient({ id: 's1' })
  assert.deepEqual(forgotten, [])
  await persistence.subscriptionsByClient({ id: 'one more' })
  assert.deepEqual(forgotten, ['s2'])
  assert.equal(await dropped('session-forgotten'), 1)
})

test('a client that connects while all others are connected keeps its session', async () => {
  const { persistence, forgotten } = sessions((id) => id !== 'one more')
  for (let index = 0; index < SESSIONS_KEPT_MAX; index++) await persistence.subscriptionsByClient({ id: `s${index}` })
  await persistence.subscriptionsByClient({ id: 'one more' })
  assert.deepEqual(forgotten, [])
  await persistence.subscriptionsByClient({ id: 's1' })
  assert.deepEqual(forgotten, ['one more'])
})

test('what comes to a full queue is dropped and counted, by number and by bytes; an acknowledgement makes room', async () => {
  for (const [count, bytes] of [
    [SESSION_QUEUE_MESSAGES_MAX, 1],
    [4, SESSION_QUEUE_BYTES_MAX / 4],
  ] as const) {
    const { persistence, dropped } = sessions(() => true)
    await persistence.subscriptionsByClient({ id: 'a' })
    const add = (number: number) =>
      persistence.outgoingEnqueueCombi([{ clientId: 'a', qos: 1 }], message(number, bytes))
    for (let number = 1; number <= count + 2; number++) await add(number)
    assert.equal(await dropped(), 2)
    assert.deepEqual(
      (await owed(persistence, 'a')).map(({ brokerCounter }) => brokerCounter),
      Array.from({ length: count }, (_, index) => index + 1),
    )
    await persistence.outgoingClearMessageId(client('a'), { cmd: 'puback', messageId: 1 })
    await add(count + 3)
    assert.equal(await dropped(), 2)
  }
})

test('what a client may not have is cleared; one that ended while it was sent what it is owed is still owed it', async () => {
  const { persistence } = sessions(() => true)
  await persistence.subscriptionsByClient({ id: 'a' })
  await persistence.outgoingEnqueueCombi([{ clientId: 'a', qos: 1 }], message(1))
  const [kept] = await owed(persistence, 'a')
  const sent = { cmd: 'publish', messageId: kept?.brokerCounter ?? 0 }
  await persistence.outgoingClearMessageId({ id: 'a', closed: true } as Client, sent)
  assert.equal((await owed(persistence, 'a')).length, 1)
  await persistence.outgoingClearMessageId({ id: 'a', closed: false } as Client, sent)
  assert.equal((await owed(persistence, 'a')).length, 0)
})

test('a message that a connection and its successor both send keeps the packet id it was given first', async () => {
  const { persistence } = sessions(() => true)
  await persistence.subscriptionsByClient({ id: 'a' })
  await persistence.outgoingEnqueueCombi([{ clientId: 'a', qos: 1 }], message(1))
  const [first, second] = [7, 8].map((messageId) => ({ ...message(1), messageId }))
  for (const packet of [first, second]) await persistence.outgoingUpdate(client('a'), packet as QueuedPacket)
  assert.equal(second?.messageId, 7)
})

test('a message that several subscriptions match is kept and counted once, at the greatest QoS granted', async () => {
  const { persistence, dropped } = sessions(() => true)
  await persistence.subscriptionsByClient({ id: 'a' })
  const matching = ([1, 2, 1] as const).map((qos) => ({ clientId: 'a', qos }))
  for (let number = 1; number <= 4; number++)
    await persistence.outgoingEnqueueCombi(matching, message(number, SESSION_QUEUE_BYTES_MAX / 4))
  assert.equal(await dropped(), 0)
  assert.deepEqual(
    (await owed(persistence, 'a')).map(({ qos }) => qos),
    [2, 2, 2, 2],
  )
})

test('for more bytes than all sessions may have, the one away longest is forgotten, a connected one never', async () => {
  const { persistence, forgotten, dropped } = sessions((id) => id === 's0')
  // A list of its own for each SUBSCRIBE, as Aedes makes it.
  const long = 'x'.repeat(60_000)
  const filters = Array.from({ length: 100 }, (_, index) => ({ topic: `${long}/${index}`, qos: 1 as const }))
  const bytes = filters.reduce((sum, { topic }) => sum + subscriptionBytes(topic), 0)
  const count = Math.floor(SESSIONS_KEPT_BYTES_MAX / bytes)
  for (let index = 0; index < count; index++) {
    await persistence.subscriptionsByClient({ id: `s${index}` })
    await persistence.addSubscriptions(client(`s${index}`), [...filters])
  }
  assert.deepEqual(forgotten, [])
  const toAll = Array.from({ length: count }, (_, index) => ({ clientId: `s${index}`, qos: 1 as const }))
  const left = Math.ceil((SESSIONS_KEPT_BYTES_MAX - count * bytes) / count)
  await persistence.outgoingEnqueueCombi(toAll, message(1, left))
  assert.deepEqual(forgotten, ['s1'])
  for (const id of ['one more', 'two more']) {
    await persistence.subscriptionsByClient({ id })
    await persistence.addSubscriptions(client(id), [...filters])
  }
  assert.deepEqual(forgotten, ['s1', 's2'])
  assert.equal(await dropped('session-forgotten'), 2)
})
