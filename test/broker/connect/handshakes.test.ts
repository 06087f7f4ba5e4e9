/** Who is refused behind a handshake, and the line that it leaves: it says why, who, and from where. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { type ConnectionOptions, connect, createServer } from 'node:tls'
import { whyUnverified } from '../../../broker/connect/handshakes.ts'
import { readCertificate } from '../../../platform/certificate-watch.ts'
import { RunningPlatform } from '../../e2e/platform.ts'
import { Authority, selfSigned } from '../../servers/certificate.ts'
import { freePort } from '../../servers/server.ts'
import { until } from '../../until.ts'

test('a refused handshake leaves a line that says why, who it was, and from where', async (t) => {
  const [authority, { cert, key }, port] = [new Authority(t), selfSigned(t), await freePort()]
  const platform = await RunningPlatform.start(t, {
    environment: {
      TELLTALE_TLS_CERT: cert,
      TELLTALE_TLS_KEY: key,
      TELLTALE_TLS_CA: authority.cert,
      TELLTALE_TLS_CRL: authority.crl,
      TELLTALE_TLS_IDENTITY: 'cert',
      TELLTALE_MQTTS_PORT: String(port),
      TELLTALE_LOG_LEVEL: 'info',
    },
  })
  const clients = [
    [{}, 'no-certificate', /it shows no certificate, and TELLTALE_TLS_CA asks for one$/],
    [authority.issue('/CN=truck-7', { days: -1 }), 'expired-certificate', /has expired \(it is of "CN=truck-7"\)$/],
    [
      new Authority(t).issue('/CN=truck-8'),
      'untrusted-certificate',
      /not of the authority .* \(it is of "CN=truck-8"\)$/,
    ],
  ] as const
  for (const [client, reason, message] of clients) {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...client })
    socket.on('error', () => undefined)
    await once(socket.resume(), 'close').catch(() => undefined)
    const lines = () => platform.output.split('\n').slice(0, -1)
    const isTold = (line: string) => line.includes(`"reason":"${reason}"`)
    await until(() => lines().some(isTold))
    const { from, msg } = JSON.parse(lines().find(isTold) ?? '')
    assert.equal(from, '127.0.0.1')
    assert.match(msg, message)
  }
})

test('a session that is resumed without a certificate is not let in, though Node 20 and 22 find it authorized', async (t) => {
  const [authority, files] = [new Authority(t), selfSigned(t)]
  const { cert, key, ca } = readCertificate({ ...files, ca: authority.cert })
  const told: (string | undefined)[] = []
  const server = createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: false }, (socket) => {
    socket.on('error', () => undefined)
    told.push(whyUnverified(socket)?.reason)
    socket.end('x')
  })
  t.after(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const open = async (options: ConnectionOptions): Promise<Buffer | undefined> => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    let session: Buffer | undefined
    socket.on('session', (given) => {
      session = given
    })
    await once(socket.resume(), 'close')
    return session
  }
  const session = await open({})
  assert(session !== undefined)
  await open({ session })
  const good = authority.issue('/CN=truck-7')
  const ofGood = await open(good)
  assert(ofGood !== undefined)
  await open({ ...good, session: ofGood })
  assert.deepEqual(told, ['no-certificate', 'no-certificate', undefined, undefined])
})
