/**
 * Owns the door to the past of one subscription: what an app is sent before the present begins, frame by frame as its
 * connection has room. `Snapshot`, `LogPast` and `StorePast` are three.
 */

import type { Frame } from '../server/server.ts'
import type { Group } from './groups.ts'

/**
 * `done`: all was sent as it is at this instant, so who joins the group's topic now sees neither gap nor repeat.
 * `late`: the app takes it too slowly, and is to be closed with 4408.
 * `rest`: what is left of it is another past.
 * A promise: there is nothing just now; ask again when it has resolved.
 */
export type PastStep = { readonly frame: Frame } | { readonly rest: Past } | 'done' | 'late' | Promise<void>

export interface Past {
  /** The next frame. */
  next(): PastStep
  /** The past of another group, from where this one is. */
  for(group: Group): Past
  /** Nobody wants it any more. */
  drop(): void
}
