/** Owns the list of causes, and what a look finds. Always true: the words are for who knows the device, not the code. */

import type { Evidence } from '../evidence.ts'

export const CAUSES = [
  'never-connected',
  'refused',
  'two-devices',
  'log-full',
  'wrong-topic',
  'too-large',
  'store-away',
  'ingest-down',
  'late',
  'set-aside',
  'sends-nothing',
  'silent',
  'offline',
  'missing-stream',
  'clock-ahead',
  'clock-behind',
  'repeats-times',
  'too-fast',
  'broker-down',
  'well',
] as const
export type Cause = (typeof CAUSES)[number]

/** What is told before it is shown: `evidence` is of the cause alone. */
export interface Found {
  readonly cause: Cause
  /** More than the cause says, as a code: of a refusal, of what is set aside. */
  readonly code?: string
  readonly sentence: string
  readonly evidence?: readonly Evidence[]
  /** What to do; absent when nothing is to be. */
  readonly mend?: string
}
