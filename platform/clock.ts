/** Owns the passage of time, so that logic never reads the machine's clock by itself and a test can hold it still. */

export interface Clock {
  /** Wall-clock time, milliseconds since 1970-01-01T00:00Z. */
  now(): number
}

/** `Date.now` itself: it is called for each message. */
export const systemClock: Clock = { now: Date.now }
