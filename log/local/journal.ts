/**
 * Owns the journal in a local log's directory: a record for each device with its newest events and the totals of all, one for the platform,
 * and those of names that only showed up where somebody was not let in.
 *
 *   note() --> gathered in memory, equal ones as one --every `JOURNAL_INTERVAL_MS`--> one transaction --> readable
 *
 * Bounds: `EVENTS_MAX` events a record, and a total for each kind and code, which are closed lists of ours (`TOTALS_MAX`). Records: one for
 * each device that was ever let in, as presence has; of other names `STRANGERS_MAX`, that which was not named for longest going first, so
 * that whoever tries names fills nothing. In memory `GATHERED_MAX` records wait; of one more nothing is noted, which is counted.
 * While the log is full nothing is written, and what waits stays.
 */

import { Counter } from 'prom-client'
import type { Clock } from '../../platform/clock.ts'
import type { Metrics } from '../../platform/metrics.ts'
import { printable } from '../../platform/printable.ts'
import {
  JOURNAL_INTERVAL_MS,
  type Journal,
  type JournalEvent,
  type JournalOf,
  type NewJournalEvent,
  type PlatformCondition,
} from '../journal.ts'
import type { LogError } from '../log-error.ts'
import { Decoded } from './decoded.ts'
import type { Environment } from './environment.ts'

export const EVENTS_MAX = 32
export const STRANGERS_MAX = 1_000
const TOTALS_MAX = 128
const TEXT_CHARS_MAX = 240
const GATHERED_MAX = 20_000
/** Records of one transaction: it keeps others from their turn for 10 ms or so. */
const RECORDS_PER_TRANSACTION_MAX = 1_000

/** No device id has these characters. */
const PLATFORM = '/'
const STRANGER = '?'
const AFTER_STRANGERS = '@'

/** What waits to be written. */
interface Gathered {
  readonly isNamed: boolean
  readonly record: Kept
}

type Event = { -readonly [Name in keyof JournalEvent]: JournalEvent[Name] }

interface Kept {
  readonly events: Event[]
  readonly totals: Event[]
}

export interface JournalDependencies {
  readonly environment: Environment
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

export class LocalJournal implements Journal {
  readonly #dependencies: JournalDependencies
  #gathered = new Map<string, Gathered>()
  /** Names of those that were never let in, the one that was not named for longest first; read when the first is written. */
  #strangers: Set<string> | undefined
  #timer: NodeJS.Timeout | undefined
  #isStopped = false
  #writing: Promise<void> = Promise.resolve()
  readonly #decoded: Decoded<JournalOf>

  constructor(dependencies: JournalDependencies) {
    this.#dependencies = dependencies
    this.#decoded = new Decoded(dependencies.environment.journal)
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
    return this.#decoded.get(device) ?? this.#decoded.get(STRANGER + device)
  }

  ofPlatform(): JournalOf | undefined {
    return this.#decoded.get(PLATFORM)
  }

  *named(): Iterable<string> {
    const { journal } = this.#dependencies.environment
    for (const key of journal.getKeys({ start: STRANGER, end: AFTER_STRANGERS })) yield key.slice(1)
  }

  /** Resolves when what was noted is on disk, or cannot be. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#decoded.stop()
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
    const { environment, full } = this.#dependencies
    if (full() !== undefined) {
      this.#timer = setTimeout(() => this.#write(), JOURNAL_INTERVAL_MS).unref()
      return
    }
    const all = [...this.#gathered]
    const now = all.slice(0, RECORDS_PER_TRANSACTION_MAX)
    this.#gathered = new Map(all.slice(RECORDS_PER_TRANSACTION_MAX))
    if (now.length === 0) return
    const written = environment.journal.transaction(() => {
      for (const [name, gathered] of now) this.#keep(name, gathered)
    })
    // What the disk says is told by `durable`, and ends the process.
    this.#writing = environment.durable(written).catch(() => undefined)
    if (this.#gathered.size > 0) this.#timer = setTimeout(() => this.#write(), JOURNAL_INTERVAL_MS).unref()
  }

  /** Only within a transaction. */
  #keep(name: string, { isNamed, record }: Gathered): void {
    const { journal, presence } = this.#dependencies.environment
    const known = this.#read(name)
    const isStranger = isNamed && known === undefined && presence.get(name) === undefined
    const key = isStranger ? STRANGER + name : name
    const stranger = known === undefined ? this.#read(STRANGER + name) : undefined
    const kept = known ?? stranger ?? { events: [], totals: [] }
    for (const event of record.events) addEvent(kept, event)
    for (const total of record.totals) addTotal(kept, total)
    journal.put(key, kept)
    if (isStranger) this.#noteStranger(name)
    else if (stranger !== undefined) this.#forgetStranger(name)
  }

  #noteStranger(name: string): void {
    const strangers = this.#knownStrangers()
    strangers.delete(name)
    strangers.add(name)
    for (const oldest of strangers) {
      if (strangers.size <= STRANGERS_MAX) break
      this.#forgetStranger(oldest)
    }
  }

  #forgetStranger(name: string): void {
    this.#knownStrangers().delete(name)
    this.#dependencies.environment.journal.remove(STRANGER + name)
  }

  #knownStrangers(): Set<string> {
    if (this.#strangers !== undefined) return this.#strangers
    const found: { name: string; at: number }[] = []
    for (const { key, value } of this.#dependencies.environment.journal.getRange({
      start: STRANGER,
      end: AFTER_STRANGERS,
    })) {
      found.push({ name: key.slice(1), at: (value as Kept).events.at(-1)?.at ?? 0 })
    }
    this.#strangers = new Set(found.sort((a, b) => a.at - b.at).map(({ name }) => name))
    return this.#strangers
  }

  #read(key: string): Kept | undefined {
    return this.#dependencies.environment.journal.get(key) as Kept | undefined
  }
}

function add(record: Kept, event: Event): void {
  addEvent(record, event)
  addTotal(record, event)
}

/** Equal ones in a row are one: what they are about is of the newest. */
function addEvent({ events }: Kept, event: Event): void {
  const last = events.at(-1)
  if (last !== undefined && isSame(last, event) && last.from === event.from) join(last, event)
  else events.push({ ...event })
  if (events.length > EVENTS_MAX) events.shift()
}

function addTotal({ totals }: Kept, event: Event): void {
  const total = totals.find((each) => isSame(each, event))
  if (total !== undefined) join(total, event)
  else if (totals.length < TOTALS_MAX) totals.push({ ...event })
}

const isSame = (one: Event, other: Event) => one.kind === other.kind && one.code === other.code

function join(kept: Event, event: Event): void {
  kept.count += event.count
  kept.at = event.at
  kept.text = event.text
  if (event.from === undefined) delete (kept as { from?: string }).from
  else (kept as { from?: string }).from = event.from
}
