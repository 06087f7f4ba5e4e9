/** Owns which signals a scenario may ask for by name; `signal.ts` makes them. */

/** How one column's values come about. */
export type Signal =
  | {
      readonly kind: 'walk'
      readonly min: number
      readonly max: number
      readonly step: number
      readonly decimals?: number
    }
  | {
      readonly kind: 'daily'
      readonly min: number
      readonly max: number
      readonly peak: string
      readonly noise: number
      readonly decimals?: number
    }
  | { readonly kind: 'constant'; readonly value: number | string | boolean }
  | { readonly kind: 'counter'; readonly from: number; readonly step: number; readonly decimals?: number }
  | { readonly kind: 'one-of'; readonly values: readonly (string | number | boolean)[]; readonly change: number }
