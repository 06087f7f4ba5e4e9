/**
 * Owns the records of the journal: for each device its newest events and the totals of all, one for the platform, and those of names that
 * only showed up where somebody was not let in.
 *
 * Bounds: `EVENTS_MAX` events a record, and a total for each kind and code, which are closed lists of ours (`TOTALS_MAX`). Records: one for
 * each device that was ever let in, as presence has; of other names `STRANGERS_MAX`, that which was not named for longest going first, so
 * that whoever tries names fills nothing.
 */

import type { JournalEvent, JournalOf } from '../journal.ts'
import { Decoded } from './decoded.ts'
import type { Environment } from './environment.ts'

export const EVENTS_MAX = 32
export const STRANGERS_MAX = 1_000
const TOTALS_MAX = 128

/** No device id has these characters. */
export const PLATFORM = '/'
const STRANGER = '?'
const AFTER_STRANGERS = '@'

/** What waits to be written. */
export interface Gathered {
  readonly isNamed: boolean
  readonly record: Kept
}

export type Event = { -readonly [Name in keyof JournalEvent]: JournalEvent[Name] }

export interface Kept {
  readonly events: Event[]
  readonly totals: Event[]
}

export class JournalRecords {
  readonly #environment: Environment
  /** Names of those that were never let in, the one that was not named for longest first; read when the first is written. */
  #strangers: Set<string> | undefined
  readonly #decoded: Decoded<JournalOf>

  constructor(environment: Environment) {
    this.#environment = environment
    this.#decoded = new Decoded(environment.journal)
  }

  of(device: string): JournalOf | undefined {
    return this.#decoded.get(device) ?? this.#decoded.get(STRANGER + device)
  }

  ofPlatform(): JournalOf | undefined {
    return this.#decoded.get(PLATFORM)
  }

  *named(): Iterable<string> {
    const { journal } = this.#environment
    for (const key of journal.getKeys({ start: STRANGER, end: AFTER_STRANGERS })) yield key.slice(1)
  }

  stop(): void {
    this.#decoded.stop()
  }

  /** Only within a transaction. */
  keep(name: string, { isNamed, record }: Gathered): void {
    const { journal, presence } = this.#environment
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
    this.#environment.journal.remove(STRANGER + name)
  }

  #knownStrangers(): Set<string> {
    if (this.#strangers !== undefined) return this.#strangers
    const found: { name: string; at: number }[] = []
    for (const { key, value } of this.#environment.journal.getRange({
      start: STRANGER,
      end: AFTER_STRANGERS,
    })) {
      found.push({ name: key.slice(1), at: (value as Kept).events.at(-1)?.at ?? 0 })
    }
    this.#strangers = new Set(found.sort((a, b) => a.at - b.at).map(({ name }) => name))
    return this.#strangers
  }

  #read(key: string): Kept | undefined {
    return this.#environment.journal.get(key) as Kept | undefined
  }
}

export function add(record: Kept, event: Event): void {
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
