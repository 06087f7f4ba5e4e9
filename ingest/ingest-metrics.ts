/** Owns ingest's instruments and the log lines about the store's state: one when it goes bad, one when it is good again. */

import { Counter, Gauge, Histogram } from 'prom-client'
import type { Journal } from '../log/journal.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Group } from './group.ts'
import type { GroupOutcome, StoreTrouble } from './worker-messages.ts'

/** A store's trouble of the same code is told anew so long after the last line, if its words have changed. */
export const STORE_TROUBLE_LINE_MS = 30_000

/** In the place of a code, of messages that the broker had set aside: it counts those codes. */
const BEFORE_ACKNOWLEDGEMENT = 'before-acknowledgement'

export class IngestMetrics {
  readonly #entries: Counter
  readonly #stored: Counter
  readonly #readings: Counter
  readonly #superseded: Counter
  readonly #deadLetters: Counter<'code'>
  readonly #retries: Counter<'code'>
  readonly #deaths: Counter
  readonly #replayed: Counter
  readonly #groupEntries: Histogram
  readonly #writeSeconds: Histogram
  readonly #storeUp: Gauge

  /** `pending`: accepted entries that are neither stored nor set aside. */
  constructor(metrics: Metrics, pending: () => Promise<number>) {
    const registers = [metrics]
    const counter = (name: string, help: string) => new Counter({ name: `telltale_ingest_${name}`, help, registers })
    this.#entries = counter('entries_read_total', 'Log entries handed to workers')
    this.#stored = counter('entries_stored_total', 'Messages whose every reading is in the store')
    this.#readings = counter('readings_stored_total', 'Readings in the store')
    this.#superseded = counter('readings_superseded_total', 'Readings replaced by others with their series and time')
    this.#deaths = counter('worker_deaths_total', 'Worker threads that ended by themselves and were replaced')
    this.#replayed = counter('replayed_total', 'Messages put through again, for their schema has come')
    this.#deadLetters = new Counter({
      name: 'telltale_ingest_dead_letters_total',
      help: 'Messages set aside, by code',
      labelNames: ['code'],
      registers,
    })
    this.#retries = new Counter({
      name: 'telltale_ingest_write_retries_total',
      help: 'Writes that failed and are tried again, by code',
      labelNames: ['code'],
      registers,
    })
    this.#groupEntries = new Histogram({
      name: 'telltale_ingest_group_entries',
      help: 'Entries handed to the workers at a time',
      buckets: [1, 10, 100, 1_000, 2_500, 5_000, 10_000, 40_000],
      registers,
    })
    this.#writeSeconds = new Histogram({
      name: 'telltale_ingest_write_seconds',
      help: "A worker's write of its share of a group, retries included",
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
      registers,
    })
    this.#storeUp = new Gauge({ name: 'telltale_ingest_store_up', help: '0 while writes fail', registers })
    this.#storeUp.set(1)
    new Gauge({
      name: 'telltale_ingest_pending_entries',
      help: 'Accepted messages that are neither stored nor set aside yet',
      registers,
      async collect() {
        this.set(await pending())
      },
    })
  }

  group(group: Group): void {
    this.#entries.inc(group.count)
    this.#groupEntries.observe(group.count)
  }

  outcome(outcome: GroupOutcome): void {
    this.#stored.inc(outcome.stored)
    this.#readings.inc(outcome.readings)
    for (const { count } of outcome.superseded) this.#superseded.inc(count)
    for (const { code } of outcome.setAside) this.#deadLetters.inc({ code })
    if (outcome.setAsideBefore > 0) this.#deadLetters.inc({ code: BEFORE_ACKNOWLEDGEMENT }, outcome.setAsideBefore)
    if (outcome.writeMs > 0) this.#writeSeconds.observe(outcome.writeMs / 1000)
  }

  retry(code: string): void {
    this.#retries.inc({ code })
  }

  replayed(messages: number): void {
    this.#replayed.inc(messages)
  }

  death(): void {
    this.#deaths.inc()
  }

  storeUp(up: boolean): void {
    this.#storeUp.set(up ? 1 : 0)
  }
}

/**
 * Turns many failed attempts of several workers into one line when the store goes bad, one when it is good again, and one
 * when it is bad in another way: whoever gave it the right token must be told that now the bucket is missing. Words that
 * change with every attempt (a port, a time) are told once in `STORE_TROUBLE_LINE_MS`.
 */
export class StoreState {
  readonly #logger: Logger
  readonly #metrics: IngestMetrics
  readonly #clock: Clock
  readonly #journal: Pick<Journal, 'notePlatform'> | undefined
  /** Workers whose last attempt failed. */
  readonly #troubled = new Set<number>()
  #up = true
  /** What the last line said, and when. */
  #code = ''
  #message = ''
  #toldAt = 0

  constructor(logger: Logger, metrics: IngestMetrics, clock: Clock, journal?: Pick<Journal, 'notePlatform'>) {
    this.#journal = journal
    this.#logger = logger
    this.#metrics = metrics
    this.#clock = clock
  }

  isTroubled(worker: number): boolean {
    return this.#troubled.has(worker)
  }

  failed(worker: number, { code, message, retry }: StoreTrouble): void {
    this.#metrics.retry(code)
    this.#troubled.add(worker)
    const now = this.#clock.now()
    const known = !this.#up && code === this.#code
    if (known && (message === this.#message || now < this.#toldAt + STORE_TROUBLE_LINE_MS)) return
    this.#up = false
    this.#metrics.storeUp(false)
    this.#code = code
    this.#message = message
    this.#toldAt = now
    this.#journal?.notePlatform({ kind: 'began', code: 'store-away', text: message })
    const waiting = 'nothing is lost: the log holds what is not stored'
    if (retry === 'slowly') this.#logger.error({ code }, `the store needs someone: ${message}; ${waiting}`)
    else this.#logger.warn({ code }, `the store does not take writes, trying again: ${message}; ${waiting}`)
  }

  wrote(worker: number): void {
    this.#troubled.delete(worker)
    if (this.#up || this.#troubled.size > 0) return
    this.#up = true
    this.#metrics.storeUp(true)
    this.#journal?.notePlatform({ kind: 'ended', code: 'store-away', text: 'the store takes writes again' })
    this.#logger.info('the store takes writes again')
  }

  /** The worker is gone, and its troubles with it; its successor's first write tells whether the store is good again. */
  forget(worker: number): void {
    this.#troubled.delete(worker)
  }
}
