/** Owns mounting `telltale simulate`: gives the simulator this installation's broker address, schemas and key. */

import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import { credentialsOf } from '../devices/simulator/assembly.ts'
import { simulateCommand as command } from '../devices/simulator/command.ts'
import type { Credentials } from '../devices/simulator/fleet/fleet.ts'
import { SimulatorSchemas } from '../devices/simulator/messages/simulator-schemas.ts'
import { servePart } from '../devices/simulator/run/part-process.ts'
import { verifyCommand } from '../devices/simulator/verify-command.ts'
import type { Identity } from '../identity/identity.ts'
import { systemClock } from '../platform/clock.ts'
import { untilSignal } from '../platform/lifecycle.ts'
import { createLogger, type Logger } from '../platform/logger.ts'
import { PACKAGE_DIR } from '../platform/package.ts'
import { loadSettings, type Settings } from '../platform/settings.ts'
import { loadRegistryWithMaps, openSigner } from './installation.ts'
import { UsageError } from './usage-error.ts'

const TOKEN_TTL_MS = 86_400_000
const EXPIRED_TTL_MS = -60_000

/** A process of a run of several, which its first one starts. */
export const PART_COMMAND = 'simulate-part'

export function simulatePartCommand(): Command {
  const settings = loadSettings()
  const logger = createLogger({ level: settings.logLevel, pretty: process.stderr.isTTY })
  const signer = signerOf(settings, logger)
  return new Command(PART_COMMAND).action(() => {
    if (process.send === undefined) throw new UsageError('it is what `telltale simulate --processes` starts')
    servePart({
      schemas: new SimulatorSchemas(loadRegistryWithMaps(settings, logger)),
      credentials: (file, scenario) =>
        credentialsOf(file, scenario, { credentials: async () => credentialsBy(await signer()) }),
      logger,
    })
  })
}

export function simulateCommand(): Command {
  const settings = loadSettings()
  const logger = createLogger({ level: settings.logLevel, pretty: process.stderr.isTTY })
  const signer = signerOf(settings, logger)
  return command({
    url: `mqtt://${settings.mqttHost}:${settings.mqttPort}`,
    gateway: `http://${settings.gatewayHost}:${settings.gatewayPort}`,
    registry: () => loadRegistryWithMaps(settings, logger),
    credentials: async () => credentialsBy(await signer()),
    appToken: async (commands = []) => (await signer()).signApp(['devices/+/telemetry/#'], TOKEN_TTL_MS, { commands }),
    store: () => storeOf(settings),
    partCommand: [join(PACKAGE_DIR, 'cli/telltale.js'), PART_COMMAND],
    clock: systemClock,
    logger,
    terminal: terminalOf(process.stdout),
    output: process.stdout,
    errorOutput: process.stderr,
    untilInterrupted: untilSignal,
    exit,
  })
}

/** Node looks at NO_COLOR for whether it has colours. */
const terminalOf = (output: typeof process.stdout) =>
  output.isTTY ? { input: process.stdin, output, isColoured: output.hasColors() } : undefined

/** Owned by the environment that `up` is started with. */
const storeOf = ({ store, influxUrl: url, influxToken: token, influxOrg: org, influxBucket: bucket }: Settings) =>
  store === 'influx' && url !== undefined ? { url, token, org, bucket } : undefined

export function verifyRunCommand(): Command {
  const settings = loadSettings()
  const logger = createLogger({ level: settings.logLevel, pretty: process.stderr.isTTY })
  const signer = signerOf(settings, logger)
  return verifyCommand({
    appToken: async () => (await signer()).signApp(['devices/+/telemetry/#'], TOKEN_TTL_MS),
    store: () => storeOf(settings),
    clock: systemClock,
    output: process.stdout,
    errorOutput: process.stderr,
    exit,
  })
}

const exit = (status: number) => {
  process.exitCode = status
}

function signerOf(settings: Settings, logger: Logger): () => Promise<Identity> {
  return onlyOnce(async () => {
    const identity = await openSigner(settings)
    identity.watch(logger)
    return identity
  })
}

function credentialsBy(identity: Identity): Credentials {
  const revoked = new Map<string, Promise<string>>()
  return {
    good: (device) => identity.signDevice(device, TOKEN_TTL_MS),
    expired: (device) => identity.signDevice(device, EXPIRED_TTL_MS),
    revoked: (device) => {
      const token = revoked.get(device) ?? revokedToken(identity, device)
      revoked.set(device, token)
      return token
    },
  }
}

/** Resolves when a token that is signed then is good: revoked are those of the seconds before. */
async function revokedToken(identity: Identity, device: string): Promise<string> {
  const token = await identity.signDevice(device, TOKEN_TTL_MS)
  const now = systemClock.now()
  identity.revocations.add({ id: device, before: now }, now)
  await delay(1_000 - (now % 1_000))
  return token
}

function onlyOnce<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}
