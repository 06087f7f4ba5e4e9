/** `/v1/stream` as a browser's own `EventSource` takes it: a page of another origin that is allowed, which does nothing to come back. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { openPage } from '../../browser.ts'
import { until } from '../../until.ts'
import { startPassage } from '../passage.ts'
import { environment, NOW, SERVERS, startPlatform } from '../platform.ts'

/** Shows every reading to the test; at that with the time `last` it has had enough. */
const pageOf = (stream: string, last: number) => `<!doctype html><script>
  const events = new EventSource(${JSON.stringify(stream)})
  const tell = (path, what) => fetch(path, { method: 'POST', body: JSON.stringify(what) })
  events.addEventListener('live', () => tell('/live'))
  events.addEventListener('readings', ({ data }) => {
    const times = JSON.parse(data).readings.map(({ ts }) => ts)
    tell('/times', times)
    if (times.includes(${last})) events.close()
  })
</script>`

interface Told {
  readonly origin: string
  /** How often it was told that it is live. */
  live: number
  /** Of readings, in the order in which the page had them. */
  readonly numbers: number[]
}

/** The page is made when it is asked for. */
async function servePage(t: TestContext, page: () => string): Promise<Told> {
  const numbers: number[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request.setEncoding('utf8')) body += piece
    if (request.url === '/live') told.live++
    if (request.url === '/times') numbers.push(...(JSON.parse(body) as number[]).map((ts) => ts - NOW))
    response.setHeader('Content-Type', 'text/html')
    response.end(request.method === 'GET' ? page() : '')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const told = { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, live: 0, numbers }
  return told
}

// Not named as other tests of a server are: those are run where there is no Chromium, too.
for (const server of SERVERS) {
  test(`an EventSource whose gateway stops comes back by itself, and has every reading once; when it closes, it is gone [Chromium, ${server}]`, async (t) => {
    const told = await servePage(t, () => pageOf(stream, NOW + 29))
    const platform = await startPlatform(t, server, { options: { origins: [told.origin] } })
    const passage = await startPassage(t, () => platform.gateway.port)
    let sent = 0
    const publish = async (count: number) => {
      for (const end = sent + count; sent < end; sent++)
        await platform.publish('a', 'environment', environment(NOW + sent))
    }
    const stream = `http://127.0.0.1:${passage.port}/v1/stream?filter=%23&access_token=${platform.token}`
    if ((await openPage(t, told.origin, { asks: [stream] })) === undefined) return
    await until(() => told.live >= 1)
    await publish(10)
    await until(() => told.numbers.length >= 10)
    await platform.restart()
    await publish(10)
    await until(() => told.live >= 2)
    await publish(10)
    await until(() => told.numbers.length >= 30)
    // Posts may overtake one another.
    const inOrder = told.numbers.toSorted((one, other) => one - other)
    assert.deepEqual(
      inOrder,
      Array.from({ length: 30 }, (_, index) => index),
    )
    await until(async () => /^telltale_gateway_subscriptions 0$/m.test(await platform.metrics.metrics()))
    const asked = passage.heads().filter((head) => head.startsWith('GET /v1/stream?'))
    assert.doesNotMatch(asked[0] ?? '', /last-event-id/i)
    assert.match(asked.at(-1) ?? '', /last-event-id: \S+/i)
  })
}
