/**
 * Owns the process of the live latency measure: devices that publish at a fixed rate, and one app on `/v1/live` that takes
 * the time of each reading. Of each device every reading must arrive, once and in order, or the run fails. Latency counts
 * from when a message was due: a late sender would otherwise hide a slow platform (coordinated omission).
 *
 * Prints a `LiveResult` as a line of JSON for each window, if it was asked for windows, and one for the whole at the end.
 * Bounds: messages are made `PIECE_SECONDS` ahead, and latencies kept as a histogram, so memory does not grow with time.
 */

import { once } from 'node:events'
import { WebSocket } from 'ws'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../schemas/registry.ts'
import { Latencies, type Percentiles } from './latencies.ts'
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
  /** A result for each so many seconds; none unless given. */
  readonly windowSeconds?: number
  readonly deadlineMs: number
}

export interface LiveResult extends Percentiles {
  readonly kind: 'window' | 'whole'
  readonly perSecond: number
  /** Readings that the app had, those of the warm-up included. */
  readonly messages: number
}

interface Frame {
  readonly type: string
  readonly readings?: readonly { readonly device: string; readonly ts: number }[]
}

const PIECE_SECONDS = 1
const START_AFTER_MS = 100

/** What the app had in one stretch of time. */
class Stretch {
  readonly latencies = new Latencies()
  readonly #startedAt: number
  readings = 0

  constructor(startedAt: number) {
    this.#startedAt = startedAt
  }

  result(kind: LiveResult['kind'], now: number): LiveResult {
    const perSecond = (this.readings * 1000) / (now - this.#startedAt)
    return { kind, ...this.latencies.percentiles, perSecond, messages: this.readings }
  }
}

async function main(options: LiveOptions): Promise<void> {
  const { devices, tokens, rate, seconds, warmSeconds, deadlineMs } = options
  const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  const perDevice = Math.ceil((rate * (seconds + warmSeconds)) / devices.length)
  const perPiece = Math.ceil((rate * PIECE_SECONDS) / devices.length)
  const total = perDevice * devices.length
  const stepMs = Math.round((devices.length * 1000) / rate)
  const from = Date.now()
  const piece = (index: number, first: number) =>
    makePublishes(
      {
        device: devices[index] ?? '',
        index,
        // The first one is of another length for each device, so that they are not all due for the next at once.
        count: Math.min(first > 0 ? perPiece : Math.ceil((perPiece * (index + 1)) / devices.length), perDevice - first),
        first,
        from: from + first * stepMs,
        stepMs,
      },
      registry,
    )
  const clients: LoadClient[] = []
  for (const [index, device] of devices.entries()) {
    const client = await LoadClient.connect(options.mqttPort, device, tokens[index] ?? '')
    client.load(piece(index, 0))
    client.onError = fail
    clients.push(client)
  }
  const app = await subscribe(options)
  const startedAt = performance.now() + START_AFTER_MS
  const whole = new Stretch(startedAt)
  let window = new Stretch(startedAt)

  const numberOf = new Map(devices.map((device, index) => [device, index]))
  /** Readings had of each device; which is the number of the next one. */
  const had = new Uint32Array(devices.length)
  const arrived = new Promise<void>((resolve) => {
    app.on('message', (data) => {
      const now = performance.now()
      const frame = JSON.parse(String(data)) as Frame
      if (frame.type === 'gap') fail(new Error(`the app was told of a gap: ${String(data)}`))
      for (const { device, ts } of frame.readings ?? []) {
        const index = numberOf.get(device) ?? fail(new Error(`a reading of ${device}, which sends nothing`))
        const next = had[index] ?? 0
        if (ts !== from + next * stepMs) fail(new Error(`${device}: expected reading ${next}, had that of ${ts}`))
        had[index] = next + 1
        whole.readings++
        window.readings++
        const due = ((next * devices.length + index) * 1000) / rate
        if (due < warmSeconds * 1000) continue
        whole.latencies.add(now - startedAt - due)
        window.latencies.add(now - startedAt - due)
      }
      if (whole.readings === total) resolve()
    })
  })

  const sending = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) * rate) / 1000)
    for (const [index, client] of clients.entries()) {
      const dueOfDevice = Math.ceil((due - index) / devices.length)
      client.sendUntil(dueOfDevice)
      if (client.sent < client.total || client.total === perDevice) continue
      client.follow(piece(index, client.total))
      client.sendUntil(dueOfDevice)
    }
  }, 1)
  const { windowSeconds } = options
  const reporting =
    windowSeconds &&
    setInterval(() => {
      const now = performance.now()
      console.log(JSON.stringify(window.result('window', now)))
      window = new Stretch(now)
    }, windowSeconds * 1000)
  const missing = () => fail(new Error(`${total - whole.readings} of ${total} readings never came`))
  const late = setTimeout(missing, deadlineMs)
  await arrived
  clearTimeout(late)
  clearInterval(sending)
  clearInterval(reporting || undefined)
  for (const client of clients) client.close()
  app.terminate()
  console.log(JSON.stringify(whole.result('whole', performance.now())))
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

await main(JSON.parse(process.argv[2] ?? '{}') as LiveOptions)
process.exit(0)
