/**
 * Owns what goes wrong, as apps see it: a code that programs can test, and a sentence.
 *
 * Codes are the gateway's own (docs/contract.md: `forbidden`, `bad-filter`, `token-expired` and so on), and of this package. Always
 * true: README.md lists them; one cause has one code, whichever way it was learned.
 */

export interface ErrorDetails {
  readonly cause?: unknown
  /** The status of an HTTP answer. */
  readonly status?: number
  readonly closeCode?: number
  /** The same may succeed later. */
  readonly retry?: boolean
}

export class TelltaleError extends Error {
  override readonly name = 'TelltaleError'
  readonly code: string
  readonly status: number | undefined
  readonly closeCode: number | undefined
  readonly retry: boolean

  constructor(code: string, message: string, { cause, status, closeCode, retry = false }: ErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.status = status
    this.closeCode = closeCode
    this.retry = retry
  }
}

/** Whatever was thrown, as an error of ours. */
export function errorOf(thrown: unknown, code: string, retry = true): TelltaleError {
  if (thrown instanceof TelltaleError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new TelltaleError(code, message, { cause: thrown, retry })
}

/** What is asked for of a client that is closed. */
export const over = () => new TelltaleError('over', 'close() was called: connect anew')
