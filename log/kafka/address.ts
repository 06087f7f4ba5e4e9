/**
 * Owns how a log on Kafka is named, and how its brokers are spoken to: `kafka://host:port,host:port/name`, where `name` begins the
 * names of its topics. Nothing is asked of a broker here; what cannot be right is said before one is.
 */

import { readFileSync } from 'node:fs'
import { messageOf } from '../../platform/errors.ts'
import { LogError } from '../log-error.ts'

export const SASL_MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const
export type SaslMechanism = (typeof SASL_MECHANISMS)[number]

export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

/** What is set besides the address. Files are in PEM. */
export interface KafkaSecurity {
  readonly tls?: {
    /** Who signs the brokers' certificates; left out, whom this system trusts. */
    readonly caFile?: string
    /** A certificate of our own and its key, if the brokers ask for one. */
    readonly certFile?: string
    readonly keyFile?: string
  }
  readonly sasl?: { readonly mechanism: string; readonly user: string; readonly password: string }
}

export interface KafkaOptions {
  /** Those that are asked first; they say which others there are. At least one. */
  readonly brokers: readonly BrokerAddress[]
  readonly name: string
  /** In PEM. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string }
  readonly sasl?: { readonly mechanism: SaslMechanism; readonly user: string; readonly password: string }
}

const PORT = 9092
const PORT_MAX = 65_535
const SHAPE = /^kafka:\/\/([^/]*)\/([^/]*)$/
const BROKER = /^(\[[0-9a-fA-F:.]+\]|[^:@[\]\s]+)(?::(\d+))?$/
/** What a topic may be named, so much shorter that `.books` fits behind it. */
const NAME = /^[a-zA-Z0-9._-]{1,200}$/

/** Throws a `LogError` `bad-log-address` that says what would be right. */
export function parseKafkaAddress(address: string, { tls, sasl }: KafkaSecurity = {}): KafkaOptions {
  const [, brokers = '', name = ''] = SHAPE.exec(address) ?? []
  if (brokers === '') throw bad(`"${hidden(address)}" is not like kafka://host:9092,host:9092/name`)
  if (brokers.includes('@')) throw bad('user and password do not belong in the address: set them as those of SASL')
  if (!NAME.test(name))
    throw bad(`"${name}" cannot begin the name of a topic: it takes 1 to 200 letters, digits, ".", "_" and "-"`)
  return {
    brokers: brokers.split(',').map(parseBroker),
    name,
    ...(tls && { tls: readTls(tls) }),
    ...(sasl && { sasl: checkSasl(sasl) }),
  }
}

/** The address, for a person. */
export function formatKafkaAddress({ brokers, name }: Pick<KafkaOptions, 'brokers' | 'name'>): string {
  return `kafka://${brokers.map(formatBroker).join(',')}/${name}`
}

export function formatBroker({ host, port }: BrokerAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function parseBroker(text: string): BrokerAddress {
  const [, host = '', port = String(PORT)] = BROKER.exec(text) ?? []
  if (host === '' || Number(port) < 1 || Number(port) > PORT_MAX) throw bad(`"${text}" is not like host:${PORT}`)
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}

function readTls({ caFile, certFile, keyFile }: NonNullable<KafkaSecurity['tls']>): NonNullable<KafkaOptions['tls']> {
  if ((certFile === undefined) !== (keyFile === undefined))
    throw bad('TLS: a certificate goes with its key: set both files, or neither')
  return {
    ...(caFile !== undefined && { ca: readPem(caFile) }),
    ...(certFile !== undefined && { cert: readPem(certFile) }),
    ...(keyFile !== undefined && { key: readPem(keyFile) }),
  }
}

function readPem(file: string): string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new LogError('bad-log-address', `TLS: ${file} cannot be read: ${messageOf(error)}`, { cause: error })
  }
  if (!text.includes('-----BEGIN ')) throw bad(`TLS: ${file} is not in PEM`)
  return text
}

function checkSasl({ mechanism, user, password }: NonNullable<KafkaSecurity['sasl']>) {
  const known = SASL_MECHANISMS.find((each) => each === mechanism.toLowerCase())
  if (known === undefined) throw bad(`SASL: "${mechanism}" is none of ${SASL_MECHANISMS.join(', ')}`)
  if (user === '' || password === '') throw bad('SASL: a user goes with a password: set both')
  return { mechanism: known, user, password }
}

/** It may have a password in it. */
function hidden(address: string): string {
  return address.replace(/\/\/[^/]*@/, '//...@')
}

function bad(message: string): LogError {
  return new LogError('bad-log-address', `the address of a log on Kafka: ${message}`)
}
