/** Owns making the installation's log, and opening it for a command that runs beside `up`. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { LocalLog } from '../log/local/local-log.ts'
import type { Log } from '../log/log.ts'
import { systemClock } from '../platform/clock.ts'
import { createLogger, type Logger } from '../platform/logger.ts'
import { createMetrics, type Metrics } from '../platform/metrics.ts'
import { loadSettings, type Settings } from '../platform/settings.ts'
import { logDirectory, noInstallation, replicaDirectory } from './installation.ts'
import { engineOf } from './streams.ts'

export interface LogDependencies {
  readonly logger: Logger
  readonly metrics: Metrics
}

/** The installation's log, not started yet. No other file names a kind of log. */
export async function makeLog(
  settings: Settings,
  { writer }: { readonly writer: boolean },
  dependencies: LogDependencies,
): Promise<Log> {
  const { logMaxBytes: maxBytes, logRetentionMs: retentionMs, commitWaitMaxMs } = settings
  const bounds = { maxBytes, retentionMs, commitWaitMaxMs, deadLetterBytesMax: settings.deadLettersMaxBytes }
  const engine = await engineOf(settings)
  if (engine !== undefined) {
    const options = { directory: replicaDirectory(settings), writer, ...bounds }
    const { StreamsLog } = await import('../log/streams/streams-log.ts')
    return new StreamsLog(engine.streams, options, { clock: systemClock, ...dependencies })
  }
  const options = { directory: logDirectory(settings), writer, ...bounds }
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
  if (settings.log === 'local' && !existsSync(join(logDirectory(settings), 'data.mdb'))) {
    throw noInstallation(settings)
  }
  const logger = createLogger({ level: settings.logLevel, pretty: process.stderr.isTTY })
  const log = await makeLog(settings, { writer }, { logger, metrics: createMetrics() })
  await log.start()
  try {
    return await use(log, settings)
  } finally {
    await log.stop()
  }
}
