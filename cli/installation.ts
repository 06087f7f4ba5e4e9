/** Owns where things are in an installation's data directory, and opening them for a command that runs beside `up`. */

import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Identity } from '../identity/identity.ts'
import { LocalLog } from '../log/local/local-log.ts'
import type { Log } from '../log/log.ts'
import { systemClock } from '../platform/clock.ts'
import { TelltaleError } from '../platform/errors.ts'
import { createLogger, type Logger } from '../platform/logger.ts'
import { createMetrics, type Metrics } from '../platform/metrics.ts'
import { loadSettings, type Settings } from '../platform/settings.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../schemas/registry.ts'
import { preflight } from './preflight.ts'

const keysDirectory = (settings: Settings) => join(settings.dataDir, 'keys')
const logDirectory = (settings: Settings) => join(settings.dataDir, 'log')
export const duckdbFile = (settings: Settings) => join(settings.dataDir, 'telemetry.duckdb')
export const schemasDirectory = (settings: Settings) => settings.schemasDir ?? SHIPPED_SCHEMAS_DIR

export const loadRegistry = (settings: Settings) => Registry.load(schemasDirectory(settings))

/** The installation's identity, its key made if this is the first command ever. */
export async function openIdentity(settings: Settings): Promise<Identity> {
  preflight(settings)
  const identity = new Identity({ directory: keysDirectory(settings) }, { clock: systemClock })
  await identity.start()
  return identity
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

export interface LogDependencies {
  readonly logger: Logger
  readonly metrics: Metrics
}

/** The installation's log, not started yet. No other file names a kind of log. */
export function makeLog(
  settings: Settings,
  { writer }: { readonly writer: boolean },
  dependencies: LogDependencies,
): Log {
  const { logMaxBytes: maxBytes, logRetentionMs: retentionMs, deadLettersMaxBytes: deadLetterBytesMax } = settings
  const options = { directory: logDirectory(settings), writer, maxBytes, retentionMs, deadLetterBytesMax }
  return new LocalLog(options, { clock: systemClock, ...dependencies })
}

/**
 * Runs `use` on the installation's log, opened beside a platform that may be running; with `writer` instead of it: rejects
 * with a `LogError` `log-locked` if there is one.
 */
export async function withLog<T>(
  use: (log: Log, settings: Settings) => Promise<T>,
  { writer }: { readonly writer: boolean } = { writer: false },
): Promise<T> {
  const settings = loadSettings()
  if (!existsSync(join(logDirectory(settings), 'data.mdb'))) {
    const hint = 'see TELLTALE_DATA_DIR, or start it once with telltale up'
    throw new TelltaleError('no-installation', `there is no installation in ${settings.dataDir}: ${hint}`)
  }
  const logger = createLogger({ level: settings.logLevel, pretty: process.stderr.isTTY })
  const log = makeLog(settings, { writer }, { logger, metrics: createMetrics() })
  await log.start()
  try {
    return await use(log, settings)
  } finally {
    await log.stop()
  }
}
