/**
 * Owns which processes play which roles on a log, and which of them are gone without a word (kill -9, a crash): whoever says why a device has
 * no data has to know that the broker is gone, and nobody is there to tell.
 *
 * Always true: it costs nothing while nothing happens. That a process is gone is what its system says, not a time that has passed: one that is
 * busy, or stopped by SIGSTOP, is there. A kind of log for several hosts has a lease for it.
 */

export const ROLES = ['broker', 'ingest', 'gateway', 'bridge'] as const
export type Role = (typeof ROLES)[number]

export interface PlayedRole {
  readonly role: Role
  /** Which process: its name among the members of the log (`members.ts`), and in words that a person finds it by. */
  readonly member: string
  readonly process: string
  /** When it began, milliseconds. */
  readonly since: number
  readonly isRunning: boolean
  /** When it was first seen that it is gone, milliseconds. */
  readonly goneAt?: number
}

export interface Roles {
  /** This process plays the role, until it ends it or is gone. Those of the role that are gone are forgotten. */
  begin(role: Role): Promise<void>
  end(role: Role): Promise<void>
  /** Those that have not ended. */
  all(): readonly PlayedRole[]
  /** Notes of those that are gone that they are; resolves with those of which nobody had noted it. */
  noteGone(): Promise<readonly PlayedRole[]>
}
