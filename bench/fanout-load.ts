/**
 * Owns the process of the fan-out measure: devices that publish, and many apps that count. Parsing frames a thousand
 * times would cost more than sending them, so one app, the reference, parses its frames and the others count bytes: all
 * share one subscription, so each must receive exactly the bytes of the reference, or the run fails.
 * Bound: publishing stays at most `ahead` readings ahead of what the apps have on average, so nobody is a slow app.
 */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../schemas/registry.ts'
import { LoadClient } from './load-client.ts'
import { makePublishes } from './publishes.ts'

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
const FIN_TEXT = 0x81
const CLOSE = 0x88
/** RFC 6455 section 5.5: a control frame carries at most 125 bytes. */
const CLOSE_BYTES_MAX = 128
const MASKED = 0x80
/** RFC 6455 section 5.2: this length means that two bytes of length follow. */
const LENGTH_16 = 126

/** One app: a raw WebSocket whose bytes are counted. All read into one buffer, for nobody keeps what was read. */
class CountingApp {
  bytes = 0
  #upgraded: () => void = () => {}
  #isUpgraded = false
  /** The last short chunk, which may be a close frame. */
  #last: Buffer = Buffer.alloc(0)
  readonly #socket: Socket

  constructor(options: FanoutOptions, buffer: Buffer, onBytes: (chunk: Buffer) => void) {
    this.#socket = connect({
      port: options.gatewayPort,
      host: '127.0.0.1',
      onread: {
        buffer,
        callback: (count, chunk) => {
          this.bytes += count
          if (count < CLOSE_BYTES_MAX)
            this.#last = Buffer.from(chunk.buffer.slice(chunk.byteOffset, chunk.byteOffset + count))
          if (this.bytes === count) this.#upgrade(Buffer.from(chunk.buffer, chunk.byteOffset, count).toString('latin1'))
          onBytes(Buffer.from(chunk.buffer, chunk.byteOffset, count))
          return true
        },
      },
    })
    this.#socket.on('close', () => {
      const why = this.#last[0] === CLOSE ? `${this.#last.readUInt16BE(2)} ${this.#last.subarray(4)}` : 'no close frame'
      fail(new Error(`the gateway closed an app after ${this.bytes} bytes: ${why}`))
    })
    this.#socket.on('error', fail)
  }

  async subscribe(token: string): Promise<void> {
    await once(this.#socket, 'connect')
    const key = Buffer.from('telltale fan-out').toString('base64')
    const lines = [
      `GET /v1/live?access_token=${token} HTTP/1.1`,
      'Host: 127.0.0.1',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${key}`,
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Protocol: telltale.v1',
    ]
    // What comes before the answer to the upgrade is not yet WebSocket to uWebSockets.js, which closes.
    const upgraded = new Promise<void>((resolve) => {
      this.#upgraded = resolve
    })
    this.#socket.write(`${lines.join('\r\n')}\r\n\r\n`)
    await upgraded
    this.#socket.write(textFrame(JSON.stringify({ type: 'subscribe', id: '1', filter: FILTER, start: 'now' })))
  }

  #upgrade(answer: string): void {
    if (this.#isUpgraded) return
    if (!answer.startsWith('HTTP/1.1 101')) fail(new Error(`an app was refused: ${answer}`))
    this.#isUpgraded = true
    this.#upgraded()
  }
}

/** A client's frame, masked with zeros: a mask is required, not that it hides anything (RFC 6455 section 5.3). */
function textFrame(text: string): Buffer {
  const body = Buffer.from(text)
  const short = body.length < LENGTH_16
  const head = short
    ? [FIN_TEXT, MASKED | body.length]
    : [FIN_TEXT, MASKED | LENGTH_16, body.length >> 8, body.length & 0xff]
  return Buffer.concat([Buffer.from(head), Buffer.alloc(4), body])
}

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
  const apps: CountingApp[] = []
  for (let index = 0; index < count; index++) {
    const app: CountingApp = new CountingApp(options, buffer, (chunk) => {
      total += chunk.length
      if (index === 0) reference.read(chunk)
      onBytes()
    })
    apps.push(app)
    await app.subscribe(options.appToken)
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

function lateness(apps: readonly CountingApp[], reference: ReferenceCount, wanted: number): string {
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
