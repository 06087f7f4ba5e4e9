/**
 * Owns what is known of the platform just now, or was at a time in the past: which of its roles run, whether its log is full and its store
 * away. From what each role noted in the journal, and which processes are there. Always true: a role is down only if it is known to have
 * stopped. Bound: none of its own.
 */

import type { Journal, JournalEvent } from '../../log/journal.ts'
import { ROLES, type Role, type Roles } from '../../log/roles.ts'
import type { Clock } from '../../platform/clock.ts'

export interface Condition {
  /** When it began, milliseconds. */
  readonly since: number
  readonly text: string
}

/** A role of the platform, whichever processes play it. */
export interface PartOfPlatform {
  readonly role: Role
  /** `unknown`: nobody has told of it. */
  readonly state: 'running' | 'stopped' | 'unknown'
  /** When it began to be so; of one that was killed, when that was seen. */
  readonly since?: number
  /** How it ended, of one that nobody stopped. */
  readonly reason?: string
}

export interface PlatformFacts {
  readonly storeAway?: Condition
  readonly logFull?: Condition
  /** The broker that a bridge takes messages from. */
  readonly bridgeAway?: Condition
  /** Roles that were stopped and have not begun again. */
  readonly down: readonly { readonly role: string; readonly since?: number; readonly reason?: string }[]
}

export interface PlatformFactsDependencies {
  readonly journal: Journal
  readonly roles: Pick<Roles, 'all'>
  readonly clock: Clock
  /** Why nothing can be appended now; undefined when it can. */
  readonly full: () => string | undefined
}

export function platformFacts({ journal, roles, clock, full }: PlatformFactsDependencies): PlatformFacts {
  const { events = [] } = journal.ofPlatform() ?? {}
  const { storeAway, ...facts } = platformIn(events, partsOf({ journal, roles }), clock.now(), full())
  // Whoever would say that the store is back is gone.
  const isToldOf = !facts.down.some(({ role }) => role === 'ingest')
  return { ...facts, ...(isToldOf && storeAway && { storeAway }) }
}

export function platformBefore(time: number, journal: Pick<Journal, 'ofPlatform'>): PlatformFacts {
  const events = (journal.ofPlatform()?.events ?? []).filter(({ firstAt }) => firstAt <= time)
  return platformIn(events, toldIn(events), time, undefined)
}

function platformIn(
  events: readonly JournalEvent[],
  parts: readonly PartOfPlatform[],
  now: number,
  full: string | undefined,
): PlatformFacts {
  const last = (kind: string, code: string) => events.findLast((event) => event.kind === kind && event.code === code)
  const began = (code: string, over: number): Condition | undefined => {
    const beginning = last('began', code)
    return beginning !== undefined && beginning.firstAt > over
      ? { since: beginning.firstAt, text: beginning.text }
      : undefined
  }
  const ended = (code: string) => last('ended', code)?.firstAt ?? 0
  // A process that begins anew tells again what it meets.
  const ingestChangedAt = Math.max(ended('ingest-up'), last('began', 'ingest-up')?.firstAt ?? 0)
  const storeAway = began('store-away', Math.max(ended('store-away'), ingestChangedAt))
  const bridgeChangedAt = Math.max(ended('bridge-up'), last('began', 'bridge-up')?.firstAt ?? 0)
  const bridgeAway = began('bridge-away', Math.max(ended('bridge-away'), bridgeChangedAt))
  const isFull = began('log-full', Math.max(ended('log-full'), last('began', 'broker-up')?.firstAt ?? 0))
  const logFull = isFull ?? (full === undefined ? undefined : { since: now, text: full })
  const down = parts.filter(({ state }) => state === 'stopped')
  return { ...(storeAway && { storeAway }), ...(logFull && { logFull }), ...(bridgeAway && { bridgeAway }), down }
}

/** Which parts of the platform run. Where no process has told of a role (those of an earlier version did not), the journal says what it knows. */
export function partsOf({ journal, roles }: Pick<PlatformFactsDependencies, 'journal' | 'roles'>): PartOfPlatform[] {
  const all = roles.all()
  // Totals, for of the events the oldest go.
  return toldIn(journal.ofPlatform()?.totals ?? []).map((told) => {
    const played = all.filter(({ role }) => role === told.role)
    const running = played.filter(({ isRunning }) => isRunning)
    if (running.length > 0)
      return { role: told.role, state: 'running', since: Math.min(...running.map(({ since }) => since)) }
    const [gone] = played.sort((one, other) => (other.goneAt ?? 0) - (one.goneAt ?? 0))
    if (gone === undefined) return told
    const since = gone.goneAt !== undefined && { since: gone.goneAt }
    return { role: told.role, state: 'stopped', ...since, reason: `${gone.process} was killed, or crashed` }
  })
}

function toldIn(events: readonly JournalEvent[]): PartOfPlatform[] {
  return ROLES.flatMap((role): PartOfPlatform[] => {
    const told = events.filter(({ code }) => code === `${role}-up`).sort((one, other) => one.at - other.at)
    const { kind, at } = told.at(-1) ?? {}
    // Most platforms have no bridge.
    if (at === undefined) return role === 'bridge' ? [] : [{ role, state: 'unknown' }]
    return [{ role, state: kind === 'ended' ? 'stopped' : 'running', since: at }]
  })
}
