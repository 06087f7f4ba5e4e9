/**
 * Owns the scope of an added key: the devices and the topic filters that its tokens may name. What is not said is not allowed:
 * a key with devices only makes no app tokens.
 *
 * It stands before the key in its PEM file, where PEM has room for text (RFC 7468 section 2), so that both are one file:
 *
 *     Telltale-Devices: truck-* pump-7
 *     Telltale-Filters: devices/+/telemetry/environment
 *     -----BEGIN PUBLIC KEY-----
 *
 * A file without such lines, as earlier versions took them, has no scope: its tokens may name anything.
 */

import { IdentityError } from './errors.ts'
import { filterCovers, isDeviceId, isTopicFilter } from './topics.ts'

export interface Scope {
  /** Device ids; with a `*` at the end all that begin so. */
  readonly devices: readonly string[]
  readonly filters: readonly string[]
}

/** Devices and filters of one scope each; more are refused. */
const SCOPE_ENTRIES_MAX = 64

export function isDevicePattern(pattern: string): boolean {
  return pattern === '*' || isDeviceId(pattern.endsWith('*') ? pattern.slice(0, -1) : pattern)
}

/** Whether a device is one of those that the pattern names. */
export function namesDevice(pattern: string, device: string): boolean {
  return pattern.endsWith('*') ? device.startsWith(pattern.slice(0, -1)) : device === pattern
}

export function allowsDevice(scope: Scope, device: string): boolean {
  return scope.devices.some((pattern) => namesDevice(pattern, device))
}

/** Whether all devices that `pattern` names are allowed. */
export function allowsPattern(scope: Scope, pattern: string): boolean {
  if (!pattern.endsWith('*')) return allowsDevice(scope, pattern)
  return scope.devices.some((outer) => outer.endsWith('*') && pattern.startsWith(outer.slice(0, -1)))
}

export function allowsFilters(scope: Scope, filters: readonly string[]): boolean {
  return filters.every((filter) => scope.filters.some((outer) => filterCovers(outer, filter)))
}

/** The scope in the text before a key. Throws an `IdentityError` `bad-key` for one that is not understood. */
export function readScope(text: string, file: string): Scope | undefined {
  const lines = [...text.matchAll(/^(telltale-[^:\s]*):(.*)$/gim)]
  if (lines.length === 0) return undefined
  const scope: Record<string, readonly string[]> = {}
  for (const [, name = '', value = ''] of lines) scope[name.toLowerCase()] = value.trim().split(/\s+/).filter(Boolean)
  const { 'telltale-devices': devices = [], 'telltale-filters': filters = [], ...others } = scope
  const unknown = Object.keys(others)[0]
  if (unknown !== undefined) {
    throw new IdentityError('bad-key', `${file} has a line ${unknown}: allowed are Telltale-Devices, Telltale-Filters`)
  }
  checkScope({ devices, filters }, file)
  return { devices, filters }
}

export function writeScope({ devices, filters }: Scope): string {
  return `Telltale-Devices: ${devices.join(' ')}\nTelltale-Filters: ${filters.join(' ')}\n`
}

/** Throws an `IdentityError` `bad-key` that names `where` it stands. */
export function checkScope({ devices, filters }: Scope, where: string): void {
  const refuse = (what: string): never => {
    throw new IdentityError('bad-key', `the scope of ${where} ${what}`)
  }
  for (const device of devices) {
    if (!isDevicePattern(device)) refuse(`names the device ${device}: allowed are ids, and beginnings with a * behind`)
  }
  for (const filter of filters) {
    if (!isTopicFilter(filter) || /\s/.test(filter)) refuse(`has ${filter}: allowed is an MQTT topic filter`)
  }
  if (devices.length > SCOPE_ENTRIES_MAX || filters.length > SCOPE_ENTRIES_MAX) {
    refuse(`has more than ${SCOPE_ENTRIES_MAX} devices or filters`)
  }
}
