/** The files of a process are shared: what comes to the gateway's port leaves devices theirs. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectAsync } from 'mqtt'
import { SERVERS } from '../gateway/platform.ts'
import { Peer } from '../gateway/server/harness.ts'
import { RunningPlatform } from './platform.ts'

const FILES = 400
const UNDER = ['sh', '-c', `ulimit -n ${FILES}; exec "$0" "$@"`]

for (const server of SERVERS) {
  test(`silent connections to the gateway keep no device and no health check away [${server}]`, async (t) => {
    const environment = { TELLTALE_GATEWAY_SERVER: server, TELLTALE_INGEST_WORKERS: '1' }
    const platform = await RunningPlatform.start(t, { under: UNDER, environment })
    const password = await platform.deviceToken('truck-7')
    const silent = Array.from({ length: FILES * 2 }, () => {
      const peer = new Peer(platform.gatewayPort)
      t.after(() => peer.connection.destroy())
      return peer
    })
    await Promise.all(silent.map((peer) => peer.until(() => peer.isClosed || !peer.connection.connecting)))
    assert.equal((await fetch(`${platform.url}/healthz`)).status, 200)
    const metrics = await (await fetch(`${platform.url}/metrics`)).text()
    assert.match(metrics, /^telltale_gateway_connections_cut_total\{reason="address"\} [1-9]/m)
    const url = `mqtt://127.0.0.1:${platform.mqttPort}`
    const device = await connectAsync(url, { clientId: 'truck-7', username: 'truck-7', password, reconnectPeriod: 0 })
    await device.publishAsync('devices/truck-7/telemetry/environment', '{}', { qos: 1 })
    await device.endAsync()
  })
}
