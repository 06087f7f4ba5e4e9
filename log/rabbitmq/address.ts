/**
 * Owns how a log on RabbitMQ is named, and how its servers are spoken to: `amqp://user:password@host:port,host:port/vhost?name=...`, or
 * `amqps://` with TLS; `name` begins the names of its queues. No server is asked here; what cannot be right is said before one is.
 */

import { readFileSync } from 'node:fs'
import { messageOf } from '../../platform/errors.ts'
import { LogError } from '../log-error.ts'

export interface ServerAddress {
  readonly host: string
  readonly port: number
}

/** Files in PEM, for `amqps`. */
export interface RabbitmqTlsFiles {
  /** Who signs the servers' certificates; left out, whom this system trusts. */
  readonly caFile?: string
  /** A certificate of our own and its key, if the servers ask for one. */
  readonly certFile?: string
  readonly keyFile?: string
}

export interface RabbitmqOptions {
  /** Nodes of one cluster that have a copy of each queue: whichever answers is used. At least one. */
  readonly servers: readonly ServerAddress[]
  readonly vhost: string
  readonly user: string
  readonly password: string
  readonly name: string
  /** In PEM. Undefined: without TLS. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string }
}

const PORT = 5672
const TLS_PORT = 5671
const PORT_MAX = 65_535
const SHAPE = /^(amqps?):\/\/(?:([^@/?]*)@)?([^@/?]+)(?:\/([^/?]*))?(?:\?(.*))?$/
const SERVER = /^(?:\[([0-9a-fA-F:.]+)\]|([^:@[\]\s]+))(?::(\d+))?$/
/** So short that `.books.999` fits behind it. */
const NAME = /^[a-zA-Z0-9._-]{1,200}$/
const DEFAULT_NAME = 'telltale'

/** Throws a `LogError` `bad-log-address` that says what would be right. */
export function parseRabbitmqAddress(address: string, files?: RabbitmqTlsFiles): RabbitmqOptions {
  const match = SHAPE.exec(address)
  if (match === null) throw bad(`"${hidden(address)}" is not like amqp://user:password@host:5672/vhost?name=telltale`)
  const [, scheme, account = '', servers = '', vhost = '', query = ''] = match
  const isTls = scheme === 'amqps'
  if (files !== undefined && !isTls) throw bad('certificates are set, but the address is without TLS: amqps:// has it')
  const [user = '', ...password] = account.split(':')
  return {
    servers: servers.split(',').map((server) => parseServer(server, isTls ? TLS_PORT : PORT)),
    vhost: vhost === '' ? '/' : decoded(vhost, 'virtual host'),
    user: user === '' ? 'guest' : decoded(user, 'user'),
    password: account === '' ? 'guest' : decoded(password.join(':'), 'password'),
    name: parseName(query),
    ...(isTls && { tls: readFiles(files ?? {}) }),
  }
}

function parseServer(text: string, defaultPort: number): ServerAddress {
  const match = SERVER.exec(text)
  const port = Number(match?.[3] ?? defaultPort)
  if (match === null || port < 1 || port > PORT_MAX)
    throw bad(`"${text}" is no server: host, host:port or [address]:port`)
  return { host: match[1] ?? (match[2] as string), port }
}

function parseName(query: string): string {
  const settings = new URLSearchParams(query)
  for (const setting of settings.keys()) {
    if (setting !== 'name') throw bad(`the address takes ?name=..., and not "${setting}"`)
  }
  const name = settings.get('name') ?? DEFAULT_NAME
  if (NAME.test(name)) return name
  throw bad(`"${name}" cannot begin the name of a queue: it takes 1 to 200 letters, digits, ".", "_" and "-"`)
}

function readFiles({ caFile, certFile, keyFile }: RabbitmqTlsFiles): NonNullable<RabbitmqOptions['tls']> {
  if ((certFile === undefined) !== (keyFile === undefined)) throw bad('a certificate and its key go together')
  return {
    ...(caFile !== undefined && { ca: read(caFile) }),
    ...(certFile !== undefined && { cert: read(certFile) }),
    ...(keyFile !== undefined && { key: read(keyFile) }),
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw bad(`${file} cannot be read: ${messageOf(cause)}`)
  }
}

function decoded(text: string, what: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw bad(`the ${what} of the address has a "%" that begins no character: "%" itself is written %25`)
  }
}

/** Without what may be a password. */
function hidden(address: string): string {
  return address.replace(/\/\/.*@/, '//...@')
}

function bad(message: string): LogError {
  return new LogError('bad-log-address', message)
}
