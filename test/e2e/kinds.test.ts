/**
 * Values that are neither plain numbers nor free text, in each framing, on the whole platform with every store: live, from the past and
 * as CSV, all the same.
 */

import assert from 'node:assert/strict'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { encode } from 'cborg'
import { connectAsync } from 'mqtt'
import { pack } from 'msgpackr'
import protobuf from 'protobufjs'
import { WebSocket } from 'ws'
import { avro } from '../../client/avro/avro.ts'
import { connect } from '../../client/client.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { isProtobuf, readReadings } from '../gateway/protobuf-frame.ts'
import { PROTO, PROTO_RECORD, RECORD, SCHEMA, VALUES } from '../schemas/kinds.ts'
import { scratchDirectory } from '../scratch.ts'
import { until } from '../until.ts'
import { RunningPlatform } from './platform.ts'
import { STORES } from './stores.ts'

const DEVICE = 'truck-7'
const TOPIC = `devices/${DEVICE}/telemetry/probe`
const FILTER = 'devices/+/telemetry/probe'
/** Of today: one reading a framing, a millisecond apart. */
const NOW = Date.now() - 60_000

/** The same reading by each framing. */
function payloads(schemas: string): { readonly level: string; readonly write: (ts: number) => Buffer }[] {
  const registry = Registry.load(schemas)
  const Probe = protobuf.parse(PROTO.replace(/ \[\(.*?\]/g, ''), { keepCase: true }).root.lookupType('telltale.Probe')
  return [
    { level: '', write: (ts) => registry.encode('probe', { ...RECORD, ts }) },
    { level: '', write: (ts) => registry.encode('probe', [{ ...RECORD, ts }]) },
    { level: '', write: (ts) => Buffer.from(JSON.stringify({ ...VALUES, ts })) },
    { level: '/msgpack', write: (ts) => pack({ ...VALUES, ts, mac: RECORD.mac }) },
    { level: '/cbor', write: (ts) => Buffer.from(encode({ ...VALUES, ts, mac: RECORD.mac })) },
    { level: '/protobuf', write: (ts) => Buffer.from(Probe.encode({ ...PROTO_RECORD, ts }).finish()) },
  ]
}

interface Seen {
  isLive: boolean
  readonly readings: { readonly ts: number; readonly values: object }[]
}

function follow(t: TestContext, platform: RunningPlatform, token: string, encoding?: typeof avro): Seen {
  const client = connect(platform.url, { token, ...(encoding && { encoding }) })
  t.after(() => client.close())
  const seen: Seen = { isLive: false, readings: [] }
  const read = async () => {
    for await (const event of client.subscribe(FILTER).events()) {
      if (event.type === 'live') seen.isLive = true
      if (event.type === 'readings') seen.readings.push(...event.readings.map(({ ts, values }) => ({ ts, values })))
    }
  }
  void read()
  return seen
}

/** An app that has its readings in Protobuf. */
function followFrames(t: TestContext, platform: RunningPlatform, token: string): Seen {
  const url = `${platform.url.replace('http', 'ws')}/v1/live?access_token=${token}`
  const socket = new WebSocket(url, 'telltale.v1.protobuf')
  t.after(() => socket.terminate())
  const seen: Seen = { isLive: false, readings: [] }
  socket.on('open', () => socket.send(JSON.stringify({ type: 'subscribe', id: '1', filter: FILTER })))
  socket.on('message', (data: Buffer, isBinary) => {
    if (!isBinary) seen.isLive ||= (JSON.parse(String(data)) as { type: string }).type === 'live'
    else if (isProtobuf(data)) {
      const readings = readReadings(data).readings as { ts: number; values: object }[]
      seen.readings.push(...readings.map(({ ts, values }) => ({ ts, values })))
    }
  })
  return seen
}

for (const [name, startStore] of Object.entries(STORES)) {
  if (name === 'VictoriaMetrics') continue // It has no texts, and its history is not asked.
  test(`${name}: what is no plain number is live, in history and in CSV what was sent, in every framing`, async (t) => {
    const store = await startStore(t)
    if (store === undefined) return
    const schemas = join(scratchDirectory(t), 'schemas')
    cpSync(SHIPPED_SCHEMAS_DIR, schemas, { recursive: true, filter: (path) => !path.endsWith('.ts') })
    mkdirSync(join(schemas, 'probe'))
    writeFileSync(join(schemas, 'probe/1.avsc'), JSON.stringify(SCHEMA))
    writeFileSync(join(schemas, 'probe/1.proto'), PROTO)
    const environment = { TELLTALE_SCHEMAS_DIR: schemas }
    const platform = await RunningPlatform.start(t, { environment, ...(store.options && { store: store.options }) })
    const token = await platform.appToken()
    const apps = [follow(t, platform, token), follow(t, platform, token, avro), followFrames(t, platform, token)]
    await until(() => apps.every(({ isLive }) => isLive))

    const identity = { clientId: DEVICE, username: DEVICE, password: await platform.deviceToken(DEVICE) }
    const device = await connectAsync({ port: platform.mqttPort, ...identity })
    t.after(() => device.endAsync(true))
    const ways = payloads(schemas)
    for (const [index, { level, write }] of ways.entries())
      await device.publishAsync(TOPIC + level, write(NOW + index), { qos: 1 })
    const expected = ways.map((_, index) => ({ ts: NOW + index, values: VALUES }))
    for (const { readings } of apps) {
      await until(
        () => readings.length >= ways.length,
        () => `an app has all readings: ${JSON.stringify(readings)}`,
      )
      assert.deepEqual(readings, expected)
    }
    const ledger = await platform.settled()
    assert.deepEqual([ledger.stored, ledger.deadLettered], [ways.length, 0])

    const query = `filter=${encodeURIComponent(FILTER)}`
    const stored = await platform.readings(query)
    assert.deepEqual(
      stored.map(({ ts, values }) => ({ ts, values })),
      expected,
    )
    const answer = await fetch(`${platform.url}/v1/readings?${query}`, {
      headers: { authorization: `Bearer ${token}`, accept: 'text/csv' },
    })
    const [header = '', ...rows] = (await answer.text()).trim().split('\r\n')
    const columns =
      Registry.load(schemas)
        .stream('probe')
        ?.columns.map(({ name }) => name) ?? []
    assert.equal(header, ['ts', 'device', 'stream', ...columns].join(','))
    const cells = columns.map((column) => csvCell((VALUES as Readonly<Record<string, unknown>>)[column] ?? ''))
    assert.deepEqual(
      rows,
      expected.map(({ ts }) => [ts, DEVICE, 'probe', ...cells].join(',')),
    )
    const windows = (fn: string) => platform.readings(`${query}&every=1d&fn=${fn}&from=${NOW - 86_400_000}`)
    const [mean] = await windows('mean')
    assert.deepEqual(Object.keys(mean?.values ?? {}), MEANS)
    const [last] = await windows('last')
    assert.deepEqual(last?.values, VALUES)
    const [count] = await windows('count')
    assert.deepEqual(new Set(Object.values(count?.values ?? {})), new Set([ways.length]))
  })
}

/** Columns of one number. */
const MEANS = ['energy', 'price', 'cells_a', 'cells_c', 'hits_right']

const csvCell = (value: unknown) => (Array.isArray(value) ? `"${JSON.stringify(value)}"` : String(value))
