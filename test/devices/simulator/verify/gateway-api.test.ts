/** A gateway that is killed, stopped or busy while it is asked: who waits says for what, and not for ever. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { GatewayApi } from '../../../../devices/simulator/verify/gateway-api.ts'
import { readHistory } from '../../../../devices/simulator/verify/history.ts'
import { systemClock } from '../../../../platform/clock.ts'

async function gateway(t: TestContext, patienceMs: number, answer: RequestListener) {
  const server = createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const told: (string | undefined)[] = []
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const deps = { token: async () => 'x', clock: systemClock, onWaiting: (what: string | undefined) => told.push(what) }
  return { api: new GatewayApi({ url, patienceMs }, deps), told }
}

test('one that takes a question and answers nothing, as of a process that is stopped, is waited for to a deadline, and that is said', async (t) => {
  const { api, told } = await gateway(t, 100, () => undefined)
  await assert.rejects(api.get('/v1/ledger'), /did not answer \/v1\/ledger in 0\.1 s: .*timeout/)
  assert.match(told[0] ?? '', /does not answer \/v1\/ledger \(no answer yet\): it is asked for 0 s more$/)
  assert.equal(told.at(-1), undefined)
})

test('one that comes back is asked again', async (t) => {
  let asked = 0
  const { api } = await gateway(t, 60_000, (request, response) => {
    if (++asked < 3) request.socket.destroy()
    else response.end('{"accepted":1}')
  })
  assert.deepEqual(await api.get('/v1/ledger'), { accepted: 1 })
  assert.equal(asked, 3)
})

test('history whose pages go in a circle is left', async (t) => {
  let page = 0
  const { api } = await gateway(t, 60_000, (_, response) => {
    response.end(JSON.stringify({ readings: [], next: `page-${++page % 3}` }))
  })
  const span = { stream: 'environment', devices: ['truck-1'], from: 0, to: 1 }
  await assert.rejects(readHistory(api, span).next(), { code: 'refused', message: /in a circle/ })
  assert.equal(page, 4)
})
