/** Two brokers, and ingest with a gateway, are three processes on one log on a real Kafka; one broker is killed -9 while both are sent to. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startKafka } from '../kafka/kafka.ts'
import { scratchDirectory } from '../scratch.ts'
import { freePort, requireServer } from '../servers/server.ts'
import { until } from '../until.ts'
import { RunningPlatform } from './platform.ts'

const MESSAGES = 400

test('brokers that share a log on Kafka: what either took is stored and counted once, though one is killed -9', async (t) => {
  const kafka = await requireServer(t, () => startKafka())
  if (kafka === undefined) return
  t.after(() => kafka.stop())
  const environment = { TELLTALE_LOG: `${kafka.url}/fleet` }
  const make = async (roles: string) => {
    const platform = new RunningPlatform(
      scratchDirectory(t),
      { mqtt: await freePort(), gateway: await freePort() },
      { roles, environment },
    )
    t.after(() => platform.kill())
    return platform
  }
  const [rest, one, other] = [await make('ingest,gateway'), await make('broker'), await make('broker')]
  await assert.rejects(rest.start(), /telltale log init/)
  assert.match(await rest.telltale('log', 'init', '--shards', '4', '--copies', '1'), /4 shards, 1 copies/)
  await Promise.all([rest.start(), one.start(), other.start()])

  const fleet = ['--devices', '10', '--messages', `${MESSAGES}`, '--rate', '20', '--no-fail-if']
  const sending = [one.simulate(...fleet, '--prefix', 'a-'), other.simulate(...fleet, '--prefix', 'b-')]
  await until(async () => (await rest.ledger()).accepted > MESSAGES / 4)
  await one.kill()
  await one.start()
  const summaries = await Promise.all(sending)
  for (const { acknowledged, unacknowledged } of summaries)
    assert.deepEqual([acknowledged, unacknowledged], [MESSAGES, 0])

  const { accepted, stored, deadLettered, balanced } = await rest.settled()
  assert(accepted >= 2 * MESSAGES, `${accepted} of ${2 * MESSAGES}`)
  assert.deepEqual([stored, deadLettered, balanced], [accepted, 0, true])
  assert.equal(await rest.countStored('environment', 'temperature'), 2 * MESSAGES)
  // Beside a process, and where none is: each has a replica of its own.
  for (const place of [rest, other]) {
    const books = JSON.parse(await place.telltale('ledger', '--json')) as { accepted: number }
    assert.equal(books.accepted, accepted)
  }
})
