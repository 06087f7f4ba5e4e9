/**
 * Owns which devices a rule is of: those of a filter, and where they are and how they are labelled by `config/devices`.
 *
 * Always true: all that is said must be so, and it is asked when it is needed: what the files say may change while rules are in force.
 */

import { type DeclaredDevices, isAt, type Place, readLabels, readSite } from '../../identity/declared-devices.ts'
import { devicePatternOf } from '../../identity/device-filter.ts'
import { namesDevice } from '../../identity/scope.ts'
import type { ConfigValue } from '../../platform/config-file.ts'

export const RULE_DEVICES_KEYS = ['devices', 'site', 'labels'] as const

export interface RuleDevices {
  /** `identity/scope.ts`. */
  readonly pattern: string
  readonly place?: Place
}

/** What the files say now. */
export type Declared = Pick<DeclaredDevices, 'get'>

/** Whether the rule is of this device now. */
export function isMember({ pattern, place }: RuleDevices, device: string, declared: Declared): boolean {
  return namesDevice(pattern, device) && (place === undefined || isAt(declared.get(device), place))
}

/** The members among those that are known; one that is named need not be. */
export function* membersOf(
  devices: RuleDevices,
  known: ReadonlySet<string>,
  declared: Declared,
): Generator<string, void, undefined> {
  const { pattern } = devices
  for (const device of pattern.endsWith('*') ? known : [pattern]) if (isMember(devices, device, declared)) yield device
}

/** Throws a `ConfigError`. `condition`: what it is of. */
export function readRuleDevices(condition: ConfigValue, get: (key: string) => ConfigValue | undefined): RuleDevices {
  const [filter, site, labels] = RULE_DEVICES_KEYS.map(get)
  if (filter === undefined && site === undefined && labels === undefined)
    condition.refuse('it says of no devices; right is devices, site or labels')
  const place = { ...(site && { site: readSite(site) }), labels: readLabels(labels) }
  if (labels !== undefined && Object.keys(place.labels).length === 0)
    labels.refuse('labels is empty; right is a name and its value, such as { fleet: north }')
  const pattern = filter === undefined ? '*' : readFilter(filter)
  return { pattern, ...((site ?? labels) && { place }) }
}

function readFilter(value: ConfigValue): string {
  const pattern = devicePatternOf(value.text('devices'))
  if (pattern !== undefined) return pattern
  return value.refuse(
    `devices is ${value.shown}; right is devices/truck-7, devices/truck-+ for all whose ids begin so, or devices/+ for all`,
  )
}
