/**
 * Owns the process of the connections measure: active devices that publish at a fixed rate, idle ones that are connected
 * and ping. Its first line of standard input is a `ConnectionsOptions`; then for each line `publish` it lets the active
 * ones publish and prints a `PublishResult`, for a line `connect` it connects the idle ones and prints a `ConnectResult`.
 *
 * A PUBACK counts from when its message was due. A connection that ends, or a message without its PUBACK, fails the run.
 */

import type { Socket } from 'node:net'
import { createHistogram } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../schemas/registry.ts'
import { connectDevice, LoadClient } from './load-client.ts'
import { makePublishes } from './publishes.ts'

export interface Credential {
  readonly device: string
  readonly token: string
}

export interface ConnectionsOptions {
  readonly port: number
  readonly active: readonly Credential[]
  readonly idle: readonly Credential[]
  /** Messages a second of all active ones together. */
  readonly rate: number
  readonly seconds: number
  readonly deadlineMs: number
}

export interface PublishResult {
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface ConnectResult {
  readonly elapsedMs: number
}

/** Connecting at the same time; so many source addresses that each may connect its share at once. */
const CONNECTING = 64
const ADDRESSES = 16
const KEEPALIVE_S = 60
const PING_MS = (KEEPALIVE_S * 1000) / 2
const PINGREQ = Buffer.from([0xc0, 0])
const RETRY_MS = 50
const US_PER_MS = 1000

const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const options = JSON.parse((await lines.next()).value ?? '') as ConnectionsOptions
const active: LoadClient[] = []
for (const { device, token } of options.active) active.push(await LoadClient.connect(options.port, device, token))
for (const client of active) client.onError = fail
let from = Date.now()
const idle: Socket[] = []
print({ ready: true })
for (;;) {
  const { value: command } = await lines.next()
  if (command === 'publish') print(await publish())
  else if (command === 'connect') print(await connectIdle())
  else process.exit(0)
}

async function publish(): Promise<PublishResult> {
  const { rate, seconds, deadlineMs } = options
  const count = Math.ceil((rate * seconds) / active.length)
  const stepMs = Math.round((active.length * 1000) / rate)
  const acknowledged = new Uint32Array(active.length)
  const histogram = createHistogram()
  const deadline = performance.now() + deadlineMs
  for (const [index, client] of active.entries()) {
    client.load(makePublishes({ device: options.active[index]?.device ?? '', index, count, from, stepMs }, registry))
  }
  from += count * stepMs
  const startedAt = performance.now()
  for (const [index, client] of active.entries()) {
    client.onAcknowledged = () => {
      const now = performance.now()
      let number = acknowledged[index] ?? 0
      for (; number < client.acknowledged; number++) {
        const due = ((number * active.length + index) * 1000) / rate
        histogram.record(Math.max(1, Math.round((now - startedAt - due) * US_PER_MS)))
      }
      acknowledged[index] = number
    }
  }
  while (active.some((client) => client.acknowledged < count)) {
    if (performance.now() > deadline) fail(new Error(`messages not acknowledged in ${deadlineMs} ms`))
    const due = Math.floor(((performance.now() - startedAt) * rate) / 1000)
    for (const [index, client] of active.entries()) client.sendUntil(Math.ceil((due - index) / active.length))
    await delay(1)
  }
  return { p50Ms: histogram.percentile(50) / US_PER_MS, p99Ms: histogram.percentile(99) / US_PER_MS }
}

/** As fast as the broker takes them; what it refuses for its rate is tried again. */
async function connectIdle(): Promise<ConnectResult> {
  const { port, idle: credentials, deadlineMs } = options
  const startedAt = performance.now()
  const left = credentials.entries()
  const worker = async () => {
    for (const [index, { device, token }] of left) {
      const address = `127.0.0.${1 + (index % ADDRESSES)}`
      const attempt = () => connectDevice({ port, device, token, from: address, keepaliveSeconds: KEEPALIVE_S })
      keep(await retried(attempt, startedAt + deadlineMs))
    }
  }
  await Promise.all(Array.from({ length: CONNECTING }, worker))
  return { elapsedMs: performance.now() - startedAt }
}

async function retried<T>(attempt: () => Promise<T>, deadline: number): Promise<T> {
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await delay(RETRY_MS)
    }
  }
}

/** Pings at half of the keep alive, each at another moment. */
function keep(socket: Socket): void {
  idle.push(socket)
  socket.on('error', fail)
  socket.on('close', () => fail(new Error('an idle connection was closed')))
  socket.resume()
  setTimeout(() => setInterval(() => socket.write(PINGREQ), PING_MS), Math.random() * PING_MS)
}

function print(result: object): void {
  console.log(JSON.stringify(result))
}

function fail(error: Error): never {
  console.error(error.message)
  process.exit(1)
}
