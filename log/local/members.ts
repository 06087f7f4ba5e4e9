/**
 * Owns who shares a local log: of the processes that may append to it one does (`lock.ts`), so nobody has to ask whether another is there, and
 * what an earlier one had is free.
 */

import { randomUUID } from 'node:crypto'
import { type Members, nothingUntil } from '../members.ts'

export class LocalMembers implements Members {
  /** A process that opens a log again is another one to it. */
  readonly self = `${process.pid}-${randomUUID().slice(0, 8)}`
  readonly isShared = false
  readonly isHeard = true

  isThere(member: string): boolean {
    return member === this.self
  }

  followGone(signal: AbortSignal): AsyncIterable<string> {
    return nothingUntil(signal)
  }
}
