/** Owns `telltale up`: starts the roles, says when they are ready, stops them on SIGTERM or SIGINT. */

import { Command } from 'commander'
import { systemClock } from '../platform/clock.ts'
import { messageOf, TelltaleError } from '../platform/errors.ts'
import { endAtOnce, Lifecycle, onHangUp, untilSignal } from '../platform/lifecycle.ts'
import { createLogger } from '../platform/logger.ts'
import { createMetrics } from '../platform/metrics.ts'
import { packageVersion } from '../platform/package.ts'
import { loadSettings, unknownVariables } from '../platform/settings.ts'
import { Systemd } from '../platform/systemd.ts'
import { startPlatform } from './compose.ts'
import { parseRoles, ROLES } from './roles.ts'
import { banner, startedLine } from './welcome.ts'

export function upCommand(): Command {
  return new Command('up')
    .option(
      '--roles <roles>',
      `comma-separated: ${ROLES.join(', ')}; by default all, bridge if TELLTALE_BRIDGE_URL is set`,
    )
    .action((options: { roles?: string }) => up(options.roles))
}

async function up(rolesText: string | undefined): Promise<void> {
  const settings = loadSettings()
  const roles = parseRoles(rolesText, settings)
  const logger = createLogger({ level: settings.logLevel, pretty: process.stderr.isTTY })
  const variables = unknownVariables()
  if (variables.length > 0) logger.warn({ variables }, 'there are no such settings: see telltale config')
  const metrics = createMetrics({ version: packageVersion() })
  const lifecycle = new Lifecycle(logger)
  const systemd = new Systemd(process.env, logger)
  const signal = untilSignal()
  let reload = () => {}
  onHangUp(() => {
    logger.info('SIGHUP: keys, revocations, certificates, schemas, maps, devices and rules are read again')
    reload()
  })
  let notReady: string | undefined = 'starting'

  const starting = startPlatform(settings, roles, { lifecycle, logger, metrics, notReady: () => notReady })
  const platform = await Promise.race([starting, signal]).catch((error: unknown) => {
    throw withHint(error)
  })
  if (typeof platform === 'string') {
    logger.info(`${platform} while starting`)
    await Promise.allSettled([starting, lifecycle.stop()])
    process.exit(0)
  }
  notReady = undefined
  reload = platform.reload
  systemd.ready()
  const toPerson = process.stdout.isTTY
  process.stdout.write(
    toPerson ? await banner(platform, settings, process.env) : startedLine(platform, settings, systemClock.now()),
  )

  let exitCode = 0
  try {
    logger.info(`${await Promise.race([signal, platform.failed])}: stopping`)
  } catch (error) {
    logger.fatal({ error }, `stopping: ${messageOf(error)}`)
    exitCode = 1
  }
  notReady = 'stopping'
  systemd.stopping()
  try {
    await lifecycle.stop()
  } catch (error) {
    logger.fatal({ error }, `ended by force: ${messageOf(error)}; nothing acknowledged is lost`)
    endAtOnce('SIGKILL')
  }
  logger.info('stopped')
  // Whatever a library still holds must not keep a stopped platform alive.
  process.exit(exitCode)
}

/** Which setting to change, for the errors that know an address but no setting. */
const HINTS: Readonly<Record<string, string>> = {
  'cannot-listen': 'TELLTALE_MQTT_PORT, _MQTTS_PORT and _MQTT_WS_PORT choose others',
  'listen-failed': 'TELLTALE_GATEWAY_PORT chooses another',
}

function withHint(error: unknown): unknown {
  const hint = error instanceof TelltaleError ? HINTS[error.code] : undefined
  if (!(error instanceof TelltaleError) || hint === undefined) return error
  return new TelltaleError(error.code, `${error.message}: ${hint}`, { cause: error })
}
