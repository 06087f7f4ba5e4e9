/**
 * Owns what a command knows of the platform that runs beside it: what its gateway answers, and whether its broker does.
 *
 * The gateway is asked, by a token of a minute, for it has seen what goes by: clocks, paces, the streams of each device.
 */

import { once } from 'node:events'
import { connect } from 'node:net'
import type { PlatformFacts } from '../gateway/devices/platform-facts.ts'
import type { Settings } from '../platform/settings.ts'
import { openKnownIdentity } from './installation.ts'

const TOKEN_MS = 60_000
const ANSWER_MS_MAX = 5_000
const CONNECT_MS_MAX = 1_000

/** Undefined if no gateway of this installation answers, or not with what is asked for. */
export async function askGateway<T>(settings: Settings, path: string, filter: string): Promise<T | undefined> {
  const identity = await openKnownIdentity(settings)
  try {
    const token = await identity.signApp([filter], TOKEN_MS)
    const response = await fetch(`${gatewayUrl(settings)}${path}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    })
    return response.ok ? ((await response.json()) as T) : undefined
  } catch {
    return undefined
  } finally {
    await identity.stop()
  }
}

/** Where the gateway of these settings is, for who is on its machine. */
export function gatewayUrl({ gatewayHost, gatewayPort, tlsCert }: Settings): string {
  const host = gatewayHost === '0.0.0.0' || gatewayHost === '::' ? '127.0.0.1' : gatewayHost
  return `${tlsCert === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${gatewayPort}`
}

/** A broker that was killed has not said that it stopped. */
export async function withBroker(
  platform: PlatformFacts,
  { mqttHost, mqttPort, mqttsPort, bridgeUrl }: Settings,
): Promise<PlatformFacts> {
  // Who has another broker may have none of ours.
  if (bridgeUrl !== undefined) return platform
  const isTold = platform.down.some(({ role }) => role === 'broker')
  if (
    isTold ||
    (await answers(mqttHost, mqttPort)) ||
    (mqttsPort !== undefined && (await answers(mqttHost, mqttsPort)))
  )
    return platform
  return { ...platform, down: [...platform.down, { role: 'broker' }] }
}

async function answers(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port, timeout: CONNECT_MS_MAX })
  socket.once('timeout', () => socket.destroy(new Error('no answer')))
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
