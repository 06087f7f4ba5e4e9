/**
 * Owns what is known of one device, put together from where it is kept: presence, the journal, what ingest has counted, what the
 * gateway has seen go by, and what the device's file says. `asOf` is the same as it was at a time in the past, as far as what is kept reaches.
 *
 * Without a gateway's table of last readings (a command beside a platform that is down) the interval comes from the counts of the hours,
 * and nothing is known of the clock. Bound: none of its own.
 */

import type { Declaration, DeclaredDevices } from '../../identity/declared-devices.ts'
import type { Journal, JournalEvent } from '../../log/journal.ts'
import {
  type DeadLettersOfCode,
  type DeviceHour,
  type DeviceLedger,
  type DeviceReceipts,
  INGEST_READER,
  type Shards,
} from '../../log/log.ts'
import type { Presence } from '../../log/presence.ts'
import type { Latest } from '../latest.ts'
import type { Pace } from './pace.ts'
import { type PlatformFacts, type PlatformFactsDependencies, platformBefore, platformFacts } from './platform-facts.ts'

const HOUR_MS = 3_600_000
/** Silence of so many intervals is told, but none that is shorter. */
const SILENT_INTERVALS = 3
const SILENT_MS_MIN = 5_000
/** Of one moment, though not noted at once. */
const NEAR_MS = 1_000
/** Of a device whose interval nobody knows. */
const SILENT_MS_UNKNOWN = 15 * 60_000

/** Of a device that never connects itself: the edge node of Sparkplug that speaks for it. */
export interface EdgeNode {
  readonly id: string
  readonly online: boolean
  readonly since: number
  /** How its connection ended last. */
  readonly end?: JournalEvent
}

export interface SentStream {
  readonly stream: string
  /** Of its newest message. */
  readonly heardAt: number
  /** Learned; undefined while too little is known. */
  readonly intervalMs: number | undefined
  /** It comes like a clock. */
  readonly isRegular: boolean
}

/** Of one hour of receipt. */
export interface HourOfDevice extends DeviceHour {
  readonly received: number
  /** Messages that there should be, by the interval; undefined while that is not known. */
  readonly expected?: number
  /** Received of expected, 0 to 1; undefined where nothing was. */
  readonly completeness?: number
}

export interface Facts {
  readonly device: string
  /** The time they are of, milliseconds, as all times here. */
  readonly now: number
  readonly isPast: boolean
  /** Of these times of the past only the hour is known. */
  readonly inHour?: readonly ('heardAt' | 'lastStoredAt')[]
  readonly online: boolean
  /** When `online` last changed; undefined of one that never connected. */
  readonly since: number | undefined
  /** Of the newest message that was accepted. */
  readonly heardAt: number | undefined
  /** Readings of it are known, though nobody may know when they came: the store has told of them. */
  readonly hasReadings: boolean
  /** Declared, or learned. */
  readonly intervalMs: number | undefined
  readonly clockOffsetMs: number | undefined
  readonly receipts: DeviceReceipts | undefined
  /** None where they were not asked for. */
  readonly hours: readonly HourOfDevice[]
  readonly events: readonly JournalEvent[]
  readonly totals: readonly JournalEvent[]
  /** Messages that are neither stored nor set aside; undefined where that was not counted. */
  readonly pending: number | undefined
  /** When the oldest of these was received. */
  readonly pendingSince?: number
  readonly platform: PlatformFacts
  /** What its file says of it, if one does. */
  readonly declared?: Declaration | undefined
  /** Streams of which anything ever came; undefined where nobody has seen them go by. */
  readonly streams?: readonly string[] | undefined
  /** How it sends what it sends, as the gateway has seen it go by since it began. */
  readonly sent?: readonly SentStream[] | undefined
  readonly edgeNode?: EdgeNode | undefined
}

export interface FactsDependencies extends PlatformFactsDependencies {
  readonly log: Pick<Shards, 'deviceReceipts'>
  readonly presence: Presence
  readonly latest: Latest | undefined
  readonly declared: Pick<DeclaredDevices, 'has' | 'get' | 'ids'>
  /** As it is for all devices just now; looked up unless given. */
  readonly platform?: PlatformFacts
}

/** Undefined of a device that nobody has ever heard of, and no file declares. Who asks of all devices does so without their hours. */
export async function factsOf(
  device: string,
  { log, presence, journal, roles, latest, declared, clock, full, platform }: FactsDependencies,
  { withHours = true }: { readonly withHours?: boolean } = {},
): Promise<Facts | undefined> {
  const receipts = await log.deviceReceipts(INGEST_READER, device)
  const present = presence.get(device)
  const noted = journal.of(device)
  const isLive = latest?.has(device) ?? false
  const isKnown = receipts !== undefined || present !== undefined || noted !== undefined || isLive
  if (!isKnown && !declared.has(device)) return undefined
  const now = clock.now()
  const heardAt = later(latest?.heardAt(device), receipts?.lastReceivedAt)
  const declaration = declared.get(device)
  const sent = latest && Array.from(latest.sentBy(device), ([stream, { pace }]) => sentStream(stream, pace))
  const paces = sent?.map(({ intervalMs: each }) => each) ?? []
  const { intervalMs, perHour } = paceOf(declaration, paces, () => intervalIn(receipts, now))
  const connects = noted?.totals.some(({ kind }) => kind === 'connected') ?? false
  const edgeNode = connects || present === undefined ? undefined : edgeNodeOf(device, { presence, journal })
  return {
    device,
    now,
    isPast: false,
    online: present?.online ?? false,
    since: present?.since,
    heardAt,
    hasReadings: isLive,
    intervalMs,
    clockOffsetMs: latest?.clockOffsetMs(device),
    receipts,
    hours: withHours
      ? completenessOf(receipts, perHour, countedUntil(receipts, { heardAt, intervalMs, now }), now)
      : [],
    events: noted?.events ?? [],
    totals: noted?.totals ?? [],
    pending: undefined,
    platform: platform ?? platformFacts({ journal, roles, clock, full }),
    edgeNode,
    declared: declaration,
    streams: latest?.streamsOf(device),
    sent,
  }
}

export const later = (one: number | undefined, other: number | undefined): number | undefined =>
  one === undefined || (other !== undefined && other > one) ? other : one

function sentStream(stream: string, { heardAt, intervalMs, isRegular }: Pace): SentStream {
  return { stream, heardAt, intervalMs, isRegular }
}

/** With what its ledger says of messages that wait: it is counted for those that need it. */
export const withPending = (facts: Facts, { pending, pendingSince }: DeviceLedger): Facts => ({
  ...facts,
  pending,
  ...(pendingSince !== undefined && { pendingSince }),
})

/** What is declared goes before what is learned. Each stream has the interval that is declared. */
function paceOf(
  declared: Declaration | undefined,
  paces: readonly (number | undefined)[],
  usual: () => number | undefined,
): { readonly intervalMs: number | undefined; readonly perHour: number | undefined } {
  if (declared?.intervalMs !== undefined) {
    const streams = declared.streams.length || paces.length || 1
    return { intervalMs: declared.intervalMs, perHour: (streams * HOUR_MS) / declared.intervalMs }
  }
  const intervals = paces.filter((interval) => interval !== undefined)
  const intervalMs = intervals.length > 0 ? Math.min(...intervals) : usual()
  const perHour = intervals.reduce((sum, interval) => sum + HOUR_MS / interval, 0)
  return { intervalMs, perHour: perHour || (intervalMs && HOUR_MS / intervalMs) }
}

/** Ids of devices of Sparkplug are `{group}:{node}:{device}`, of their edge nodes `{group}:{node}`. */
function edgeNodeOf(
  device: string,
  { presence, journal }: Pick<FactsDependencies, 'presence' | 'journal'>,
): EdgeNode | undefined {
  const [group, node, name] = device.split(':', 3)
  if (name === undefined) return undefined
  const known = presence.get(`${group}:${node}`)
  if (known === undefined) return undefined
  const { online, since } = known
  const end = journal.of(known.device)?.events.findLast(({ kind }) => kind === 'disconnected')
  return { id: known.device, online, since, ...(end && end.at >= since - NEAR_MS && { end }) }
}

/** After so long without a message a device is silent. */
export function silentAfterMs({ intervalMs }: Pick<Facts, 'intervalMs'>): number {
  return intervalMs === undefined ? SILENT_MS_UNKNOWN : Math.max(SILENT_MS_MIN, SILENT_INTERVALS * intervalMs)
}

/** The facts as they were at `time`, by what is kept. */
export function asOf(facts: Facts, time: number, journal: Pick<Journal, 'ofPlatform'>): Facts {
  if (time >= facts.now) return facts
  const before = (events: readonly JournalEvent[]) =>
    events.filter(({ firstAt }) => firstAt <= time).map((event) => ({ ...event, at: Math.min(event.at, time) }))
  const events = before(facts.events)
  // Who took its place is connected; another broker may have noted the end of the old one later than that.
  const change = events.findLast(
    ({ kind, code }) => kind === 'connected' || (kind === 'disconnected' && code !== 'taken-over'),
  )
  const unchanged = facts.since !== undefined && facts.since <= time ? facts.since : undefined
  const online = change === undefined ? unchanged !== undefined && facts.online : change.kind === 'connected'
  const hours = facts.hours.filter(({ from }) => from <= time)
  const { receipts, edgeNode: node, ...others } = facts
  // How it was before that nobody knows.
  const edgeNode = node !== undefined && node.since <= time && { edgeNode: node }
  return {
    ...others,
    ...edgeNode,
    now: time,
    isPast: true,
    inHour: [
      ...((facts.heardAt ?? 0) > time ? (['heardAt'] as const) : []),
      ...((receipts?.lastStoredAt ?? 0) > time ? (['lastStoredAt'] as const) : []),
    ],
    online,
    since: change?.at ?? unchanged,
    heardAt: heardBefore(facts, hours, time, ({ received }) => received),
    receipts: receipts && {
      ...receipts,
      // When readings replaced one another before the last time nobody knows.
      supersededAt: (receipts.supersededAt ?? 0) <= time ? receipts.supersededAt : undefined,
      ...optional(
        'lastReceivedAt',
        heardBefore(facts, hours, time, ({ received }) => received),
      ),
      ...optional(
        'lastStoredAt',
        heardBefore({ heardAt: receipts.lastStoredAt }, hours, time, ({ stored }) => stored),
      ),
      deadLetters: receipts.deadLetters
        .filter(({ firstAt }) => firstAt <= time)
        .map((each) => lettersBefore(each, hours, time)),
    },
    hours,
    events,
    totals: before(facts.totals),
    pending: undefined,
    platform: platformBefore(time, journal),
  }
}

const optional = <Name extends string>(name: Name, value: number | undefined) =>
  ({ [name]: value }) as { [Each in Name]?: number }

/** Of the hour that `time` is in nothing finer is known: a message of it counts as just received. */
function heardBefore(
  { heardAt }: { readonly heardAt?: number | undefined },
  hours: readonly HourOfDevice[],
  time: number,
  count: (hour: HourOfDevice) => number,
): number | undefined {
  if (heardAt !== undefined && heardAt <= time) return heardAt
  const last = hours.findLast((hour) => count(hour) > 0)
  return last && Math.min(last.from + HOUR_MS, time)
}

/** What is mended meanwhile was held then. */
function lettersBefore(
  { mended, ...held }: DeadLettersOfCode,
  hours: readonly HourOfDevice[],
  time: number,
): DeadLettersOfCode {
  const { code, count, firstAt, lastAt } = { ...held, ...mended }
  const newest = mended !== undefined && mended.lastAt <= time ? mended : held
  const { stream, reason, framing } = newest
  const framed = framing !== undefined && { framing }
  const last = lastSetAside({ firstAt, lastAt }, hours, time)
  return { code, count, held: count, firstAt, lastAt: last, stream, reason, ...framed }
}

function lastSetAside(
  { firstAt, lastAt }: { firstAt: number; lastAt: number },
  hours: readonly HourOfDevice[],
  time: number,
) {
  if (lastAt <= time) return lastAt
  const last = hours.findLast(({ setAside }) => setAside > 0)
  return Math.max(firstAt, last === undefined ? 0 : Math.min(last.from + HOUR_MS, time))
}

/** From the counts of the hours that are over; from all hours, if there are none. */
function intervalIn(receipts: DeviceReceipts | undefined, now: number): number | undefined {
  if (receipts?.firstReceivedAt === undefined || receipts.lastReceivedAt === undefined) return undefined
  const { firstReceivedAt, lastReceivedAt: last } = receipts
  const first = Math.max(firstReceivedAt, receipts.hours[0]?.from ?? 0)
  const whole = receipts.hours.filter(({ from }) => from > first && from + HOUR_MS <= now)
  const counts = whole.map(({ stored, setAside }) => stored + setAside).sort((a, b) => a - b)
  const usual = counts.length > 1 ? counts[counts.length >> 1] : undefined
  if (usual !== undefined) return HOUR_MS / usual
  const count = receipts.hours.reduce((sum, { stored, setAside }) => sum + stored + setAside, 0)
  return count > 3 && last > first ? (last - first) / (count - 1) : undefined
}

/** Up to when something can be missing: of a device that sends, what came since may not be counted yet; of another, one message is not due yet. */
function countedUntil(
  receipts: DeviceReceipts | undefined,
  { heardAt, intervalMs, now }: Pick<Facts, 'heardAt' | 'intervalMs' | 'now'>,
): number {
  const isHeard = heardAt !== undefined && now - heardAt <= silentAfterMs({ intervalMs })
  return (isHeard ? receipts?.lastReceivedAt : undefined) ?? now - (intervalMs ?? 0)
}

/**
 * Hours without a message, since the first, are there too: they are what is missing. Before a device was first heard of nothing is, and in the
 * hour that goes on nothing after `until`.
 */
function completenessOf(
  receipts: DeviceReceipts | undefined,
  perHour: number | undefined,
  until: number,
  now: number,
): HourOfDevice[] {
  const { hours = [], firstReceivedAt = now } = receipts ?? {}
  const first = hours[0]
  if (first === undefined) return []
  const byStart = new Map(hours.map((hour) => [hour.from, hour]))
  const all: HourOfDevice[] = []
  for (let from = first.from; from <= now; from += HOUR_MS) {
    const { stored, setAside } = byStart.get(from) ?? { stored: 0, setAside: 0 }
    const received = stored + setAside
    const [begin, end] = [Math.max(from, firstReceivedAt), from + HOUR_MS]
    const span = Math.max(0, (end > now ? until : end) - begin)
    // Of a part of an hour what is due at its very end may come a moment later.
    const whole = span === HOUR_MS ? Math.round : Math.floor
    const expected = perHour === undefined ? undefined : whole((perHour * span) / HOUR_MS)
    // Of nothing expected there is no share.
    const ratio = (expected ?? 0) > 0 && {
      completeness: Math.round(Math.min(1, received / (expected ?? 1)) * 1_000) / 1_000,
    }
    all.push({ from, stored, setAside, received, ...(expected !== undefined && { expected }), ...ratio })
  }
  return all
}
