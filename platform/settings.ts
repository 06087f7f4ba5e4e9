/**
 * Owns every setting: one table gives name, check, default, meaning and whether it is secret; from it come the typed
 * `Settings`, the errors, and the listing of `telltale config`. The environment is read here and nowhere else.
 *
 * A wrong value stops the start with one line that names the variable, the value and what is allowed.
 */

import { availableParallelism } from 'node:os'
import { DEAD_LETTERS_BYTES_MAX, LOG_COMMIT_WAIT_MS_MAX, READING_TIME_MIN_MS, TOKEN_TTL_MS_MAX } from './limits.ts'
import { LOG_LEVELS } from './logger.ts'
import { isLoopback } from './loopback.ts'
import {
  boolean,
  choice,
  duration,
  integer,
  logAddress,
  maskPassword,
  mqttUrl,
  origins,
  pemFile,
  port,
  type SettingKind,
  secret,
  serverReferences,
  size,
  text,
  tiles,
  time,
  topicFilters,
  topicLevel,
  url,
} from './setting-kinds.ts'
import { SettingsError } from './settings-error.ts'

interface SettingSpec<T> extends SettingKind<T> {
  readonly variable: string
  readonly default: T | undefined
  readonly meaning: string
}

/** A setting that has a value, by default this one. */
function setting<T>(variable: string, kind: SettingKind<T>, byDefault: T, meaning: string) {
  return { ...kind, variable, default: byDefault, meaning }
}

/** A setting that is off, or decided by others, unless it is set. */
function optional<T>(variable: string, kind: SettingKind<T>, meaning: string) {
  return { ...kind, variable, default: undefined, meaning, isOptional: true as const }
}

const DAY_MS = 86_400_000

const SETTINGS = {
  dataDir: setting(
    'TELLTALE_DATA_DIR',
    text('a directory, made if missing', 'directory'),
    './data',
    'log, checkpoints, embedded store, keys',
  ),
  schemasDir: optional(
    'TELLTALE_SCHEMAS_DIR',
    text('a directory of <stream>/<n>.avsc or .proto', 'directory'),
    'schemas to use instead of those shipped',
  ),
  configDir: setting(
    'TELLTALE_CONFIG_DIR',
    text('a directory', 'directory'),
    './config',
    'maps of foreign topics (maps/*.yaml), devices: what is expected of them, passwords (devices/*.yaml), rules of alerts (rules/*.yaml); read while running',
  ),
  mqttHost: setting(
    'TELLTALE_MQTT_HOST',
    text('an address to listen on', 'address'),
    '127.0.0.1',
    'where devices connect; beyond loopback by MQTTS only',
  ),
  mqttPort: setting('TELLTALE_MQTT_PORT', port, 1883, 'MQTT over TCP'),
  mqttsPort: optional('TELLTALE_MQTTS_PORT', port, 'MQTT over TLS; off unless set'),
  mqttWsPort: optional('TELLTALE_MQTT_WS_PORT', port, 'MQTT over WebSocket; off unless set'),
  mqttKeepaliveMaxMs: optional(
    'TELLTALE_MQTT_KEEPALIVE_MAX',
    duration(1_000, 65_535_000),
    'by MQTT 5 a client with a longer keep alive, or none, is given this one; any unless set',
  ),
  mqttServerReference: optional(
    'TELLTALE_MQTT_SERVER_REFERENCE',
    serverReferences,
    'where clients of MQTT 5 may connect instead, which they are told when the broker stops or is full',
  ),
  tlsCert: optional('TELLTALE_TLS_CERT', pemFile, 'certificate chain, for MQTTS and the gateway'),
  tlsKey: optional('TELLTALE_TLS_KEY', pemFile, 'private key of the certificate'),
  tlsCa: optional('TELLTALE_TLS_CA', pemFile, 'clients of MQTTS must show a certificate of this authority'),
  proxyProtocol: setting(
    'TELLTALE_PROXY_PROTOCOL',
    boolean,
    false,
    'each MQTT connection begins with a PROXY header, version 1 or 2, of a load balancer',
  ),
  tlsCrl: optional('TELLTALE_TLS_CRL', pemFile, 'certificates that the authority of TELLTALE_TLS_CA has revoked'),
  tlsIdentity: setting(
    'TELLTALE_TLS_IDENTITY',
    choice('token', 'cert'),
    'token',
    "cert: over TLS a client's certificate names the device, and it needs no token",
  ),
  insecure: setting('TELLTALE_INSECURE', boolean, false, 'allow a host beyond loopback without TLS'),
  gatewayHost: setting(
    'TELLTALE_GATEWAY_HOST',
    text('an address to listen on', 'address'),
    '127.0.0.1',
    'where apps connect',
  ),
  gatewayPort: setting('TELLTALE_GATEWAY_PORT', port, 8080, 'HTTP, WebSocket; with TLS if a certificate is set'),
  gatewayServer: setting(
    'TELLTALE_GATEWAY_SERVER',
    choice('auto', 'uws', 'node'),
    'auto',
    'what serves apps: uWebSockets.js, node:http with ws, or auto: the first where it can be loaded, else the second',
  ),
  gatewayOrigins: optional(
    'TELLTALE_GATEWAY_ORIGINS',
    origins,
    'pages of which origins may ask the gateway, with a token; any unless set',
  ),
  loopbackMetrics: setting(
    'TELLTALE_LOOPBACK_METRICS',
    boolean,
    true,
    '/metrics, /healthz and /readyz need no token from this machine; false behind a proxy here that adds no header',
  ),
  mapTiles: optional(
    'TELLTALE_MAP_TILES',
    tiles,
    "where the dashboard's map asks for its tiles; unless set it has none, and asks nobody",
  ),
  mapAttribution: optional(
    'TELLTALE_MAP_ATTRIBUTION',
    text('text, such as © OpenStreetMap contributors'),
    'whom the map names for its tiles',
  ),
  store: optional(
    'TELLTALE_STORE',
    choice('duckdb', 'influx'),
    'where points go; influx if INFLUX_URL is set, else duckdb',
  ),
  influxUrl: optional('INFLUX_URL', url, 'the InfluxDB server'),
  influxToken: setting('INFLUX_TOKEN', secret('a token; for v1 user:password or empty'), '', 'access to InfluxDB'),
  influxOrg: setting('INFLUX_ORG', text('a name'), '', 'organisation (v2)'),
  influxBucket: setting('INFLUX_BUCKET', text('a name'), 'telemetry', 'bucket (v2) or database (v1)'),
  influxApi: setting('INFLUX_API', choice('v1', 'v2'), 'v2', 'v1 for InfluxDB 1.x'),
  addedKeysTtlMaxMs: setting(
    'TELLTALE_ADDED_KEYS_TTL_MAX',
    duration(60_000, TOKEN_TTL_MS_MAX),
    365 * DAY_MS,
    'how long a token of an added key may be good; one that is longer is refused',
  ),
  mqtt5Check: setting(
    'TELLTALE_MQTT5_CHECK',
    choice('off', 'fingerprint', 'decode'),
    'off',
    'what is looked at of telemetry by MQTT 5 before it is acknowledged, so that the acknowledgement says what will be set aside: ' +
      'its framing and schema, or all of it',
  ),
  sparkplugHost: optional(
    'TELLTALE_SPARKPLUG_HOST',
    topicLevel,
    'the id by which edge nodes of Sparkplug know this platform as their primary host: its state is told on spBv1.0/STATE/<id>',
  ),
  auth: setting('TELLTALE_AUTH', choice('token', 'off'), 'token', 'off: anyone, any topic, on loopback only'),
  deviceMessagesPerSecond: optional(
    'TELLTALE_DEVICE_MESSAGES_PER_SECOND',
    integer(1, 1_000_000),
    'what one device may publish; it is read from more slowly, and acknowledged later; no limit unless set',
  ),
  deviceBytesPerSecond: optional(
    'TELLTALE_DEVICE_BYTES_PER_SECOND',
    size(1, 2 ** 30),
    'the same, in payload bytes; no limit unless set',
  ),
  ingestWorkers: setting(
    'TELLTALE_INGEST_WORKERS',
    integer(1, 64),
    Math.max(1, Math.min(8, availableParallelism() - 1)),
    'threads that decode and write; by default one fewer than cores',
  ),
  log: setting(
    'TELLTALE_LOG',
    logAddress,
    'local',
    'where messages are kept until they are stored: here, or on machines that several processes share (docs/scale.md)',
  ),
  logTls: setting('TELLTALE_LOG_TLS', boolean, false, 'speak TLS to Kafka'),
  logCa: optional('TELLTALE_LOG_CA', pemFile, "the authority of the log's servers; by default those that Node knows"),
  logCert: optional('TELLTALE_LOG_CERT', pemFile, "certificate that is shown to the log's servers"),
  logKey: optional('TELLTALE_LOG_KEY', pemFile, 'private key of that certificate'),
  logSasl: optional(
    'TELLTALE_LOG_SASL',
    choice('plain', 'scram-sha-256', 'scram-sha-512'),
    'how Kafka is told who we are',
  ),
  logUsername: optional('TELLTALE_LOG_USERNAME', text('a name'), 'user name at Kafka'),
  logPassword: optional('TELLTALE_LOG_PASSWORD', secret('any text'), 'its password'),
  logMaxBytes: setting(
    'TELLTALE_LOG_MAX_BYTES',
    size(16 * 2 ** 20, 16 * 2 ** 40),
    10 * 2 ** 30,
    'size of the log; when full, messages are not acknowledged',
  ),
  logRetentionMs: setting(
    'TELLTALE_LOG_RETENTION',
    duration(60_000, 3650 * DAY_MS),
    DAY_MS,
    'how long entries stay in the log once stored',
  ),
  commitWaitMaxMs: setting(
    'TELLTALE_COMMIT_WAIT',
    duration(0, 100),
    LOG_COMMIT_WAIT_MS_MAX,
    'how long, at most, messages wait for others under load, to be flushed to disk together; 0ms: they do not',
  ),
  deadLettersMaxBytes: setting(
    'TELLTALE_DEAD_LETTERS_MAX_BYTES',
    size(2 ** 20, 2 ** 40),
    DEAD_LETTERS_BYTES_MAX,
    'dead letters kept; when more, the oldest of the device that has most are dropped and counted as expired',
  ),
  readingTimeMinMs: setting(
    'TELLTALE_READING_TIME_MIN',
    time(0, Date.UTC(2100, 0, 1)),
    READING_TIME_MIN_MS,
    'a reading of an earlier time is set aside as bad-timestamp: a clock without a battery begins long ago',
  ),
  bridgeUrl: optional(
    'TELLTALE_BRIDGE_URL',
    mqttUrl,
    'an MQTT broker that is there already, from which the role bridge takes messages (docs/bridge.md)',
  ),
  bridgeTopics: setting(
    'TELLTALE_BRIDGE_TOPICS',
    topicFilters,
    ['devices/+/telemetry/#', 'devices/+/status'],
    'what the bridge subscribes to there, besides the topics of maps',
  ),
  bridgeClientId: setting(
    'TELLTALE_BRIDGE_CLIENT_ID',
    text('a name that no other client there has'),
    'telltale-bridge',
    'the client id of the bridge, under which the other broker keeps what comes while we are away',
  ),
  bridgeGroup: optional(
    'TELLTALE_BRIDGE_GROUP',
    topicLevel,
    'bridges of one group share what comes, each message to one of them ($share)',
  ),
  bridgeMqtt: setting('TELLTALE_BRIDGE_MQTT', choice('5', '3.1.1'), '5', 'the version of MQTT that is spoken there'),
  bridgeUsername: optional('TELLTALE_BRIDGE_USERNAME', text('a name'), 'user name of the bridge'),
  bridgePassword: optional('TELLTALE_BRIDGE_PASSWORD', secret('any text'), 'its password'),
  bridgeCa: optional(
    'TELLTALE_BRIDGE_CA',
    pemFile,
    "the authority of the other broker's certificate; by default those that Node knows",
  ),
  bridgeCert: optional('TELLTALE_BRIDGE_CERT', pemFile, 'certificate that the bridge shows'),
  bridgeKey: optional('TELLTALE_BRIDGE_KEY', pemFile, 'private key of that certificate'),
  bridgeErrors: setting(
    'TELLTALE_BRIDGE_ERRORS',
    boolean,
    false,
    'tell devices what is wrong with their messages, on devices/<device>/errors of the other broker',
  ),
  logLevel: setting('TELLTALE_LOG_LEVEL', choice(...LOG_LEVELS), 'info', 'least level logged'),
}

type Table = typeof SETTINGS
type Value<Spec> = Spec extends SettingKind<infer T> ? (Spec extends { isOptional: true } ? T | undefined : T) : never
type Parsed = { readonly [Name in keyof Table]: Value<Table[Name]> }
export type Settings = Omit<Parsed, 'store'> & { readonly store: 'duckdb' | 'influx' }

/** The environment's settings. Throws a `SettingsError` whose message is the one line to show. */
export function loadSettings(environment: NodeJS.ProcessEnv = process.env): Settings {
  const values: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries(SETTINGS)) values[name] = readSetting(spec, environment)
  const parsed = values as Parsed
  const settings = { ...parsed, store: parsed.store ?? (parsed.influxUrl === undefined ? 'duckdb' : 'influx') }
  checkTogether(settings)
  return settings
}

/** Variables named like settings that are none: a misspelt one does nothing. (`TELLTALE_TEST_` are for the tests.) */
export function unknownVariables(environment: NodeJS.ProcessEnv = process.env): string[] {
  const known = new Set<string>(Object.values(SETTINGS).map(({ variable }) => variable))
  return Object.keys(environment).filter((name) => /^TELLTALE_(?!TEST_)/.test(name) && !known.has(name))
}

function readSetting(spec: Omit<SettingSpec<unknown>, 'show'>, environment: NodeJS.ProcessEnv): unknown {
  const value = environment[spec.variable]
  if (value === undefined || value === '') return spec.default
  try {
    return spec.parse(value)
  } catch (cause) {
    const shown = spec.type === 'secret' ? '(secret)' : JSON.stringify(maskPassword(value))
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
  if (settings.tlsCrl !== undefined && settings.tlsCa === undefined)
    refuse('TELLTALE_TLS_CRL is set, but TELLTALE_TLS_CA is not: it is the list of that authority')
  if (settings.tlsIdentity === 'cert' && settings.tlsCa === undefined)
    refuse('TELLTALE_TLS_IDENTITY is "cert", but TELLTALE_TLS_CA is not set: whose certificates are good?')
  if (settings.mqttsPort !== undefined && settings.tlsCert === undefined)
    refuse(`TELLTALE_MQTTS_PORT is "${settings.mqttsPort}", but TELLTALE_TLS_CERT and TELLTALE_TLS_KEY are not set`)
  if ((settings.bridgeCert === undefined) !== (settings.bridgeKey === undefined))
    refuse('TELLTALE_BRIDGE_CERT and TELLTALE_BRIDGE_KEY go together: only one of them is set')
  if (settings.bridgePassword !== undefined && settings.bridgeUsername === undefined)
    refuse('TELLTALE_BRIDGE_PASSWORD is set, but TELLTALE_BRIDGE_USERNAME is not: both are needed')
  const isPlain = settings.bridgeUrl?.startsWith('mqtt:')
  if (isPlain && (settings.bridgeCa ?? settings.bridgeCert) !== undefined)
    refuse(
      'TELLTALE_BRIDGE_CA and TELLTALE_BRIDGE_CERT are for TLS, but TELLTALE_BRIDGE_URL is one of mqtt://: allowed is mqtts://',
    )
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

export interface SettingListing {
  readonly variable: string
  readonly type: string
  /** The value in force. */
  readonly value: string
  readonly default: string
  readonly allowed: string
  readonly meaning: string
  readonly fromEnvironment: boolean
}

/** Every setting with the value in force, secrets masked, for `telltale config`. */
export function listSettings(settings: Settings, environment: NodeJS.ProcessEnv = process.env): SettingListing[] {
  return Object.entries(SETTINGS).map(([name, spec]) => {
    const { variable, type, allowed, meaning } = spec
    const show = (value: unknown) =>
      value === undefined || value === '' ? '-' : (spec.show as (value: unknown) => string)(value)
    const value = show(settings[name as keyof Settings])
    const fromEnvironment = (environment[variable] ?? '') !== ''
    return { variable, type, value, default: show(spec.default), allowed, meaning, fromEnvironment }
  })
}
