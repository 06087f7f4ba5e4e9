/** What the door promises (`gateway/server/server.ts`), looked for on each server that can be loaded here. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { Exchange } from '../../../gateway/server/server.ts'
import { ServerError } from '../../../gateway/server/server.ts'
import { HTTP_HEAD_BYTES_MAX, LIVE_BACKPRESSURE_BYTES_MAX, LIVE_COMMAND_BYTES_CUT } from '../../../platform/limits.ts'
import { freePort } from '../../servers/server.ts'
import { until } from '../../until.ts'
import { onEachServer, SERVERS } from '../platform.ts'
import { frame, Harness, PATH } from './harness.ts'

const HOST = 'Host: x\r\n'
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'
const MiB = 2 ** 20

onEachServer('a request comes as it was sent: method, path, query, headers, peer', async (t, server) => {
  const harness = await Harness.start(t, server)
  const seen: unknown[] = []
  harness.request = (exchange) => {
    exchange.onGone(() => undefined)
    seen.push([exchange.method, exchange.path, exchange.query, exchange.peer])
    seen.push([exchange.header('x-one'), exchange.header('x-none')])
    exchange.send('204 No Content', { 'X-Answer': 'a' }, '')
  }
  const peer = harness.raw(t)
  peer.connection.write(`DELETE /a%20b/../c?d=%2B+&d HTTP/1.1\r\n${HOST}X-One:  1, 2 \r\n\r\n`)
  assert.match(await peer.answer('\r\n\r\n'), /^HTTP\/1\.1 204 No Content\r\n.*^x-answer: a\r\n/ims)
  assert.deepEqual(seen, [
    ['DELETE', '/a%20b/../c', 'd=%2B+&d', '127.0.0.1'],
    ['1, 2', ''],
  ])
})

onEachServer(
  'a body comes whole, in pieces or at once, or is said to be too long; what follows is not lost',
  async (t, server) => {
    const harness = await Harness.start(t, server)
    harness.request = (exchange) => {
      exchange.onGone(() => undefined)
      void exchange.body(1_000).then((body) => exchange.send('200 OK', {}, `[${body?.length}]`))
    }
    const peer = harness.raw(t)
    peer.connection.write(`POST /a HTTP/1.1\r\n${HOST}Content-Length: 6\r\n\r\nabc`)
    peer.connection.write('def')
    await peer.answer('[6]')
    peer.connection.write(`POST /a HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`)
    await peer.answer('[0]')
    peer.connection.write(`POST /a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n`)
    await peer.answer('[4]')
    peer.connection.write(`POST /a HTTP/1.1\r\n${HOST}Content-Length: 1001\r\n\r\n${'x'.repeat(1_001)}`)
    await peer.answer('[undefined]')
    peer.connection.write(`POST /a HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`)
    await peer.answer('[1]')
  },
)

onEachServer('requests on one connection are answered in order, one behind the other too', async (t, server) => {
  const harness = await Harness.start(t, server)
  const peer = harness.raw(t)
  const requests = Array.from({ length: 20 }, (_, index) => `GET /${index} HTTP/1.1\r\n${HOST}\r\n`)
  for (const request of requests) {
    peer.connection.write(request)
    await peer.answer(`GET ${request.split(' ')[1]} `)
  }
  const answered = [...peer.received.matchAll(/GET \/(\d+) /g)].map(([, index]) => Number(index))
  assert.deepEqual(answered, [...requests.keys()])
})

onEachServer(
  'HEAD is answered with the length and without the body, and what follows is not lost',
  async (t, server) => {
    const harness = await Harness.start(t, server)
    const peer = harness.raw(t)
    peer.connection.write(`HEAD /abc HTTP/1.1\r\n${HOST}\r\n`)
    const head = await peer.answer('\r\n\r\n')
    assert.match(head, /^content-length: 10$/im)
    assert.ok(head.endsWith('\r\n\r\n'))
    if (/^connection: close$/im.test(head)) return // The client knows that it must ask on another.
    peer.connection.write(`GET /next HTTP/1.1\r\n${HOST}\r\n`)
    assert.match(await peer.answer('GET /next '), /\r\n\r\nHTTP\/1\.1 200 OK.*GET \/next /s)
  },
)

onEachServer('HEAD of what comes in pieces tells no length', async (t, server) => {
  const harness = await Harness.start(t, server)
  harness.request = (exchange) => {
    exchange.onGone(() => undefined)
    exchange.sendHead('200 OK', { 'X-Answer': 'a' })
  }
  const peer = harness.raw(t)
  peer.connection.write(`HEAD / HTTP/1.1\r\n${HOST}\r\n`)
  const head = await peer.answer('\r\n\r\n')
  assert.match(head, /^HTTP\/1\.1 200 OK\r\n/)
  assert.doesNotMatch(head, /content-length/i)
})

onEachServer(
  'a head has its bound: below it a token fits, in pieces too, and above it comes 431',
  async (t, server) => {
    const harness = await Harness.start(t, server)
    const ask = async (bytes: number) => {
      const peer = harness.raw(t)
      const text = `GET / HTTP/1.1\r\n${HOST}X: ${'x'.repeat(bytes)}\r\n\r\n`
      peer.connection.write(text.slice(0, bytes / 2))
      await new Promise((resolve) => setTimeout(resolve, 50)) // So that it comes in two pieces.
      peer.connection.write(text.slice(bytes / 2))
      return (await peer.answer('GET / ')).split('\r\n')[0]
    }
    assert.equal(await ask(HTTP_HEAD_BYTES_MAX - 1000), 'HTTP/1.1 200 OK')
    assert.match((await ask(HTTP_HEAD_BYTES_MAX + 1000)) ?? '', /^HTTP\/1\.1 431 /)
  },
)

onEachServer('a request to upgrade to something else, or elsewhere, is an ordinary request', async (t, server) => {
  const harness = await Harness.start(t, server)
  const ask = async (path: string, headers: string) => {
    const peer = harness.raw(t)
    peer.connection.write(`GET ${path} HTTP/1.1\r\n${HOST}Connection: Upgrade\r\n${headers}\r\n`)
    return peer.answer(`GET ${path} `)
  }
  assert.match(await ask(PATH, 'Upgrade: h2c\r\n'), /^HTTP\/1\.1 200 OK/)
  assert.match(await ask('/other', `Upgrade: websocket\r\n${KEY}`), /^HTTP\/1\.1 200 OK/)
  assert.match(await ask(PATH, 'Upgrade: websocket\r\n'), /^HTTP\/1\.1 200 OK/)
  assert.equal(harness.apps.length, 0)
})

onEachServer('an upgrade may be refused as any request is, at once or later', async (t, server) => {
  const harness = await Harness.start(t, server)
  harness.upgrade = (exchange) => {
    exchange.onGone(() => undefined)
    setTimeout(() => exchange.send('401 Unauthorized', { 'X-Why': 'no' }, 'no token'), 20)
  }
  const peer = harness.raw(t)
  peer.connection.write(`GET ${PATH} HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n${KEY}\r\n`)
  assert.match(await peer.answer('no token'), /^HTTP\/1\.1 401 Unauthorized\r\n.*^x-why: no\r\n.*\r\n\r\nno token$/ims)
})

onEachServer('an answer is UTF-8, whole or in pieces', async (t, server) => {
  const harness = await Harness.start(t, server)
  const text = 'é €, 温度'
  harness.request = (exchange) => {
    exchange.onGone(() => undefined)
    if (exchange.path === '/whole') return exchange.send('200 OK', {}, text)
    exchange.begin('200 OK', {}, () => undefined)
    exchange.write('é')
    exchange.write(text.slice(1))
    exchange.end()
  }
  for (const path of ['/whole', '/pieces']) {
    const answer = await fetch(`http://127.0.0.1:${harness.port}${path}`)
    assert.equal(await answer.text(), text)
  }
})

onEachServer('an answer in pieces waits for a peer that does not read, and comes whole', async (t, server) => {
  const harness = await Harness.start(t, server)
  const piece = 'x'.repeat(64 * 1024)
  const pieces = 400
  let waited = 0
  const reading: { resume: () => void } = { resume: () => undefined }
  harness.request = (exchange) => {
    let taken = () => {}
    exchange.onGone(() => undefined)
    exchange.begin('200 OK', {}, () => taken())
    const run = async () => {
      for (let index = 0; index < pieces; index++) {
        const next = new Promise<void>((resolve) => {
          taken = resolve
        })
        if (exchange.write(piece)) continue
        waited++
        reading.resume()
        await next
      }
      exchange.end()
    }
    void run()
  }
  const peer = harness.raw(t)
  peer.connection.pause()
  reading.resume = () => peer.connection.resume()
  peer.connection.write(`GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`)
  await peer.until(() => peer.isClosed)
  assert.ok(waited > 0)
  assert.equal([...peer.received].filter((char) => char === 'x').length, pieces * piece.length)
})

onEachServer('a peer that leaves before the answer is told as gone, once', async (t, server) => {
  const harness = await Harness.start(t, server)
  let gone = 0
  const asked = new Promise<Exchange>((resolve) => {
    harness.request = (exchange) => {
      exchange.onGone(() => gone++)
      resolve(exchange)
    }
  })
  const peer = harness.raw(t)
  peer.connection.write(`GET / HTTP/1.1\r\n${HOST}\r\n`)
  await asked
  peer.connection.destroy()
  await until(() => gone > 0)
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(gone, 1)
})

onEachServer('a request to upgrade behind one that is being answered harms nobody', async (t, server) => {
  const harness = await Harness.start(t, server)
  let answer: () => unknown = () => undefined
  harness.request = (exchange) => {
    let isGone = false
    exchange.onGone(() => {
      isGone = true
    })
    if (exchange.path !== '/slow') exchange.send('200 OK', {}, 'quick')
    else answer = () => isGone || exchange.send('200 OK', {}, 'slow')
  }
  const peer = harness.raw(t)
  const upgrade = `Connection: Upgrade\r\nUpgrade: websocket\r\n${KEY}`
  peer.connection.write(`GET /slow HTTP/1.1\r\n${HOST}\r\nGET ${PATH} HTTP/1.1\r\n${HOST}${upgrade}\r\n`)
  await new Promise((resolve) => setTimeout(resolve, 50))
  answer()
  await peer.until(() => peer.isClosed || peer.received.includes('slow'))
  const other = harness.raw(t)
  other.connection.write(`GET /quick HTTP/1.1\r\n${HOST}\r\n`)
  assert.match(await other.answer('quick'), /^HTTP\/1\.1 200 OK/)
})

// uWebSockets.js answers it all the same: whoever sends such a thing harms itself only.
test('what is no request, behind one that is being answered, gets no answer in its midst [node]', async (t) => {
  const harness = await Harness.start(t, 'node')
  harness.request = (exchange) => {
    exchange.onGone(() => undefined)
    exchange.begin('200 OK', {}, () => undefined)
    exchange.write('begun')
  }
  const peer = harness.raw(t)
  peer.connection.write(`GET / HTTP/1.1\r\n${HOST}\r\n`)
  await peer.answer('begun')
  peer.connection.write('nonsense\r\n\r\n')
  await peer.until(() => peer.isClosed)
  assert.equal(peer.received.match(/HTTP\/1\.1/g)?.length, 1)
})

onEachServer('frames come as they were sent, in order, text and binary, in fragments too', async (t, server) => {
  const harness = await Harness.start(t, server)
  const { client, app } = await harness.app(t)
  client.socket.send('one')
  client.socket.send('t', { fin: false })
  client.socket.send('wo', { fin: true })
  client.socket.send(Buffer.from('three'))
  client.socket.send('')
  client.socket.send('x'.repeat(LIVE_COMMAND_BYTES_CUT))
  await app.until(() => app.told.length === 6)
  assert.deepEqual(app.told, [
    'opened',
    'text one',
    'text two',
    'binary three',
    'text ',
    `text ${LIVE_COMMAND_BYTES_CUT}`,
  ])
})

onEachServer('frames go out in order, of whatever length, and to whom they are for', async (t, server) => {
  const harness = await Harness.start(t, server)
  const one = await harness.app(t)
  const two = await harness.app(t)
  one.socket.join('a')
  one.socket.join('both')
  two.socket.join('both')
  const sent: string[] = []
  for (const length of [0, 1, 125, 126, 65_535, 65_536, 200_000]) {
    harness.server.publish('a', frame('x'.repeat(length)))
    one.socket.send(frame('é'.repeat(length)))
    harness.server.publish('both', frame(`both ${length}`))
    sent.push('x'.repeat(length), 'é'.repeat(length), `both ${length}`)
  }
  harness.server.publish('nobody', frame('x'))
  await one.client.until(() => one.client.frames.length === sent.length)
  // Between what is published and what is sent to one, no order is promised.
  assert.deepEqual(one.client.frames.toSorted(), sent.toSorted())
  await two.client.until(() => two.client.frames.length === 7)
  assert.deepEqual(
    two.client.frames,
    sent.filter((text) => text.startsWith('both')),
  )
  two.socket.leave('both')
  harness.server.publish('both', frame('last'))
  two.socket.send(frame('end'))
  await two.client.until(() => two.client.frames.includes('end'))
  await one.client.until(() => one.client.frames.includes('last'))
  assert.ok(!two.client.frames.includes('last'))
})

onEachServer('pings are answered by either side, and told', async (t, server) => {
  const harness = await Harness.start(t, server)
  const { client, app, socket } = await harness.app(t)
  const ponged = once(client.socket, 'pong')
  client.socket.ping('x')
  await ponged
  socket.ping()
  await app.until(() => app.told.includes('alive'))
  assert.equal(client.pings, 1)
})

onEachServer(
  'a frame for who does not read is dropped and told; what was taken is whole, and others have all',
  async (t, server) => {
    const harness = await Harness.start(t, server)
    const slow = await harness.app(t)
    const other = await harness.app(t)
    slow.socket.join('all')
    other.socket.join('all')
    slow.client.socket.pause()
    let published = 0
    while (!slow.app.told.includes('dropped')) {
      assert.ok(published < 1000, 'nothing was dropped')
      harness.server.publish('all', frame(`${published++} ${'x'.repeat(LIVE_BACKPRESSURE_BYTES_MAX / 16)}`))
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.ok(slow.socket.bufferedBytes > 0)
    assert.ok(slow.socket.bufferedBytes < LIVE_BACKPRESSURE_BYTES_MAX + MiB)
    await other.client.until(() => other.client.frames.length === published)
    slow.client.socket.resume()
    await slow.app.until(() => slow.app.told.at(-1) === 'drained')
    slow.socket.leave('all')
    slow.socket.send(frame('end'))
    await slow.client.until(() => slow.client.frames.at(-1) === 'end')
    const numbers = slow.client.frames.slice(0, -1).map((text) => Number(text.split(' ')[0]))
    assert.deepEqual(numbers, [...numbers.keys()])
    assert.ok(!other.app.told.includes('dropped'))
  },
)

onEachServer('a close is told once, whoever begins it, and the code arrives', async (t, server) => {
  const harness = await Harness.start(t, server)
  const ours = await harness.app(t)
  ours.socket.join('a')
  ours.socket.send(frame('before'))
  ours.socket.end(4001, 'come back')
  harness.server.publish('a', frame('after'))
  ours.socket.send(frame('after'))
  ours.socket.end(4002, 'again')
  await ours.client.until(() => ours.client.close)
  assert.deepEqual(ours.client.close, { code: 4001, reason: 'come back' })
  assert.deepEqual(ours.client.frames, ['before'])
  const theirs = await harness.app(t)
  theirs.client.socket.close(1000, 'bye')
  await theirs.app.until(() => theirs.app.told.includes('closed'))
  const gone = await harness.app(t)
  gone.client.socket.terminate()
  await gone.app.until(() => gone.app.told.includes('closed'))
  const cut = await harness.app(t)
  cut.socket.cut()
  await cut.client.until(() => cut.client.close)
  assert.equal(cut.client.close?.code, 1006)
  for (const { app, socket } of [ours, theirs, gone, cut]) {
    socket.send(frame('nobody'))
    socket.join('a')
    socket.leave('a')
    socket.ping()
    socket.cut()
    assert.deepEqual(app.told, ['opened', 'closed'])
  }
})

onEachServer('who breaks the protocol is closed, and nobody else', async (t, server) => {
  const harness = await Harness.start(t, server)
  const other = await harness.app(t)
  const wrong: ((socket: (typeof other)['client']['socket']) => void)[] = [
    (socket) => socket.send('x'.repeat(LIVE_COMMAND_BYTES_CUT + 1)),
    (socket) => socket.send(Buffer.from([0xff]), { binary: false }),
  ]
  for (const breakIt of wrong) {
    const { client, app } = await harness.app(t)
    breakIt(client.socket)
    await client.until(() => client.close)
    await app.until(() => app.told.includes('closed'))
    assert.deepEqual(app.told, ['opened', 'closed'])
  }
  other.socket.send(frame('still there'))
  await other.client.until(() => other.client.frames.length === 1)
})

onEachServer('close ends every connection, and its port can be had again at once', async (t, server) => {
  const harness = await Harness.start(t, server, await freePort())
  const { client, app } = await harness.app(t)
  const idle = harness.raw(t)
  idle.connection.write(`GET / HTTP/1.1\r\n${HOST}\r\n`)
  await idle.answer('GET / ')
  harness.server.close()
  await client.until(() => client.close)
  await idle.until(() => idle.isClosed)
  assert.deepEqual(app.told, ['opened', 'closed'])
  for (const next of SERVERS) {
    const again = await Harness.start(t, next, harness.port)
    const { socket } = await again.app(t)
    again.server.close()
    socket.send(frame('nobody'))
  }
})

onEachServer('a port that is taken is said so', async (t, server) => {
  const harness = await Harness.start(t, server)
  await assert.rejects(
    Harness.start(t, server, harness.port),
    (error) => error instanceof ServerError && /taken/.test(error.message),
  )
})
