/** Owns `telltale up`: starts the roles, says when they are ready, stops them on SIGTERM or SIGINT. */

import { Command } from 'commander'
import { messageOf } from '../platform/errors.ts'
import { Lifecycle, untilSignal } from '../platform/lifecycle.ts'
import { createLogger } from '../platform/logger.ts'
import { createMetrics } from '../platform/metrics.ts'
import { loadSettings } from '../platform/settings.ts'
import { startPlatform } from './compose.ts'
import { parseRoles, ROLES } from './roles.ts'
import { welcome } from './welcome.ts'

export function upCommand(): Command {
  return new Command('up')
    .description('run the platform: broker, ingest and gateway in one process, or some of them')
    .option('--roles <roles>', 'comma-separated: broker, ingest, gateway', ROLES.join(','))
    .action((options: { roles: string }) => up(options.roles))
}

async function up(rolesText: string): Promise<void> {
  const settings = loadSettings()
  const roles = parseRoles(rolesText, settings)
  const logger = createLogger({ level: settings.logLevel, pretty: process.stderr.isTTY })
  const metrics = createMetrics({ processMetrics: true })
  const lifecycle = new Lifecycle(logger)
  const signal = untilSignal()
  let notReady: string | undefined = 'starting'

  const platform = await startPlatform(settings, roles, { lifecycle, logger, metrics, notReady: () => notReady })
  notReady = undefined
  process.stdout.write(await welcome(platform, settings, process.env))

  let exitCode = 0
  try {
    logger.info(`${await Promise.race([signal, platform.failed])}: stopping`)
  } catch (error) {
    logger.fatal({ error }, `stopping: ${messageOf(error)}`)
    exitCode = 1
  }
  notReady = 'stopping'
  await lifecycle.stop()
  logger.info('stopped')
  // Whatever a library still holds must not keep a stopped platform alive.
  process.exit(exitCode)
}
