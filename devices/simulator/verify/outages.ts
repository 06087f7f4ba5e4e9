/**
 * Owns when the platform acknowledged nothing though something had been sent: what was late then was not late by itself. Always true: spans
 * do not overlap, and stand in the order in which they began. Bound: one for each second of the run.
 */

/** So long after a message was sent an acknowledgement, of whatever message, is to have come. */
const SILENCE_MS = 1_000
/** After it, apps come back and what waited is caught up. */
const CATCHING_UP_MS = 15_000

export class Outages {
  /** Milliseconds since 1970. */
  readonly #spans: { readonly from: number; readonly to: number }[] = []
  #waitingSince: number | undefined

  sent(at: number): void {
    this.#waitingSince ??= at
  }

  acknowledged(at: number): void {
    const since = this.#waitingSince
    this.#waitingSince = undefined
    if (since !== undefined && at - since > SILENCE_MS) this.#spans.push({ from: since, to: at })
  }

  /** Whether something was wrong, or just had been, at a time between these. */
  overlap(from: number, to: number): boolean {
    return this.#spans.some((span) => span.from - SILENCE_MS <= to && span.to + CATCHING_UP_MS >= from)
  }

  /** Whether one began at the time or shortly after it. */
  beginsSoonAfter(at: number): boolean {
    return this.#spans.some(({ from }) => from >= at - SILENCE_MS && from - at <= 2 * SILENCE_MS)
  }

  get count(): number {
    return this.#spans.length
  }
}
