/**
 * Owns `telltale token`: credentials of this installation on standard output, one a line, and nothing else; and how they are
 * revoked, which every process of the installation knows within two seconds.
 */

import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import { decodeJwt } from 'jose'
import { devicePatternOf } from '../identity/device-filter.ts'
import { isDevicePattern } from '../identity/scope.ts'
import { isTopicFilter, selectionOf, selectsForeignTopics, selectsTopics } from '../identity/topics.ts'
import { hashPassword } from '../identity/users.ts'
import { systemClock } from '../platform/clock.ts'
import { loadSettings, type Settings } from '../platform/settings.ts'
import { SchemaError } from '../schemas/registry.ts'
import { readDeviceId } from './device-id.ts'
import { loadRegistry, openKnownIdentity, openSigner } from './installation.ts'
import { formatTable } from './table.ts'
import { readTime } from './time.ts'
import { ttlOption } from './ttl.ts'
import { UsageError } from './usage-error.ts'

interface TtlOption {
  readonly ttl: number
}

interface AppOptions {
  readonly filter: string[]
  readonly schemas?: boolean
  readonly deadLetters?: boolean
  readonly command?: string[]
}

export function tokenCommand(): Command {
  const device = new Command('device')
    .description('tokens for devices: user name and client id are the device id, the password is the token')
    .argument('<id...>', 'device ids: 1 to 64 of A-Z a-z 0-9 . _ : -', parseDeviceIds)
    .option(
      '--also <device>',
      'it speaks for this one, too, on foreign topics; with * behind for all that begin so; may be repeated',
      collectDevice,
    )
    .addOption(ttlOption('how long they are good', '365d'))
    .action(async (ids: string[], options: TtlOption & { also?: string[] }) => {
      const identity = await openSigner(loadSettings())
      const tokens: string[] = []
      for (const id of ids) tokens.push(await identity.signDevice(id, options.ttl, options.also))
      process.stdout.write(`${tokens.join('\n')}\n`)
    })

  const app = new Command('app')
    .description('a token for an app, which may read within the filters')
    .requiredOption('--filter <filter>', 'an MQTT topic filter; may be repeated', collect)
    .option('--schemas', 'it may register schemas, too: POST /v1/schemas')
    .option(
      '--dead-letters',
      'it may replay and purge dead letters within the filters, too: POST /v1/deadletters/replay',
    )
    .option(
      '--command <devices>',
      'it may send commands to these, too: devices/truck-7, devices/truck-+ for all that begin so; may be repeated',
      collectCommanded,
    )
    .addOption(ttlOption('how long it is good', '1d'))
    .action(async (options: TtlOption & AppOptions) => {
      const settings = loadSettings()
      warnOfForeign(options.filter)
      warnOfUnknown(options.filter, knownStreams(settings))
      const identity = await openSigner(settings)
      const { schemas = false, deadLetters = false, command: commands = [] } = options
      const token = await identity.signApp(options.filter, options.ttl, { schemas, deadLetters, commands })
      process.stdout.write(`${token}\n`)
      process.stderr.write(`telltale: to revoke it: telltale token revoke ${decodeJwt(token).jti}\n`)
    })

  const password = new Command('password')
    .description(
      'what config/devices/*.yaml is to have of a password, which is read from standard input: its scrypt hash',
    )
    .action(async () => {
      const given = readFileSync(0, 'utf8').replace(/\r?\n$/, '')
      process.stdout.write(`${await hashPassword(given)}\n`)
    })

  const revokeCommand = new Command('revoke')
    .description('ends what was issued: of a device all tokens, of an app the one with this id')
    .argument('<id...>', "device ids, or ids of apps' tokens as `token app` told them", parseDeviceIds)
    .option(
      '--before <time>',
      'only what was issued before, such as 2025-11-23T12:00Z or 90m for so long ago',
      readTime,
    )
    .action(revoke)

  const revoked = new Command('revoked')
    .description('what was revoked: the id, and before when its tokens were issued')
    .option('--json', 'as JSON')
    .action(listRevoked)

  const commands = [device, app, password, revokeCommand, revoked]
  return commands.reduce((token, command) => token.addCommand(command), new Command('token'))
}

/**
 * A token says when it was issued to the second. So that a new one is good at once, and an old one of this second is not, all of
 * this second is revoked, and the command ends when the next has begun.
 */
async function revoke(ids: string[], options: { before?: number }): Promise<void> {
  const now = systemClock.now()
  if (options.before !== undefined && options.before > now) {
    throw new UsageError(`--before is ${new Date(options.before).toISOString()}: allowed is a time that has passed`)
  }
  const { revocations } = await openKnownIdentity(loadSettings())
  const nextSecond = (Math.floor(now / 1000) + 1) * 1000
  const before = options.before ?? nextSecond
  for (const id of ids) revocations.add({ id, before }, now)
  if (before > now) await delay(before - now)
  const time = new Date(before).toISOString()
  for (const id of ids) process.stdout.write(`${id}: no token that was issued before ${time} is good any more\n`)
}

async function listRevoked(options: { json?: boolean }): Promise<void> {
  const { revocations } = await openKnownIdentity(loadSettings())
  const rows = revocations.list.map(({ id, before }) => ({ id, before: new Date(before).toISOString() }))
  if (options.json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
  else
    process.stdout.write(
      formatTable(
        ['id', 'issued before'],
        rows.map(({ id, before }) => [id, before]),
      ),
    )
}

function collectDevice(value: string, previous: string[] = []): string[] {
  if (!isDevicePattern(value))
    throw new InvalidArgumentError('Allowed is a device id, or the beginning of some with * behind.')
  return [...previous, value]
}

/** Filters of devices, as the patterns that tokens have. */
function collectCommanded(value: string, previous: string[] = []): string[] {
  const pattern = devicePatternOf(value)
  if (pattern !== undefined) return [...previous, pattern]
  throw new InvalidArgumentError('Allowed is devices/<id>, or devices/<beginning of some>+ for all that begin so.')
}

function collect(value: string, previous: string[] = []): string[] {
  if (!isTopicFilter(value)) throw new InvalidArgumentError('Allowed is an MQTT topic filter.')
  if (!selectsTopics(value) && !selectsForeignTopics(value)) {
    const right =
      'devices/<device>/telemetry/<stream>, devices/<device>/status or .../errors, or topics of others, such as spBv1.0/#'
    throw new InvalidArgumentError(`It matches no topic there is: ${right}.`)
  }
  return [...previous, value]
}

/** Undefined if the schemas cannot be used: no reason to make no token, for a platform goes on with those of before. */
function knownStreams(settings: Settings): readonly string[] | undefined {
  try {
    return loadRegistry(settings).streams.map(({ name }) => name)
  } catch (error) {
    if (error instanceof SchemaError) return undefined
    throw error
  }
}

/** It may be meant so, for a host application of Sparkplug. */
function warnOfForeign(filters: readonly string[]): void {
  for (const filter of filters) {
    if (selectsTopics(filter)) continue
    const what = 'is of topics that are not under devices/: it holds for subscriptions by MQTT, and selects no readings'
    process.stderr.write(`telltale: ${filter} ${what}\n`)
  }
}

/** A schema may come later, so this is no error. */
function warnOfUnknown(filters: readonly string[], known: readonly string[] | undefined): void {
  for (const filter of filters) {
    const { stream } = selectionOf(filter) ?? {}
    if (known === undefined || stream === undefined || known.includes(stream)) continue
    process.stderr.write(
      `telltale: ${filter} selects nothing yet: there is no stream ${stream}, only ${known.join(', ')}\n`,
    )
  }
}

function parseDeviceIds(value: string, previous: string[] = []): string[] {
  return [...previous, readDeviceId(value)]
}
