/** Owns what the settings say of the bridge, as its room asks for it. */

import { readFileSync } from 'node:fs'
import type { BridgeOptions } from '../bridge/bridge.ts'
import type { Settings } from '../platform/settings.ts'

const MQTT_PORT = 1883
const MQTTS_PORT = 8883

/** `TELLTALE_BRIDGE_URL` is set. */
export function bridgeOptions(settings: Settings): BridgeOptions {
  const { bridgeUrl = '', bridgeCa, bridgeCert, bridgeKey } = settings
  const { protocol, hostname, port } = new URL(bridgeUrl)
  const isTls = protocol === 'mqtts:'
  // Those of IPv6 have brackets in a URL.
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file))
  const tls = { ca: read(bridgeCa), cert: read(bridgeCert), key: read(bridgeKey) }
  return {
    address: {
      host,
      port: port === '' ? (isTls ? MQTTS_PORT : MQTT_PORT) : Number(port),
      tls: isTls ? tls : undefined,
    },
    protocolVersion: settings.bridgeMqtt === '5' ? 5 : 4,
    clientId: settings.bridgeClientId,
    username: settings.bridgeUsername,
    password: settings.bridgePassword,
    topics: settings.bridgeTopics,
    group: settings.bridgeGroup,
    tellsErrors: settings.bridgeErrors,
  }
}
