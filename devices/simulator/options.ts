/**
 * Owns the options of a run: their names, defaults and what is allowed, for the command line and for code. A wrong
 * value is a `WrongOption` whose message says what is allowed; the command prints it in one line and exits 2.
 */

import { Option as CommandOption, InvalidArgumentError, type Option } from 'commander'
import { isDeviceId, isStreamName } from '../../identity/topics.ts'
import { READINGS_PER_MESSAGE_MAX } from '../../platform/limits.ts'
import { parseDuration } from '../../platform/units.ts'
import { LEVELS, type Level, type Qos } from './device.ts'
import { FORMATS, type Format } from './messages.ts'

/** More devices asked of one simulator: refused as a wrong option. */
const SIMULATOR_DEVICES_MAX = 20_000
/** How long the end of a run waits for outstanding acknowledgements, unless told; what is missing then is reported as such. */
const SIMULATOR_DRAIN_MS = 10_000
/** More messages a second asked of one device: refused as a wrong option. */
const SIMULATOR_RATE_MAX = 10_000

/** What a run must hold; an absent one is not checked. */
export interface Thresholds {
  /** PUBACK latency, milliseconds. */
  readonly maxP99Ms?: number
  /** Messages on the devices' errors topics. */
  readonly maxErrors?: number
  /** Acknowledged messages a second over the whole run (QoS 0: sent). */
  readonly minRate?: number
}

export interface SimulatorOptions {
  readonly url: string
  readonly devices: number
  /** Messages a second and device; 0 for as fast as acknowledgements allow. */
  readonly rate: number
  readonly stream: string
  /** 32 bits. */
  readonly seed: number
  /** Infinity: until `messages` or the signal ends the run. */
  readonly durationMs: number
  /** After the end, for what is not acknowledged yet. */
  readonly drainMs: number
  /** Of all devices together; Infinity for no end. */
  readonly messages: number
  readonly mqtt: Level
  readonly qos: Qos
  /** Readings a message. */
  readonly batch: number
  readonly format: Format
  /** Device ids are this and a number from 1. */
  readonly prefix: string
  readonly thresholds: Thresholds
}

export const deviceName = (options: Pick<SimulatorOptions, 'prefix'>, index: number): string =>
  `${options.prefix}${index + 1}`

/** Exit status of wrong usage, as of every command. */
const EXIT_USAGE = 2

/** What commander shows as `error: option '--devices <n>' argument 'x' is invalid. Allowed is 1 to 20000.` */
class WrongOption extends InvalidArgumentError {
  constructor(allowed: string) {
    super(`Allowed is ${allowed}.`)
    this.exitCode = EXIT_USAGE
  }
}

const number = (min: number, max: number, integer: boolean) => (text: string) => {
  const value = Number(text)
  const decimal = /^\d+(\.\d+)?$/.test(text)
  if (!decimal || value < min || value > max || (integer && !Number.isInteger(value)))
    throw new WrongOption(`${integer ? 'a whole number' : 'a number'} from ${min} to ${max}`)
  return value
}

const oneOf =
  <T extends string | number>(...values: readonly T[]) =>
  (text: string): T => {
    const value = values.find((each) => String(each) === text)
    if (value === undefined) throw new WrongOption(values.join(', '))
    return value
  }

const matching = (test: (text: string) => boolean, allowed: string) => (text: string) => {
  if (!test(text)) throw new WrongOption(allowed)
  return text
}

const duration = (text: string): number => {
  const value = parseDuration(text)
  if (value === undefined || value <= 0) throw new WrongOption('a duration such as 500ms, 60s, 15m, 24h')
  return value
}

const PROTOCOLS = new Set(['mqtt:', 'mqtts:', 'tcp:', 'ws:', 'wss:'])
const isBrokerUrl = (text: string) => URL.canParse(text) && PROTOCOLS.has(new URL(text).protocol)
const COUNT_MAX = Number.MAX_SAFE_INTEGER

const option = (
  flags: string,
  description: string,
  parse: (text: string) => unknown,
  value?: unknown,
  shown?: string,
): Option => {
  const made = new CommandOption(flags, description).argParser(parse)
  return value === undefined ? made : made.default(value, shown)
}

/** The options of `telltale simulate`, in the order of its help. */
export function commandOptions(defaults: { readonly url: string }): Option[] {
  return [
    option('--devices <count>', 'simulated devices', number(1, SIMULATOR_DEVICES_MAX, true), 10),
    option(
      '--rate <per second>',
      'messages a second and device; 0: as fast as acknowledged',
      number(0, SIMULATOR_RATE_MAX, false),
      1,
    ),
    option(
      '--stream <name>',
      'the stream they send',
      matching(isStreamName, 'a name of a-z, 0-9 and _'),
      'environment',
    ),
    option('--seed <number>', 'the same seed sends the same values', number(0, 2 ** 32 - 1, true), 1),
    option('--duration <time>', 'how long, such as 60s or 15m; else until Ctrl-C', duration),
    option('--drain <time>', 'how long the end waits for acknowledgements', duration, SIMULATOR_DRAIN_MS, '10s'),
    option('--messages <count>', 'end after so many, of all devices together', number(1, COUNT_MAX, true)),
    option('--mqtt <version>', LEVELS.join(' or '), oneOf(...LEVELS), '3.1.1'),
    option('--qos <level>', '0, 1 or 2', oneOf<Qos>(0, 1, 2), 1),
    option('--batch <count>', 'readings a message', number(1, READINGS_PER_MESSAGE_MAX, true), 1),
    option('--format <format>', FORMATS.join(' or '), oneOf(...FORMATS), 'avro'),
    option(
      '--prefix <text>',
      'device ids are this and a number from 1',
      matching(isDeviceId, 'A-Z a-z 0-9 . _ : -'),
      'sim-',
    ),
    option(
      '--url <url>',
      'the broker',
      matching(isBrokerUrl, 'an mqtt://, mqtts://, ws:// or wss:// URL'),
      defaults.url,
    ),
    option('--credentials <file>', 'tokens, one a line in device order, or "device token"', (text) => text),
    option('--max-p99 <time>', 'fail if the 99th percentile of PUBACK latency is higher', duration),
    option('--max-errors <count>', 'fail if more messages were set aside', number(0, COUNT_MAX, true)),
    option('--min-rate <per second>', 'fail if fewer messages a second were acknowledged', number(0, COUNT_MAX, false)),
    new CommandOption('--json', 'print the summary as JSON and nothing else').default(false),
  ]
}

/** What commander makes of `commandOptions`; its own parsers have checked each. */
export interface CommandValues {
  readonly devices: number
  readonly rate: number
  readonly stream: string
  readonly seed: number
  readonly duration?: number
  readonly drain: number
  readonly messages?: number
  readonly mqtt: Level
  readonly qos: Qos
  readonly batch: number
  readonly format: Format
  readonly prefix: string
  readonly url: string
  readonly credentials?: string
  readonly maxP99?: number
  readonly maxErrors?: number
  readonly minRate?: number
  readonly json: boolean
}

export function optionsOf(values: CommandValues): SimulatorOptions {
  const { duration, drain, messages, maxP99, maxErrors, minRate, ...same } = values
  return {
    ...same,
    durationMs: duration ?? Number.POSITIVE_INFINITY,
    drainMs: drain,
    messages: messages ?? Number.POSITIVE_INFINITY,
    thresholds: {
      ...(maxP99 !== undefined && { maxP99Ms: maxP99 }),
      ...(maxErrors !== undefined && { maxErrors }),
      ...(minRate !== undefined && { minRate }),
    },
  }
}
