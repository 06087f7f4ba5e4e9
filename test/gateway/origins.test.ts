/** Pages of which origins are answered, over HTTP, as events and over a WebSocket. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { onEachServer, startPlatform, type TestPlatform } from './platform.ts'

const ALLOWED = 'https://app.example'
const FOREIGN = [
  'https://evil.example',
  'http://app.example',
  'https://app.example:444',
  'https://app.example.evil.example',
  'https://sub.app.example',
  'null',
]
const PATHS = ['/v1/ledger', '/v1/stream?filter=%23', '/', '/healthz', '/nothing']

/** The status by which a WebSocket is answered that a page of the origin asks for. */
async function upgrade({ url, token }: TestPlatform, origin: string): Promise<number> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/live?access_token=${token}`, 'telltale.v1', { origin })
  socket.on('error', () => undefined)
  const refused = once(socket, 'unexpected-response').then(([, response]) => response.statusCode as number)
  const status = await Promise.race([refused, once(socket, 'open').then(() => 101)])
  socket.terminate()
  return status
}

onEachServer('pages of the origins that are allowed are answered, and no others', async (t, server) => {
  const platform = await startPlatform(t, server, { options: { origins: [ALLOWED, 'http://localhost:5173'] } })
  for (const origin of [ALLOWED, 'http://localhost:5173']) {
    const headers = { origin }
    const answer = await platform.get('/v1/ledger', { headers })
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('access-control-allow-origin'), origin)
    assert.equal(answer.headers.get('vary'), 'Origin')
    const refused = await platform.get('/v1/ledger', { headers, token: null })
    assert.equal(refused.status, 401)
    assert.equal(refused.headers.get('access-control-allow-origin'), origin, 'a page may read why')
    const preflight = await platform.get('/v1/ledger', { method: 'OPTIONS', headers, token: null })
    assert.equal(preflight.status, 204)
    assert.equal(preflight.headers.get('access-control-allow-origin'), origin)
    assert.match(preflight.headers.get('access-control-allow-headers') ?? '', /Authorization/)
    const events = await platform.get('/v1/stream?filter=%23', { headers })
    assert.equal(events.headers.get('access-control-allow-origin'), origin)
    await events.body?.cancel()
    assert.equal(await upgrade(platform, origin), 101)
  }
  for (const origin of FOREIGN) {
    for (const path of PATHS) {
      for (const method of ['GET', 'OPTIONS']) {
        const answer = await platform.get(path, { method, headers: { origin } })
        assert.equal(answer.status, 403, `${method} ${path} ${origin}`)
        assert.equal(answer.headers.get('access-control-allow-origin'), null)
        const { error } = (await answer.json()) as { error: { code: string; message: string } }
        assert.equal(error.code, 'foreign-page')
        assert.match(error.message, /^Origin is ".*": allowed are .*TELLTALE_GATEWAY_ORIGINS$/)
      }
    }
    assert.equal(await upgrade(platform, origin), 403, origin)
  }
  assert.match(await platform.metrics.metrics(), /refusals_total\{reason="foreign-page"\} 66\n/)
})

onEachServer("the gateway's own pages, and what is no browser, need not be named", async (t, server) => {
  const platform = await startPlatform(t, server, { options: { origins: [] } })
  const answer = await platform.get('/v1/ledger')
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('access-control-allow-origin'), null)
  assert.equal(answer.headers.get('vary'), 'Origin')
  assert.equal(await upgrade(platform, platform.url), 101)
  // Behind a proxy that speaks TLS.
  assert.equal(await upgrade(platform, platform.url.replace('http', 'https')), 101)
  assert.equal(await upgrade(platform, 'https://127.0.0.1'), 403)
})

onEachServer('unless origins are named, pages of any are answered', async (t, server) => {
  const platform = await startPlatform(t, server)
  for (const origin of [ALLOWED, ...FOREIGN]) {
    const answer = await platform.get('/v1/ledger', { headers: { origin } })
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('access-control-allow-origin'), '*')
    assert.equal(await upgrade(platform, origin), 101)
  }
})
