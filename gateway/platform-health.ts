/**
 * Owns `GET /v1/platform`: how the platform is, for whoever runs it. All of it comes from the log and from this gateway, so a gateway that
 * runs apart from broker and ingest tells the same of them.
 *
 * Always true: the ledger is of one snapshot, and for every token, as `/v1/ledger`; the rest is for those that may read of all devices.
 * Bound: the ledger is noted every `NOTE_INTERVAL_MS`, `NOTES_MAX` times; devices are counted once in `COUNT_INTERVAL_MS`, however many ask.
 */

import { statfs } from 'node:fs/promises'
import type { Journal } from '../log/journal.ts'
import { type DeadLetterCounts, INGEST_READER, type Ledger, type Measured } from '../log/log.ts'
import type { Roles } from '../log/roles.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { Access } from './access.ts'
import { Lag } from './alerts/lag.ts'
import { type PartOfPlatform, partsOf, platformFacts } from './devices/platform-facts.ts'
import type { LedgerLog } from './ledger.ts'
import type { Query } from './request.ts'

/** Rates are of the time since the oldest note: 10 to 15 seconds. */
const NOTE_INTERVAL_MS = 5_000
const NOTES_MAX = 3
/** Of less time nothing is said. */
const RATE_MS_MIN = 1_000
const COUNT_INTERVAL_MS = 5_000

export interface PlatformHealthOptions {
  readonly version: string
  /** The kind of store that the settings name. */
  readonly store: string
  /** Where the log is. */
  readonly dataDir: string
}

export interface PlatformHealthDependencies {
  readonly log: LedgerLog & Measured
  readonly journal: Journal
  readonly roles: Pick<Roles, 'all'>
  /** Why the log takes nothing now; undefined while it does. */
  readonly full: () => string | undefined
  /** Why no traffic should come now; undefined when it should. */
  readonly ready: () => string | undefined
  readonly countDevices: () => Promise<DevicesCount>
  readonly countApps: () => { readonly connections: number; readonly subscriptions: number }
  readonly clock: Clock
  readonly logger: Logger
}

export interface DevicesCount {
  readonly known: number
  readonly online: number
}

/** For every token. Times in milliseconds since 1970-01-01T00:00Z. */
interface ForAll {
  readonly at: number
  readonly ready: boolean
  readonly ledger: Ledger & Pick<DeadLetterCounts, 'held' | 'replayed'>
}

interface ForOperators extends ForAll {
  readonly version: string
  /** When this gateway was. */
  readonly startedAt: number
  /** Why it is not ready. */
  readonly reason?: string
  readonly log: {
    readonly bytes: number
    readonly bytesMax: number
    readonly oldestAt?: number
    readonly full?: string
  }
  /** Of the data directory; absent where that cannot be asked. */
  readonly disk?: { readonly freeBytes: number; readonly totalBytes: number }
  readonly store: StoreHealth
  readonly devices: DevicesCount
  readonly apps: { readonly connections: number; readonly subscriptions: number }
  /** Absent in the first second. */
  readonly rates?: Rates
  readonly parts: readonly PartOfPlatform[]
}

interface StoreHealth {
  readonly kind: string
  /** `unknown` where no ingest runs, which would tell. */
  readonly state: 'ok' | 'away' | 'unknown'
  readonly since?: number
  readonly error?: string
  readonly lagMessages: number
  /** How long ago the oldest message that waits was received; 0 when none waits. */
  readonly lagMs: number
}

interface Rates {
  readonly receivedPerSecond: number
  readonly storedPerSecond: number
  readonly deadLetteredPerSecond: number
}

export class PlatformHealth {
  readonly #options: PlatformHealthOptions
  readonly #dependencies: PlatformHealthDependencies
  readonly #startedAt: number
  readonly #lag: Lag
  /** Oldest first. */
  readonly #notes: { readonly at: number; readonly ledger: Ledger }[] = []
  #counted: { readonly at: number; readonly count: Promise<DevicesCount> } | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: PlatformHealthOptions, dependencies: PlatformHealthDependencies) {
    this.#options = options
    this.#dependencies = dependencies
    this.#startedAt = dependencies.clock.now()
    this.#lag = new Lag(dependencies.log.shards)
  }

  /** Resolves when the first note is there. */
  async start(): Promise<void> {
    await this.#note()
    this.#timer = setInterval(() => void this.#note(), NOTE_INTERVAL_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async answer(query: Query, access: Access): Promise<ForAll | ForOperators> {
    query.allow([])
    const { log, ready, full, countApps, clock } = this.#dependencies
    const now = clock.now()
    const [ledger, { held, replayed }] = await Promise.all([log.ledger(INGEST_READER), log.deadLetterCounts()])
    const reason = ready()
    const forAll = { at: now, ready: reason === undefined, ledger: { ...ledger, held, replayed } }
    if (!access.seesAll) return forAll
    const [extent, disk, storedUntil, devices] = await Promise.all([
      log.extent(),
      this.#disk(),
      this.#lag.storedUntil(now),
      this.#countDevices(now),
    ])
    const whyFull = full()
    const rates = this.#rates(now, ledger)
    const parts = partsOf(this.#dependencies)
    const ingest = parts.find(({ role }) => role === 'ingest')
    const { storeAway: away } = platformFacts(this.#dependencies)
    return {
      ...forAll,
      version: this.#options.version,
      startedAt: this.#startedAt,
      ...(reason !== undefined && { reason }),
      log: { ...extent, ...(whyFull !== undefined && { full: whyFull }) },
      ...(disk && { disk }),
      store: {
        kind: this.#options.store,
        state: ingest?.state !== 'running' ? 'unknown' : away === undefined ? 'ok' : 'away',
        ...(away && { since: away.since, error: away.text }),
        lagMessages: ledger.pending,
        lagMs: now - storedUntil,
      },
      devices,
      apps: countApps(),
      ...(rates && { rates }),
      parts,
    }
  }

  /** Of Windows file systems and some mounts nothing is known. */
  async #disk(): Promise<ForOperators['disk']> {
    try {
      const { bavail, blocks, bsize } = await statfs(this.#options.dataDir)
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
    } catch {
      return undefined
    }
  }

  #countDevices(now: number): Promise<DevicesCount> {
    if (this.#counted === undefined || now - this.#counted.at >= COUNT_INTERVAL_MS)
      this.#counted = { at: now, count: this.#dependencies.countDevices() }
    return this.#counted.count
  }

  #rates(now: number, ledger: Ledger): Rates | undefined {
    const [since] = this.#notes
    if (since === undefined || now - since.at < RATE_MS_MIN) return undefined
    const perSecond = (name: 'accepted' | 'stored' | 'deadLettered') =>
      Math.round(((ledger[name] - since.ledger[name]) * 10_000) / (now - since.at)) / 10
    return {
      receivedPerSecond: perSecond('accepted'),
      storedPerSecond: perSecond('stored'),
      deadLetteredPerSecond: perSecond('deadLettered'),
    }
  }

  async #note(): Promise<void> {
    const { log, clock, logger } = this.#dependencies
    try {
      this.#notes.push({ at: clock.now(), ledger: await log.ledger(INGEST_READER) })
      if (this.#notes.length > NOTES_MAX) this.#notes.shift()
    } catch (error) {
      logger.warn({ err: error }, 'how much comes could not be noted')
    }
  }
}
