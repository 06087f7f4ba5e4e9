/**
 * Owns the options of a run: their names, defaults and what is allowed, for the command line; and how those of a plain fleet become a
 * scenario, the same that a file makes. A wrong value is a `WrongOption` whose message says what is allowed; the command prints it in one line and
 * exits 2.
 */

import { Option as CommandOption, InvalidArgumentError, type Option } from 'commander'
import { isDeviceId, isStreamName } from '../../identity/topics.ts'
import { READINGS_PER_MESSAGE_MAX } from '../../platform/limits.ts'
import { parseDuration, parseTime } from '../../platform/units.ts'
import { SPEED_MAX, SPEED_MIN } from './replay/replay-source.ts'
import {
  FORMATS,
  type Format,
  LEVELS,
  type Level,
  PLAIN_SENDING,
  QOS,
  type Qos,
  type Scenario,
} from './scenario/scenario.ts'
import { BURST_MAX, DEVICES_MAX, RATE_MAX } from './scenario/schema.ts'
import { parseThreshold, ThresholdError } from './scenario/threshold.ts'

/** How long the end of a run waits for outstanding acknowledgements, unless told; what is missing then is reported as such. */
const SIMULATOR_DRAIN_MS = 10_000
const SIMULATOR_PROCESSES_MAX = 64
/** MQTT 3.1.1 section 3.1.2.10: two bytes. */
const KEEPALIVE_SECONDS_MAX = 65_535
const KEEPALIVE_SECONDS = 60

/** Exit status of wrong usage, as of every command. */
const EXIT_USAGE = 2

/** What commander shows as `error: option '--devices <n>' argument 'x' is invalid. Allowed is 1 to 20000.` */
class WrongOption extends InvalidArgumentError {
  constructor(allowed: string) {
    super(allowed)
    this.exitCode = EXIT_USAGE
  }
}

const wrong = (allowed: string) => new WrongOption(`Allowed is ${allowed}.`)

const number = (min: number, max: number, integer: boolean) => (text: string) => {
  const value = Number(text)
  const decimal = /^\d+(\.\d+)?$/.test(text)
  if (!decimal || value < min || value > max || (integer && !Number.isInteger(value)))
    throw wrong(`${integer ? 'a whole number' : 'a number'} from ${min} to ${max}`)
  return value
}

const oneOf =
  <T extends string | number>(values: readonly T[]) =>
  (text: string): T => {
    const value = values.find((each) => String(each) === text)
    if (value === undefined) throw wrong(values.join(', '))
    return value
  }

const matching = (test: (text: string) => boolean, allowed: string) => (text: string) => {
  if (!test(text)) throw wrong(allowed)
  return text
}

const duration = (text: string): number => {
  const value = parseDuration(text)
  if (value === undefined || value <= 0) throw wrong('a duration such as 500ms, 60s, 15m, 24h')
  return value
}

const time = (text: string): number => {
  const value = parseTime(text)
  if (value === undefined) throw wrong('a time such as 2026-11-30T12:00:00Z')
  return value
}

const versions = (text: string): number[] => {
  const list = text.split(',').map(Number)
  if (list.length === 0 || !list.every((each) => Number.isInteger(each) && each > 0)) throw wrong('numbers such as 1,2')
  return list
}

const condition = (text: string, before: readonly string[] | false = []): string[] => {
  if (before === false) throw wrong('either --fail-if or --no-fail-if')
  try {
    return [...before, parseThreshold(text).condition]
  } catch (error) {
    if (error instanceof ThresholdError) throw new WrongOption(error.message)
    throw error
  }
}

const PROTOCOLS = new Set(['mqtt:', 'mqtts:', 'tcp:', 'ws:', 'wss:'])
const isUrlOf = (protocols: ReadonlySet<string>) => (text: string) =>
  URL.canParse(text) && protocols.has(new URL(text).protocol)
const COUNT_MAX = Number.MAX_SAFE_INTEGER

const option = (
  flags: string,
  description: string,
  parse: (text: string, before?: never) => unknown,
  value?: unknown,
  shown?: string,
): Option => {
  const made = new CommandOption(flags, description).argParser(parse as (text: string) => unknown)
  return value === undefined ? made : made.default(value, shown)
}

/** Those that say what a plain fleet does: with `--scenario` the file says it. */
const fleetOptions = (): Option[] => [
  option('--devices <count>', 'simulated devices', number(1, DEVICES_MAX, true), 10),
  option(
    '--rate <per second>',
    'messages a second and device; 0: as fast as acknowledged',
    number(0, RATE_MAX, false),
    1,
  ),
  option('--burst <count>', 'so many messages at once, each time', number(1, BURST_MAX, true), 1),
  option('--stream <name>', 'the stream they send', matching(isStreamName, 'a name of a-z, 0-9 and _'), 'environment'),
  option(
    '--versions <numbers>',
    "of the stream's schema, device by device in turn, such as 1,2; else the newest",
    versions,
  ),
  option('--mqtt <version>', LEVELS.join(' or '), oneOf(LEVELS), '3.1.1'),
  option('--qos <level>', '0, 1 or 2', oneOf<Qos>(QOS), 1),
  option('--batch <count>', 'readings a message', number(1, READINGS_PER_MESSAGE_MAX, true), 1),
  option('--format <format>', FORMATS.join(', '), oneOf(FORMATS), 'avro'),
  option(
    '--prefix <text>',
    'device ids are this and a number from 1',
    matching(isDeviceId, 'A-Z a-z 0-9 . _ : -'),
    'sim-',
  ),
  option('--keepalive <seconds>', 'of MQTT; 0: none', number(0, KEEPALIVE_SECONDS_MAX, true), KEEPALIVE_SECONDS),
]

/** Those that, given, hold in place of what a scenario says. */
const runOptions = (): Option[] => [
  option(
    '--seed <number>',
    'the same seed sends the same values; else that of the scenario, or 1',
    number(0, 2 ** 32 - 1, true),
  ),
  option('--start <time>', 'of the first reading; with the same seed, the same bytes. Else: now', time),
  option('--duration <time>', 'how long, such as 60s or 15m; else until Ctrl-C', duration),
  option('--ramp <time>', 'the devices come, and begin to send, spread over it', duration),
  option('--drain <time>', 'how long the end waits for acknowledgements; else as the scenario says, or 10s', duration),
  option('--messages <count>', 'end after so many, of all devices together', number(1, COUNT_MAX, true)),
  option('--fail-if <condition>', "fail if it holds, such as 'p99>250ms' or 'lost>0'; may be repeated", condition),
  new CommandOption('--no-fail-if', 'drop the conditions of the scenario'),
]

/** Where readings are followed live. */
export const LIVE = ['gateway', 'broker', 'off'] as const
export type Live = (typeof LIVE)[number]

const TIMES = ['kept', 'shifted'] as const

const HTTP = new Set(['http:', 'https:'])

/** The options of `telltale simulate`, in the order of its help. */
export function commandOptions(defaults: { readonly url: string; readonly gateway: string }): Option[] {
  return [
    new CommandOption(
      '--scenario <file>',
      'what the fleet does and what goes wrong, a YAML file; the fleet options are not for it',
    ),
    new CommandOption(
      '--replay <file>',
      'what was recorded, in place of a fleet: of `telltale record`, or the CSV of the history',
    ),
    option('--speed <factor>', 'of --replay: how many times as fast as it was', number(SPEED_MIN, SPEED_MAX, false), 1),
    option(
      '--times <times>',
      'of --replay: kept as they are, or shifted to be as old as they were when they came',
      oneOf(TIMES),
      'shifted',
    ),
    ...fleetOptions(),
    ...runOptions(),
    option(
      '--url <url>',
      'the broker',
      matching(isUrlOf(PROTOCOLS), 'an mqtt://, mqtts://, ws:// or wss:// URL'),
      defaults.url,
    ),
    new CommandOption('--ca <file>', 'certificates that the broker is trusted by, PEM'),
    new CommandOption(
      '--cert <file>',
      'the certificate that devices show, PEM; {device} in it stands for the id of each',
    ),
    new CommandOption('--key <file>', 'its key, PEM, likewise'),
    new CommandOption('--credentials <file>', 'tokens, one a line in device order, or "device token"'),
    option(
      '--gateway <url>',
      'of the platform, for live readings and for --verify',
      matching(isUrlOf(HTTP), 'an http:// or https:// URL'),
      defaults.gateway,
    ),
    new CommandOption(
      '--token <token>',
      'of an app that may read what the fleet sends; else signed by the key of this installation',
    ),
    option(
      '--live <where>',
      "gateway: readings are followed there; broker: subscribed to at the broker, of whatever make; off. gateway; where --url is another's, broker with --verify, else off",
      oneOf(LIVE),
    ),
    new CommandOption(
      '--verify',
      'account for every message: in the store, the dead letters, live; at another broker: at a subscriber',
    ).default(false),
    new CommandOption(
      '--ask-store',
      'with --verify: ask the InfluxDB of the settings itself, too, by its own language',
    ).default(false),
    new CommandOption('--out <folder>', 'where the run is kept: summary, report, every message; else runs/<start>'),
    new CommandOption('--no-out', 'keep nothing'),
    option('--processes <count>', 'as one run', number(1, SIMULATOR_PROCESSES_MAX, true), 1),
    option('--max-p99 <time>', 'short for --fail-if p99>TIME', duration),
    option('--max-errors <count>', 'short for --fail-if errors>COUNT', number(0, COUNT_MAX, true)),
    option('--min-rate <per second>', 'short for --fail-if rate<RATE', number(0, COUNT_MAX, false)),
    new CommandOption('--json', 'print the summary as JSON and nothing else').default(false),
  ]
}

/** What commander makes of `commandOptions`; its own parsers have checked each. */
export interface CommandValues {
  readonly scenario?: string
  readonly replay?: string
  readonly speed: number
  readonly times: (typeof TIMES)[number]
  readonly devices: number
  readonly rate: number
  readonly burst: number
  readonly stream: string
  readonly versions?: readonly number[]
  readonly mqtt: Level
  readonly qos: Qos
  readonly batch: number
  readonly format: Format
  readonly prefix: string
  readonly keepalive: number
  readonly seed?: number
  readonly start?: number
  readonly duration?: number
  readonly ramp?: number
  readonly drain?: number
  readonly messages?: number
  /** False: none, also of those of the scenario. */
  readonly failIf?: readonly string[] | false
  readonly url: string
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly credentials?: string
  readonly gateway: string
  readonly token?: string
  readonly live?: Live
  readonly verify: boolean
  readonly askStore: boolean
  /** False: none. */
  readonly out?: string | false
  readonly processes: number
  readonly maxP99?: number
  readonly maxErrors?: number
  readonly minRate?: number
  readonly json: boolean
}

/** Names of the options that do not go with `--scenario`, as commander has them. */
export const FLEET_OPTIONS: readonly string[] = fleetOptions().map((each) => each.attributeName())

/** Of these, those that go with `--replay`. */
export const REPLAY_OPTIONS: readonly string[] = ['mqtt', 'qos', 'format', 'keepalive']

/** What a plain fleet does. */
export function plainScenario(values: CommandValues): Scenario {
  const { stream, rate, burst, qos, batch, format, versions: schemaVersions, prefix, devices, mqtt, keepalive } = values
  const sending = {
    ...PLAIN_SENDING,
    stream,
    everyMs: rate === 0 ? 0 : 1000 / rate,
    burst,
    qos,
    batch,
    format,
    versions: schemaVersions,
  }
  return {
    name: `${devices} on ${stream}`,
    seed: 1,
    startAt: undefined,
    durationMs: Number.POSITIVE_INFINITY,
    messages: Number.POSITIVE_INFINITY,
    rampMs: 0,
    drainMs: SIMULATOR_DRAIN_MS,
    fleet: [{ prefix, devices, mqtt, keepaliveSeconds: keepalive, sends: [sending] }],
    faults: [],
    failIf: [],
  }
}

/** The scenario with what was said on the command line in place of what it says itself; conditions are added. */
export function overridden(scenario: Scenario, values: CommandValues): Scenario {
  const { seed, start, duration: durationMs, ramp, drain, messages, failIf = [], maxP99, maxErrors, minRate } = values
  return {
    ...scenario,
    ...(seed !== undefined && { seed }),
    ...(start !== undefined && { startAt: start }),
    ...(durationMs !== undefined && { durationMs }),
    ...(ramp !== undefined && { rampMs: ramp }),
    ...(drain !== undefined && { drainMs: drain }),
    ...(messages !== undefined && { messages }),
    failIf: [
      ...(failIf === false ? [] : [...scenario.failIf, ...failIf]),
      ...(maxP99 === undefined ? [] : [`p99>${maxP99}ms`]),
      ...(maxErrors === undefined ? [] : [`errors>${maxErrors}`]),
      ...(minRate === undefined ? [] : [`rate<${minRate}`]),
    ],
  }
}
