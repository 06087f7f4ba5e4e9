/** Owns mounting `telltale simulate`: gives the simulator this installation's broker address, schemas and key. */

import type { Command } from 'commander'
import { simulateCommand as command } from '../devices/simulator/command.ts'
import { systemClock } from '../platform/clock.ts'
import { untilSignal } from '../platform/lifecycle.ts'
import { createLogger } from '../platform/logger.ts'
import { loadSettings } from '../platform/settings.ts'
import { loadRegistry, openSigner } from './installation.ts'

const DEVICE_TOKEN_TTL_MS = 86_400_000

export function simulateCommand(): Command {
  const settings = loadSettings()
  const logger = createLogger({ level: settings.logLevel, pretty: process.stderr.isTTY })
  return command({
    url: `mqtt://${settings.mqttHost}:${settings.mqttPort}`,
    registry: () => loadRegistry(settings),
    credentials: async () => {
      const identity = await openSigner(settings)
      identity.watch(logger)
      return (device) => identity.signDevice(device, DEVICE_TOKEN_TTL_MS)
    },
    clock: systemClock,
    logger,
    output: process.stdout,
    errorOutput: process.stderr,
    untilInterrupted: untilSignal,
    exit: (status) => {
      process.exitCode = status
    },
  })
}
