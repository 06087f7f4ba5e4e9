/**
 * Owns the door to the past of one subscription: what an app is sent before the present begins, frame by frame as its
 * connection has room. `Snapshot` is one; whoever resumes from a cursor will be another.
 */

import type { Group } from './groups.ts'

/**
 * `done`: all was sent as it is at this instant, so who joins the group's topic now sees neither gap nor repeat.
 * `late`: the app takes it too slowly, and is to be closed with 4408.
 */
export type PastStep = { readonly frame: string } | 'done' | 'late'

export interface Past {
  readonly group: Group
  /** The next frame. `cursor` is the live tail's at this instant. */
  next(cursor: string): PastStep
}
