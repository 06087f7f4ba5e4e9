/**
 * Owns the process of apps that connect, subscribe to a device that says nothing, and stay. A line of options, then its answer.
 * No token may have all connections, so they take turns.
 */

import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { RawApp } from './raw-app.ts'

export interface IdleAppsOptions {
  readonly gatewayPort: number
  readonly appTokens: readonly string[]
  readonly apps: number
}

const READ_BYTES = 64 * 1024
const FILTER = 'devices/nobody/telemetry/environment'
const LIVE = Buffer.from('"live"')
/** Connected at once; the kernel's queue of new connections holds no more than some hundreds. */
const AT_ONCE = 50

const buffer = Buffer.allocUnsafe(READ_BYTES)

function connectOne({ gatewayPort, appTokens }: IdleAppsOptions, index: number): Promise<void> {
  const token = appTokens[index % appTokens.length] ?? ''
  return new Promise((resolve, reject) => {
    const onBytes = (chunk: Buffer) => {
      if (chunk.includes(LIVE)) resolve()
    }
    const app = new RawApp(gatewayPort, { buffer, onBytes, onFailed: fail })
    app.subscribe(token, { filter: FILTER }).catch(reject)
  })
}

function fail(error: Error): void {
  console.error(error.message)
  process.exit(1)
}

const lines = createInterface({ input: process.stdin })
for (;;) {
  const [line] = (await once(lines, 'line')) as [string]
  const options = JSON.parse(line) as IdleAppsOptions
  for (let connected = 0; connected < options.apps; connected += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, options.apps - connected) }, (_, index) => index)
    await Promise.all(some.map((index) => connectOne(options, index)))
  }
  console.log('connected')
}
