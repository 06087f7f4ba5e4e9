/** History is for everybody: who may ask at once, who waits, and when the store is told to stop. */

import assert from 'node:assert/strict'
import { HISTORY_QUERIES_MAX, HISTORY_QUERIES_PER_TOKEN_MAX } from '../../gateway/history-places.ts'
import { TelltaleError } from '../../platform/errors.ts'
import type { HistoryPage, HistoryQuery } from '../../schemas/history.ts'
import type { Reading } from '../../schemas/reading.ts'
import { pageWith } from '../history.ts'
import { Changes, until } from '../until.ts'
import { HOUR_MS, NOW, onEachServer, startPlatform } from './platform.ts'
import { Peer } from './server/harness.ts'

/** A store that answers when the test says so. */
class Store extends Changes {
  readonly asked: { readonly query: HistoryQuery; readonly signal: AbortSignal; answer(page?: HistoryPage): void }[] =
    []

  readonly readings = (query: HistoryQuery, signal: AbortSignal): Promise<HistoryPage> =>
    new Promise((resolve, reject) => {
      this.asked.push({ query, signal, answer: (page = pageWith()) => resolve(page) })
      signal.addEventListener('abort', () => {
        reject(new TelltaleError('store-unavailable', 'interrupted'))
        this.change()
      })
      this.change()
    })

  protected override came(): string {
    return `${this.asked.length} queries`
  }
}

const errorOf = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code

onEachServer('one token has some of the places, and another is answered meanwhile', async (t, server) => {
  const store = new Store()
  const platform = await startPlatform(t, server, { history: { readings: store.readings } })
  const ofOne = Array.from({ length: HISTORY_QUERIES_PER_TOKEN_MAX }, () => platform.get('/v1/readings'))
  await store.until(() => store.asked.length === 2)
  const refused = await platform.get('/v1/readings')
  assert.equal(refused.status, 429)
  assert.ok(refused.headers.get('retry-after'))
  assert.equal(await errorOf(refused), 'too-many-queries')
  const token = await platform.identity.signApp(['devices/a/#'], HOUR_MS)
  const other = platform.get('/v1/readings', { token })
  await store.until(() => store.asked.length === 3)
  assert.deepEqual(store.asked[2]?.query.selections, [{ device: 'a' }])
  store.asked[2]?.answer()
  assert.equal((await other).status, 200)
  for (let answered = 0; answered < 5; answered++) {
    await store.until(() => store.asked.length > answered)
    store.asked[answered]?.answer()
  }
  for (const answer of ofOne) assert.equal((await answer).status, 200)
  assert.equal((await platform.get('/v1/ledger')).status, 200)
})

onEachServer('when all places are taken one more is refused, and then there is room again', async (t, server) => {
  const store = new Store()
  const platform = await startPlatform(t, server, { history: { readings: store.readings } })
  const tokens: string[] = []
  while (tokens.length <= HISTORY_QUERIES_MAX / HISTORY_QUERIES_PER_TOKEN_MAX) {
    tokens.push(await platform.identity.signApp(['#'], HOUR_MS + 1_000 * tokens.length))
  }
  const answers: Promise<Response>[] = []
  for (const token of tokens.slice(1)) {
    for (let index = 0; index < HISTORY_QUERIES_PER_TOKEN_MAX; index++)
      answers.push(platform.get('/v1/readings', { token }))
  }
  const full = async () => {
    const refused = await platform.get('/v1/readings', { token: tokens[0] ?? '' })
    assert.equal(refused.status, 503)
    assert.equal(await errorOf(refused), 'too-busy')
  }
  await store.until(() => store.asked.length === 3)
  // The last ones of them may still be on their way.
  const metrics = async () => (await platform.metrics.metrics()).match(/gateway_connections (\d+)/)?.[1]
  await until(async () => Number(await metrics()) >= HISTORY_QUERIES_MAX)
  assert.equal((await platform.get('/v1/ledger')).status, 200)
  await full()
  for (let answered = 0; answered < HISTORY_QUERIES_MAX; answered++) {
    await store.until(() => store.asked.length > answered)
    store.asked[answered]?.answer()
  }
  for (const answer of answers) assert.equal((await answer).status, 200)
})

onEachServer('the store is told to stop when time is up, and when the app leaves', async (t, server) => {
  const store = new Store()
  const historyTimes = { queryMs: 50, answerMs: 60_000 }
  const hasty = await startPlatform(t, server, { history: { readings: store.readings }, options: { historyTimes } })
  const late = await hasty.get('/v1/readings')
  assert.equal(late.status, 503)
  assert.equal(await errorOf(late), 'store-unavailable')
  assert.ok(store.asked[0]?.signal.aborted)

  const platform = await startPlatform(t, server, { history: { readings: store.readings } })
  const leaving = new Peer(platform.gateway.port)
  leaving.connection.write(`GET /v1/readings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${platform.token}\r\n\r\n`)
  await store.until(() => store.asked.length === 2)
  assert.ok(!store.asked[1]?.signal.aborted)
  leaving.connection.destroy()
  await store.until(() => store.asked[1]?.signal.aborted)
})

for (const accept of ['application/json', 'text/csv']) {
  onEachServer(`an answer is made as it is taken, and ends when the app leaves: ${accept}`, async (t, server) => {
    let made = 0
    let ended: () => void = () => undefined
    const hasEnded = new Promise<void>((resolve) => {
      ended = resolve
    })
    /** Without end. */
    async function* pieces(): AsyncGenerator<readonly Reading[]> {
      try {
        for (;;) {
          made++
          yield Array.from({ length: 1_000 }, (_, index) => ({
            device: 'a',
            stream: 'environment',
            ts: NOW + index,
            values: { temperature: index },
          }))
        }
      } finally {
        ended()
      }
    }
    const readings = async () => ({ truncated: false, streams: ['environment'], pieces: pieces() })
    const platform = await startPlatform(t, server, { history: { readings } })
    const peer = new Peer(platform.gateway.port)
    const head = `GET /v1/readings HTTP/1.1\r\nHost: x\r\nAccept: ${accept}\r\nAuthorization: Bearer ${platform.token}\r\n\r\n`
    peer.connection.write(head)
    await peer.until(() => peer.received.length > 2 ** 21)
    assert.ok(made > 10)
    peer.connection.destroy()
    await hasEnded
  })
}

onEachServer('an answer that the store cannot end is not whole for the app either', async (t, server) => {
  async function* pieces(): AsyncGenerator<readonly Reading[]> {
    yield [{ device: 'a', stream: 'environment', ts: NOW, values: { temperature: 1 } }]
    throw new TelltaleError('store-unavailable', 'the store has ended')
  }
  const readings = async () => ({ truncated: false, streams: ['environment'], pieces: pieces() })
  const platform = await startPlatform(t, server, { history: { readings } })
  const response = await platform.get('/v1/readings')
  assert.equal(response.status, 200)
  await assert.rejects(response.text())
  assert.match(await platform.metrics.metrics(), /refusals_total\{reason="store-unavailable"\} 1\n/)
})
