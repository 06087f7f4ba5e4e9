/** Owns mounting `telltale simulate`: gives the simulator this installation's broker address, schemas and key. */

import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { simulateCommand as command } from '../devices/simulator/command.ts'
import type { Credentials } from '../devices/simulator/fleet/fleet.ts'
import type { Identity } from '../identity/identity.ts'
import { systemClock } from '../platform/clock.ts'
import { untilSignal } from '../platform/lifecycle.ts'
import { createLogger } from '../platform/logger.ts'
import { loadSettings } from '../platform/settings.ts'
import { loadRegistry, openSigner } from './installation.ts'

const TOKEN_TTL_MS = 86_400_000
const EXPIRED_TTL_MS = -60_000

export function simulateCommand(): Command {
  const settings = loadSettings()
  const logger = createLogger({ level: settings.logLevel, pretty: process.stderr.isTTY })
  const signer = onlyOnce(async () => {
    const identity = await openSigner(settings)
    identity.watch(logger)
    return identity
  })
  return command({
    url: `mqtt://${settings.mqttHost}:${settings.mqttPort}`,
    gateway: `http://${settings.gatewayHost}:${settings.gatewayPort}`,
    registry: () => loadRegistry(settings),
    credentials: async () => credentialsBy(await signer()),
    appToken: async () => (await signer()).signApp(['devices/+/telemetry/#'], TOKEN_TTL_MS),
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
