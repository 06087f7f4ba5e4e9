/** Owns where things are in an installation's data directory, and its keys and schemas. */

import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Rules } from '../gateway/alerts/rules.ts'
import type { DeclaredDevices } from '../identity/declared-devices.ts'
import { DeviceFiles } from '../identity/device-files.ts'
import { Identity } from '../identity/identity.ts'
import { Maps, mapMaker } from '../maps/maps.ts'
import { UnkeptColumns } from '../maps/unkept-columns.ts'
import { systemClock } from '../platform/clock.ts'
import { ConfigFolder, type ConfigText } from '../platform/config-folder.ts'
import { ConfigWatch, type ConfigWatchDependencies } from '../platform/config-watch.ts'
import { TelltaleError } from '../platform/errors.ts'
import { KeptConfig } from '../platform/kept-config.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import { printable } from '../platform/printable.ts'
import type { Settings } from '../platform/settings.ts'
import { CurrentSchemas } from '../schemas/current-schemas.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../schemas/registry.ts'
import { readSchemaFiles } from '../schemas/schema-files.ts'
import { preflight } from './preflight.ts'

const keysDirectory = (settings: Settings) => join(settings.dataDir, 'keys')
export const logDirectory = (settings: Settings) => join(settings.dataDir, 'log')
/** What this machine knows of a log that several share. */
export const replicaDirectory = (settings: Settings) => join(settings.dataDir, 'replica')
export const schemasDirectory = (settings: Settings) => settings.schemasDir ?? SHIPPED_SCHEMAS_DIR

export const loadRegistry = (settings: Settings) => Registry.load(schemasDirectory(settings), settings.readingTimeMinMs)

/** Where the broker keeps the foreign topics that no map is for. */
export const unmappedFile = (settings: Settings) => join(settings.dataDir, 'maps', 'unmapped.json')
/** Where a gateway keeps which alerts are firing, and what is still to be told. */
export const alertsFile = (settings: Settings) => join(settings.dataDir, 'alerts', 'state.json')
export const learntDirectory = (settings: Settings) => join(settings.dataDir, 'maps')

/** The schemas, and with them the maps of foreign topics, as new as their files while the two are running. */
export function openSchemas(settings: Settings, logger: Logger, metrics?: Metrics) {
  const { readingTimeMinMs } = settings
  const unkept = new UnkeptColumns({ logger, metrics })
  const foreign = {
    make: mapMaker(learntDirectory(settings), { unkept: unkept.tell }),
    lookAfter: (receivedAt: number): void => mapsWatch.lookAfter(receivedAt),
  }
  const schemas = new CurrentSchemas({ directory: schemasDirectory(settings), readingTimeMinMs, foreign })
  let told = ''
  const use = (files: readonly ConfigText[]) => {
    schemas.useMaps(files)
    const { remarks } = new Maps(schemas)
    for (const remark of remarks) if (!told.includes(remark)) logger.warn(remark)
    told = remarks.join('\n')
  }
  const inForce = () => new Maps(schemas).note()
  const mapsWatch = watchConfig(settings, 'maps', { use, inForce, logger })
  return { schemas, mapsWatch, unkept }
}

export const devicesDirectory = (settings: Settings) => join(settings.configDir, 'devices')

/** What the files of devices say, as new as they are while the watch is running. */
export function openDevices(settings: Settings, logger: Logger) {
  const devices = new DeviceFiles()
  const prepare = (files: readonly ConfigText[]) => devices.prepare(files)
  const watch = watchConfig(settings, 'devices', { use: (files) => devices.use(files), prepare, logger })
  return { devices, watch }
}

/** What the files of devices say now, for a command: of one with a fault, what it said before, as `up` has it. */
export function loadDevices(settings: Settings): DeviceFiles {
  const devices = new DeviceFiles()
  const tell = (problem: string) => process.stderr.write(`telltale: ${printable(problem)}\n`)
  const kept = new KeptConfig(keptFile(settings, 'devices')).read(tell)
  const folder = new ConfigFolder(devicesDirectory(settings), (files) => devices.use(files), kept)
  for (const { message } of folder.look().problems) process.stderr.write(`telltale: ${printable(message)}\n`)
  return devices
}

/** The rules of alerts, as new as their files while the watch is running. */
export function openRules(
  settings: Settings,
  { schemas, declared }: { readonly schemas: CurrentSchemas; readonly declared: DeclaredDevices },
  logger: Logger,
) {
  const rules = new Rules()
  const inForce = () => {
    for (const remark of rules.remarks(schemas.registry, declared)) logger.warn(remark)
  }
  const watch = watchConfig(settings, 'rules', { use: (files) => rules.use(files), inForce, logger })
  return { rules, watch }
}

/** Where the copy is of what was in force last. */
const keptFile = ({ dataDir }: Settings, name: string) => join(dataDir, 'config', `${name}.json`)

function watchConfig(settings: Settings, name: string, given: Omit<ConfigWatchDependencies, 'clock'>) {
  const options = { name, directory: join(settings.configDir, name), kept: keptFile(settings, name) }
  return new ConfigWatch(options, { ...given, clock: systemClock })
}

/** The schemas with these maps and no others, of which nothing is kept. */
export function schemasWith(settings: Settings, maps: readonly ConfigText[]): CurrentSchemas {
  const { readingTimeMinMs } = settings
  const directory = schemasDirectory(settings)
  const files = { ...readSchemaFiles(directory), maps }
  return new CurrentSchemas({
    directory,
    readingTimeMinMs,
    files,
    foreign: { make: mapMaker(learntDirectory(settings), { keeps: false }) },
  })
}

/** The schemas with the maps of the installation, as far as they can be used. */
export function loadRegistryWithMaps(settings: Settings, logger: Logger): Registry {
  const schemas = schemasWith(settings, [])
  const maps = new ConfigFolder(join(settings.configDir, 'maps'), (files) => schemas.useMaps(files))
  for (const { message } of maps.look().problems) logger.warn(message)
  return schemas.registry
}

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
