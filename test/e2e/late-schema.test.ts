/** What apps that begin in the past have of messages that came before their schema: each once, at the place where it was put through again. */

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectAsync } from 'mqtt'
import type { DeviceRecord } from '../../gateway/devices/one-device.ts'
import type { Why } from '../../gateway/devices/why.ts'
import { Registry } from '../../schemas/registry.ts'
import { Events } from '../gateway/live/events.ts'
import { probe, schemaFolder } from '../schemas/schema-folder.ts'
import { until } from '../until.ts'
import { LiveSocket } from './live-socket.ts'
import { RunningPlatform } from './platform.ts'

const X = { name: 'x', type: 'double' }
const FIRST = probe(X)
const SECOND = probe(X, { name: 'y', type: ['null', 'int'], default: null })
const FILTER = 'devices/d/telemetry/probe'

interface Frame {
  readonly readings: readonly { readonly values: { readonly x: number } }[]
}
const numbersOf = ({ readings }: Frame) => readings.map(({ values: { x } }) => x)

/** What an app has up to the reading numbered `last`. */
async function bySocket(platform: RunningPlatform, start: object | string, last: number): Promise<number[]> {
  const live = await LiveSocket.open(platform.url, await platform.appToken())
  live.send({ type: 'subscribe', id: '1', filter: FILTER, start })
  const had: number[] = []
  while (!had.includes(last)) had.push(...numbersOf((await live.next('readings')) as unknown as Frame))
  live.close()
  return had
}

for (const isKilled of [false, true]) {
  test(`a schema comes late${isKilled ? ', kill -9 before and behind it' : ''}: an app that begins in the past has each reading once`, async (t) => {
    const folder = schemaFolder(t, { 'probe/1.avsc': FIRST })
    const both = Registry.load(schemaFolder(t, { 'probe/1.avsc': FIRST, 'probe/2.avsc': SECOND }))
    const platform = await RunningPlatform.start(t, { environment: { TELLTALE_SCHEMAS_DIR: folder } })
    const token = await platform.appToken()
    const password = await platform.deviceToken('d')
    const begin = Date.now()
    const send = async (numbers: readonly number[], version: number) => {
      const client = await connectAsync({ port: platform.mqttPort, clientId: 'd', username: 'd', password })
      for (const x of numbers) {
        const record = { ts: begin + x, x, ...(version === 2 && { y: x }) }
        await client.publishAsync(FILTER, both.encode('probe', record, version), { qos: 1 })
      }
      await client.endAsync()
    }
    const early = await LiveSocket.open(platform.url, token)
    early.send({ type: 'subscribe', id: '1', filter: FILTER, start: 'now' })
    const { cursor } = await early.next('live')
    early.close()
    await send([0], 1)
    await send([1, 2, 3, 4, 5], 2)
    await send([6], 1)
    await until(async () => (await platform.ledger()).held === 5)
    // What a person has removed before its schema came no app has.
    await platform.telltale('deadletters', 'purge', '3')
    if (isKilled) await platform.kill()
    writeFileSync(join(folder, 'probe/2.avsc'), JSON.stringify(SECOND))
    if (isKilled) await platform.start()
    const meanwhile = [bySocket(platform, { after: cursor }, 8), bySocket(platform, { last: '30m' }, 8)]
    await until(async () => (await platform.ledger()).replayed === 4)
    await send([7], 2)
    await send([8], 1)
    const expected = [0, 6, 1, 2, 4, 5, 7, 8]
    for (const had of await Promise.all(meanwhile)) assert.deepEqual(had, expected, 'before it was put through again')
    await platform.settled()
    if (isKilled) {
      await platform.kill()
      await platform.start()
    }
    for (const start of [{ after: cursor }, { last: '30m' }]) {
      assert.deepEqual(await bySocket(platform, start, 8), expected, JSON.stringify(start))
    }
    for (const start of [`after=${encodeURIComponent(String(cursor))}`, 'last=30m']) {
      const events = await Events.open(t, { url: platform.url, token }, `filter=${encodeURIComponent(FILTER)}&${start}`)
      assert.deepEqual(
        events.readings.map(({ values }) => values.x),
        expected,
        start,
      )
    }
    const stored = await platform.readings(`filter=${FILTER}&from=${begin}&to=${begin + 100}`)
    assert.deepEqual(
      stored.map(({ values }) => values.x).sort((a, b) => Number(a) - Number(b)),
      [...expected].sort((a, b) => a - b),
    )
  })
}

test('what is told of dead letters is of those that are held, though a newer one of another stream was put through again', async (t) => {
  const folder = schemaFolder(t, { 'probe/1.avsc': FIRST })
  const both = Registry.load(schemaFolder(t, { 'probe/1.avsc': FIRST, 'probe/2.avsc': SECOND }))
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_SCHEMAS_DIR: folder } })
  const password = await platform.deviceToken('d')
  const client = await connectAsync({ port: platform.mqttPort, clientId: 'd', username: 'd', password })
  const ts = Date.now()
  for (const x of [1, 2])
    await client.publishAsync(FILTER, both.encode('probe', { ts: ts + x, x, y: x }, 2), { qos: 1 })
  await client.publishAsync('devices/d/telemetry/pump', JSON.stringify({ ts, x: 3 }), { qos: 1 })
  await until(async () => (await platform.ledger()).held === 3)
  const why = () => platform.get<Why>('/v1/devices/d/why')
  const ofPump = 'no stream is named "pump"'
  assert((await why()).sentence.includes(ofPump))
  mkdirSync(join(folder, 'pump'))
  writeFileSync(join(folder, 'pump/1.avsc'), JSON.stringify({ ...FIRST, name: 'pump' }))
  await until(async () => (await platform.ledger()).replayed === 1)
  await platform.settled()
  const { deadLetters } = await platform.get<DeviceRecord>('/v1/devices/d')
  assert.deepEqual(
    deadLetters.map(({ code, count, held, stream }) => [code, count, held, stream]),
    [['unknown-schema', 3, 2, 'probe']],
  )
  const [{ reason = '' } = {}] = deadLetters
  const { sentence, evidence } = await why()
  assert(sentence.endsWith(reason) && !sentence.includes(ofPump), sentence)
  assert.match(
    evidence.map(({ text }) => text).join('\n'),
    /set aside \(unknown-schema\), the newest held of probe: .*3 messages \(2 held\)/,
  )
  const shown = await platform.telltale('devices', 'show', 'd')
  assert.match(shown, /unknown-schema +3 \(2 held\)/)
  assert(!shown.includes(ofPump), shown)
  await platform.telltale('deadletters', 'purge', '--device', 'd')
  const { cause, evidence: past } = await why()
  assert.equal(cause, 'well')
  assert.match(
    past.map(({ text }) => text).join('\n'),
    /was set aside .* of pump: .*3 messages .*, all replayed or purged meanwhile/,
  )
  await client.endAsync()
})
