/** Dead letters taken out over HTTP on a whole platform, whose gateway is not the process that appends, across kill -9 of either. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connectAsync } from 'mqtt'
import { LocalLog } from '../../log/local/local-log.ts'
import { INGEST_READER } from '../../log/log.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { scratchDirectory } from '../scratch.ts'
import { freePort } from '../servers/server.ts'
import { until } from '../until.ts'
import { RunningPlatform } from './platform.ts'

const MESSAGES = 5_000

/** The broker in a process of its own, ingest and the gateway in another, and the log as it is on disk. */
async function startApart(t: TestContext) {
  const ports = { mqtt: await freePort(), gateway: await freePort() }
  const directory = scratchDirectory(t)
  const broker = new RunningPlatform(directory, ports, { roles: 'broker' })
  const gateway = new RunningPlatform(directory, ports, { roles: 'ingest,gateway' })
  t.after(() => Promise.all([broker.kill(), gateway.kill()]))
  await broker.start()
  await gateway.start()
  const options = { directory: join(directory, 'log'), writer: false, maxBytes: 2 ** 30, retentionMs: 86_400_000 }
  const log = new LocalLog(options, { clock: systemClock, logger: silentLogger(), metrics: createMetrics() })
  await log.start()
  t.after(() => log.stop())
  return { broker, gateway, log }
}

async function sendBroken(broker: RunningPlatform): Promise<void> {
  const password = await broker.deviceToken('truck-7')
  const device = await connectAsync({ port: broker.mqttPort, clientId: 'truck-7', username: 'truck-7', password })
  const sent = Array.from({ length: MESSAGES }, (_, number) =>
    device.publishAsync('devices/truck-7/telemetry/environment', `{"ts":${number}`, { qos: 1 }),
  )
  await Promise.all(sent)
  await device.endAsync()
}

test('kill -9 of the broker while dead letters are replayed over HTTP, and of the gateway while they are purged: none is lost, none is twice', async (t) => {
  const { broker, gateway, log } = await startApart(t)
  await sendBroken(broker)
  assert.equal((await gateway.settled()).deadLettered, MESSAGES)
  const filter = ['--filter', 'devices/truck-7/telemetry/#']
  const token = (await gateway.telltale('token', 'app', ...filter, '--dead-letters')).trim()
  const headers = { authorization: `Bearer ${token}` }
  const ask = async (how: string, body: object) => {
    const url = `${gateway.url}/v1/deadletters/${how}`
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
    return { status: response.status, text: await response.text() }
  }
  const { deadLetters } = await gateway.get<{ deadLetters: { id: string }[] }>('/v1/deadletters?limit=1')
  assert.deepEqual(await ask('replay', { ids: [deadLetters[0]?.id] }), { status: 200, text: '{"replayed":1}\n' })

  const replay = ask('replay', { device: 'truck-7', code: 'malformed-json' })
  await until(async () => (await log.deadLetterCounts()).replayed > 1)
  await broker.kill()
  const torn = await log.deadLetterCounts()
  t.diagnostic(`the broker was killed when ${torn.replayed} of ${MESSAGES} were replayed`)
  const books = await log.ledger(INGEST_READER)
  assert.deepEqual([books.accepted, books.balanced], [MESSAGES + torn.replayed, true])
  // As long as nothing appends: told to look later, and kept.
  const { status, text } = await replay
  if (torn.replayed < MESSAGES) {
    assert.equal(status, 503, text)
    assert.match(text, /"too-busy".*The request is kept, and carried out when that process can/)
  }
  await broker.start()
  await until(async () => (await log.deadLetterCounts()).replayed >= MESSAGES)
  const after = await gateway.settled()
  const { held, replayed } = await log.deadLetterCounts()
  // The one that was replayed by itself has been set aside again, before or after the rest was asked for.
  assert(replayed === MESSAGES || replayed === MESSAGES + 1, `${replayed} were replayed`)
  assert.deepEqual([after.accepted, after.deadLettered, held], [MESSAGES + replayed, MESSAGES + replayed, MESSAGES])

  const purge = ask('purge', { before: 'now' }).catch(() => undefined)
  await until(async () => (await log.deadLetterCounts()).purged > 0)
  await gateway.kill()
  await purge
  const cut = await log.deadLetterCounts()
  t.diagnostic(`the gateway was killed when ${cut.purged} of ${MESSAGES} were purged`)
  assert.equal(cut.held + cut.purged, MESSAGES)
  await gateway.start()
  assert.deepEqual(await ask('purge', { before: 'now' }), { status: 200, text: `{"purged":${cut.held}}\n` })
  const { heldBytes, ...counts } = await log.deadLetterCounts()
  assert.deepEqual([heldBytes, counts], [0, { held: 0, replayed, purged: MESSAGES, expired: 0 }])
  assert.deepEqual(await gateway.get('/v1/deadletters/counts'), { counts: [] })
  assert.equal((await gateway.settled()).deadLettered, MESSAGES + replayed, 'the books go on counting them')
})
