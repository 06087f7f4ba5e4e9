/** Owns the maps that come with the platform (`maps/shipped/*.yaml`): to be copied to `config/maps`, and proposed where they fit. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PACKAGE_DIR } from '../platform/package.ts'
import type { ShippedMap } from './proposal.ts'

export const SHIPPED_MAPS_DIR = join(PACKAGE_DIR, 'maps', 'shipped')

export function shippedMaps(): readonly ShippedMap[] {
  const names = readdirSync(SHIPPED_MAPS_DIR).filter((name) => name.endsWith('.yaml'))
  return names.sort().map((name) => ({ name, text: readFileSync(join(SHIPPED_MAPS_DIR, name), 'utf8') }))
}
