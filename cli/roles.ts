/**
 * Owns which roles a process plays. Broker, ingest and gateway in one process is the default, and the bridge with them where another broker
 * is named; apart, they share the log on one host.
 */

import { STORES } from '../ingest/stores.ts'
import { ROLES, type Role } from '../log/roles.ts'
import type { Settings } from '../platform/settings.ts'
import { UsageError } from './usage-error.ts'

export { ROLES, type Role }

/** The roles named in `text`, comma-separated; without it all that the settings are for. Throws a `UsageError` that says what is allowed. */
export function parseRoles(text: string | undefined, settings: Settings): ReadonlySet<Role> {
  const hasBridge = settings.bridgeUrl !== undefined
  if (text === undefined) return new Set(ROLES.filter((role) => role !== 'bridge' || hasBridge))
  const roles = new Set<Role>()
  for (const name of text.split(',')) {
    const role = ROLES.find((each) => each === name.trim())
    if (role === undefined)
      throw new UsageError(`--roles names "${name}": allowed are ${ROLES.join(', ')}, comma-separated`)
    roles.add(role)
  }
  if (roles.has('bridge') && !hasBridge)
    throw new UsageError('--roles names bridge, but TELLTALE_BRIDGE_URL, which says to which broker, is not set')
  if (STORES[settings.store].isEmbedded && roles.has('gateway') !== roles.has('ingest')) {
    throw new UsageError(
      'ingest and gateway run in one process with the embedded store: run both, or set INFLUX_URL to run them apart',
    )
  }
  return roles
}
