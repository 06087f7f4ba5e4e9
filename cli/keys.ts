/**
 * Owns `telltale keys`: which keys tokens are checked by. What a command changes holds in every process of the installation
 * within two seconds, and connections whose key was removed end.
 */

import { basename } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import type { Identity } from '../identity/identity.ts'
import { keyName } from '../identity/key-files.ts'
import { checkScope } from '../identity/scope.ts'
import { systemClock } from '../platform/clock.ts'
import { TOKEN_TTL_MS_MAX } from '../platform/limits.ts'
import { loadSettings } from '../platform/settings.ts'
import { parseDuration } from '../platform/units.ts'
import { openKnownIdentity } from './installation.ts'
import { formatTable } from './table.ts'
import { UsageError } from './usage-error.ts'

const HEADER = ['id', 'name', 'algorithm', 'use', 'devices', 'filters']
const ANYTHING = '(any)'

export function keysCommand(): Command {
  const rotate = new Command('rotate')
    .description('makes a new key that signs; what the old one signed stays good while the old one is kept')
    .option('--keep <duration>', 'how long the old key is kept; else as long as a token of it can be good', parseKeep)
    .action((options: { keep?: number }) => withKeys((identity) => rotateKeys(identity, options.keep)))
  const list = new Command('list')
    .description('all keys, and what each may do')
    .option('--json', 'as JSON')
    .action((options: { json?: boolean }) => withKeys((identity) => listKeys(identity, options.json === true)))
  const add = new Command('add')
    .description('trusts tokens that are made elsewhere, by the public key (ES256, EdDSA) that checks them')
    .argument('<file>', 'the public key, as PEM')
    .option('--name <name>', 'what it is called here; else as its file')
    .option('--device <id>', 'a device it may name, or a beginning of ids with a * behind; may be repeated', collect)
    .option('--filter <filter>', 'a topic filter within which its apps may read; may be repeated', collect)
    .action((file: string, options: AddOptions) => withKeys((identity) => addKey(identity, file, options)))
  const remove = new Command('remove')
    .description('ends all tokens of a key, and the key')
    .argument('<key>', 'its id, or the name of one that was added')
    .action((key: string) => withKeys((identity) => removeKey(identity, key)))
  return new Command('keys').addCommand(rotate).addCommand(list).addCommand(add).addCommand(remove)
}

interface AddOptions {
  readonly name?: string
  readonly device?: readonly string[]
  readonly filter?: readonly string[]
}

async function withKeys(use: (identity: Identity) => void): Promise<void> {
  const identity = await openKnownIdentity(loadSettings())
  use(identity)
}

function rotateKeys({ files }: Identity, keepMs = TOKEN_TTL_MS_MAX): void {
  const now = systemClock.now()
  files.dropExpired(now)
  const { signing, retired } = files.rotate(now + keepMs)
  const until = new Date(now + keepMs).toISOString()
  process.stdout.write(
    `${signing.kid} signs; ${retired.kid} verifies until ${until}, or telltale keys remove ${retired.kid}\n`,
  )
}

function removeKey({ files }: Identity, key: string): void {
  files.remove(key)
  process.stdout.write(`${key} is removed, and no token of it is good any more\n`)
}

function addKey({ files }: Identity, file: string, options: AddOptions): void {
  const scope = { devices: options.device ?? [], filters: options.filter ?? [] }
  if (scope.devices.length + scope.filters.length === 0) {
    throw new UsageError(
      "keys add needs --device or --filter, which say what the key's tokens may name: --device 'truck-*'",
    )
  }
  checkScope(scope, file)
  files.dropExpired(systemClock.now())
  process.stdout.write(`${files.add(file, options.name ?? basename(file, '.pem'), scope).kid}\n`)
}

function listKeys({ files }: Identity, asJson: boolean): void {
  const { signing, own, added } = files.read()
  const rows = [
    ...[...own.values()].map((key) => ({
      id: key.kid,
      name: '',
      algorithm: 'HS256',
      use: key === signing ? 'signs' : `verifies until ${new Date(key.until).toISOString()}`,
      devices: [ANYTHING],
      filters: [ANYTHING],
    })),
    ...[...added.values()].map(({ kid, file, algorithm, scope }) => ({
      id: kid,
      name: keyName(file),
      algorithm,
      use: 'verifies',
      devices: scope?.devices ?? [ANYTHING],
      filters: scope?.filters ?? [ANYTHING],
    })),
  ]
  if (asJson) {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
    return
  }
  const cells = rows.map(({ devices, filters, ...key }) => [
    ...Object.values(key),
    devices.join(' '),
    filters.join(' '),
  ])
  process.stdout.write(formatTable(HEADER, cells))
}

function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value]
}

function parseKeep(value: string): number {
  const keep = parseDuration(value)
  if (keep !== undefined && keep <= TOKEN_TTL_MS_MAX) return keep
  throw new InvalidArgumentError('Allowed is a duration up to 3650d, such as 0s, 24h, 30d.')
}
