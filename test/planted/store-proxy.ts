/**
 * Owns a man in the middle of ingest and a server of InfluxDB's, who says of some writes that they are stored, and drops them. All else goes
 * through as it is. Bound: a request's body is in memory, as a batch of ingest's is.
 */

import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { RunningProxy } from './proxy.ts'

/** Drops the body of every `n`th write to the server at `url`, and answers 204. */
export async function startStoreProxy(url: string, n: number): Promise<RunningProxy> {
  let writes = 0
  const server = createServer(async (asked, answer) => {
    const { method, headers, url: path = '/' } = asked
    const body = await buffer(asked)
    if (path.startsWith('/api/v2/write') && ++writes % n === 0) {
      answer.writeHead(204).end()
      return
    }
    const sent = request(new URL(path, url), { method, headers }, (given) => {
      answer.writeHead(given.statusCode ?? 502, given.headers)
      given.pipe(answer)
    })
    sent.on('error', () => answer.destroy())
    sent.end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
