/** Owns where things are in an installation's data directory, and its keys and schemas. */

import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Identity } from '../identity/identity.ts'
import { systemClock } from '../platform/clock.ts'
import { TelltaleError } from '../platform/errors.ts'
import type { Settings } from '../platform/settings.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../schemas/registry.ts'
import { preflight } from './preflight.ts'

const keysDirectory = (settings: Settings) => join(settings.dataDir, 'keys')
export const logDirectory = (settings: Settings) => join(settings.dataDir, 'log')
export const schemasDirectory = (settings: Settings) => settings.schemasDir ?? SHIPPED_SCHEMAS_DIR

export const loadRegistry = (settings: Settings) => Registry.load(schemasDirectory(settings), settings.readingTimeMinMs)

/** The installation's identity, its key made if this is the first command ever. */
export async function openIdentity(settings: Settings): Promise<Identity> {
  preflight(settings)
  const options = { directory: keysDirectory(settings), addedKeyTtlMaxMs: settings.addedKeysTtlMaxMs }
  const identity = new Identity(options, { clock: systemClock })
  await identity.start()
  return identity
}

/** The identity for a command that changes or shows what there is. Throws `no-installation` where there is none. */
export async function openKnownIdentity(settings: Settings): Promise<Identity> {
  if (!existsSync(keysDirectory(settings))) throw noInstallation(settings)
  return openIdentity(settings)
}

export function noInstallation({ dataDir }: Settings): TelltaleError {
  const hint = 'see TELLTALE_DATA_DIR, or start it once with telltale up'
  return new TelltaleError('no-installation', `there is no installation in ${dataDir}: ${hint}`)
}

/** The identity for a command that makes tokens; a key made only now is told, for this may be the wrong directory. */
export async function openSigner(settings: Settings): Promise<Identity> {
  const identity = await openIdentity(settings)
  if (identity.hasNewKey) {
    const where = resolve(keysDirectory(settings))
    process.stderr.write(
      `telltale: made a new signing key in ${where}: its tokens are good for this installation only\n`,
    )
  }
  return identity
}
