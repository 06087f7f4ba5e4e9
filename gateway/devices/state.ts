/** Owns the few states that a list of devices shows: what the cause comes down to. */

import type { Cause } from './why.ts'

export const STATES = [
  'online',
  'offline',
  'silent',
  'incomplete',
  'refused',
  'dropped',
  'dead-lettering',
  'late',
  'clock',
  'repeating',
] as const
export type DeviceState = (typeof STATES)[number]

const BY_CAUSE: Readonly<Partial<Record<Cause, DeviceState>>> = {
  'never-connected': 'offline',
  refused: 'refused',
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
}

export const stateOf = (cause: Cause, online: boolean): DeviceState =>
  BY_CAUSE[cause] ?? (online ? 'online' : 'offline')
