/**
 * Owns asking for devices as the gateway answers, where none runs: the same code, on the log of the data directory. What only a gateway
 * has seen go by (last readings, clocks, paces, streams) is not known then.
 */

import { Access } from '../../gateway/access.ts'
import type { OneDeviceDependencies } from '../../gateway/devices/one-device.ts'
import { platformFacts } from '../../gateway/devices/platform-facts.ts'
import { Latest } from '../../gateway/latest.ts'
import { STORES } from '../../ingest/stores.ts'
import type { Log } from '../../log/log.ts'
import { systemClock } from '../../platform/clock.ts'
import { createLogger } from '../../platform/logger.ts'
import type { Settings } from '../../platform/settings.ts'
import type { CurrentSchemas } from '../../schemas/current-schemas.ts'
import { seriesIn } from '../../schemas/point.ts'
import { loadDevices, openSchemas } from '../installation.ts'
import { withBroker } from '../running.ts'

export const ALL_DEVICES = 'devices/+/telemetry/#'

/** Of whoever has the data directory. */
export const everything = () => new Access({ kind: 'app', filters: [ALL_DEVICES], expiresAt: Number.POSITIVE_INFINITY })

export async function fromLog(log: Log, settings: Settings): Promise<OneDeviceDependencies> {
  const { presence, journal, roles } = log
  const { declared } = loadDevices(settings)
  const latest = new Latest({ stream: () => undefined })
  const known = { log, presence, journal, roles, latest, declared, clock: systemClock, full: () => log.full?.message }
  return { ...known, ...decoding(settings), platform: await withBroker(platformFacts(known), settings) }
}

/** The schemas are opened when a message is looked at, which few questions do. */
function decoding(settings: Settings): Pick<OneDeviceDependencies, 'decoder' | 'seriesOf' | 'store' | 'fateOf'> {
  let opened: CurrentSchemas | undefined
  const schemas = () => {
    if (opened !== undefined) return opened
    const { schemas, mapsWatch } = openSchemas(settings, createLogger({ level: 'error', pretty: false }))
    mapsWatch.look()
    opened = schemas
    return schemas
  }
  return {
    decoder: { decode: (message) => schemas().decode(message), show: (message) => schemas().show(message) },
    seriesOf: (reading) => seriesIn(schemas().registry, reading),
    store: STORES[settings.store].describe(settings),
    fateOf: undefined,
  }
}
