/**
 * Owns what is checked of a scenario file beyond its keys and values: what does not go together, and what the platform's schemas have not.
 *
 * Always true: a part that is wrong in itself keeps no other from being looked at, so that all mistakes of a file are told at once.
 */

import { isDeviceId } from '../../../identity/topics.ts'
import { nearestTo } from '../../../platform/names.ts'
import { formatDuration } from '../../../platform/units.ts'
import type { Stream } from '../../../schemas/reading.ts'
import type { Fault } from '../faults/fault.ts'
import { parseThreshold, ThresholdError } from '../report/thresholds.ts'
import { faultSchema } from './fault-schema.ts'
import { duration as durationSchema, shown, unknownKey } from './scalars.ts'
import { deviceName, devicesOf, type Group, type Sending } from './scenario.ts'
import { DEVICES_MAX, groupSchema, sendingSchema } from './schema.ts'
import type { Path } from './yaml-text.ts'

/** The part of the schemas' registry that a scenario is checked by. */
export interface KnownStreams {
  readonly streams: readonly Stream[]
  stream(name: string): Stream | undefined
  /** Oldest first; none for a stream that maps make. `id` is undefined until the version is locked. */
  versions(name: string): readonly {
    readonly version: number
    readonly protobuf?: string
    readonly id: number | undefined
  }[]
}

export interface Mistake {
  readonly path: Path
  /** The key in the map at `path`, where it is that which is wrong. */
  readonly key?: string
  readonly what: string
}

/** `raw` is what a file says. Without `streams` nothing is asked of them. */
export function* checkScenario(raw: unknown, streams: KnownStreams | undefined): Generator<Mistake> {
  const fleet = listIn(raw, 'fleet')
  const groups = fleet.map((group) => groupSchema.safeParse(group).data)
  for (const [index, group] of fleet.entries()) {
    for (const [at, sending] of listIn(group, 'sends').entries()) {
      yield* checkSending(sending, ['fleet', index, 'sends', at], streams)
    }
  }
  yield* checkNames(groups)
  const faults = listIn(raw, 'faults').map((fault) => faultSchema.safeParse(fault).data)
  const whole = groups.every((group) => group !== undefined) ? (groups as Group[]) : undefined
  yield* checkTimes(raw, faults)
  for (const [index, fault] of faults.entries()) {
    if (fault !== undefined && whole !== undefined) yield* checkFault(fault, ['faults', index], whole, streams)
  }
  for (const [index, condition] of listIn(raw, 'fail-if').entries())
    yield* checkCondition(condition, ['fail-if', index])
}

const valueIn = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined

function listIn(value: unknown, key: string): readonly unknown[] {
  const list = valueIn(value, key)
  return Array.isArray(list) ? list : []
}

/** No two devices have one id, each can be one, and there are not too many. */
function* checkNames(groups: readonly (Group | undefined)[]): Generator<Mistake> {
  const count = devicesOf({ fleet: groups.filter((group) => group !== undefined) })
  if (count > DEVICES_MAX) {
    yield { path: ['fleet'], what: `has ${count} devices; allowed are at most ${DEVICES_MAX} in all` }
    return
  }
  const owners = new Map<string, number>()
  for (const [index, group] of groups.entries()) {
    if (group === undefined) continue
    const path = ['fleet', index, 'prefix']
    const last = deviceName(group, group.devices - 1)
    if (!isDeviceId(last)) yield { path, what: `makes the device id ${shown(last)}, which has more than 64 characters` }
    for (let at = 0; at < group.devices; at++) {
      const name = deviceName(group, at)
      const owner = owners.get(name)
      owners.set(name, index)
      if (owner === undefined || owner === index) continue
      yield {
        path,
        what: `makes a second ${name} beside that of fleet[${owner}]: each group needs a prefix of its own`,
      }
      break
    }
  }
}

function* checkTimes(raw: unknown, faults: readonly (Fault | undefined)[]): Generator<Mistake> {
  const read = durationSchema(0)
  const lasts = read.safeParse(valueIn(raw, 'duration')).data
  if (lasts === undefined) return
  const ramp = read.safeParse(valueIn(raw, 'ramp')).data
  if (ramp !== undefined && ramp >= lasts) {
    yield { path: ['ramp'], what: `takes ${formatDuration(ramp)}, and the run lasts ${formatDuration(lasts)}` }
  }
  for (const [index, fault] of faults.entries()) {
    if (fault === undefined || fault.atMs < lasts) continue
    const begins = `begins ${formatDuration(fault.atMs)} after the start`
    yield { path: ['faults', index, 'at'], what: `${begins}, and the run lasts ${formatDuration(lasts)}` }
  }
}

function* checkFault(
  fault: Fault,
  path: Path,
  fleet: readonly Group[],
  streams: KnownStreams | undefined,
): Generator<Mistake> {
  const { devices } = fault
  const count = devicesOf({ fleet })
  if ('count' in devices && devices.count > count) {
    yield { path: [...path, 'devices'], what: `is ${devices.count}, and the fleet has ${count}` }
  }
  if ('ids' in devices && !fleet.some((group) => matchesAny(devices.ids, group))) {
    const prefixes = fleet.map((group) => `${deviceName(group, 0)} to ${deviceName(group, group.devices - 1)}`)
    yield {
      path: [...path, 'devices'],
      what: `${shown(devices.ids)} is no device's id; there are ${prefixes.join(', ')}`,
    }
  }
  if (fault.kind !== 'stuck' || fault.column === undefined || streams === undefined) return
  const sent = [...new Set(fleet.flatMap(({ sends }) => sends.map(({ stream }) => stream)))]
  const known = sent.map((name) => streams.stream(name))
  if (known.some((stream) => stream === undefined)) return
  const columns = new Set(known.flatMap((stream) => stream?.columns.map(({ name }) => name) ?? []))
  if (columns.has(fault.column)) return
  yield {
    path: [...path, 'column'],
    what: `${shown(fault.column)} is no column of ${sent.join(', ')}${nearest(fault.column, columns)}`,
  }
}

/** `*` in it stands for any text. */
function matchesAny(ids: string, group: Group): boolean {
  const pattern = idPattern(ids)
  for (let at = 0; at < group.devices; at++) if (pattern.test(deviceName(group, at))) return true
  return false
}

/** What matches the ids of `Befallen`. */
export const idPattern = (ids: string): RegExp =>
  new RegExp(`^${ids.replaceAll(/\*+/g, '*').replaceAll(/[.*]/g, (sign) => (sign === '*' ? '.*' : '\\.'))}$`)

const nearest = (name: string, known: Iterable<string>): string => {
  const names = [...known]
  const [near] = nearestTo(name, names)
  return `${near === undefined ? '' : `, and nearest is ${near}`}; there are ${names.join(', ')}`
}

function* checkCondition(condition: unknown, path: Path): Generator<Mistake> {
  if (typeof condition !== 'string' || condition === '') return
  try {
    parseThreshold(condition)
  } catch (error) {
    if (!(error instanceof ThresholdError)) throw error
    yield { path, what: error.message }
  }
}

function* checkSending(raw: unknown, path: Path, streams: KnownStreams | undefined): Generator<Mistake> {
  if (valueIn(raw, 'every') !== undefined && valueIn(raw, 'rate') !== undefined) {
    yield { path, key: 'rate', what: 'rate says the same as every; allowed is one of the two' }
  }
  const topic = valueIn(raw, 'topic')
  const isMapped = valueIn(raw, 'format') === 'map'
  if (isMapped && topic === undefined)
    yield { path, what: 'has the format map and no topic; allowed is one with {device}' }
  if (topic !== undefined && !isMapped)
    yield { path, key: 'topic', what: 'topic has no effect; allowed is one with the format map only' }
  if (isMapped && typeof topic === 'string' && !topic.includes('{device}')) {
    yield { path: [...path, 'topic'], what: `is ${shown(topic)}; allowed is one with {device} in it` }
  }
  yield* checkSpans(raw, path)
  if (streams === undefined) return
  const name = valueIn(raw, 'stream')
  if (typeof name !== 'string') return
  const stream = streams.stream(name)
  if (stream === undefined) {
    const known = streams.streams.map((each) => each.name)
    yield { path: [...path, 'stream'], what: `${shown(name)} is no stream${nearest(name, known)}` }
    return
  }
  const columns = stream.columns.map((each) => each.name)
  const signals = valueIn(raw, 'signals')
  for (const column of typeof signals === 'object' && signals !== null ? Object.keys(signals) : []) {
    if (columns.includes(column)) continue
    yield { path: [...path, 'signals'], key: column, what: unknownColumn(column, name, columns) }
  }
  const sending = sendingSchema.safeParse(raw).data
  if (sending !== undefined) yield* checkVersions(sending, path, streams)
}

const unknownColumn = (column: string, stream: string, columns: readonly string[]): string =>
  unknownKey(column, columns).replace('is no key', `is no column of ${stream}`)

/** A range has its ends in order. */
function* checkSpans(raw: unknown, path: Path): Generator<Mistake> {
  const signals = valueIn(raw, 'signals')
  if (typeof signals !== 'object' || signals === null) return
  for (const [column, signal] of Object.entries(signals)) {
    const [min, max] = [valueIn(signal, 'min'), valueIn(signal, 'max')]
    if (typeof min !== 'number' || typeof max !== 'number' || min <= max) continue
    yield { path: [...path, 'signals', column, 'min'], what: `is ${min}, and max is ${max}` }
  }
}

function* checkVersions(sending: Sending, path: Path, streams: KnownStreams): Generator<Mistake> {
  const { stream, format, versions: asked } = sending
  const versions = streams.versions(stream)
  if (versions.length === 0) {
    if (format === 'map' || format === 'sparkplug') return
    yield {
      path: [...path, 'format'],
      what: `is ${format}, and ${stream} has no schema: maps make it; allowed are map, sparkplug`,
    }
    return
  }
  const known = versions.map(({ version }) => version)
  let areKnown = true
  for (const [index, version] of (asked ?? []).entries()) {
    if (known.includes(version)) continue
    areKnown = false
    yield {
      path: [...path, 'versions', index],
      what: `${stream} has no version ${version}; there are ${known.join(', ')}`,
    }
  }
  const sent = asked === undefined ? versions.slice(-1) : versions.filter(({ version }) => asked.includes(version))
  const lacking = (has: (version: (typeof versions)[number]) => boolean) =>
    areKnown ? sent.find((each) => !has(each)) : undefined
  const without = format === 'protobuf' ? lacking(({ protobuf }) => protobuf !== undefined) : undefined
  if (without !== undefined) {
    yield { path: [...path, 'format'], what: `is protobuf, and version ${without.version} of ${stream} has no .proto` }
  }
  const unlocked = format === 'confluent' ? lacking(({ id }) => id !== undefined) : undefined
  if (unlocked !== undefined) {
    const right = '`telltale schemas lock` gives it one'
    yield {
      path: [...path, 'format'],
      what: `is confluent, and version ${unlocked.version} of ${stream} has no id: ${right}`,
    }
  }
}
