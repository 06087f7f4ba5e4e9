/** Owns how the page says values and their units. */

import type { Value } from '../client/client.ts'

/** UCUM's codes (ucum.org, table 3 and 4) that people write otherwise. */
const UNITS: Readonly<Record<string, string>> = { Cel: '°C', deg: '°', 'kW.h': 'kWh', 'V.A': 'VA', 1: '' }

export const unitSign = (unit: string | undefined): string => (unit === undefined ? '' : (UNITS[unit] ?? unit))

/** With six digits. */
export function shown(value: Value): string {
  if (Array.isArray(value)) return `${value.length} numbers`
  if (typeof value !== 'number') return String(value)
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)))
}

/** `1,234`. */
export const count = (number: number): string => number.toLocaleString('en')

/** `3 devices`. */
export const counted = (number: number, noun: string): string => `${count(number)} ${noun}${number === 1 ? '' : 's'}`

const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `1.5 GiB`. */
export function bytes(number: number): string {
  const power = Math.min(BYTES.length - 1, number < 1 ? 0 : Math.floor(Math.log2(number) / 10))
  const value = number / 1024 ** power
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${BYTES[power]}`
}

/** `12.3`, `1,234`. */
export const rate = (perSecond: number): string =>
  perSecond < 10 ? perSecond.toFixed(1) : count(Math.round(perSecond))
