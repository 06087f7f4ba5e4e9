/**
 * Owns which processes share a log, and which of them are there. Of a log on one machine that is what its system says; of one on several
 * a process is gone when the others have not heard of it for `LEASE_MS`: it may be stopped, or cut off, and go on later.
 *
 *   there --not heard of for LEASE_MS, or it ended--> gone, for ever: one that goes on after that is there under another name
 */

/** A process that was not heard of for so long is gone: what it had claimed is free, and its devices are online no more. */
export const LEASE_MS = 10_000

export interface Members {
  /** The name of this process now; never given twice. It changes when the others took this process for gone. */
  readonly self: string
  /** Whether several processes may append: so not of a log on one machine, where one does and nobody has to look for others. */
  readonly isShared: boolean
  /** Whether the others cannot have taken this process for gone: else what it has claimed may be another's by now. */
  readonly isHeard: boolean
  /** Whether the process of that name is there. */
  isThere(member: string): boolean
  /** Those that are gone from now on, until `signal` aborts; this process itself among them. */
  followGone(signal: AbortSignal): AsyncIterable<string>
}

/** What others do, of whom there are none. */
export function nothingUntil(signal: AbortSignal): AsyncIterable<never> {
  const next = (): Promise<IteratorResult<never>> =>
    new Promise((resolve) => {
      const end = () => resolve({ done: true, value: undefined })
      if (signal.aborted) end()
      else signal.addEventListener('abort', end, { once: true })
    })
  return { [Symbol.asyncIterator]: () => ({ next }) }
}
