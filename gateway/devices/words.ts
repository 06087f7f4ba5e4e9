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

/** As people say it: 40 s, 3 min, 1.5 h. */
export function duration(ms: number): string {
  const [size, unit] = UNITS.find(([each]) => ms >= each) ?? [1, 'ms']
  const value = ms / size
  const isExact = value < 10 && (size === 1 || size >= 3_600_000)
  return `${isExact ? Math.round(value * 10) / 10 : Math.round(value)} ${unit}`
}

/** Of what comes again and again: 0.5 s, 2.5 s, 90 s, 3 min. */
export function interval(ms: number): string {
  if (ms < 50 || ms >= 120_000) return duration(ms)
  const seconds = ms / 1_000
  return `${seconds < 10 ? Math.round(seconds * 10) / 10 : Math.round(seconds)} s`
}

/** 293 KiB, 900 bytes. */
export const size = (bytes: number) => (bytes < 1_024 ? `${bytes} bytes` : `${Math.round(bytes / 1_024)} KiB`)

export const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`

export const listOf = (names: readonly string[]) => names.join(' and ')
