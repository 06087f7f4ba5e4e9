/** Owns `telltale token`: credentials of this installation on standard output, one a line, and nothing else. */

import { Command, InvalidArgumentError, Option } from 'commander'
import { isDeviceId, isTopicFilter, selectionOf, selectsTopics } from '../identity/topics.ts'
import { loadSettings } from '../platform/settings.ts'
import { parseDuration } from '../platform/units.ts'
import type { Registry } from '../schemas/registry.ts'
import { loadRegistry, openSigner } from './installation.ts'

const DAY_MS = 86_400_000
const TTL_MS_MAX = 3650 * DAY_MS

interface TtlOption {
  readonly ttl: number
}

export function tokenCommand(): Command {
  const device = new Command('device')
    .description('tokens for devices: user name and client id are the device id, the password is the token')
    .argument('<id...>', 'device ids: 1 to 64 of A-Z a-z 0-9 . _ : -', parseDeviceIds)
    .addOption(ttlOption('how long they are good', '365d'))
    .action(async (ids: string[], options: TtlOption) => {
      const identity = await openSigner(loadSettings())
      const tokens: string[] = []
      for (const id of ids) tokens.push(await identity.signDevice(id, options.ttl))
      process.stdout.write(`${tokens.join('\n')}\n`)
    })

  const app = new Command('app')
    .description('a token for an app, which may read within the filters')
    .requiredOption('--filter <filter>', 'an MQTT topic filter; may be repeated', collect)
    .addOption(ttlOption('how long it is good', '1d'))
    .action(async (options: TtlOption & { filter: string[] }) => {
      const settings = loadSettings()
      warnOfUnknown(options.filter, loadRegistry(settings))
      const identity = await openSigner(settings)
      process.stdout.write(`${await identity.signApp(options.filter, options.ttl)}\n`)
    })

  return new Command('token').addCommand(device).addCommand(app)
}

function collect(value: string, previous: string[] = []): string[] {
  if (!isTopicFilter(value)) throw new InvalidArgumentError('Allowed is an MQTT topic filter.')
  if (!selectsTopics(value)) {
    throw new InvalidArgumentError(
      'It matches no topic there is: devices/<device>/telemetry/<stream>, devices/<device>/status or .../errors.',
    )
  }
  return [...previous, value]
}

/** A schema may come later, so this is no error. */
function warnOfUnknown(filters: readonly string[], registry: Registry): void {
  for (const filter of filters) {
    const { stream } = selectionOf(filter) ?? {}
    if (stream === undefined || registry.stream(stream) !== undefined) continue
    const known = registry.streams.map(({ name }) => name).join(', ')
    process.stderr.write(`telltale: ${filter} selects nothing yet: there is no stream ${stream}, only ${known}\n`)
  }
}

function parseDeviceIds(value: string, previous: string[] = []): string[] {
  if (!isDeviceId(value)) throw new InvalidArgumentError('Allowed are 1 to 64 of A-Z a-z 0-9 . _ : -')
  return [...previous, value]
}

function ttlOption(description: string, byDefault: string): Option {
  const option = new Option('--ttl <duration>', `${description}, such as 90s, 15m, 24h, 365d`)
  return option.argParser(parseTtl).default(parseTtl(byDefault), byDefault)
}

function parseTtl(value: string): number {
  const ttl = parseDuration(value)
  if (ttl !== undefined && ttl >= 1_000 && ttl <= TTL_MS_MAX) return ttl
  throw new InvalidArgumentError('Allowed is a duration from 1s to 3650d, such as 15m, 24h, 365d.')
}
