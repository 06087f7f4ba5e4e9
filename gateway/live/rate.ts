/** Owns the words for a subscription that wants fewer readings than there are. */

export const REDUCTIONS = ['last', 'first', 'mean', 'min', 'max', 'count'] as const
export type Reduction = (typeof REDUCTIONS)[number]

export interface Rate {
  /** Readings a second of one series. */
  readonly maxRate: number
  readonly reduce: Reduction
}
