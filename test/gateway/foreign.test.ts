/**
 * What a page from elsewhere can have of a gateway on the machine of whoever looks at it: the browser says its origin, and
 * after DNS rebinding (the page's own name now leads to 127.0.0.1) the name that was asked for.
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { onEachServer, startPlatform, type TestPlatform } from './platform.ts'

const OPEN = {
  identity: {
    verify: async () => ({ kind: 'app', filters: ['#'], expiresAt: Number.POSITIVE_INFINITY }) as const,
    isRevoked: () => false,
  },
  options: { refuseForeign: true },
}

async function get(platform: TestPlatform, path: string, headers: Record<string, string>): Promise<[number, string]> {
  const asked = request(`${platform.url}${path}`, { headers, agent: false }).end()
  const [response] = await once(asked, 'response')
  return [response.statusCode, await text(response)]
}

async function upgrade(platform: TestPlatform, headers: string): Promise<string> {
  const socket = connect(platform.gateway.port, '127.0.0.1')
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13'
  socket.write(`GET /v1/live HTTP/1.1\r\n${headers}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${key}\r\n\r\n`)
  const [first] = await once(socket, 'data')
  socket.destroy()
  return String(first).split('\r\n')[0] ?? ''
}

const OURS = [
  {},
  { host: 'localhost:9000' },
  { host: '[::1]:8080' },
  { host: '127.0.0.1', origin: 'http://localhost:5173' },
  { host: 'LOCALHOST', origin: 'https://127.0.0.1' },
]
const FOREIGN = [
  { host: 'evil.example' },
  { host: 'evil.example:8080', origin: 'http://evil.example:8080' },
  { host: '127.0.0.1.evil.example' },
  { host: '127.0.0.1@evil.example' },
  { origin: 'https://evil.example' },
  { origin: 'http://localhost.evil.example' },
  { origin: 'null' },
]

onEachServer('with authentication off, pages from elsewhere get nothing', async (t, server) => {
  const platform = await startPlatform(t, server, OPEN)
  for (const headers of OURS) {
    const [status, body] = await get(platform, '/v1/ledger', headers)
    assert.equal(status, 200, `${JSON.stringify(headers)}: ${body}`)
  }
  for (const headers of FOREIGN) {
    for (const path of ['/v1/ledger', '/', '/metrics', '/healthz']) {
      const [status, body] = await get(platform, path, headers)
      assert.equal(status, 403, `${path} ${JSON.stringify(headers)}: ${body}`)
      assert.match(body, /"foreign-page","message":"(Host|Origin) is .*: allowed is this machine/)
    }
  }
  assert.match(await upgrade(platform, 'Host: 127.0.0.1\r\nOrigin: http://localhost:1'), / 101 /)
  assert.match(await upgrade(platform, 'Host: 127.0.0.1\r\nOrigin: https://evil.example'), / 403 /)
  assert.match(await upgrade(platform, 'Host: evil.example'), / 403 /)
})

onEachServer('what needs no token on loopback needs one when a page from elsewhere asks', async (t, server) => {
  const platform = await startPlatform(t, server)
  for (const path of ['/healthz', '/metrics']) {
    assert.equal((await get(platform, path, {}))[0], 200)
    for (const headers of FOREIGN) {
      assert.equal((await get(platform, path, headers))[0], 401, JSON.stringify(headers))
      const authorization = `Bearer ${platform.token}`
      assert.equal((await get(platform, path, { ...headers, authorization }))[0], 200, 'a token says who asks')
    }
  }
})
