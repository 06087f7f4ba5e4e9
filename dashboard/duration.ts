/** Owns how the page says spans of time. Pure. */

const UNITS = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
] as const
/** Spans of this unit and longer have a tenth. */
const TENTHS_MS = 3_600_000

/** `1.5 h`, `3 min`, `0.5 s`, `20 ms`. */
export function duration(ms: number): string {
  if (ms < 1_000) return ms < 100 ? `${Math.round(ms)} ms` : `${Number((ms / 1_000).toFixed(1))} s`
  const [size, unit] = UNITS.find(([each]) => ms >= each) ?? [1_000, 's']
  const value = ms / size
  return `${value < 10 && size >= TENTHS_MS ? Math.round(value * 10) / 10 : Math.round(value)} ${unit}`
}
