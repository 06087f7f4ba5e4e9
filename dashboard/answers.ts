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
  readonly kind: 'connected' | 'disconnected' | 'bridged' | 'refused' | 'dropped' | 'slowed' | 'began' | 'ended'
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

/** Time, stream and reason are of the newest that is held; of the newest of all, where none is. The stream may not be known: it is empty then. */
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

/** Of `v1/deadletters`. */
export interface DeadLetter {
  readonly id: string
  /** Empty of one that the disk gave back changed; so is its topic. */
  readonly device: string
  readonly topic: string
  readonly stream?: string
  readonly code: string
  /** Why it was set aside. */
  readonly message: string
  /** When it was received. */
  readonly at: number
  readonly bytes: number
}

export interface DeadLettersPage {
  readonly deadLetters: readonly DeadLetter[]
  /** There may be more: the `after` of the next page. */
  readonly next?: string
}

/** Of `v1/deadletters/counts`: those that are kept. */
export interface DeadLetterCount {
  readonly device: string
  readonly code: string
  readonly count: number
  readonly lastAt: number
}

/** `v1/deadletters/{id}`. */
export interface OpenedLetter extends DeadLetter {
  readonly setAsideAt?: number
  /** In base64. */
  readonly payload: string
  readonly decoded: {
    /** Names, which may be empty, and values. */
    readonly lines: readonly (readonly [name: string, value: string])[]
    /** Behind how many bytes reading stopped, where that is known, and why. */
    readonly breaks?: { readonly at?: number; readonly why: string }
    /** What would become of it if it were put through again. */
    readonly now?: { readonly readings: number } | { readonly code: string; readonly reason: string }
  }
  readonly mend?: string
}

/** Of `v1/alerts`. */
export interface Alert {
  readonly id: string
  readonly rule: string
  /** Not there where it is about the platform. */
  readonly device?: string
  readonly stream?: string
  readonly state: 'firing' | 'resolved'
  readonly since: number
  readonly until?: number
  readonly sentence: string
}

/** Whom something could not be told yet. */
export interface AlertTarget {
  readonly to: string
  readonly kind: string
  readonly waiting: number
  readonly since: number
  readonly problem?: string
}

export interface AlertsPage {
  /** Those that are firing first, the newest before. */
  readonly alerts: readonly Alert[]
  readonly targets: readonly AlertTarget[]
  /** Alerts that did not begin, for too many were firing; messages that were given up. */
  readonly lost: { readonly untold: number; readonly dropped: number }
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

/** `v1/platform`. To a token that is not for all devices the gateway says the first three. */
export interface PlatformHealth {
  readonly at: number
  readonly ready: boolean
  readonly ledger: Ledger & { readonly held?: number; readonly replayed?: number }
  readonly version?: string
  readonly startedAt?: number
  /** Why it is not ready. */
  readonly reason?: string
  readonly log?: {
    readonly bytes: number
    readonly bytesMax: number
    readonly oldestAt?: number
    /** Why no message is taken. */
    readonly full?: string
  }
  readonly disk?: { readonly freeBytes: number; readonly totalBytes: number }
  readonly store?: {
    readonly kind: string
    readonly state: 'ok' | 'away' | 'unknown'
    readonly since?: number
    readonly error?: string
    readonly lagMessages: number
    readonly lagMs: number
  }
  readonly devices?: { readonly known: number; readonly online: number }
  readonly apps?: { readonly connections: number; readonly subscriptions: number }
  readonly rates?: Rates
  readonly parts?: readonly {
    readonly role: string
    readonly state: 'running' | 'stopped' | 'unknown'
    readonly since?: number
  }[]
}

/** Messages a second. */
export interface Rates {
  readonly receivedPerSecond: number
  readonly storedPerSecond: number
  readonly deadLetteredPerSecond: number
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
