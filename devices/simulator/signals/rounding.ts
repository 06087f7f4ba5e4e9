/** Owns how numbers are cut to what a sensor says. Always true: there is no minus zero, for it would come back as zero. */

/** To so many decimals. */
export function rounding(decimals: number): (value: number) => number {
  const scale = 10 ** decimals
  return (value) => Math.round(value * scale) / scale + 0
}

export const clamp = (value: number, min: number, max: number): number => Math.min(max, Math.max(min, value))
