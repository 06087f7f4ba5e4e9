/**
 * Owns the process of the live latency measure: devices that publish at a fixed rate, and one app on `/v1/live` that takes
 * the time of each reading. A reading is known by its device and time. Every reading must arrive, once, or the run fails.
 * Latency counts from when a message was due: a late sender would otherwise hide a slow platform (coordinated omission).
 */

import { once } from 'node:events'
import { WebSocket } from 'ws'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../schemas/registry.ts'
import { LoadClient } from './load-client.ts'
import { makePublishes } from './publishes.ts'

export interface LiveOptions {
  readonly mqttPort: number
  readonly gatewayPort: number
  readonly devices: readonly string[]
  readonly tokens: readonly string[]
  readonly appToken: string
  /** Messages a second of all devices together. */
  readonly rate: number
  readonly seconds: number
  /** Not counted, at the start. */
  readonly warmSeconds: number
  readonly deadlineMs: number
}

export interface LiveResult {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly perSecond: number
  readonly messages: number
}

interface Frame {
  readonly type: string
  readonly readings?: readonly { readonly device: string; readonly ts: number }[]
}

async function main(options: LiveOptions): Promise<LiveResult> {
  const { devices, tokens, rate, seconds, warmSeconds, deadlineMs } = options
  const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  const perDevice = Math.ceil((rate * (seconds + warmSeconds)) / devices.length)
  const total = perDevice * devices.length
  const stepMs = Math.round((devices.length * 1000) / rate)
  const from = Date.now()
  const clients: LoadClient[] = []
  for (const [index, device] of devices.entries()) {
    const client = await LoadClient.connect(options.mqttPort, device, tokens[index] ?? '')
    client.load(makePublishes({ device, index, count: perDevice, from, stepMs }, registry))
    client.onError = fail
    clients.push(client)
  }
  const app = await subscribe(options)
  const number = new Map(devices.map((device, index) => [device, index]))
  /** `performance.now()` when message `k` (device k mod devices) is due; and how late it was had. */
  let startedAt = 0
  const dueAt = (k: number) => startedAt + (k * 1000) / rate
  const latencies = new Float64Array(total).fill(-1)
  let received = 0
  const arrived = new Promise<void>((resolve) => {
    app.on('message', (data) => {
      const now = performance.now()
      const frame = JSON.parse(String(data)) as Frame
      if (frame.type === 'gap') fail(new Error(`the app was told of a gap: ${String(data)}`))
      for (const { device, ts } of frame.readings ?? []) {
        const k = ((ts - from) / stepMs) * devices.length + (number.get(device) ?? Number.NaN)
        if (latencies[k] !== -1) fail(new Error(`unexpected or repeated reading of ${device} at ${ts}`))
        latencies[k] = now - dueAt(k)
        received++
      }
      if (received === total) resolve()
    })
  })
  startedAt = performance.now() + 100
  let k = 0
  const timer = setInterval(() => {
    const due = Math.min(total, Math.floor(((performance.now() - startedAt) * rate) / 1000))
    for (; k < due; k++) clients[k % devices.length]?.sendUntil(Math.floor(k / devices.length) + 1)
  }, 1)
  const late = setTimeout(() => fail(new Error(`${total - received} of ${total} readings never came`)), deadlineMs)
  await arrived
  const elapsedMs = performance.now() - startedAt
  clearTimeout(late)
  clearInterval(timer)
  for (const client of clients) client.close()
  app.terminate()
  const counted = latencies.subarray(warmSeconds * rate).toSorted()
  const at = (share: number) => counted[Math.min(counted.length - 1, Math.floor(counted.length * share))] ?? Number.NaN
  return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), perSecond: (total * 1000) / elapsedMs, messages: total }
}

async function subscribe(options: LiveOptions): Promise<WebSocket> {
  const url = `ws://127.0.0.1:${options.gatewayPort}/v1/live?access_token=${options.appToken}`
  const app = new WebSocket(url, 'telltale.v1')
  await once(app, 'open')
  app.on('error', fail)
  app.on('close', () => fail(new Error('the gateway closed the app')))
  const subscribed = new Promise<void>((resolve) => {
    const onMessage = (data: unknown) => {
      if ((JSON.parse(String(data)) as Frame).type !== 'subscribed') return
      app.off('message', onMessage)
      resolve()
    }
    app.on('message', onMessage)
  })
  const filter = 'devices/+/telemetry/environment'
  app.send(JSON.stringify({ type: 'subscribe', id: '1', filter, start: 'now' }))
  await subscribed
  return app
}

function fail(error: Error): never {
  console.error(error.message)
  process.exit(1)
}

console.log(JSON.stringify(await main(JSON.parse(process.argv[2] ?? '{}') as LiveOptions)))
process.exit(0)
