/**
 * Owns the rules about completeness: of each hour that is over, once all of it is stored, what was received of what was expected.
 *
 * What is expected follows from the pace at which a device sends (`devices/facts.ts`); of one whose pace is not known nothing is. Bound: none
 * of its own; devices are looked at a hundred at a time.
 */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { type FactsDependencies, factsOf } from '../devices/facts.ts'
import { platformFacts } from '../devices/platform-facts.ts'
import type { AlertBook } from './book.ts'
import type { Rule } from './rule.ts'
import { membersOf } from './rule-devices.ts'

const HOUR_MS = 3_600_000
/** What was sent at an hour's end is counted by then. */
const AFTER_HOUR_MS = 60_000
const DEVICES_PER_TURN = 100

export class Completeness {
  readonly #dependencies: FactsDependencies & { readonly book: AlertBook }
  /** By rule, the end of the hour that was looked at last. */
  readonly #looked = new Map<Rule, number>()

  constructor(dependencies: FactsDependencies & { readonly book: AlertBook }) {
    this.#dependencies = dependencies
  }

  /** All that was received before `storedUntil` is stored. */
  async look(rules: readonly Rule[], devices: ReadonlySet<string>, storedUntil: number): Promise<void> {
    const end = Math.floor((storedUntil - AFTER_HOUR_MS) / HOUR_MS) * HOUR_MS
    for (const rule of this.#looked.keys()) if (!rules.includes(rule)) this.#looked.delete(rule)
    const facts = { ...this.#dependencies, platform: platformFacts(this.#dependencies) }
    for (const rule of rules) {
      if (rule.condition.kind !== 'completeness' || (this.#looked.get(rule) ?? 0) >= end) continue
      this.#looked.set(rule, end)
      let looks = 0
      for (const device of membersOf(rule.condition.devices, devices, this.#dependencies.declared)) {
        await this.#lookAt(rule, device, end, facts)
        if (++looks % DEVICES_PER_TURN === 0) await nextTurn()
      }
    }
  }

  async #lookAt(rule: Rule, device: string, end: number, dependencies: FactsDependencies): Promise<void> {
    const { condition } = rule
    if (condition.kind !== 'completeness') return
    const { book } = this.#dependencies
    const facts = await factsOf(device, dependencies)
    const from = end - condition.overHours * HOUR_MS
    const hours = facts?.hours.filter((hour) => hour.from >= from && hour.from < end) ?? []
    const expected = hours.reduce((sum, hour) => sum + (hour.expected ?? 0), 0)
    if (expected === 0) return
    const received = hours.reduce((sum, hour) => sum + hour.received, 0)
    const share = Math.min(1, received / expected)
    const percent = (ratio: number) => `${Math.round(ratio * 1_000) / 10} %`
    const span = `from ${new Date(from).toISOString()} to ${new Date(end).toISOString()}`
    const said = `of ${device} came ${percent(share)} of what was expected ${span} (${received} of ${expected})`
    const alert = book.of(rule.name, { device })
    if (share < condition.below) book.begin(rule, { device }, from, `${said}, less than ${percent(condition.below)}`)
    else if (alert !== undefined) book.end(alert, end, said)
  }
}
