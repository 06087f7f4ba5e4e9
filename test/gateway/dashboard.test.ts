/** The dashboard in a real browser: what it shows it is told live, and its token is in no request's target. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { scratchDirectory } from '../scratch.ts'
import { requireProgram } from '../servers/server.ts'
import { startPlatform } from './platform.ts'

/** Passes connections on to `port`, and keeps what clients sent: as a proxy in front of a gateway would log it. */
async function startProxy(t: TestContext, port: number): Promise<{ port: number; heads: () => string[] }> {
  const sent: string[] = []
  const sockets: Socket[] = []
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    const index = sent.push('') - 1
    sockets.push(client, upstream)
    client.on('data', (bytes) => {
      sent[index] += bytes.toString('latin1')
    })
    for (const socket of [client, upstream]) socket.on('error', () => undefined)
    client.pipe(upstream).pipe(client)
  })
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const heads = () => sent.flatMap((text) => text.match(/^(GET|HEAD|POST|OPTIONS) .*\r\n(?:.+\r\n)*/gm) ?? [])
  return { port: (server.address() as AddressInfo).port, heads }
}

test('a browser opens the link, and is told live; its token stands in no target', async (t) => {
  const chromium = requireProgram(t, 'chromium', 'apt install chromium')
  if (chromium === undefined) return
  const platform = await startPlatform(t, 'node')
  const proxy = await startProxy(t, platform.gateway.port)
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', `--user-data-dir=${scratchDirectory(t)}`]
  const link = `http://127.0.0.1:${proxy.port}/#access_token=${platform.token}`
  const browser = spawn(chromium, [...flags, '--remote-debugging-port=0', link], { stdio: 'ignore', detached: true })
  const gone = once(browser, 'exit')
  try {
    // Of a page that is subscribed the gateway knows.
    while (!/^telltale_gateway_subscriptions 1$/m.test(await platform.metrics.metrics())) await turn()
  } finally {
    process.kill(-(browser.pid ?? 0), 'SIGKILL')
    await gone
  }
  const targets = proxy.heads().map((head) => head.split('\r\n')[0] ?? '')
  assert(targets.includes('GET /v1/live HTTP/1.1'), targets.join('\n'))
  for (const target of targets) assert(!target.includes('eyJ'), target)
})
