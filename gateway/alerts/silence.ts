/**
 * Owns the rules about silence: once a second it is looked which devices were not heard for longer than a rule allows.
 *
 * Always true: nobody is silent by what was not taken: the time counts from the start of the broker, if that is later. A device of which
 * nothing ever came counts from when it is waited for: its last connect or disconnect, or the start of the gateway, or, of one that was declared or named later,
 * the first look at it. What came longer ago than a rule allows ends nothing: it is what was replayed, or came while nobody looked.
 * Bound: `HEARD_KEPT_MAX` devices of which it is known what was before the gateway heard them.
 */

import { INGEST_READER } from '../../log/log.ts'
import { formatDuration } from '../../platform/units.ts'
import type { FactsDependencies } from '../devices/facts.ts'
import { platformFacts } from '../devices/platform-facts.ts'
import type { Latest } from '../latest.ts'
import type { Alert, AlertBook } from './book.ts'
import type { Rule } from './rule.ts'
import { membersOf } from './rule-devices.ts'

const HEARD_KEPT_MAX = 100_000
const SENT_NOTHING = 'has sent nothing'

export interface SilenceDependencies extends FactsDependencies {
  readonly latest: Latest
  readonly book: AlertBook
}

export class Silence {
  readonly #dependencies: SilenceDependencies
  readonly #began: number
  /** Of devices that the gateway has not heard itself, or not lately. */
  readonly #before = new Map<string, Before>()
  /** The devices of the first look. */
  #firstOnes: ReadonlySet<string> | undefined

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
        const { at, nothingSince } = await this.#lastOf(device, now - forMs)
        const alert = book.of(rule.name, { device })
        if (alert !== undefined) {
          if (nothingSince === undefined && at > alert.since && now - at < forMs)
            book.end(alert, at, endOf(alert, device, at))
        } else if (!brokerDown && now - Math.max(at, brokerBegan) >= forMs) {
          const time = new Date(at).toISOString()
          const sentence =
            nothingSince === undefined
              ? `${device} is silent for ${formatDuration(forMs)}: the last came at ${time}`
              : `${device} ${SENT_NOTHING} since ${nothingSince} at ${time}`
          book.begin(rule, { device }, at, sentence)
        }
      }
    }
    this.#firstOnes ??= devices
  }

  /** When the newest message came that is known to have come; of older ones than `enough` it is asked whether there was a newer one. */
  async #lastOf(device: string, enough: number): Promise<Before> {
    const heard = this.#dependencies.latest.heardAt(device)
    if (heard !== undefined && heard > enough) return { at: heard }
    let before = this.#before.get(device)
    if (before === undefined) {
      before = await this.#beforeOf(device)
      if (this.#before.size >= HEARD_KEPT_MAX) this.#before.clear()
      this.#before.set(device, before)
    }
    if (heard === undefined) return before
    // One that was replayed after a restart is not the newest.
    return before.nothingSince === undefined && before.at > heard ? before : { at: heard }
  }

  async #beforeOf(device: string): Promise<Before> {
    const { log, presence, declared, clock } = this.#dependencies
    const receipts = await log.deviceReceipts(INGEST_READER, device)
    if (receipts?.lastReceivedAt !== undefined) return { at: receipts.lastReceivedAt }
    const present = presence.get(device)
    if (present !== undefined)
      return { at: present.since, nothingSince: present.online ? 'it connected' : 'it disconnected' }
    if (this.#firstOnes?.has(device) ?? true) return { at: this.#began, nothingSince: "the platform's start" }
    return { at: clock.now(), nothingSince: declared.has(device) ? 'it was declared' : 'a rule named it' }
  }
}

/** When the last message came; of a device of which none did, from when on it is waited for, and what was then. */
interface Before {
  readonly at: number
  readonly nothingSince?: string
}

/** What is firing outlives the process, and its sentence is all that says whether anything ever came before it. */
function endOf({ since, sentence }: Pick<Alert, 'since' | 'sentence'>, device: string, at: number): string {
  if (sentence.startsWith(`${device} ${SENT_NOTHING} `))
    return `${device} sends: its first message came at ${new Date(at).toISOString()}`
  return `${device} sends again, after ${inSeconds(Math.max(0, at - since))} of silence`
}

const inSeconds = (ms: number): string => formatDuration(Math.round(ms / 1_000) * 1_000)
