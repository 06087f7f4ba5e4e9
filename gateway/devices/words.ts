/** Owns how times, spans and numbers are said to a person. */

/** `since 12:00:03Z (5 min)`; with another word, or none, `5 min ago`. */
export function since(at: number, now: number, word = 'since'): string {
  const ago = now - at < 1_000 ? 'just now' : `${duration(now - at)} ago`
  if (word !== 'since') return word === '' ? ago : `${word} ${ago}`
  return `since ${new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')} (${ago})`
}

const UNITS = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
] as const

/** As people say it: 2 h, 1.5 min. */
export function duration(ms: number): string {
  const [size, unit] = UNITS.find(([each]) => ms >= each) ?? [1, 'ms']
  const value = ms / size
  return `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} ${unit}`
}

export const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`

export const listOf = (names: readonly string[]) => names.join(' and ')
