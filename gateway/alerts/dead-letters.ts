/**
 * Owns the rules about dead letters: how many messages of a device were set aside within a time, which is counted in tenths of it.
 *
 * Always true: each dead letter is counted once by each rule, and one that was counted before a restart begins no alert again. Bound:
 * `DEVICES_PER_RULE_MAX`; of one more device the one that was counted longest ago is forgotten.
 */

import { type DeadLetterPlace, firstPlace, letterOf, placeBehind } from '../../log/dead-letter-place.ts'
import type { DeadLetter } from '../../log/log.ts'
import { formatDuration } from '../../platform/units.ts'
import type { AlertBook } from './book.ts'
import type { Condition, Rule } from './rule.ts'
import { type Declared, isMember } from './rule-devices.ts'

const DEVICES_PER_RULE_MAX = 10_000
const PARTS = 10

type DeadRule = Rule & { readonly condition: Extract<Condition, { kind: 'dead' }> }

/** How many in each part of a rule's time: by the part's number since 1970. */
type Counts = Map<number, number>

/** Up to which place among the dead letters all had come at that time. */
export interface Mark {
  readonly place: DeadLetterPlace
  readonly at: number
}

/** As a version saved it that knew one shard only. */
interface MarkOfOneShard {
  readonly sequence: number
  readonly at: number
}

export class DeadLetterCounts {
  readonly #book: AlertBook
  readonly #declared: Declared
  readonly #shards: number
  #rules: readonly { readonly rule: DeadRule; readonly devices: Map<string, Counts> }[] = []
  /** One a part of the longest time, oldest first; the last is behind the newest dead letters. */
  #marks: readonly Mark[] = []
  /** What came before a restart is counted again. */
  isRestored = false

  constructor({
    book,
    declared,
    shards,
  }: {
    readonly book: AlertBook
    readonly declared: Declared
    /** Of the log. */
    readonly shards: number
  }) {
    this.#book = book
    this.#declared = declared
    this.#shards = shards
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0
  }

  /** What is to be saved. */
  get marks(): readonly Mark[] {
    return this.#marks
  }

  use(rules: readonly Rule[]): void {
    const isDead = (rule: Rule): rule is DeadRule => rule.condition.kind === 'dead'
    this.#rules = rules.filter(isDead).map((rule) => {
      const known = this.#rules.find((each) => each.rule.name === rule.name)
      const isSame = JSON.stringify(known?.rule.condition) === JSON.stringify(rule.condition)
      const devices = known !== undefined && isSame ? known.devices : new Map<string, Counts>()
      // One that comes back is counted from then on.
      for (const device of devices.keys()) if (!this.#isOf(rule, device)) devices.delete(device)
      return { rule, devices }
    })
    // Nobody counts what comes now.
    if (this.isEmpty && this.isRestored) {
      this.#marks = []
      this.isRestored = false
    }
  }

  /** From where dead letters are to be taken in, by what was saved; `last` is the newest there is. */
  restore(saved: readonly (Mark | MarkOfOneShard)[], last: DeadLetterPlace, now: number): DeadLetterPlace {
    const marks = saved.map((mark) => ('place' in mark ? mark : { place: [mark.sequence], at: mark.at }))
    const isOfThis = marks.length > 0 && marks.every(({ place }) => isWithin(place, last))
    this.#marks = isOfThis ? marks : [{ place: last, at: now }]
    const before = this.#marks.findLast(({ at }) => at < now - this.#longestMs)
    return before?.place ?? this.#marks[0]?.place ?? last
  }

  take({ sequence, device, code, setAsideAt }: DeadLetter): void {
    const newest = this.#marks.at(-1)?.place ?? firstPlace(this.#shards)
    const isNew = sequence > (newest[letterOf(sequence, this.#shards).shard] ?? 0)
    if (isNew) this.#mark(placeBehind(newest, sequence), setAsideAt)
    for (const { rule, devices } of this.#rules) {
      const { condition } = rule
      if ((condition.code ?? code) !== code || !this.#isOf(rule, device)) continue
      const counts = devices.get(device) ?? new Map<number, number>()
      devices.delete(device)
      devices.set(device, counts)
      const [first] = devices.size > DEVICES_PER_RULE_MAX ? devices.keys() : []
      if (first !== undefined) devices.delete(first)
      const part = Math.floor(setAsideAt / (condition.overMs / PARTS))
      counts.set(part, (counts.get(part) ?? 0) + 1)
      const count = countOf(counts, condition.overMs, setAsideAt)
      if (!isNew || count <= condition.above) continue
      const over = formatDuration(condition.overMs)
      const sentence = `of ${device} ${count} messages were set aside within ${over}, more than ${condition.above}, the last as ${code}`
      this.#book.begin(rule, { device }, setAsideAt, sentence)
    }
  }

  /** Alerts of devices that are within what is allowed are over. */
  tick(now: number): void {
    if (!this.isRestored) return
    for (const { rule, devices } of this.#rules) {
      for (const [device, counts] of devices) {
        if (countOf(counts, rule.condition.overMs, now) === 0) devices.delete(device)
      }
      for (const alert of [...this.#book.firing]) {
        if (alert.rule !== rule.name || alert.device === undefined) continue
        const counts = devices.get(alert.device)
        const count = counts === undefined ? 0 : countOf(counts, rule.condition.overMs, now)
        if (count > rule.condition.above) continue
        const over = formatDuration(rule.condition.overMs)
        this.#book.end(alert, now, `of ${alert.device} ${count} messages were set aside within the last ${over}`)
      }
    }
  }

  #isOf({ condition }: DeadRule, device: string): boolean {
    return isMember(condition.devices, device, this.#declared)
  }

  #mark(place: DeadLetterPlace, at: number): void {
    const before = this.#marks.at(-2)
    const isOfSamePart = before !== undefined && at - before.at < this.#longestMs / PARTS
    const kept = isOfSamePart ? this.#marks.slice(0, -1) : this.#marks
    this.#marks = [...kept, { place, at }].slice(-2 * PARTS)
  }

  get #longestMs(): number {
    return Math.max(0, ...this.#rules.map(({ rule }) => rule.condition.overMs))
  }
}

/** Not of another log, as far as that can be seen. */
const isWithin = (place: DeadLetterPlace, last: DeadLetterPlace): boolean =>
  place.length === last.length && place.every((number, shard) => number <= (last[shard] ?? 0))

/** How many came within `overMs` before `now`; what is older is forgotten. */
function countOf(counts: Counts, overMs: number, now: number): number {
  const first = Math.floor((now - overMs) / (overMs / PARTS)) + 1
  let count = 0
  for (const [part, each] of counts) {
    if (part < first) counts.delete(part)
    else count += each
  }
  return count
}
