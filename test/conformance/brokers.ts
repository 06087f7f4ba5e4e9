/** Owns starting the two brokers that the statements are tried on, each with a TCP and a WebSocket listener. */

import { execFileSync } from 'node:child_process'
import type { TestContext } from 'node:test'
import { startBroker } from '../broker/harness.ts'
import { startMosquitto } from '../servers/mosquitto.ts'
import { findProgram, freePort, type TestServer } from '../servers/server.ts'
import type { Ports } from './statement.ts'

export async function startOurs(t: Pick<TestContext, 'after'>): Promise<Ports> {
  const bench = await startBroker(t, { auth: 'off', listeners: { webSocketPort: 0 } })
  const address = bench.broker.addresses.find(({ scheme }) => scheme === 'ws')
  return { mqtt: bench.port, webSocket: address?.port ?? 0 }
}

export async function startTheirs(): Promise<TestServer & { readonly ports: Ports; readonly version: string }> {
  const webSocket = await freePort()
  const server = await startMosquitto([`listener ${webSocket} 127.0.0.1`, 'protocol websockets'])
  return { ...server, ports: { mqtt: server.port, webSocket }, version: mosquittoVersion() }
}

function mosquittoVersion(): string {
  // `mosquitto -h` prints its version and ends with an error.
  const help = execFileSync('sh', ['-c', '"$0" -h || true', findProgram('mosquitto', 'apt install mosquitto')])
  return /version ([\d.]+)/.exec(help.toString())?.[1] ?? 'of unknown version'
}
