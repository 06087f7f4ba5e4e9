/**
 * Owns the process of the fan-out measure: devices that publish, and many apps that count. Parsing frames a thousand
 * times would cost more than sending them, so one app, the reference, parses its frames and the others count bytes: all
 * share one subscription, so each must receive exactly the bytes of the reference, or the run fails.
 * Bound: publishing stays at most `ahead` readings ahead of what the apps have on average, so nobody is a slow app.
 */

import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../schemas/registry.ts'
import { LoadClient } from './load-client.ts'
import { makePublishes } from './publishes.ts'
import { RawApp } from './raw-app.ts'

export interface FanoutOptions {
  readonly mqttPort: number
  readonly gatewayPort: number
  readonly devices: readonly string[]
  readonly tokens: readonly string[]
  readonly appToken: string
  readonly apps: number
  /** Of all devices together, a round. */
  readonly messages: number
  /** Readings published and not yet at every app: many go in one frame, one goes alone. */
  readonly ahead: number
  readonly deadlineMs: number
}

export interface FanoutResult {
  readonly deliveries: number
  readonly elapsedMs: number
  /** Bytes of the stream an app receives, a reading, frame headers included. */
  readonly bytesPerReading: number
}

/** What an average of exact counts may lack of a whole number. */
const ROUNDING = 1e-6
const READ_BYTES = 256 * 1024
/** Apps are subscribed when nothing more came for this long. */
const QUIET_MS = 300
const READING = Buffer.from('{"device":')
const FILTER = 'devices/+/telemetry/environment'

async function main(options: FanoutOptions): Promise<void> {
  const { devices, tokens, apps: count, messages, deadlineMs } = options
  const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  const clients: LoadClient[] = []
  for (const [index, device] of devices.entries()) {
    const client = await LoadClient.connect(options.mqttPort, device, tokens[index] ?? '')
    client.onError = fail
    clients.push(client)
  }
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  const reference = new ReferenceCount()
  let total = 0
  let onBytes = () => {}
  const apps: RawApp[] = []
  for (let index = 0; index < count; index++) {
    const onChunk = (chunk: Buffer) => {
      total += chunk.length
      if (index === 0) reference.read(chunk)
      onBytes()
    }
    const app = new RawApp(options.gatewayPort, { buffer, onBytes: onChunk, onFailed: fail })
    apps.push(app)
    await app.subscribe(options.appToken, { filter: FILTER })
  }
  const perDevice = Math.floor(messages / devices.length)
  let from = Date.now()
  for (let round = 0; ; round++) {
    for (const [index, client] of clients.entries()) {
      const device = devices[index] ?? ''
      client.load(makePublishes({ device, index, count: perDevice, from, stepMs: 1 }, registry))
    }
    from += perDevice
    await quiet(() => total)
    if (round === 0 && !reference.sawSubscribed) fail(new Error('the reference app is not subscribed'))
    total = 0
    reference.reset()
    for (const app of apps) app.bytes = 0
    console.log('ready')
    const [line] = (await once(commands, 'line')) as [string]
    if (line !== 'go') return
    const wanted = perDevice * devices.length
    const startedAt = performance.now()
    await new Promise<void>((resolve) => {
      const late = setTimeout(() => fail(new Error(lateness(apps, reference, wanted))), deadlineMs)
      onBytes = () => {
        const received = reference.readings === 0 ? 0 : (total / count) * (reference.readings / reference.bytes)
        const upTo = Math.ceil((Math.floor(received + ROUNDING) + options.ahead) / devices.length)
        for (const client of clients) client.sendUntil(upTo)
        if (reference.readings < wanted || total < reference.bytes * count) return
        clearTimeout(late)
        resolve()
      }
      onBytes()
    })
    const elapsedMs = performance.now() - startedAt
    onBytes = () => {}
    if (apps.some((app) => app.bytes !== reference.bytes)) fail(new Error(lateness(apps, reference, wanted)))
    const bytesPerReading = reference.bytes / wanted
    const result: FanoutResult = { deliveries: wanted * count, elapsedMs, bytesPerReading }
    console.log(JSON.stringify(result))
  }
}

/** Counts the readings in the stream of one app: `{"device":` stands once in each, and may lie across two chunks. */
class ReferenceCount {
  readings = 0
  bytes = 0
  sawSubscribed = false
  #tail: Buffer = Buffer.alloc(0)

  read(chunk: Buffer): void {
    this.bytes += chunk.length
    const data = Buffer.concat([this.#tail, chunk])
    this.sawSubscribed ||= data.includes('"subscribed"')
    if (data.includes('"type":"gap"') || data.includes('"type":"error"')) fail(new Error('the app was told of a gap'))
    let at = data.indexOf(READING)
    let end = 0
    while (at !== -1) {
      this.readings++
      end = at + READING.length
      at = data.indexOf(READING, end)
    }
    this.#tail = Buffer.from(data.subarray(Math.max(end, data.length - READING.length + 1)))
  }

  reset(): void {
    this.readings = 0
    this.bytes = 0
  }
}

/** Resolves when `read()` has not changed for `QUIET_MS`. */
async function quiet(read: () => number): Promise<void> {
  for (let before = -1; before !== read(); ) {
    before = read()
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
  }
}

function lateness(apps: readonly RawApp[], reference: ReferenceCount, wanted: number): string {
  const short = apps.filter((app) => app.bytes !== reference.bytes).length
  return `the reference app had ${reference.readings} of ${wanted} readings, ${short} apps other bytes than it`
}

function fail(error: Error): never {
  console.error(error.message)
  process.exit(1)
}

const commands = createInterface({ input: process.stdin })
await main(JSON.parse(process.argv[2] ?? '{}') as FanoutOptions)
process.exit(0)
