/** The platform as processes: roles apart on one host, TLS everywhere, signals. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { connectAsync } from 'mqtt'
import { WebSocket } from 'ws'
import { scratchDirectory } from '../scratch.ts'
import { freePort } from '../servers/server.ts'
import { until } from '../until.ts'
import { LiveSocket } from './live-socket.ts'
import { RunningPlatform } from './platform.ts'
import { STORES } from './stores.ts'

const run = promisify(execFile)

test('the roles as three processes on one log do what one process does', async (t) => {
  const store = await STORES['InfluxDB 2.7']?.(t)
  if (store?.options === undefined) return
  const ports = { mqtt: await freePort(), gateway: await freePort() }
  const directory = scratchDirectory(t)
  const processes = ['broker', 'ingest', 'gateway'].map((roles) => {
    return new RunningPlatform(directory, ports, { roles, ...(store.options && { store: store.options }) })
  })
  t.after(() => Promise.all(processes.map((each) => each.kill())))
  for (const each of processes) await each.start()
  const [broker, ingest, gateway] = processes
  assert(broker && ingest && gateway)
  const live = await LiveSocket.open(gateway.url, await gateway.appToken())
  t.after(() => live.close())
  live.send({ type: 'subscribe', id: '1', filter: 'devices/sim-1/telemetry/+', start: 'now' })
  await live.next('live')
  const first = await gateway.simulate('--devices', '5', '--messages', '2000', '--rate', '0')
  assert.equal(first.acknowledged, 2_000)
  await live.next('readings')
  assert.equal((await gateway.settled()).stored, 2_000)

  await ingest.kill()
  await gateway.simulate('--devices', '5', '--messages', '1000', '--rate', '0', '--prefix', 'later-')
  assert.equal((await gateway.ledger()).pending, 1_000)
  await ingest.start()
  assert.equal((await gateway.settled()).stored, 3_000)
  assert.equal(await gateway.countStored('environment', 'temperature'), 3_000)
  for (const each of processes) assert.equal(await each.stop(), 0)
})

test('one certificate serves MQTTS and the gateway', async (t) => {
  const directory = scratchDirectory(t)
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  const made = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1']
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  await run('openssl', ['req', ...made, '-keyout', key, '-out', cert, ...name])
  const mqttsPort = await freePort()
  const tls = { TELLTALE_MQTTS_PORT: String(mqttsPort), TELLTALE_TLS_CERT: cert, TELLTALE_TLS_KEY: key }
  const platform = await RunningPlatform.start(t, { environment: tls })
  const password = await platform.deviceToken('truck-7')
  const ca = [(await run('cat', [cert])).stdout]
  const device = await connectAsync({
    protocol: 'mqtts',
    host: 'localhost',
    port: mqttsPort,
    clientId: 'truck-7',
    username: 'truck-7',
    password,
    ca,
  })
  await device.publishAsync('devices/truck-7/telemetry/environment', '{}', { qos: 1 })
  await device.endAsync()
  const token = await platform.appToken()
  const { stdout } = await run('curl', [
    '-s',
    '--cacert',
    cert,
    `https://localhost:${platform.gatewayPort}/v1/ledger?access_token=${token}`,
  ])
  assert.equal(JSON.parse(stdout).accepted, 1)
  const socket = new WebSocket(`wss://localhost:${platform.gatewayPort}/v1/live?access_token=${token}`, 'telltale.v1', {
    ca,
  })
  const welcome = await new Promise<string>((resolve, reject) => {
    socket.once('message', (data) => resolve(String(data)))
    socket.once('error', reject)
  })
  assert.equal(JSON.parse(welcome).type, 'welcome')
  socket.terminate()
  assert.equal(await platform.stop(), 0)
})

test('SIGTERM under load loses nothing that was acknowledged and ends with 0', async (t) => {
  const platform = await RunningPlatform.start(t)
  const running = platform.simulate('--devices', '20', '--messages', '20000', '--rate', '0')
  await until(async () => (await platform.ledger()).accepted >= 5_000)
  assert.equal(await platform.stop(), 0)
  await platform.start()
  assert.equal((await running).acknowledged, 20_000)
  await platform.settled()
  assert.equal(await platform.countStored('environment', 'temperature'), 20_000)
})

test('connections that say nothing keep out neither devices nor apps where few files may be open', async (t) => {
  const under = ['bash', '-c', 'ulimit -n 256; exec "$0" "$@"']
  const platform = await RunningPlatform.start(t, { under })
  const idle = Array.from({ length: 300 }, () => connect({ host: '127.0.0.1', port: platform.mqttPort }))
  t.after(() => idle.map((socket) => socket.destroy()))
  for (const socket of idle) socket.on('error', () => undefined)
  await Promise.all(idle.map((socket) => once(socket, 'connect')))
  const summary = await platform.simulate('--devices', '20', '--messages', '200', '--rate', '0', '--seed', '6')
  assert.equal(summary.acknowledged, 200)
  assert.equal((await fetch(`${platform.url}/healthz`)).status, 200)
  assert.match(platform.output, /few clients can connect.*ulimit -n/)
})

test('a second broker on the same data is refused, and says who has it', async (t) => {
  const platform = await RunningPlatform.start(t)
  const ports = { mqtt: await freePort(), gateway: await freePort() }
  const second = new RunningPlatform(platform.directory, ports, {})
  await assert.rejects(
    second.start(),
    new RegExp(`ended with 1 .*process ${platform.pid} appends to this log already`, 's'),
  )
})

test('with authentication off, anyone publishes and reads', async (t) => {
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_AUTH: 'off' } })
  const device = await connectAsync({ port: platform.mqttPort })
  await device.publishAsync('devices/d/telemetry/environment', 'x', { qos: 1 })
  await device.endAsync()
  const ledger = (await (await fetch(`${platform.url}/v1/ledger`)).json()) as { accepted: number }
  assert.equal(ledger.accepted, 1)
})
