/**
 * Owns what faults do to the connection of one device, each at its time. Always true: at the end of its window the device is itself again,
 * and stopping ends all of it at once. What is expected of a platform is counted where the device sees it: that it comes back, that it is
 * refused, that the other one with its id takes over.
 */

import type { Connection } from '../fleet/connection.ts'
import type { Counts } from '../fleet/tally.ts'
import type { Twin } from '../fleet/twin.ts'
import type { Random } from '../signals/random.ts'
import type { NumberedFault } from './befallen.ts'
import type { Fault } from './fault.ts'
import type { FaultCounts } from './fault-counts.ts'

/** What a device shows that it should not. */
export interface BadTokens {
  expired(device: string): Promise<string>
  revoked(device: string): Promise<string>
}

export interface LinkFaultDeps {
  readonly id: string
  readonly connection: Connection
  readonly counts: Counts
  readonly faultCounts: FaultCounts
  readonly badTokens: BadTokens
  readonly random: Random
  readonly twin: () => Twin
}

/** The longest that a timer takes. */
const TIMER_MS_MAX = 2 ** 31 - 1

export class LinkFaults {
  readonly #faults: readonly NumberedFault[]
  readonly #deps: LinkFaultDeps
  readonly #timers = new Set<NodeJS.Timeout>()
  /** By the fault's number: what ends it. */
  readonly #underWay = new Map<number, () => void>()
  /** Those that are to come back, and have not yet. */
  readonly #comingBack = new Set<number>()
  /** Under which disguise it is to be refused. */
  #refusedBy: number | undefined
  #takenOverBy: number | undefined
  #twin: Twin | undefined

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
  }

  online(): void {
    for (const number of this.#comingBack) this.#deps.faultCounts.sawExpected(number)
    this.#comingBack.clear()
  }

  offline(): void {
    if (this.#takenOverBy === undefined) return
    this.#deps.faultCounts.did(this.#takenOverBy)
    this.#deps.faultCounts.sawExpected(this.#takenOverBy)
  }

  refusedAsExpected(): void {
    if (this.#refusedBy === undefined) return
    this.#deps.faultCounts.did(this.#refusedBy)
    this.#deps.faultCounts.sawExpected(this.#refusedBy)
  }

  /** Undefined of a fault that is none of the connection. */
  #stepsOf(fault: Fault, number: number): { begin: () => void; end: () => void } | undefined {
    const { connection, counts, id, badTokens, random } = this.#deps
    switch (fault.kind) {
      case 'link-loss':
        return {
          begin: () => {
            counts.away++
            this.#cut(number, Number.isFinite(fault.forMs) ? fault.forMs : TIMER_MS_MAX)
          },
          end: () => {
            counts.away--
            connection.comeBack()
          },
        }
      case 'reconnect-storm':
        return {
          begin: () => this.#cut(number, random.between(0, fault.jitterMs)),
          end: () => connection.comeBack(),
        }
      case 'expired-token':
        return this.#disguised(number, async () => ({ token: await badTokens.expired(id) }))
      case 'revoked-token':
        return this.#disguised(number, async () => ({ token: await badTokens.revoked(id) }))
      case 'wrong-client-id':
        return this.#disguised(number, async () => ({ clientId: `${id}-other` }))
      case 'same-id':
        return { begin: () => this.#meetTwin(number), end: () => this.#partFromTwin() }
      case 'mute':
        return {
          begin: () => {
            counts.muted++
            this.#deps.faultCounts.did(number)
          },
          end: () => void counts.muted--,
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

  #cut(number: number, awayMs: number): void {
    this.#deps.faultCounts.did(number)
    this.#comingBack.add(number)
    this.#deps.connection.cut(awayMs)
  }

  #disguised(number: number, disguise: () => Promise<{ token: string } | { clientId: string }>) {
    const { connection } = this.#deps
    const begin = async () => {
      const as = await disguise()
      this.#refusedBy = number
      connection.cut(0, as)
    }
    const end = () => {
      this.#refusedBy = undefined
      connection.undisguise()
      connection.comeBack()
    }
    return { begin: () => void begin(), end }
  }

  #meetTwin(number: number): void {
    this.#takenOverBy = number
    this.#twin = this.#deps.twin()
    this.#twin.start()
  }

  #partFromTwin(): void {
    this.#takenOverBy = undefined
    void this.#twin?.stop()
    this.#twin = undefined
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
