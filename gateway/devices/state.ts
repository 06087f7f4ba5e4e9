/**
 * Owns the few states that a list of devices shows: what the cause comes down to. Always true: `online` is a device of which all is well;
 * one whose data is missing has another state, connected or not.
 */

import type { Cause } from './causes/cause.ts'

export const STATES = [
  'online',
  'offline',
  'silent',
  'incomplete',
  'refused',
  'contested',
  'dropped',
  'dead-lettering',
  'late',
  'clock',
  'repeating',
  'slowed',
] as const
export type DeviceState = (typeof STATES)[number]

const BY_CAUSE: Readonly<Record<Exclude<Cause, 'well'>, DeviceState>> = {
  'never-connected': 'offline',
  refused: 'refused',
  'two-devices': 'contested',
  'log-full': 'late',
  'wrong-topic': 'dropped',
  'too-large': 'dropped',
  'store-away': 'late',
  'ingest-down': 'late',
  late: 'late',
  'set-aside': 'dead-lettering',
  'sends-nothing': 'silent',
  silent: 'silent',
  offline: 'offline',
  'missing-stream': 'incomplete',
  'broker-down': 'offline',
  'clock-ahead': 'clock',
  'clock-behind': 'clock',
  'repeats-times': 'repeating',
  'too-fast': 'slowed',
}

/** One of which all is well may come and go for each message. */
export function stateOf(cause: Cause, online: boolean): DeviceState {
  if (cause !== 'well') return BY_CAUSE[cause]
  return online ? 'online' : 'offline'
}
