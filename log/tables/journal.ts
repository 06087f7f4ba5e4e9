/**
 * Owns gathering what is noted in the journal, until it is written.
 *
 *   note() --> gathered in memory, equal ones as one --every `JOURNAL_INTERVAL_MS`--> written at once --> readable
 *
 * Bounds: in memory `GATHERED_MAX` records wait; of one more nothing is noted, which is counted. While the log is full nothing is written, and what
 * waits stays.
 */

import { Counter } from 'prom-client'
import type { Clock } from '../../platform/clock.ts'
import type { Metrics } from '../../platform/metrics.ts'
import { printable } from '../../platform/printable.ts'
import {
  JOURNAL_INTERVAL_MS,
  type Journal,
  type JournalOf,
  type NewJournalEvent,
  type PlatformCondition,
} from '../journal.ts'
import type { LogError } from '../log-error.ts'
import { add, type Gathered, PLATFORM } from './journal-records.ts'

const TEXT_CHARS_MAX = 240
const GATHERED_MAX = 20_000
/** Records that are written at once: it keeps others from their turn for 10 ms or so. */
const RECORDS_PER_WRITE_MAX = 1_000

export interface GatheredJournalDependencies {
  readonly records: {
    of(device: string): JournalOf | undefined
    ofPlatform(): JournalOf | undefined
    named(): Iterable<string>
    stop(): void
  }
  /** Resolves when they are on disk. What the disk says is told to others. */
  readonly write: (gathered: readonly (readonly [name: string, gathered: Gathered])[]) => Promise<unknown>
  /** Why the log is full; undefined while it is not. */
  readonly full: () => LogError | undefined
  readonly clock: Clock
  readonly lost: Counter
}

/** Made before the log is opened, as all instruments are. */
export function lostCounter(registry: Metrics): Counter {
  return new Counter({
    name: 'telltale_log_journal_lost_total',
    help: 'Events of devices that were not written down, since too many waited',
    registers: [registry],
  })
}

export class GatheredJournal implements Journal {
  readonly #dependencies: GatheredJournalDependencies
  #gathered = new Map<string, Gathered>()
  #timer: NodeJS.Timeout | undefined
  #isStopped = false
  #writing: Promise<unknown> = Promise.resolve()

  constructor(dependencies: GatheredJournalDependencies) {
    this.#dependencies = dependencies
  }

  note(device: string, event: NewJournalEvent, { isNamed = false } = {}): void {
    if (this.#isStopped) return
    const { clock, lost } = this.#dependencies
    let gathered = this.#gathered.get(device)
    if (gathered === undefined && this.#gathered.size >= GATHERED_MAX) {
      lost.inc()
      return
    }
    if (gathered === undefined || (gathered.isNamed && !isNamed)) {
      gathered = { isNamed, record: gathered?.record ?? { events: [], totals: [] } }
      this.#gathered.set(device, gathered)
    }
    const at = clock.now()
    const text = printable(event.text.slice(0, TEXT_CHARS_MAX))
    add(gathered.record, { ...event, text, firstAt: at, at, count: 1 })
    this.#timer ??= setTimeout(() => this.#write(), JOURNAL_INTERVAL_MS).unref()
  }

  notePlatform(event: NewJournalEvent & { readonly code: PlatformCondition }): void {
    this.note(PLATFORM, event)
  }

  of(device: string): JournalOf | undefined {
    return this.#dependencies.records.of(device)
  }

  ofPlatform(): JournalOf | undefined {
    return this.#dependencies.records.ofPlatform()
  }

  named(): Iterable<string> {
    return this.#dependencies.records.named()
  }

  /** Resolves when what was noted is on disk, or cannot be. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#dependencies.records.stop()
    clearTimeout(this.#timer)
    while (this.#gathered.size > 0 && this.#dependencies.full() === undefined) {
      this.#write()
      await this.#writing
    }
    clearTimeout(this.#timer)
    await this.#writing
  }

  #write(): void {
    this.#timer = undefined
    const { write, full } = this.#dependencies
    if (full() !== undefined) {
      this.#timer = setTimeout(() => this.#write(), JOURNAL_INTERVAL_MS).unref()
      return
    }
    const all = [...this.#gathered]
    const now = all.slice(0, RECORDS_PER_WRITE_MAX)
    this.#gathered = new Map(all.slice(RECORDS_PER_WRITE_MAX))
    if (now.length === 0) return
    this.#writing = write(now).catch(() => undefined)
    if (this.#gathered.size > 0) this.#timer = setTimeout(() => this.#write(), JOURNAL_INTERVAL_MS).unref()
  }
}
