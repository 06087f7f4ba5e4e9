/**
 * Owns the pace at which one device sends one stream: how long it is, as a rule, from one message to the next.
 *
 * Told from its last messages, as the larger of two medians: between the newest readings of one message and the next, which a backlog does
 * not change, and between the arrivals of what did not come in one go, for a device may measure each second and send each minute.
 * A few that are early, late or repeated change neither. A message costs 0.2 us: what comes in one go is told by a median of a few messages ago.
 * Bound: `GAPS_MAX` of each; fewer than `GAPS_MIN` say nothing.
 */

const GAPS_MAX = 9
const GAPS_MIN = 3
/** What comes sooner after the one before than this part of what lies between their readings has come in one go with it. */
const IN_ONE_GO_RATIO = 0.25
/** Of what comes like a clock no gap is so much longer or shorter than the median: of nine that come by chance 1 in 1,000 looks so. */
const REGULAR_FACTOR = 2
/** A clock that was set anew is no pace. */
const GAP_MS_MAX = 7 * 86_400_000

export class Pace {
  /** Of the newest message. */
  heardAt = Number.NEGATIVE_INFINITY
  #newest: number | undefined
  readonly #readings: number[] = []
  /** Of `#readings` as they were at most `GAPS_MIN` gaps ago. */
  #between: number | undefined
  #since = 0
  readonly #arrivals: number[] = []

  /** Takes in a message, and the time of its newest reading; undefined of one that has none. */
  take(receivedAt: number, newest: number | undefined): void {
    const arrival = receivedAt - this.heardAt
    // Appended again, long after it came.
    if (arrival < 0) return
    const between = newest === undefined || this.#newest === undefined ? 0 : newest - this.#newest
    this.heardAt = receivedAt
    this.#newest = newest ?? this.#newest
    if (arrival > GAP_MS_MAX) return
    const inOneGo = (this.#between ?? between) * IN_ONE_GO_RATIO
    if (between > 0 && between <= GAP_MS_MAX) {
      keep(this.#readings, between)
      if (++this.#since >= GAPS_MIN) {
        this.#between = median(this.#readings)
        this.#since = 0
      }
    }
    if (arrival > inOneGo) keep(this.#arrivals, arrival)
  }

  /** What does not come in one go comes like a clock: of a stream that tells of what happens, silence says nothing. */
  get isRegular(): boolean {
    const usual = median(this.#arrivals)
    if (usual === undefined || this.#arrivals.length < GAPS_MAX) return false
    return this.#arrivals.every((gap) => gap >= usual / REGULAR_FACTOR && gap <= usual * REGULAR_FACTOR)
  }

  /** Milliseconds; undefined while too little is known. */
  get intervalMs(): number | undefined {
    const arrivals = median(this.#arrivals)
    return arrivals === undefined ? undefined : Math.max(arrivals, median(this.#readings) ?? 0)
  }
}

function keep(gaps: number[], gap: number): void {
  gaps.push(gap)
  if (gaps.length > GAPS_MAX) gaps.shift()
}

function median(gaps: readonly number[]): number | undefined {
  if (gaps.length < GAPS_MIN) return undefined
  return gaps.toSorted((a, b) => a - b)[gaps.length >> 1]
}
