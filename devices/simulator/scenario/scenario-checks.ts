/**
 * Owns what is checked of a scenario file beyond its keys and values: what does not go together, and what the platform's schemas have not.
 *
 * Always true: a part that is wrong in itself keeps no other from being looked at, so that all mistakes of a file are told at once.
 */

import { isDeviceId } from '../../../identity/topics.ts'
import { formatDuration } from '../../../platform/units.ts'
import { idsMatching } from '../faults/befallen.ts'
import type { Fault } from '../faults/fault.ts'
import { parseThreshold, ThresholdError } from '../report/thresholds.ts'
import { faultSchema } from './fault-schema.ts'
import { duration as durationSchema, shown } from './scalars.ts'
import { deviceName, devicesOf, type Group } from './scenario.ts'
import { DEVICES_MAX, groupSchema } from './schema.ts'
import { checkSending, type KnownStreams, listIn, type Mistake, nearest, valueIn } from './sending-checks.ts'
import type { Path } from './yaml-text.ts'

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
  for (const [index, group] of groups.entries()) if (group !== undefined) yield* checkEdgeNodes(group, ['fleet', index])
  const faults = listIn(raw, 'faults').map((fault) => faultSchema.safeParse(fault).data)
  const whole = groups.every((group) => group !== undefined) ? (groups as Group[]) : undefined
  yield* checkTimes(raw, faults)
  for (const [index, fault] of faults.entries()) {
    if (fault !== undefined && whole !== undefined) yield* checkFault(fault, ['faults', index], whole, streams)
  }
  for (const [index, condition] of listIn(raw, 'fail-if').entries())
    yield* checkCondition(condition, ['fail-if', index])
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

/** A device of Sparkplug is an edge node, and has one sequence of messages. */
function* checkEdgeNodes({ prefix, sends }: Group, path: Path): Generator<Mistake> {
  const ofSparkplug = [...sends.entries()].filter(([, { format }]) => format === 'sparkplug')
  if (ofSparkplug.length === 0) return
  if (!/^[^:]+:[^:]*$/.test(prefix)) {
    const right = 'allowed for Sparkplug is {group}:{node}, such as plant:node-'
    yield { path: [...path, 'prefix'], what: `is ${shown(prefix)}; ${right}` }
  }
  for (const [at] of ofSparkplug.slice(1)) {
    yield {
      path: [...path, 'sends', at, 'format'],
      what: 'is sparkplug a second time; allowed is one stream with all columns',
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
  const pattern = idsMatching(ids)
  for (let at = 0; at < group.devices; at++) if (pattern.test(deviceName(group, at))) return true
  return false
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
