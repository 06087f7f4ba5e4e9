/**
 * Owns what is checked of a scenario file beyond its keys and values: what does not go together, and what the platform's schemas have not.
 *
 * Always true: a part that is wrong in itself keeps no other from being looked at, so that all mistakes of a file are told at once.
 */

import { isDeviceId } from '../../../identity/topics.ts'
import { formatDuration } from '../../../platform/units.ts'
import { idsMatching } from './befallen.ts'
import type { Befallen, Fault } from './fault.ts'
import { faultSchema } from './fault-schema.ts'
import { duration as durationSchema, shown } from './scalars.ts'
import { deviceName, type Group } from './scenario.ts'
import { DEVICES_MAX, groupSchema } from './schema.ts'
import { checkSending, type KnownStreams, listIn, type Mistake, nearest, valueIn } from './sending-checks.ts'
import { parseThreshold, ThresholdError } from './threshold.ts'
import type { Path } from './yaml-text.ts'

/** `raw` is what a file says. Without `streams` nothing is asked of them. */
export function* checkScenario(raw: unknown, streams: KnownStreams | undefined): Generator<Mistake> {
  const fleet = listIn(raw, 'fleet')
  const groups = fleet.map((group) => groupSchema.safeParse(group).data)
  const named = fleet.map(namedGroup)
  for (const [index, group] of fleet.entries()) {
    for (const [at, sending] of listIn(group, 'sends').entries()) {
      yield* checkSending(sending, ['fleet', index, 'sends', at], streams)
    }
  }
  yield* checkNames(groups)
  for (const [index, group] of groups.entries()) if (group !== undefined) yield* checkEdgeNodes(group, ['fleet', index])
  const faults = listIn(raw, 'faults')
  const isKnown = named.every((group) => group !== undefined)
  const isWhole = groups.every((group) => group !== undefined)
  yield* checkTimes(raw, faults.map(beginOf))
  for (const [index, given] of faults.entries()) {
    const path = ['faults', index]
    const devices = befallenOf(given)
    if (isKnown && devices !== undefined) yield* checkBefallen(devices, path, named as Named[])
    const fault = faultSchema.safeParse(given).data
    if (isWhole && fault !== undefined) yield* checkColumn(fault, path, groups as Group[], streams)
  }
  for (const [index, condition] of listIn(raw, 'fail-if').entries())
    yield* checkCondition(condition, ['fail-if', index])
}

type Named = Pick<Group, 'prefix' | 'ids' | 'devices'>

/** What its devices are called, whatever else is wrong with it. */
function namedGroup(raw: unknown): Named | undefined {
  const [prefix, devices] = [valueIn(raw, 'prefix'), valueIn(raw, 'devices')]
  return groupSchema.safeParse({ prefix, devices, sends: [{ stream: 'any' }] }).data
}

/** When it begins, and whom it befalls, likewise. */
const beginOf = (raw: unknown): number | undefined =>
  faultSchema.safeParse({ kind: 'mute', at: valueIn(raw, 'at') }).data?.atMs
const befallenOf = (raw: unknown): Befallen | undefined =>
  faultSchema.safeParse({ kind: 'mute', at: '0s', devices: valueIn(raw, 'devices') }).data?.devices

/** No two devices have one id, each can be one, and there are not too many. */
function* checkNames(groups: readonly (Named | undefined)[]): Generator<Mistake> {
  const count = countOf(groups.filter((group) => group !== undefined))
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

function* checkTimes(raw: unknown, begins: readonly (number | undefined)[]): Generator<Mistake> {
  const read = durationSchema(0)
  const lasts = read.safeParse(valueIn(raw, 'duration')).data
  if (lasts === undefined) return
  const ramp = read.safeParse(valueIn(raw, 'ramp')).data
  if (ramp !== undefined && ramp >= lasts) {
    yield { path: ['ramp'], what: `takes ${formatDuration(ramp)}, and the run lasts ${formatDuration(lasts)}` }
  }
  for (const [index, atMs] of begins.entries()) {
    if (atMs === undefined || atMs < lasts) continue
    const what = `begins ${formatDuration(atMs)} after the start, and the run lasts ${formatDuration(lasts)}`
    yield { path: ['faults', index, 'at'], what }
  }
}

const countOf = (fleet: readonly Named[]): number => fleet.reduce((sum, { devices }) => sum + devices, 0)

function* checkBefallen(devices: Befallen, path: Path, fleet: readonly Named[]): Generator<Mistake> {
  const count = countOf(fleet)
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
}

function* checkColumn(
  fault: Fault,
  path: Path,
  fleet: readonly Group[],
  streams: KnownStreams | undefined,
): Generator<Mistake> {
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
function matchesAny(ids: string, group: Named): boolean {
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
