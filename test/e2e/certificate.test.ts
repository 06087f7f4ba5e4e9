/** A certificate that is renewed on disk is served without a restart, wherever TLS is spoken; a bad one is told and changes nothing. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect } from 'node:tls'
import { WebSocket } from 'ws'
import { SERVERS, type ServerKind } from '../gateway/platform.ts'
import { scratchDirectory } from '../scratch.ts'
import { selfSigned } from '../servers/certificate.ts'
import { freePort } from '../servers/server.ts'
import { until } from '../until.ts'
import { RunningPlatform } from './platform.ts'

interface Pair {
  readonly cert: string
  readonly key: string
}

async function start(t: TestContext, server: ServerKind) {
  const directory = scratchDirectory(t)
  const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
  const put = (pair: Partial<Pair>) => {
    for (const name of ['cert', 'key'] as const) {
      const source = pair[name]
      if (source === undefined) continue
      copyFileSync(source, `${files[name]}.new`)
      renameSync(`${files[name]}.new`, files[name])
    }
  }
  put(selfSigned(t))
  const [mqtts, wss] = [await freePort(), await freePort()]
  const platform = await RunningPlatform.start(t, {
    environment: {
      TELLTALE_TLS_CERT: files.cert,
      TELLTALE_TLS_KEY: files.key,
      TELLTALE_MQTTS_PORT: String(mqtts),
      TELLTALE_MQTT_WS_PORT: String(wss),
      TELLTALE_GATEWAY_SERVER: server,
    },
  })
  return { platform, put, files, ports: [mqtts, wss, platform.gatewayPort] }
}

/** The certificate that a new connection is served by; undefined while it is refused. The client names nobody, as with an address. */
async function served(port: number): Promise<string | undefined> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
  try {
    await once(socket, 'secureConnect')
    return socket.getPeerX509Certificate()?.fingerprint256
  } catch {
    return undefined
  } finally {
    socket.destroy()
  }
}

async function untilServed(ports: readonly number[], { cert }: Pair): Promise<void> {
  const { X509Certificate } = await import('node:crypto')
  const { fingerprint256 } = new X509Certificate(readFileSync(cert))
  for (const port of ports) await until(async () => (await served(port)) === fingerprint256)
}

for (const server of SERVERS)
  test(`a renewed certificate is served on every port, by itself and at SIGHUP; who is connected stays [${server}]`, async (t) => {
    const { platform, put, files, ports } = await start(t, server)
    const live = new WebSocket(
      `wss://127.0.0.1:${platform.gatewayPort}/v1/live`,
      ['telltale.v1', `telltale.token.${await platform.appToken()}`],
      { rejectUnauthorized: false },
    )
    t.after(() => live.terminate())
    let closed = false
    live.on('close', () => {
      closed = true
    })
    const heard: string[] = []
    live.on('message', (data) => heard.push(JSON.parse(String(data)).type))
    await once(live, 'message')
    live.send(JSON.stringify({ type: 'subscribe', id: '1', filter: 'devices/+/telemetry/environment', start: 'now' }))
    await until(() => heard.includes('live'))

    const second = selfSigned(t)
    put(second)
    await untilServed(ports, second)

    // Half of a renewal, then what is none, then the other half.
    const third = selfSigned(t)
    put({ cert: third.cert })
    await until(() =>
      /cannot be used: .*key values mismatch.*the certificate of before is still served/.test(platform.output),
    )
    writeFileSync(files.cert, 'nothing')
    await until(() =>
      /cannot be used: .*(no start line|PEM).*the certificate of before is still served/i.test(platform.output),
    )
    await untilServed(ports, second)
    put({ key: third.key, cert: third.cert })
    process.kill(platform.pid, 'SIGHUP')
    await untilServed(ports, third)

    // A socket from before the renewals gets what comes after them.
    await platform.simulate('--devices', '1', '--messages', '1', '--rate', '0')
    await until(() => heard.includes('readings'))
    assert.equal(closed, false)
    assert.equal(await platform.stop(), 0)
  })

test('SIGHUP ends no platform, and is told', async (t) => {
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_LOG_LEVEL: 'info' } })
  process.kill(platform.pid, 'SIGHUP')
  await until(() => /SIGHUP: keys, revocations, certificates, schemas.* are read again/.test(platform.output))
  assert.equal((await fetch(`${platform.url}/healthz`)).status, 200)
  assert.equal(await platform.stop(), 0)
})
