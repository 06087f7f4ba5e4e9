/**
 * Owns the rules about silence: once a second it is looked which devices were not heard for longer than a rule allows.
 *
 * Always true: nobody is silent by what was not taken: the time counts from the start of the broker, if that is later. A device that a
 * rule names, and that was never heard, counts from when rules began to be looked at here. Bound: `HEARD_KEPT_MAX` devices of
 * which it was asked when they were heard before the gateway began.
 */

import { INGEST_READER } from '../../log/log.ts'
import { formatDuration } from '../../platform/units.ts'
import type { FactsDependencies } from '../devices/facts.ts'
import { platformFacts } from '../devices/platform-facts.ts'
import type { Latest } from '../latest.ts'
import type { AlertBook } from './book.ts'
import type { Rule } from './rule.ts'
import { membersOf } from './rule-devices.ts'

const HEARD_KEPT_MAX = 100_000

export interface SilenceDependencies extends FactsDependencies {
  readonly latest: Latest
  readonly book: AlertBook
}

export class Silence {
  readonly #dependencies: SilenceDependencies
  readonly #began: number
  /** Of devices that the gateway has not heard itself. */
  readonly #heardBefore = new Map<string, number>()

  constructor(dependencies: SilenceDependencies) {
    this.#dependencies = dependencies
    this.#began = dependencies.clock.now()
  }

  async look(rules: readonly Rule[], devices: ReadonlySet<string>): Promise<void> {
    const { clock, book, journal, declared } = this.#dependencies
    const now = clock.now()
    const platform = platformFacts(this.#dependencies)
    const brokerDown = platform.down.some(({ role }) => role === 'broker')
    const brokerBegan =
      journal.ofPlatform()?.events.findLast(({ kind, code }) => kind === 'began' && code === 'broker-up')?.at ?? 0
    for (const rule of rules) {
      const { condition } = rule
      if (condition.kind !== 'silent') continue
      const { forMs } = condition
      for (const device of membersOf(condition.devices, devices, declared)) {
        const heardAt = await this.#heardAt(device)
        const alert = book.of(rule.name, { device })
        if (alert !== undefined) {
          if (heardAt <= alert.since) continue
          const silence = inSeconds(Math.max(0, heardAt - alert.since))
          book.end(alert, heardAt, `${device} sends again, after ${silence} of silence`)
        } else if (!brokerDown && now - Math.max(heardAt, brokerBegan) >= forMs) {
          const last = `the last came at ${new Date(heardAt).toISOString()}`
          book.begin(rule, { device }, heardAt, `${device} is silent for ${formatDuration(forMs)}: ${last}`)
        }
      }
    }
  }

  /** When the newest message came; of one of which nothing ever came, since when it is waited for. */
  async #heardAt(device: string): Promise<number> {
    const { latest, log, presence } = this.#dependencies
    const heard = latest.heardAt(device) ?? this.#heardBefore.get(device)
    if (heard !== undefined) return heard
    const receipts = await log.deviceReceipts(INGEST_READER, device)
    const before = receipts?.lastReceivedAt ?? presence.get(device)?.since ?? this.#began
    if (this.#heardBefore.size >= HEARD_KEPT_MAX) this.#heardBefore.clear()
    this.#heardBefore.set(device, before)
    return before
  }
}

const inSeconds = (ms: number): string => formatDuration(Math.round(ms / 1_000) * 1_000)
