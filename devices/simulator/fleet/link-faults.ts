/**
 * Owns what faults do to the connection of one device, each at its time. Always true: at the end of its window the device is itself again,
 * and stopping ends all of it at once. What is expected of a platform is counted where the device sees it: that it comes back, that it is
 * refused, that the other one with its id takes over.
 */

import { performance } from 'node:perf_hooks'
import type { FaultCounts } from '../faults/fault-counts.ts'
import type { NumberedFault } from '../scenario/befallen.ts'
import type { Fault } from '../scenario/fault.ts'
import type { Random } from '../signals/random.ts'
import type { Connection } from './connection.ts'
import type { Disguise } from './mqtt-client.ts'
import type { Counts } from './tally.ts'
import type { Twin, TwinEvents } from './twin.ts'

/** What a device shows that it should not; of a device that no such fault befalls there is none. */
export interface BadTokens {
  readonly expired: string | undefined
  readonly revoked: string | undefined
}

export interface LinkFaultDeps {
  readonly id: string
  readonly connection: Connection
  readonly counts: Counts
  readonly faultCounts: FaultCounts
  readonly badTokens: BadTokens
  readonly random: Random
  readonly twin: (events: TwinEvents) => Twin
}

/** The longest that a timer takes. */
const TIMER_MS_MAX = 2 ** 31 - 1
/** A connection that was not taken over by then is not going to be. */
const TAKEN_OVER_MS = 2_000

interface Takeovers {
  readonly number: number
  readonly twin: Twin
  /** When the twin came though the device was there, `performance.now()` time, and neither has gone since. */
  since: number | undefined
}

export class LinkFaults {
  readonly #faults: readonly NumberedFault[]
  readonly #deps: LinkFaultDeps
  readonly #timers = new Set<NodeJS.Timeout>()
  /** By the fault's number: what ends it. */
  readonly #underWay = new Map<number, () => void>()
  /** Those that are to come back, and have not yet. */
  readonly #comingBack = new Set<number>()
  /** By the number of the fault that has cut it: until it ends. */
  readonly #away = new Set<number>()
  /** Likewise, of those that silence it. */
  readonly #mutes = new Set<number>()
  /** As what it is counted. */
  #state: 'away' | 'muted' | undefined
  /** By which fault it is to be refused. */
  #refusedBy: number | undefined
  #takeovers: Takeovers | undefined

  constructor(faults: readonly NumberedFault[], deps: LinkFaultDeps) {
    this.#faults = faults
    this.#deps = deps
  }

  /** `nowMs`: how long ago the fleet began. */
  start(nowMs: number): void {
    for (const fault of this.#faults) this.add(fault, nowMs)
  }

  /** One more. */
  add({ number, fault }: NumberedFault, nowMs: number): void {
    const steps = this.#stepsOf(fault, number)
    if (steps === undefined) return
    this.#later(fault.atMs - nowMs, () => {
      this.#underWay.set(number, steps.end)
      steps.begin()
    })
    if (Number.isFinite(fault.forMs)) this.#later(fault.atMs + fault.forMs - nowMs, () => this.#end(number))
  }

  /** By its number: it is over. */
  relieve(number: number): void {
    this.#end(number)
  }

  /** Ends all that is under way, and begins none any more: the device is itself. */
  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    for (const number of [...this.#underWay.keys()]) this.#end(number)
    this.#partFromTwin()
  }

  online(): void {
    for (const number of this.#comingBack) this.#deps.faultCounts.sawExpected(number)
    this.#comingBack.clear()
  }

  offline(): void {
    this.#tookOver()
  }

  /** In disguise. */
  refused(): void {
    if (this.#refusedBy !== undefined) this.#did(this.#refusedBy, true)
  }

  /** In disguise, which it should not be. */
  admitted(): void {
    if (this.#refusedBy !== undefined) this.#did(this.#refusedBy, false)
  }

  /** Undefined of a fault that is none of the connection. */
  #stepsOf(fault: Fault, number: number): { begin: () => void; end: () => void } | undefined {
    const { connection, id, badTokens, random } = this.#deps
    switch (fault.kind) {
      case 'link-loss':
        return {
          begin: () => {
            this.#away.add(number)
            this.#count()
            this.#cut(number, Number.isFinite(fault.forMs) ? fault.forMs : TIMER_MS_MAX)
          },
          end: () => {
            this.#away.delete(number)
            this.#count()
            if (this.#away.size === 0) connection.comeBack()
          },
        }
      case 'reconnect-storm':
        return { begin: () => this.#cut(number, random.between(0, fault.jitterMs)), end: () => {} }
      case 'expired-token':
        return badTokens.expired === undefined ? undefined : this.#disguised(number, { token: badTokens.expired })
      case 'revoked-token':
        return badTokens.revoked === undefined ? undefined : this.#disguised(number, { token: badTokens.revoked })
      case 'wrong-client-id':
        return this.#disguised(number, { clientId: `${id}-other` })
      case 'same-id':
        return { begin: () => this.#meetTwin(number), end: () => this.#leaveTwin(number) }
      case 'mute':
        return {
          begin: () => {
            this.#mutes.add(number)
            this.#count()
            this.#deps.faultCounts.did(number)
          },
          end: () => {
            this.#mutes.delete(number)
            this.#count()
          },
        }
      case 'never-acknowledges':
        return {
          begin: () => {
            this.#deps.faultCounts.did(number)
            connection.acknowledges = false
          },
          end: () => {
            connection.acknowledges = true
          },
        }
      default:
        return undefined
    }
  }

  #end(number: number): void {
    const end = this.#underWay.get(number)
    this.#underWay.delete(number)
    end?.()
  }

  /** A device is in one state: one that is away says nothing anyway. */
  #count(): void {
    const { counts } = this.#deps
    if (this.#state !== undefined) counts[this.#state]--
    if (this.#away.size > 0) this.#state = 'away'
    else this.#state = this.#mutes.size > 0 ? 'muted' : undefined
    if (this.#state !== undefined) counts[this.#state]++
  }

  #cut(number: number, awayMs: number): void {
    this.#deps.faultCounts.did(number)
    this.#comingBack.add(number)
    this.#deps.connection.cut(awayMs)
  }

  #did(number: number, isAsExpected: boolean): void {
    this.#deps.faultCounts.did(number)
    if (isAsExpected) this.#deps.faultCounts.sawExpected(number)
  }

  /** Of two at once the later counts. */
  #disguised(number: number, disguise: Disguise) {
    const { connection } = this.#deps
    return {
      begin: () => {
        this.#refusedBy = number
        connection.disguise = disguise
      },
      end: () => {
        if (this.#refusedBy !== number) return
        this.#refusedBy = undefined
        connection.disguise = undefined
      },
    }
  }

  /** One at a time. */
  #meetTwin(number: number): void {
    if (this.#takeovers !== undefined) return
    const { connection, twin } = this.#deps
    const takeovers: Takeovers = {
      number,
      since: undefined,
      twin: twin({
        online: () => {
          if (connection.isOnline) takeovers.since ??= performance.now()
          else this.#did(number, true)
        },
        offline: () => this.#tookOver(),
      }),
    }
    this.#takeovers = takeovers
    takeovers.twin.start()
  }

  /** One of the two has gone. */
  #tookOver(): void {
    const takeovers = this.#takeovers
    if (takeovers?.since === undefined) return
    takeovers.since = undefined
    this.#did(takeovers.number, true)
    if (!this.#underWay.has(takeovers.number)) this.#partFromTwin()
  }

  /** It stays until one of the two is gone, or should have been. */
  #leaveTwin(number: number): void {
    const takeovers = this.#takeovers
    if (takeovers?.number !== number) return
    if (takeovers.since === undefined) this.#partFromTwin()
    else this.#later(TAKEN_OVER_MS, () => this.#partFromTwin())
  }

  #partFromTwin(): void {
    const takeovers = this.#takeovers
    if (takeovers === undefined) return
    this.#takeovers = undefined
    const { since, number, twin } = takeovers
    // Both were there for long.
    if (since !== undefined && performance.now() - since >= TAKEN_OVER_MS) this.#did(number, false)
    void twin.stop()
  }

  #later(ms: number, step: () => void): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer)
        step()
      },
      Math.max(0, Math.min(ms, TIMER_MS_MAX)),
    )
    this.#timers.add(timer)
  }
}
