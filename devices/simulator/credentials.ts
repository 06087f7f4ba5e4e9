/**
 * Owns the reading of a credentials file: one token a line in device order, as `telltale token device <id>...` prints
 * them, or `device token` pairs. Empty lines are skipped. Always true: a device without a token is found before anything
 * connects; no token appears in an error.
 */

import { readFileSync } from 'node:fs'
import { messageOf } from '../../platform/errors.ts'
import { deviceName } from './options.ts'
import { SimulatorError } from './simulator-error.ts'

/** The token of each device of the fleet. Throws a `SimulatorError` `bad-credentials`. */
export function readCredentials(
  file: string,
  fleet: { readonly prefix: string; readonly devices: number },
): ReadonlyMap<string, string> {
  const tokens = parseCredentials(readText(file), fleet.prefix, file)
  for (let index = 0; index < fleet.devices; index++) {
    const device = deviceName(fleet, index)
    if (!tokens.has(device))
      throw bad(`${file} has no token for ${device}: allowed is one a device, ${fleet.devices} in all`)
  }
  return tokens
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw bad(`--credentials is ${file}, which cannot be read: ${messageOf(cause)}`, cause)
  }
}

function parseCredentials(text: string, prefix: string, file: string): Map<string, string> {
  const tokens = new Map<string, string>()
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.trim().split(/\s+/)
    const [first, second] = words
    if (!first) continue
    if (words.length > 2) throw bad(`${file}, line ${index + 1}: allowed is a token, or a device id and its token`)
    if (second === undefined) tokens.set(deviceName({ prefix }, tokens.size), first)
    else tokens.set(first, second)
  }
  return tokens
}

const bad = (message: string, cause?: unknown) => new SimulatorError('bad-credentials', message, { cause })
