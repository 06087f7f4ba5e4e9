/**
 * Owns how far one device's clock is off: the median, over its last messages, of the time of receipt less the reading's own.
 * Positive: its clock is behind, or what it sends is that old.
 *
 * What a device kept while it was away says nothing of its clock, and is told from live readings by its pace: of two messages some
 * seconds apart, the readings must be as far apart as their receipts, nearly. A backlog comes faster than it was measured.
 *
 * Bound: `SAMPLES_MAX` samples, one in `SAMPLE_INTERVAL_MS`; fewer than `SAMPLES_MIN` say nothing.
 */

const SAMPLES_MAX = 9
const SAMPLES_MIN = 3
const SAMPLE_INTERVAL_MS = 5_000
/** By how much, and by which part of their distance, two live messages may be apart otherwise than their readings. */
const PACE_SLACK_MS = 1_000
const PACE_SLACK_RATIO = 0.1

export class ClockOffset {
  /** The last message looked at: when it was received, and how much later that was than its newest reading. */
  #receivedAt = Number.NEGATIVE_INFINITY
  #offset = 0
  readonly #samples: number[] = []

  /** Whether a message that was received then is to be looked at. */
  isDue(receivedAt: number): boolean {
    return receivedAt >= this.#receivedAt + SAMPLE_INTERVAL_MS
  }

  /** Takes in a message, and the time of its newest reading. */
  take(receivedAt: number, newest: number): void {
    const elapsed = receivedAt - this.#receivedAt
    const offset = receivedAt - newest
    const moved = Math.abs(offset - this.#offset)
    const isFirst = this.#receivedAt === Number.NEGATIVE_INFINITY
    this.#receivedAt = receivedAt
    this.#offset = offset
    if (isFirst || moved > PACE_SLACK_MS + elapsed * PACE_SLACK_RATIO) return
    this.#samples.push(offset)
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift()
  }

  /** Milliseconds; undefined while too little is known. */
  get ms(): number | undefined {
    if (this.#samples.length < SAMPLES_MIN) return undefined
    return this.#samples.toSorted((a, b) => a - b)[this.#samples.length >> 1]
  }
}
