/** What apps that begin in the past have of messages that came before their schema: each once, at the place where it was put through again. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectAsync } from 'mqtt'
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
