/** Who says nothing, or does not go, is let go of: each of these waits for `HTTP_IDLE_SECONDS_MAX` to pass. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { WebSocket } from 'ws'
import { selfSigned } from '../../servers/certificate.ts'
import { until } from '../../until.ts'
import { onEachServer } from '../platform.ts'
import { frame, Harness, PATH } from './harness.ts'

const HOST = 'Host: x\r\n'
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'

onEachServer('who says nothing, half a request, or nothing more after one, is cut', async (t, server) => {
  const harness = await Harness.start(t, server)
  const peers = ['', 'GET / HTTP/1.1\r\nHost: ', `GET / HTTP/1.1\r\n${HOST}\r\n`].map((text) => {
    const peer = harness.raw(t)
    peer.connection.write(text)
    return peer
  })
  await Promise.all(peers.map((peer) => peer.until(() => peer.isClosed)))
})

onEachServer('who is refused and does not go is let go of all the same', async (t, server) => {
  const harness = await Harness.start(t, server)
  harness.upgrade = (exchange) => {
    exchange.onGone(() => undefined)
    exchange.send('401 Unauthorized', {}, 'no')
  }
  const upgrade = `GET ${PATH} HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n${KEY}\r\n`
  const peers = [upgrade, 'nonsense\r\n\r\n', '', `GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`].map((text) => {
    const peer = harness.raw(t)
    peer.connection.write(text)
    return peer
  })
  await Promise.all(peers.map((peer) => peer.until(() => peer.isClosed)))
  await untilForgotten(harness.port)
})

onEachServer('over TLS: requests and WebSockets, and who begins no handshake is cut', async (t, server) => {
  const { cert, key } = selfSigned(t)
  const harness = await Harness.start(t, server, 0, { certFile: cert, keyFile: key })
  const silent = harness.raw(t)
  const plain = harness.raw(t)
  plain.connection.write(`GET / HTTP/1.1\r\n${HOST}\r\n`)
  const socket = new WebSocket(`wss://127.0.0.1:${harness.port}${PATH}`, { rejectUnauthorized: false })
  await once(socket, 'open')
  harness.apps[0]?.socket?.send(frame('é'))
  const [message] = (await once(socket, 'message')) as [Buffer]
  assert.equal(message.toString(), 'é')
  socket.terminate()
  await plain.until(() => plain.isClosed)
  await silent.until(() => silent.isClosed)
  await untilForgotten(harness.port)
})

/** Whether the server's end of a connection is gone from this machine's table, whatever the peer does. */
async function untilForgotten(port: number): Promise<void> {
  const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const [ESTABLISHED, FIN_WAIT2] = ['01', '05']
  await until(() => {
    const held = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/ +/))
      .filter(
        ([, local, , state = '', , , , , , inode]) =>
          local?.endsWith(hex) && inode !== '0' && [ESTABLISHED, FIN_WAIT2].includes(state),
      )
    return held.length === 0
  })
}
