/** Owns what became of a fault of a run, as its summary tells it. */

import type { FaultKind } from '../scenario/fault.ts'

/** What became of one fault, in the summary. */
export interface FaultAccount {
  readonly kind: FaultKind
  /** From the beginning of the run. */
  readonly atMs: number
  readonly forMs: number
  /** How many devices it befell. */
  readonly devices: number
  /** How often it was done: messages, cut connections, connects that were tried. */
  readonly times: number
  /** What the platform is expected to do with it, a sentence. */
  readonly expected: string
  /** How often somebody looked what came of it; undefined: each time, if `asExpected` is there. */
  readonly looked?: number
  /** How often that was seen; undefined where nobody looked (no `--verify`). */
  readonly asExpected?: number
}
