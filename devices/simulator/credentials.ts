/**
 * Owns the reading of a credentials file: one token a line in device order, as `telltale token device <id>...` prints
 * them, or `device token` pairs. Empty lines are skipped. Always true: a device without a token is found before anything
 * connects; no token appears in an error.
 */

import { readFileSync } from 'node:fs'
import { messageOf } from '../../platform/errors.ts'
import { deviceName, type Group } from './scenario/scenario.ts'
import { SimulatorError } from './simulator-error.ts'

/** The token of each device of the fleet. Throws a `SimulatorError` `bad-credentials`. */
export function readCredentials(
  file: string,
  fleet: readonly Pick<Group, 'prefix' | 'ids' | 'devices'>[],
): ReadonlyMap<string, string> {
  const devices = fleet.flatMap((group) =>
    Array.from({ length: group.devices }, (_, index) => deviceName(group, index)),
  )
  const tokens = parseCredentials(readText(file), devices, file)
  const missing = devices.find((device) => !tokens.has(device))
  if (missing !== undefined)
    throw bad(`${file} has no token for ${missing}: allowed is one a device, ${devices.length} in all`)
  return tokens
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw bad(`--credentials is ${file}, which cannot be read: ${messageOf(cause)}`, cause)
  }
}

function parseCredentials(text: string, devices: readonly string[], file: string): Map<string, string> {
  const tokens = new Map<string, string>()
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.trim().split(/\s+/)
    const [first, second] = words
    if (!first) continue
    if (words.length > 2) throw bad(`${file}, line ${index + 1}: allowed is a token, or a device id and its token`)
    if (second === undefined) tokens.set(devices[tokens.size] ?? `line ${index + 1}`, first)
    else tokens.set(first, second)
  }
  return tokens
}

const bad = (message: string, cause?: unknown) => new SimulatorError('bad-credentials', message, { cause })
