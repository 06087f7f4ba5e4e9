/** Owns a port that passes connections on, to wherever the gateway is at that time, and keeps what clients sent: as a proxy would log it. */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

export interface Passage {
  readonly port: number
  /** Of all requests so far. */
  heads(): string[]
}

export async function startPassage(t: TestContext, portNow: () => number): Promise<Passage> {
  const sent: string[] = []
  const sockets: Socket[] = []
  const server = createServer((client) => {
    const upstream = connect(portNow(), '127.0.0.1')
    const index = sent.push('') - 1
    sockets.push(client, upstream)
    client.on('data', (bytes) => {
      sent[index] += bytes.toString('latin1')
    })
    // Who cannot reach the gateway sees it as gone.
    client.on('error', () => upstream.destroy())
    upstream.on('error', () => client.destroy())
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
