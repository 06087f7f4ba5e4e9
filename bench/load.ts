/**
 * Owns the load generator's process: prepares, connects, says `ready`, and for each line `go` on its standard input
 * sends one round and prints what it took. Started by the bench as `load.ts <JSON of LoadOptions>`.
 */

import { createInterface } from 'node:readline'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../schemas/registry.ts'
import { LoadClient, sendAll } from './load-client.ts'
import { makePublishes } from './publishes.ts'

export interface LoadOptions {
  readonly port: number
  readonly devices: readonly string[]
  readonly tokens: readonly string[]
  readonly messagesPerDevice: number
  readonly window: number
  readonly deadlineMs: number
  readonly protocolVersion?: 4 | 5
}

export interface LoadResult {
  readonly messages: number
  readonly elapsedMs: number
}

async function main(options: LoadOptions): Promise<void> {
  const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  const clients: LoadClient[] = []
  const { port, protocolVersion } = options
  for (const [index, device] of options.devices.entries()) {
    clients.push(await LoadClient.connect(port, device, options.tokens[index] ?? '', protocolVersion))
  }
  let from = Date.now()
  const prepare = () => {
    for (const [index, client] of clients.entries()) {
      const device = options.devices[index] ?? ''
      const count = options.messagesPerDevice
      client.load(makePublishes({ device, index, count, from, stepMs: 1, protocolVersion }, registry))
    }
    from += options.messagesPerDevice
    console.log('ready')
  }
  prepare()
  for await (const line of createInterface({ input: process.stdin })) {
    if (line !== 'go') break
    const elapsedMs = await sendAll(clients, options.window, options.deadlineMs)
    const result: LoadResult = { messages: clients.length * options.messagesPerDevice, elapsedMs }
    console.log(JSON.stringify(result))
    // The next round is made once the bench has read the CPU time of this one.
    for (const client of clients) client.onError = () => {}
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    prepare()
  }
  for (const client of clients) client.close()
}

const PAUSE_MS = 100

await main(JSON.parse(process.argv[2] ?? '{}') as LoadOptions)
