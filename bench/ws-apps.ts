/**
 * Owns the yardstick of the gateway's fan-out: a process that follows the same log and sends each reading to each socket that
 * wants it, by `ws` and by itself, as one writes it in an afternoon. It knows the filters of the load, `fields` and `maxRate` (the
 * last reading of each device, by a timer), and no cursor, no past, no slow app. Prints its port when it listens.
 */

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { withLog } from '../cli/log.ts'
import { selectionOf } from '../identity/topics.ts'
import { readEntries } from '../log/entry.ts'
import { Decoder } from '../schemas/decoder.ts'
import { type Reading, Rejection } from '../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../schemas/registry.ts'
import type { Wish } from './wishes.ts'

interface App {
  readonly socket: WebSocket
  readonly fields: readonly string[] | undefined
  /** The last reading of each device, where there is a rate. */
  readonly waiting: Map<string, string> | undefined
}

const MS_PER_SECOND = 1000
/** In place of a device: any. */
const ANY = ''

const apps = new Map<string, Set<App>>()

function join(socket: WebSocket, { filter, fields, maxRate }: Wish): void {
  const app: App = { socket, fields, waiting: maxRate === undefined ? undefined : new Map() }
  const devices = filter.map((each) => selectionOf(each)?.device ?? ANY)
  for (const device of devices) {
    const all = apps.get(device) ?? new Set()
    apps.set(device, all.add(app))
  }
  const sending = maxRate === undefined ? undefined : setInterval(() => sendWaiting(app), MS_PER_SECOND / maxRate)
  socket.on('close', () => {
    clearInterval(sending)
    for (const device of devices) apps.get(device)?.delete(app)
  })
  socket.send('{"type":"live"}')
}

function sendWaiting({ socket, waiting }: App): void {
  if (waiting === undefined || waiting.size === 0) return
  socket.send(`{"type":"readings","readings":[${[...waiting.values()].join(',')}]}`)
  waiting.clear()
}

function take(reading: Reading, received: number): void {
  const { device, stream, ts, values } = reading
  let whole: string | undefined
  for (const key of [device, ANY]) {
    for (const { socket, fields, waiting } of apps.get(key) ?? []) {
      let text: string
      if (fields !== undefined) {
        const some = Object.fromEntries(fields.map((field) => [field, values[field]]))
        text = JSON.stringify({ device, stream, ts, received, values: some })
      } else {
        whole ??= JSON.stringify({ device, stream, ts, received, values })
        text = whole
      }
      if (waiting !== undefined) waiting.set(device, text)
      else socket.send(`{"type":"readings","readings":[${text}]}`)
    }
  }
}

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, path: '/v1/live', perMessageDeflate: false })
server.on('connection', (socket) => {
  socket.on('message', (data) => join(socket, JSON.parse(String(data)) as Wish))
  socket.on('error', () => undefined)
})
await once(server, 'listening')
console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }))
const decoder = new Decoder(Registry.load(SHIPPED_SCHEMAS_DIR))
await withLog(async ({ shards: [shard] }) => {
  if (shard === undefined) return
  for await (const batch of shard.follow(await shard.end(), new AbortController().signal)) {
    for (const entry of readEntries(batch)) {
      const readings = decoder.decode(entry)
      if (!(readings instanceof Rejection)) for (const reading of readings) take(reading, entry.receivedAt)
    }
  }
})
