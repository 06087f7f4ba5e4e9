/** The network between the store and a real InfluxDB 2.7 breaks: everything is stored, once, when it is whole again. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import test, { type TestContext } from 'node:test'
import { InfluxStore } from '../../../ingest/influx/store.ts'
import { writeUntilStored } from '../../../ingest/retry.ts'
import type { StoreBatch, StoreError } from '../../../ingest/store.ts'
import { startInfluxdb2 } from '../../servers/influxdb2.ts'
import { requireServer } from '../../servers/server.ts'
import { entryOf, reading, STREAMS, T0, weather } from '../streams.ts'

/**
 * What happens to one connection. `half-open`: it stays up, and carries nothing. `cut`: the request goes through, and the
 * connection ends after the first `ANSWER_BYTES` of the answer. `slow`: the answer comes after `SLOW_MS`.
 */
type Trouble = 'half-open' | 'cut' | 'slow' | 'none'

const ANSWER_BYTES = 9
const SLOW_MS = 1_500
const POINTS = 3_000

const batch: StoreBatch = {
  entries: Array.from({ length: POINTS }, (_, n) => entryOf(reading(weather, 'a', T0 + n, { count: n }))),
}

/** A proxy in front of `port`: connection number n has trouble `script[n]`; those after have none. */
async function startProxy(t: TestContext, port: number, script: readonly Trouble[]) {
  const sockets = new Set<Socket>()
  const met: Trouble[] = []
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    return socket
  }
  const proxy = createServer((client) => {
    const trouble = script[met.length] ?? 'none'
    met.push(trouble)
    keep(client)
    if (trouble === 'half-open') {
      client.resume()
      return
    }
    const server = keep(connect(port, '127.0.0.1'))
    client.pipe(server)
    if (trouble === 'cut') {
      server.once('data', (answer) => client.end(answer.subarray(0, ANSWER_BYTES), () => client.destroy()))
    } else if (trouble === 'slow') {
      server.on('data', (answer) => setTimeout(() => client.write(answer), SLOW_MS))
    } else server.pipe(client)
    client.on('close', () => server.destroy())
    server.on('close', () => trouble === 'none' && client.destroy())
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    proxy.close()
  })
  return { met, port: (proxy.address() as AddressInfo).port }
}

for (const [trouble, failures] of [
  ['half-open', 1],
  ['cut', 1],
  ['slow', 0],
] as const) {
  test(`a connection that is ${trouble}: all is stored, once`, async (t) => {
    const influx = await requireServer(t, startInfluxdb2)
    if (influx === undefined) return
    const proxy = await startProxy(t, Number(new URL(influx.url).port), [trouble])
    const store = new InfluxStore({ ...influx.store, url: `http://127.0.0.1:${proxy.port}` }, { streams: STREAMS })
    t.after(() => store.stop())
    const retried: StoreError[] = []
    const { rejected } = await writeUntilStored(store, batch, new AbortController().signal, {
      random: () => 0,
      onRetry: (error) => retried.push(error),
    })
    assert.deepEqual(rejected, [])
    assert.deepEqual(
      retried.map(({ code }) => code),
      Array.from({ length: failures }, () => 'store-unavailable'),
    )
    assert.equal(proxy.met[0], trouble)
    const query = new URLSearchParams({ db: influx.bucket, q: 'SELECT count("count"), sum("count") FROM weather' })
    const headers = { authorization: `Token ${influx.token}` }
    const answer = await fetch(`${influx.url}/query?${query}`, { headers })
    const { results } = JSON.parse(await answer.text())
    assert.deepEqual(results[0].series[0].values[0].slice(1), [POINTS, (POINTS * (POINTS - 1)) / 2])
  })
}
