/** Owns axes of powers of ten: whole decades, and milliseconds written short. */

/** The decades around what was measured; one if it was nothing. */
export function decades(min: number | null, max: number | null): [number, number] {
  if (min === null || max === null || min <= 0) return [1, 10]
  const low = 10 ** Math.floor(Math.log10(min))
  const high = 10 ** Math.ceil(Math.log10(max))
  return [low, high > low ? high : low * 10]
}

/** Empty where there is no room for a label. */
export function msLabel(value: number | null): string {
  if (value === null) return ''
  return value >= 1000 ? `${(value / 1000).toLocaleString('en-US')} s` : `${value.toLocaleString('en-US')} ms`
}
