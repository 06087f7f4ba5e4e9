/** Owns what the page reads of the gateway's answers, as docs/openapi.yaml has them whole. Times are milliseconds since 1970-01-01T00:00Z. */

import type { Value } from '../client/client.ts'

export type DeviceState =
  | 'online'
  | 'offline'
  | 'silent'
  | 'incomplete'
  | 'refused'
  | 'contested'
  | 'dropped'
  | 'dead-lettering'
  | 'late'
  | 'clock'
  | 'repeating'
  | 'slowed'

/** Of `v1/devices?last=false`. */
export interface DeviceListing {
  readonly device: string
  readonly state: DeviceState
  readonly cause: string
  readonly code?: string
  readonly sentence: string
  readonly site?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly streams: readonly string[]
  readonly online: boolean
  readonly since?: number
  readonly lastSeen?: number
  readonly intervalMs?: number
  readonly clockOffsetMs?: number
}

export interface DevicesPage {
  readonly devices: readonly DeviceListing[]
  /** There are more: the `after` of the next page. */
  readonly next?: string
}

/** `v1/devices/{id}/why`. */
export interface Why {
  readonly device: string
  readonly at: number
  readonly cause: string
  readonly code?: string
  readonly sentence: string
  readonly evidence: readonly { readonly at: number; readonly text: string }[]
  readonly mend?: string
}

/** One event, or equal ones in a row. */
export interface JournalEvent {
  readonly kind: 'connected' | 'disconnected' | 'refused' | 'dropped' | 'slowed' | 'began' | 'ended'
  readonly code: string
  readonly text: string
  readonly from?: string
  readonly firstAt: number
  readonly at: number
  readonly count: number
}

/** Of one hour of receipt, which begins at `from`. */
export interface HourOfDevice {
  readonly from: number
  readonly received: number
  readonly stored: number
  readonly setAside: number
  readonly expected?: number
  /** Received of expected, 0 to 1. */
  readonly completeness?: number
}

export interface DeadLettersOfCode {
  readonly code: string
  readonly count: number
  /** Of `count`, those that nobody has replayed or purged. */
  readonly held: number
  readonly firstAt: number
  readonly lastAt: number
  readonly stream: string
  readonly reason: string
}

export interface StreamOfDevice {
  readonly stream: string
  readonly expected?: true
  readonly heardAt?: number
  readonly intervalMs?: number
  readonly formats?: readonly { readonly framing: string; readonly schema?: string; readonly lastAt: number }[]
  readonly last?: { readonly ts: number; readonly values: Readonly<Record<string, Value>> }
}

/** `v1/devices/{id}`. */
export interface DeviceRecord extends Omit<DeviceListing, 'streams' | 'sentence' | 'lastSeen'> {
  readonly from?: string
  readonly firstHeardAt?: number
  readonly heardAt?: number
  readonly lastStoredAt?: number
  readonly ledger: Ledger
  readonly takeovers: number
  readonly refusals: number
  readonly deadLetters: readonly DeadLettersOfCode[]
  readonly hours: readonly HourOfDevice[]
  readonly streams: readonly StreamOfDevice[]
  readonly events: readonly JournalEvent[]
  readonly totals: readonly JournalEvent[]
}

/** In messages, but for `readings` and `superseded`. */
export interface Ledger {
  readonly accepted: number
  readonly stored: number
  readonly deadLettered: number
  readonly pending: number
  readonly balanced: boolean
  readonly readings: number
  readonly superseded: number
}

/** Of `v1/schemas`. */
export interface StreamSchema {
  readonly stream: string
  readonly doc?: string
  readonly columns: readonly Column[]
}

export interface Column {
  readonly name: string
  readonly kind: string
  readonly unit?: string
  readonly tag: boolean
  readonly doc?: string
}
