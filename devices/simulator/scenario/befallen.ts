/**
 * Owns which devices of a fleet a fault befalls. Always true: it depends on the scenario alone, so each process of a run finds the same; a
 * share is of exactly so many devices, rounded, and never none.
 */

import { seededRandom } from '../signals/random.ts'
import type { Befallen, Fault } from './fault.ts'
import { deviceName, devicesOf, type Scenario } from './scenario.ts'

/** A fault of the scenario, and which of them it is. */
export interface NumberedFault {
  readonly number: number
  readonly fault: Fault
}

/** Chance of the choice of devices, apart from the values'. */
const CHOICE_STREAM = 0x4000_0000

/** By the index of the device in the whole fleet. */
export function befallenBy(scenario: Scenario): (device: number) => readonly NumberedFault[] {
  const ids = scenario.fleet.flatMap((group) =>
    Array.from({ length: group.devices }, (_, index) => deviceName(group, index)),
  )
  const faults = scenario.faults.map((fault, number) => ({
    number,
    fault,
    devices: choose(fault.devices, ids, scenario.seed, number),
  }))
  return (device) => faults.filter(({ devices }) => devices.has(device))
}

export function befallenCount(befallen: Befallen, scenario: Scenario): number {
  if ('share' in befallen) return countOf(befallen.share, devicesOf(scenario))
  if ('count' in befallen) return Math.min(befallen.count, devicesOf(scenario))
  const matches = idsMatching(befallen.ids)
  return scenario.fleet
    .flatMap((group) => Array.from({ length: group.devices }, (_, index) => deviceName(group, index)))
    .filter((id) => matches.test(id)).length
}

const countOf = (share: number, devices: number) => (share === 0 ? 0 : Math.max(1, Math.round(share * devices)))

function choose(befallen: Befallen, ids: readonly string[], seed: number, fault: number): ReadonlySet<number> {
  if ('ids' in befallen) {
    const matches = idsMatching(befallen.ids)
    return new Set(ids.flatMap((id, index) => (matches.test(id) ? [index] : [])))
  }
  const count = 'share' in befallen ? countOf(befallen.share, ids.length) : Math.min(befallen.count, ids.length)
  const random = seededRandom(seed, CHOICE_STREAM + fault)
  const left = ids.map((_, index) => index)
  const chosen = new Set<number>()
  // The beginning of a shuffle (Fisher and Yates).
  for (let taken = 0; taken < count; taken++) {
    const at = taken + random.below(left.length - taken)
    const index = left[at] ?? 0
    left[at] = left[taken] ?? 0
    chosen.add(index)
  }
  return chosen
}

/** `*` stands for any text. */
export function idsMatching(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`)
}
