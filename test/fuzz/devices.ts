/** Owns the devices that the fuzzing connects as, one for each connection at once. */

import type { RunningPlatform } from '../e2e/platform.ts'
import type { Device } from './packets.ts'

const DEVICES = 20

export async function fuzzDevices(platform: RunningPlatform): Promise<Device[]> {
  const ids = Array.from({ length: DEVICES }, (_, number) => `fuzz-${number}`)
  const tokens = (await platform.telltale('token', 'device', ...ids)).trim().split('\n')
  return ids.map((id, index) => ({ id, token: tokens[index] ?? '' }))
}
