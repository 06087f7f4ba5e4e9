/**
 * Owns which of several readings of one series and time a store may have: the one that came last. It is not always known which that was,
 * for a message that is sent again may be taken twice.
 */

export interface Candidate {
  /** It was acknowledged, so it came. One that was not may have come or not. */
  readonly isPromised: boolean
  /** Between these positions it came for the last time, if it came. */
  readonly earliest: number
  readonly latest: number
}

/** Of each candidate, whether it may be the one that came last: none that was promised came later for certain. */
export function mayBeLast(candidates: readonly Candidate[]): boolean[] {
  return candidates.map((one) => candidates.every((other) => other === one || !isCertainlyAfter(other, one)))
}

const isCertainlyAfter = (one: Candidate, other: Candidate): boolean => one.isPromised && one.earliest > other.latest

/** That none is there is right only if none was promised. */
export const mayBeAbsent = (candidates: readonly Candidate[]): boolean =>
  !candidates.some(({ isPromised }) => isPromised)
