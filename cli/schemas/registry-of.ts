/** Owns which registry the commands about schemas tell of. */

import { createLogger } from '../../platform/logger.ts'
import { loadSettings } from '../../platform/settings.ts'
import { Registry } from '../../schemas/registry.ts'
import { openSchemas } from '../installation.ts'

/** That of the settings, with what maps make as far as it is known by now; or that of a folder, without maps. */
export function registryOf(directory: string | undefined): Registry {
  if (directory !== undefined) return Registry.load(directory)
  const { schemas, mapsWatch } = openSchemas(loadSettings(), createLogger({ level: 'error', pretty: false }))
  mapsWatch.look()
  return schemas.registry
}
