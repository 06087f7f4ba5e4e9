/** Owns how the page says times: by the clock here or by UTC, as the reader chose; and how long ago something was. */

import { signal } from '@preact/signals'
import { duration } from './duration.ts'

const KEPT = 'telltale.utc'

/** Times are UTC, and not those of the clock here. */
export const isUtc = signal(readKept())

/** Milliseconds, by the clock here. */
export const clock = (): number => Date.now()

/** Milliseconds, once a second: whoever shows an age reads it. */
export const now = signal(Date.now())
setInterval(() => {
  if (!document.hidden) now.value = Date.now()
}, 1000)

export function chooseUtc(chosen: boolean): void {
  isUtc.value = chosen
  try {
    localStorage.setItem(KEPT, String(chosen))
  } catch {
    // A browser may forbid to keep anything.
  }
}

function readKept(): boolean {
  try {
    return localStorage.getItem(KEPT) === 'true'
  } catch {
    return false
  }
}

/** `12:03:09`; with the date before it if that is another day; `Z` behind it if it is UTC. */
export function clockTime(ms: number): string {
  const date = dateTime(ms)
  const [day, today] = [date.slice(0, 10), dateTime(now.value).slice(0, 10)]
  return day === today ? date.slice(11) : date
}

/** `2026-11-30 12:03:09`. */
export function dateTime(ms: number): string {
  const date = new Date(isUtc.value ? ms : ms - new Date(ms).getTimezoneOffset() * 60_000)
  return date.toISOString().slice(0, 19).replace('T', ' ') + (isUtc.value ? 'Z' : '')
}

/** The times in a sentence of the gateway's, which are UTC, as the reader chose. */
export const inOwnTime = (sentence: string): string =>
  sentence.replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, (time) => clockTime(Date.parse(time)))

/** `5 min ago`; `ahead of this clock`, of a time to come. */
export function age(ms: number): string {
  const ago = now.value - ms
  if (ago < -2_000) return `${duration(-ago)} ahead`
  return ago < 2_000 ? 'now' : `${duration(Math.round(ago / 1000) * 1000)} ago`
}
