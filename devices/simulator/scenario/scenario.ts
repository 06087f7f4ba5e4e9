/**
 * Owns what a run is asked to do: which devices send what, how often, and what goes wrong when. A file (`scenario-file.ts`) and the command
 * line (`../options.ts`) make the same of it, and nothing else is asked of a run.
 *
 * Always true: it is checked before anything connects; the same scenario with the same `seed` and `startAt` sends the same bytes.
 */

import type { Signal } from '../signals/signal-kinds.ts'
import type { Fault } from './fault.ts'

/** Versions of MQTT, as people call them. */
export const LEVELS = ['3.1.1', '5'] as const
export type Level = (typeof LEVELS)[number]

export type Qos = 0 | 1 | 2
export const QOS: readonly Qos[] = [0, 1, 2]

/** How a payload is written. `map`: as JSON on the topic of a map, whose columns are named by the map. */
export const FORMATS = ['avro', 'json', 'confluent', 'msgpack', 'cbor', 'protobuf', 'sparkplug', 'map'] as const
export type Format = (typeof FORMATS)[number]

export interface Scenario {
  readonly name: string
  /** 32 bits. */
  readonly seed: number
  /** Of the first readings, milliseconds since 1970; undefined: when the run begins. */
  readonly startAt: number | undefined
  /** Infinity: until `messages` are sent, or somebody ends it. */
  readonly durationMs: number
  /** Of all devices together; Infinity for no end. */
  readonly messages: number
  /** Over which the devices connect, and begin to send; 0: as fast as a broker may be asked to take them. */
  readonly rampMs: number
  /** After the end, for what is not acknowledged yet. */
  readonly drainMs: number
  readonly fleet: readonly Group[]
  readonly faults: readonly Fault[]
  /** Such as `p99>250ms`, `lost>0`: the run fails if one of them holds. */
  readonly failIf: readonly string[]
  /** What is sent is a recording, when it was and by whom; the fleet is of its devices. */
  readonly replay?: Replayed
}

export interface Replayed {
  readonly file: string
  /** How many times as fast as it was. */
  readonly speed: number
  /** `kept`: readings have their times; `shifted`: they are as old as they were when they came. */
  readonly times: 'kept' | 'shifted'
}

/** Devices that are alike. */
export interface Group {
  /** Device ids are this and a number from 1, where they have no names of their own. */
  readonly prefix: string
  readonly ids?: readonly string[]
  readonly devices: number
  readonly mqtt: Level
  readonly keepaliveSeconds: number
  readonly sends: readonly Sending[]
}

/** What each device of a group sends of one stream. */
export interface Sending {
  readonly stream: string
  /** Between its messages; 0: as fast as they are acknowledged. */
  readonly everyMs: number
  /** So many messages at once, each time; their rate stays that of `everyMs`. */
  readonly burst: number
  readonly qos: Qos
  /** Readings a message. */
  readonly batch: number
  readonly format: Format
  /** Of the stream's schema; undefined: the newest. A list: each device has one of them, in turn. */
  readonly versions: readonly number[] | undefined
  /** By column, what it measures; others are drawn by their unit and name. */
  readonly signals: Readonly<Record<string, Signal>>
  /** Of `map`: with `{device}` in it. */
  readonly topic: string | undefined
}

/** What is meant where nothing is said. */
export const PLAIN_SENDING: Sending = {
  stream: 'environment',
  everyMs: 1_000,
  burst: 1,
  qos: 1,
  batch: 1,
  format: 'avro',
  versions: undefined,
  signals: {},
  topic: undefined,
}

export const devicesOf = ({ fleet }: Pick<Scenario, 'fleet'>): number =>
  fleet.reduce((sum, { devices }) => sum + devices, 0)

/** Messages a second of all devices; 0 if one of them sends as fast as it is acknowledged, or as it was recorded. */
export function targetRateOf({ fleet, replay }: Scenario): number {
  if (replay !== undefined) return 0
  let rate = 0
  for (const { devices, sends } of fleet) {
    for (const { everyMs } of sends) {
      if (everyMs === 0) return 0
      rate += (devices * 1000) / everyMs
    }
  }
  return rate
}

export const deviceName = ({ prefix, ids }: Pick<Group, 'prefix' | 'ids'>, index: number): string =>
  ids?.[index] ?? `${prefix}${index + 1}`
