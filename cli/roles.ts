/** Owns which roles a process plays. All of them in one process is the default; apart, they share the log on one host. */

import { STORES } from '../ingest/stores.ts'
import { ROLES, type Role } from '../log/roles.ts'
import type { Settings } from '../platform/settings.ts'
import { UsageError } from './usage-error.ts'

export { ROLES, type Role }

/** The roles named in `text`, comma-separated. Throws a `UsageError` that says what is allowed. */
export function parseRoles(text: string, settings: Settings): ReadonlySet<Role> {
  const roles = new Set<Role>()
  for (const name of text.split(',')) {
    const role = ROLES.find((each) => each === name.trim())
    if (role === undefined)
      throw new UsageError(`--roles names "${name}": allowed are ${ROLES.join(', ')}, comma-separated`)
    roles.add(role)
  }
  if (STORES[settings.store].isEmbedded && roles.has('gateway') !== roles.has('ingest')) {
    throw new UsageError(
      'ingest and gateway run in one process with the embedded store: run both, or set INFLUX_URL to run them apart',
    )
  }
  return roles
}
