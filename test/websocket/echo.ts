/**
 * Owns an echo behind the gateway's door (`gateway/server/server.ts`), with the gateway's own options and bounds: what Autobahn's
 * suite talks to, for `/v1/live` itself answers commands only.
 */

import { chooseServer } from '../../gateway/server/choose.ts'
import { Connections } from '../../gateway/server/connections.ts'
import type { Socket, SocketListener } from '../../gateway/server/server.ts'

export type ServerKind = 'uws' | 'node'

export const SERVER_NAMES: Readonly<Record<ServerKind, string>> = {
  uws: 'uWebSockets.js',
  node: '`node:http` with `ws`',
}

/** Those that can be loaded here. */
export async function loadable(): Promise<readonly ServerKind[]> {
  return (await chooseServer('auto')).kind === 'uws' ? ['uws', 'node'] : ['node']
}

export interface EchoServer {
  readonly kind: ServerKind
  readonly url: string
  stop(): void
}

const PATH = '/echo'
const CONNECTIONS_MAX = 1_000

export async function startEcho(kind: ServerKind): Promise<EchoServer> {
  const { makeServer } = await chooseServer(kind)
  const connections = new Connections({ max: CONNECTIONS_MAX }, () => undefined)
  const server = makeServer(
    { webSocketPath: PATH, connections },
    {
      request: (exchange) => {
        exchange.onGone(() => undefined)
        exchange.send('404 Not Found', {}, '')
      },
      upgrade: (exchange) => {
        exchange.onGone(() => undefined)
        exchange.upgrade('', new Echo())
      },
      troubled: (error) => {
        throw error
      },
    },
  )
  const port = await server.listen('127.0.0.1', 0)
  return { kind, url: `ws://127.0.0.1:${port}${PATH}`, stop: () => server.close() }
}

class Echo implements SocketListener {
  #socket: Socket | undefined

  opened(socket: Socket): void {
    this.#socket = socket
  }

  message(data: Buffer, isBinary: boolean): void {
    this.#socket?.send({ event: 'echo', data: isBinary ? Buffer.from(data) : data.toString() })
  }

  alive(): void {}
  dropped(): void {}
  drained(): void {}

  closed(): void {
    this.#socket = undefined
  }
}
