/**
 * Owns how often something may begin, by name: so many at once, as a fleet that comes back does, and the next at a steady pace.
 *
 * Bounds: `waitingMax` wait for their time; one more is refused. A name is remembered until it may begin a burst again.
 */

export interface PaceOptions {
  readonly burst: number
  readonly perSecond: number
  readonly waitingMax: number
}

/** What has begun, or waits, and was not made up for by time, at that time (milliseconds). */
interface Begun {
  readonly count: number
  readonly at: number
}

export class Pace {
  readonly #options: PaceOptions
  /** That which began longest ago comes first. */
  readonly #byName = new Map<string, Begun>()

  constructor(options: PaceOptions) {
    this.#options = options
  }

  /** In how many milliseconds what came at `now` may begin; it has been counted. Undefined if it may not. */
  wait(now: number, name: string): number | undefined {
    const { burst, perSecond, waitingMax } = this.#options
    this.#forget(now)
    const count = this.#countOf(name, now) + 1
    const beyond = count - burst
    if (beyond > waitingMax) return undefined
    this.#note(name, now, count)
    return (Math.max(0, beyond) / perSecond) * 1_000
  }

  /** Counts more for what has begun; whoever comes next waits no longer for it than others do. */
  charge(now: number, name: string, more: number): void {
    const { burst, waitingMax } = this.#options
    this.#note(name, now, Math.min(burst + waitingMax, this.#countOf(name, now) + more))
  }

  #countOf(name: string, now: number): number {
    const begun = this.#byName.get(name)
    return begun === undefined ? 0 : this.#left(begun, now)
  }

  #left({ count, at }: Begun, now: number): number {
    return Math.max(0, count - (Math.max(0, now - at) / 1_000) * this.#options.perSecond)
  }

  #note(name: string, at: number, count: number): void {
    this.#byName.delete(name)
    this.#byName.set(name, { count, at })
  }

  #forget(now: number): void {
    for (const [name, begun] of this.#byName) {
      // One of a later time is of a clock that was set back since.
      if (begun.at <= now && this.#left(begun, now) > 0) return
      this.#byName.delete(name)
    }
  }
}
