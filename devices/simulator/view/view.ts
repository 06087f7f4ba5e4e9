/** Owns what a way of showing a run is: lines, or a terminal. */

export interface View {
  start(): void
  /** Leaves the cursor at the start of an empty line. Idempotent. */
  stop(): void
}
