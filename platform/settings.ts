/**
 * Owns every setting: one table gives name, check, default, meaning and whether it is secret; from it come the typed
 * `Settings`, the errors, and the listing of `telltale config`. The environment is read here and nowhere else.
 *
 * A wrong value stops the start with one line that names the variable, the value and what is allowed.
 */

import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { TelltaleError } from './errors.ts'
import { DEAD_LETTERS_BYTES_MAX } from './limits.ts'
import { LOG_LEVELS } from './logger.ts'

export class SettingsError extends TelltaleError {}

interface SettingSpec<T> {
  readonly variable: string
  /** Checks the text of the variable and turns it into its value. */
  readonly parse: (text: string) => T
  /** What is allowed, as shown in errors and by `telltale config`. */
  readonly allowed: string
  readonly default: T
  readonly meaning: string
  readonly secret?: boolean
}

const setting = <T>(spec: SettingSpec<T>): SettingSpec<T> => spec

const text = (value: string) => z.string().trim().min(1).parse(value)
const oneOf =
  <const T extends readonly string[]>(values: T) =>
  (value: string): T[number] =>
    z.enum(values).parse(value)
const integer = (min: number, max: number) => (value: string) =>
  z.string().regex(/^\d+$/).transform(Number).pipe(z.int().min(min).max(max)).parse(value)
const port = { parse: integer(0, 65_535), allowed: 'a port, 1 to 65535, or 0 for a free one' }
const boolean = {
  parse: (value: string) => z.enum(['true', 'false']).parse(value) === 'true',
  allowed: 'true or false',
}

const BYTE_UNITS = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const
const BYTES = /^(\d+) ?(|KiB|MiB|GiB|TiB)$/
const DURATION_UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const DURATION = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d)$/

/** Milliseconds of a duration such as `500ms`, `90s`, `15m`, `24h`, `365d`; undefined if it is none. */
export function parseDuration(value: string): number | undefined {
  const match = DURATION.exec(value)
  if (!match) return undefined
  return Number(match[1]) * DURATION_UNITS[match[2] as keyof typeof DURATION_UNITS]
}

function parseBytes(value: string): number | undefined {
  const match = BYTES.exec(value)
  if (!match) return undefined
  return Number(match[1]) * BYTE_UNITS[match[2] as keyof typeof BYTE_UNITS]
}

const within = (read: (value: string) => number | undefined, min: number, max: number) => (value: string) => {
  const number = read(value)
  if (number === undefined || number < min || number > max) throw new RangeError('out of range')
  return number
}

const SETTINGS = {
  dataDir: setting({
    variable: 'TELLTALE_DATA_DIR',
    parse: text,
    allowed: 'a directory, made if missing',
    default: './data',
    meaning: 'log, checkpoints, embedded store, keys',
  }),
  schemasDir: setting<string | undefined>({
    variable: 'TELLTALE_SCHEMAS_DIR',
    parse: text,
    allowed: 'a directory of <stream>/<n>.avsc',
    default: undefined,
    meaning: 'schemas to use instead of those shipped',
  }),
  mqttHost: setting({
    variable: 'TELLTALE_MQTT_HOST',
    parse: text,
    allowed: 'an address to listen on',
    default: '127.0.0.1',
    meaning: 'where devices connect; beyond loopback by MQTTS only',
  }),
  mqttPort: setting({ variable: 'TELLTALE_MQTT_PORT', ...port, default: 1883, meaning: 'MQTT over TCP' }),
  mqttsPort: setting<number | undefined>({
    variable: 'TELLTALE_MQTTS_PORT',
    ...port,
    default: undefined,
    meaning: 'MQTT over TLS; off unless set',
  }),
  mqttWsPort: setting<number | undefined>({
    variable: 'TELLTALE_MQTT_WS_PORT',
    ...port,
    default: undefined,
    meaning: 'MQTT over WebSocket; off unless set',
  }),
  tlsCert: setting<string | undefined>({
    variable: 'TELLTALE_TLS_CERT',
    parse: text,
    allowed: 'a PEM file',
    default: undefined,
    meaning: 'certificate chain, for MQTTS and the gateway',
  }),
  tlsKey: setting<string | undefined>({
    variable: 'TELLTALE_TLS_KEY',
    parse: text,
    allowed: 'a PEM file',
    default: undefined,
    meaning: 'private key of the certificate',
  }),
  tlsCa: setting<string | undefined>({
    variable: 'TELLTALE_TLS_CA',
    parse: text,
    allowed: 'a PEM file',
    default: undefined,
    meaning: 'clients of MQTTS must show a certificate of this authority',
  }),
  insecure: setting({
    variable: 'TELLTALE_INSECURE',
    ...boolean,
    default: false,
    meaning: 'allow a host beyond loopback without TLS',
  }),
  gatewayHost: setting({
    variable: 'TELLTALE_GATEWAY_HOST',
    parse: text,
    allowed: 'an address to listen on',
    default: '127.0.0.1',
    meaning: 'where apps connect',
  }),
  gatewayPort: setting({
    variable: 'TELLTALE_GATEWAY_PORT',
    ...port,
    default: 8080,
    meaning: 'HTTP, WebSocket and SSE; with TLS if a certificate is set',
  }),
  store: setting<'duckdb' | 'influx' | undefined>({
    variable: 'TELLTALE_STORE',
    parse: oneOf(['duckdb', 'influx']),
    allowed: 'duckdb or influx',
    default: undefined,
    meaning: 'where points go; influx if INFLUX_URL is set, else duckdb',
  }),
  influxUrl: setting<string | undefined>({
    variable: 'INFLUX_URL',
    parse: (value) => z.url({ protocol: /^https?$/ }).parse(value),
    allowed: 'an http or https URL',
    default: undefined,
    meaning: 'the InfluxDB server',
  }),
  influxToken: setting<string>({
    variable: 'INFLUX_TOKEN',
    parse: (value) => value,
    allowed: 'a token; for v1 user:password or empty',
    default: '',
    meaning: 'access to InfluxDB',
    secret: true,
  }),
  influxOrg: setting<string>({
    variable: 'INFLUX_ORG',
    parse: text,
    allowed: 'a name',
    default: '',
    meaning: 'organisation (v2)',
  }),
  influxBucket: setting<string>({
    variable: 'INFLUX_BUCKET',
    parse: text,
    allowed: 'a name',
    default: 'telemetry',
    meaning: 'bucket (v2) or database (v1)',
  }),
  influxApi: setting({
    variable: 'INFLUX_API',
    parse: oneOf(['v1', 'v2']),
    allowed: 'v1 or v2',
    default: 'v2' as const,
    meaning: 'v1 for InfluxDB 1.x',
  }),
  auth: setting({
    variable: 'TELLTALE_AUTH',
    parse: oneOf(['token', 'off']),
    allowed: 'token or off',
    default: 'token' as const,
    meaning: 'off: anyone, any topic, on loopback only',
  }),
  deviceMessagesPerSecond: setting<number | undefined>({
    variable: 'TELLTALE_DEVICE_MESSAGES_PER_SECOND',
    parse: integer(1, 1_000_000),
    allowed: '1 to 1000000',
    default: undefined,
    meaning: 'what one device may publish; more is acknowledged, dropped and told; no limit unless set',
  }),
  deviceBytesPerSecond: setting<number | undefined>({
    variable: 'TELLTALE_DEVICE_BYTES_PER_SECOND',
    parse: within(parseBytes, 1, 2 ** 30),
    allowed: '1 to 1GiB',
    default: undefined,
    meaning: 'the same, in payload bytes',
  }),
  ingestWorkers: setting<number>({
    variable: 'TELLTALE_INGEST_WORKERS',
    parse: integer(1, 64),
    allowed: '1 to 64',
    default: Math.max(1, Math.min(8, availableParallelism() - 1)),
    meaning: 'threads that decode and write; by default one fewer than cores',
  }),
  logMaxBytes: setting({
    variable: 'TELLTALE_LOG_MAX_BYTES',
    parse: within(parseBytes, 16 * 2 ** 20, 16 * 2 ** 40),
    allowed: '16MiB to 16TiB',
    default: 10 * 2 ** 30,
    meaning: 'size of the log; when full, messages are not acknowledged',
  }),
  logRetentionMs: setting({
    variable: 'TELLTALE_LOG_RETENTION',
    parse: within(parseDuration, 60_000, 3650 * 86_400_000),
    allowed: 'a duration from 1m to 3650d',
    default: 86_400_000,
    meaning: 'how long entries stay in the log once stored',
  }),
  deadLettersMaxBytes: setting<number>({
    variable: 'TELLTALE_DEAD_LETTERS_MAX_BYTES',
    parse: within(parseBytes, 2 ** 20, 2 ** 40),
    allowed: '1MiB to 1TiB',
    default: DEAD_LETTERS_BYTES_MAX,
    meaning: 'dead letters kept; when more, the oldest are dropped and counted as expired',
  }),
  logLevel: setting({
    variable: 'TELLTALE_LOG_LEVEL',
    parse: oneOf(LOG_LEVELS),
    allowed: LOG_LEVELS.join(', '),
    default: 'info' as const,
    meaning: 'least level logged',
  }),
}

type Table = typeof SETTINGS
type Parsed = { readonly [Name in keyof Table]: Table[Name] extends SettingSpec<infer T> ? T : never }
export type Settings = Omit<Parsed, 'store'> & { readonly store: 'duckdb' | 'influx' }

/** The environment's settings. Throws a `SettingsError` whose message is the one line to show. */
export function loadSettings(environment: NodeJS.ProcessEnv = process.env): Settings {
  const values: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries(SETTINGS)) values[name] = readSetting<unknown>(spec, environment)
  const parsed = values as Parsed
  const settings = { ...parsed, store: parsed.store ?? (parsed.influxUrl === undefined ? 'duckdb' : 'influx') }
  checkTogether(settings)
  return settings
}

function readSetting<T>(spec: SettingSpec<T>, environment: NodeJS.ProcessEnv): T {
  const value = environment[spec.variable]
  if (value === undefined || value === '') return spec.default
  try {
    return spec.parse(value)
  } catch (cause) {
    const shown = spec.secret ? '(secret)' : JSON.stringify(value)
    throw new SettingsError('bad-setting', `${spec.variable} is ${shown}: allowed is ${spec.allowed}`, { cause })
  }
}

/** What no variable can be checked for alone. */
function checkTogether(settings: Settings): void {
  const refuse = (message: string): never => {
    throw new SettingsError('bad-setting', message)
  }
  if (settings.store === 'influx' && settings.influxUrl === undefined)
    refuse('TELLTALE_STORE is "influx", but INFLUX_URL is not set: allowed is an http or https URL')
  if (settings.store === 'influx' && settings.influxApi === 'v2' && settings.influxOrg === '')
    refuse('INFLUX_ORG is not set: INFLUX_API "v2" needs an organisation')
  if ((settings.tlsCert === undefined) !== (settings.tlsKey === undefined))
    refuse('TELLTALE_TLS_CERT and TELLTALE_TLS_KEY go together: only one of them is set')
  if (settings.tlsCa !== undefined && settings.tlsCert === undefined)
    refuse('TELLTALE_TLS_CA is set, but TELLTALE_TLS_CERT is not: both are needed')
  if (settings.mqttsPort !== undefined && settings.tlsCert === undefined)
    refuse(`TELLTALE_MQTTS_PORT is "${settings.mqttsPort}", but TELLTALE_TLS_CERT and TELLTALE_TLS_KEY are not set`)
  const hosts = { TELLTALE_MQTT_HOST: settings.mqttHost, TELLTALE_GATEWAY_HOST: settings.gatewayHost }
  for (const [variable, host] of Object.entries(hosts)) {
    if (isLoopback(host)) continue
    if (settings.auth === 'off')
      refuse(`${variable} is "${host}", but TELLTALE_AUTH is "off": allowed is a loopback address only`)
    const plain = variable === 'TELLTALE_MQTT_HOST' ? settings.mqttsPort === undefined : settings.tlsCert === undefined
    if (plain && !settings.insecure)
      refuse(`${variable} is "${host}" without TLS: allowed is a loopback address, or TELLTALE_INSECURE=true`)
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

export interface SettingListing {
  readonly variable: string
  readonly value: string
  readonly default: string
  readonly allowed: string
  readonly meaning: string
  readonly fromEnvironment: boolean
}

/** Every setting with the value in force, secrets masked, for `telltale config`. */
export function listSettings(settings: Settings, environment: NodeJS.ProcessEnv = process.env): SettingListing[] {
  const show = (value: unknown) => (value === undefined || value === '' ? '-' : String(value))
  return Object.entries(SETTINGS).map(([name, spec]) => {
    const value = show(settings[name as keyof Settings])
    return {
      variable: spec.variable,
      value: 'secret' in spec && spec.secret && value !== '-' ? '********' : value,
      default: show(spec.default),
      allowed: spec.allowed,
      meaning: spec.meaning,
      fromEnvironment: (environment[spec.variable] ?? '') !== '',
    }
  })
}
