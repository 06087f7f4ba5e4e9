/**
 * Owns the base of every typed error: the world's faults carry a literal `code`, a message that says what was wrong,
 * where, and what would be right, and the `cause` when there is one. Our own mistakes use `node:assert` instead.
 */

export class TelltaleError extends Error {
  readonly code: string

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
