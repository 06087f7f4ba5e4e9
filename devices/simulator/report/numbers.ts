/** Owns how numbers are written for people: with thousands, with as many decimals as mean something, with their unit. Needs nothing, so that a page has it, too. */

export const count = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 0 })

export const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} ms`

/** Since the run began, and how long: `90 s`, `1.5 s`; `the end` for what has none. */
export function seconds(valueMs: number | null, decimals = 1): string {
  if (valueMs === null || !Number.isFinite(valueMs)) return 'the end'
  return `${(valueMs / 1000).toLocaleString('en-US', { maximumFractionDigits: decimals })} s`
}

/** `1 message`, `2 messages`. */
export const counted = (value: number, noun: string): string => `${count(value)} ${noun}${value === 1 ? '' : 's'}`

export const mebibytes = (bytes: number): string => `${count(bytes / 2 ** 20)} MiB`

/** Of a condition such as `p99>250ms`, `live-max<1s` or `slip-p99>50ms`: what it measures is a time. */
const MEASURES_TIME = /^\s*([a-z]+-)?(p\d+|max)\b/

/** What was found for a condition, in the unit that it measures. */
export function foundText(condition: string, value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return 'none measured'
  if (condition.trimEnd().endsWith('%')) return `${Number((100 * value).toPrecision(3))} %`
  if (MEASURES_TIME.test(condition)) return ms(value)
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 2 : 0 })
}
