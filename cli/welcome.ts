/**
 * Owns what `up` says once it is ready. To a person on a terminal: what listens where, a link with a token, and what to type next.
 * To anything else, which may keep it for long, one line of JSON like those of the log, and no token.
 */

import type { Address } from '../broker/connect/listeners.ts'
import type { Identity } from '../identity/identity.ts'
import { STORES } from '../ingest/stores.ts'
import { packageVersion } from '../platform/package.ts'
import type { Settings } from '../platform/settings.ts'
import type { Platform } from './compose.ts'

const APP_TOKEN_TTL_MS = 86_400_000
const APP_FILTER = 'devices/+/telemetry/#'
/** pino's `info`. */
const LEVEL = 30

/** An address that listens everywhere is reached from this machine by loopback. */
const reachable = (host: string) => (host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host)

/** The line of JSON, whatever the level of the log. */
export function startedLine({ broker, gateway }: Platform, settings: Settings, now: number): string {
  const listeners = (broker?.addresses ?? []).map(({ scheme, host, port }) => `${scheme}://${host}:${port}`)
  if (gateway !== undefined) {
    listeners.push(`${gatewayScheme(settings)}://${settings.gatewayHost}:${gateway.port}`)
  }
  const line = {
    level: LEVEL,
    time: new Date(now).toISOString(),
    msg: 'started',
    version: packageVersion(),
    listeners,
    ...(gateway !== undefined && { servedBy: gateway.servedBy }),
    store: STORES[settings.store].describe(settings),
  }
  return `${JSON.stringify(line)}\n`
}

export async function banner(platform: Platform, settings: Settings, environment: NodeJS.ProcessEnv): Promise<string> {
  const { broker, gateway, identity } = platform
  const lines = ['Telltale is ready.', '']
  for (const { scheme, host, port } of broker?.addresses ?? []) lines.push(`  devices    ${scheme}://${host}:${port}`)
  if (gateway !== undefined) {
    const url = `${gatewayScheme(settings)}://${reachable(settings.gatewayHost)}:${gateway.port}`
    const token = await identity.signApp([APP_FILTER], APP_TOKEN_TTL_MS)
    lines.push(`  apps       ${url}   (WebSocket at /v1/live)`, `             served by ${gateway.servedBy}`)
    lines.push(`  store      ${STORES[settings.store].describe(settings)}`, '')
    // In the fragment, which a browser sends to nobody.
    lines.push('Open the dashboard (its token is good for a day):', '', `  ${url}/#access_token=${token}`, '')
  }
  const plain = broker?.addresses.find(({ scheme }) => scheme === 'mqtt')
  if (plain !== undefined) lines.push(...(await nextSteps(plain, identity, environment)))
  return `${lines.join('\n')}\n`
}

const gatewayScheme = ({ tlsCert }: Settings) => (tlsCert === undefined ? 'http' : 'https')

async function nextSteps(address: Address, identity: Identity, environment: NodeJS.ProcessEnv): Promise<string[]> {
  const variables = Object.entries(environment)
    .filter(([name, value]) => /^(TELLTALE_|INFLUX_)/.test(name) && value !== undefined && value !== '')
    .filter(([name]) => name === 'TELLTALE_DATA_DIR' || name === 'TELLTALE_MQTT_PORT' || name === 'TELLTALE_MQTT_HOST')
    .map(([name, value]) => `${name}='${value}' `)
  const prefix = variables.join('')
  const token = await identity.signDevice('truck-7', APP_TOKEN_TTL_MS)
  const to = `-h ${reachable(address.host)} -p ${address.port} -i truck-7 -u truck-7 -P '${token}'`
  const reading = '{"ts":\'$(date +%s000)\',"temperature":21.3,"humidity":40,"pressure":1013.2,"battery":90,"rssi":-60}'
  return [
    'Next, in a second terminal in this directory:',
    '',
    '  # a hundred simulated devices',
    `  ${prefix}npx telltale simulate --devices 100 --rate 1 --stream environment --seed 7 --duration 10s`,
    '',
    '  # one reading by hand',
    `  mosquitto_pub ${to} -q 1 -t devices/truck-7/telemetry/environment -m '${reading}'`,
    '',
    '  # the books, and what was set aside',
    `  ${prefix}npx telltale ledger`,
    `  ${prefix}npx telltale deadletters list`,
    '',
    'Ctrl-C stops it; nothing acknowledged is lost.',
  ]
}
