/**
 * Owns the rules about a field, `above` and `below`: each reading is looked at as it goes by.
 *
 *   within --beyond value--> pending --for so long--> firing --at until, or on its other side--> within
 *                               +-----within value-----> within
 *
 * So long is told by the readings' own times, for they may come late and together, or by the clock since the first was received, for the
 * next may come much later. Of one series the newest reading counts: one that comes late changes nothing. Where there is no rule a
 * message costs one look at a flag; with one rule on its stream 0.2 us, with ten that its device fits 0.8 us, twice that if they are by site or labels. Bound: `PENDING_MAX` series that are pending; one more is passed over, until one of its readings finds room.
 */

import type { Entry } from '../../log/entry.ts'
import { formatDuration } from '../../platform/units.ts'
import { type Reading, type Stream, valueIn } from '../../schemas/reading.ts'
import type { AlertBook, Subject } from './book.ts'
import type { Rule, Threshold } from './rule.ts'
import { type Declared, isMember } from './rule-devices.ts'

const PENDING_MAX = 10_000

/** Of a rule and a series that is not within. Times in milliseconds. */
interface Series {
  readonly device: string
  readonly tags?: Readonly<Record<string, string>>
  /** Of its first reading that is beyond the value, and when that was received. */
  readonly since: number
  readonly receivedAt: number
  newest: number
  value: number
  isFiring: boolean
}

interface Watch {
  readonly rule: Rule
  readonly condition: Threshold
  /** By device and tags. */
  readonly series: Map<string, Series>
}

/** Of one rule, what is pending. */
export interface PendingText {
  readonly rule: string
  readonly series: readonly Series[]
}

export interface ThresholdsDependencies {
  readonly book: AlertBook
  readonly declared: Declared
  readonly stream: (name: string) => Stream | undefined
}

export class Thresholds {
  readonly #dependencies: ThresholdsDependencies
  /** By stream. */
  #watches: ReadonlyMap<string, readonly Watch[]> = new Map()

  constructor(dependencies: ThresholdsDependencies) {
    this.#dependencies = dependencies
  }

  /** There is no such rule. */
  get isEmpty(): boolean {
    return this.#watches.size === 0
  }

  /** What is pending, to be saved. */
  get text(): readonly PendingText[] {
    const pending = this.#all().map(({ rule, series }) => {
      return { rule: rule.name, series: [...series.values()].filter(({ isFiring }) => !isFiring) }
    })
    return pending.filter(({ series }) => series.length > 0)
  }

  /** Has these rules, and no others, looked for. `pending`: what is so of them, as it was saved. */
  use(rules: readonly Rule[], pending: readonly PendingText[] = this.text): void {
    const watches = new Map<string, Watch[]>()
    for (const rule of rules) {
      const { condition } = rule
      if (condition.kind !== 'above' && condition.kind !== 'below') continue
      const series = new Map<string, Series>()
      for (const each of pending.find(({ rule: name }) => name === rule.name)?.series ?? []) {
        if (this.#isOf(condition, each.device)) series.set(keyOf(each.device, each.tags), { ...each })
      }
      for (const { rule: name, device = '', tags, since } of this.#dependencies.book.firing) {
        if (name !== rule.name) continue
        const firing = { device, since, receivedAt: since, newest: since, value: condition.value, isFiring: true }
        series.set(keyOf(device, tags), { ...firing, ...(tags && { tags }) })
      }
      watches.set(condition.stream, [...(watches.get(condition.stream) ?? []), { rule, condition, series }])
    }
    this.#watches = watches
  }

  /** Whether any rule is about messages like this. */
  wants({ stream, device }: Pick<Entry, 'stream' | 'device'>): boolean {
    return this.#watches.get(stream)?.some(({ condition }) => this.#isOf(condition, device)) === true
  }

  take(
    { stream, device, receivedAt }: Pick<Entry, 'stream' | 'device' | 'receivedAt'>,
    readings: readonly Reading[],
  ): void {
    const watches = this.#watches.get(stream)
    if (watches === undefined) return
    for (const watch of watches) {
      if (!this.#isOf(watch.condition, device)) continue
      for (const reading of readings) this.#look(watch, reading, receivedAt)
    }
  }

  /** What is pending for long enough by the clock fires. */
  tick(now: number): void {
    for (const watch of this.#all()) {
      for (const series of watch.series.values()) {
        if (!series.isFiring && now - series.receivedAt >= watch.condition.forMs) this.#fire(watch, series)
      }
    }
  }

  #look(watch: Watch, reading: Reading, receivedAt: number): void {
    const { condition } = watch
    const given = valueIn(reading.values, condition.column)
    const value = typeof given === 'boolean' ? Number(given) : given
    if (typeof value !== 'number') return
    const { kind, value: limit, until } = condition
    const isBeyond = kind === 'above' ? value > limit : value < limit
    if (!isBeyond && watch.series.size === 0) return
    const tags = this.#tagsOf(reading)
    const key = keyOf(reading.device, tags)
    const series = watch.series.get(key)
    // A clock that runs ahead hides nothing that is received after it.
    const at = Math.min(reading.ts, receivedAt)
    if (series === undefined) {
      if (isBeyond) this.#begin(watch, key, { device: reading.device, ...(tags && { tags }), at, receivedAt, value })
      return
    }
    if (at < series.newest) return
    series.newest = at
    series.value = value
    const isBack = kind === 'above' ? value <= until : value >= until
    if (series.isFiring ? isBack : !isBeyond) {
      watch.series.delete(key)
      if (series.isFiring) this.#end(watch, series)
    } else if (!series.isFiring && at - series.since >= condition.forMs) this.#fire(watch, series)
  }

  #begin(
    watch: Watch,
    key: string,
    { at, ...given }: { device: string; tags?: Record<string, string>; at: number; receivedAt: number; value: number },
  ): void {
    if (watch.series.size >= PENDING_MAX) return
    const series = { ...given, since: at, newest: at, isFiring: false }
    watch.series.set(key, series)
    if (watch.condition.forMs === 0) this.#fire(watch, series)
  }

  #fire({ rule, condition }: Watch, series: Series): void {
    const { kind, value: limit, forMs } = condition
    const during = forMs === 0 ? '' : ` for ${formatDuration(forMs)}`
    const sentence = `${this.#named(condition, series)} is ${series.value}${this.#unitOf(condition)}, ${kind} ${limit}${during}`
    series.isFiring = this.#dependencies.book.begin(rule, subjectOf(condition, series), series.since, sentence)
  }

  #end({ rule, condition }: Watch, series: Series): void {
    const { book } = this.#dependencies
    const alert = book.of(rule.name, subjectOf(condition, series))
    const sentence = `${this.#named(condition, series)} is ${series.value}${this.#unitOf(condition)}, no longer ${condition.kind} ${condition.value}`
    if (alert !== undefined) book.end(alert, series.newest, sentence)
  }

  #isOf({ devices }: Threshold, device: string): boolean {
    return isMember(devices, device, this.#dependencies.declared)
  }

  #named({ stream, column }: Threshold, { device, tags }: Series): string {
    const of = tags === undefined ? '' : ` (${Object.values(tags).join(', ')})`
    return `${device}: ${stream}.${column}${of}`
  }

  #unitOf({ stream, column }: Threshold): string {
    const { unit } = this.#dependencies.stream(stream)?.columns.find(({ name }) => name === column) ?? {}
    return unit === undefined ? '' : ` ${unit}`
  }

  #tagsOf({ stream, values }: Reading): Record<string, string> | undefined {
    let tags: Record<string, string> | undefined
    for (const column of this.#dependencies.stream(stream)?.columns ?? []) {
      if (!column.tag) continue
      const value = valueIn(values, column.name)
      if (value !== undefined) tags = { ...tags, [column.name]: String(value) }
    }
    return tags
  }

  #all(): Watch[] {
    return [...this.#watches.values()].flat()
  }
}

const subjectOf = ({ stream }: Threshold, { device, tags }: Series): Subject => ({
  device,
  stream,
  ...(tags && { tags }),
})

const keyOf = (device: string, tags: Readonly<Record<string, string>> = {}): string =>
  [device, ...Object.entries(tags).flat()].join('\n')
