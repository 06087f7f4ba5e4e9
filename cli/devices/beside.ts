/**
 * Owns asking for devices as the gateway answers, where none runs: the same code, on the log of the data directory. What only a gateway
 * has seen go by (last readings, clocks, paces, streams) is not known then.
 */

import { Access } from '../../gateway/access.ts'
import { platformFacts } from '../../gateway/devices/facts.ts'
import type { OneDeviceDependencies } from '../../gateway/devices/one-device.ts'
import { Latest } from '../../gateway/latest.ts'
import type { Log } from '../../log/log.ts'
import { systemClock } from '../../platform/clock.ts'
import type { Settings } from '../../platform/settings.ts'
import { loadDevices } from '../installation.ts'
import { withBroker } from '../running.ts'

export const ALL_DEVICES = 'devices/+/telemetry/#'

/** Of whoever has the data directory. */
export const everything = () => new Access({ kind: 'app', filters: [ALL_DEVICES], expiresAt: Number.POSITIVE_INFINITY })

export async function fromLog(log: Log, settings: Settings): Promise<OneDeviceDependencies> {
  const { presence, journal } = log
  const { declared } = loadDevices(settings)
  const latest = new Latest({ stream: () => undefined })
  const known = { log, presence, journal, latest, declared, clock: systemClock, full: () => log.full?.message }
  return { ...known, platform: await withBroker(platformFacts(known), settings) }
}
