/**
 * Owns which values are plausible: a range for a name or a unit, and the largest step between two readings. Always true: what neither says
 * anything of lies between 0 and 100.
 */

/** A range and the largest step between two readings; `wraps` for angles, `rises` for counters. */
export interface Span {
  readonly min: number
  readonly max: number
  readonly step: number
  readonly decimals: number
  readonly wraps?: true
  readonly rises?: true
}

const span = (min: number, max: number, step: number, decimals: number): Span => ({ min, max, step, decimals })

/** Where a name says more than a unit. The first match counts. */
const BY_NAME: readonly (readonly [RegExp, Span])[] = [
  [/latitude|^lat$/i, span(48, 48.3, 0.0002, 6)],
  [/longitude|^lon$|^lng$/i, span(11.3, 11.8, 0.0002, 6)],
  [/heading|bearing|course/i, { ...span(0, 360, 5, 1), wraps: true }],
  [/battery|charge|^fuel$|fuel_(level|state)/i, span(5, 100, 0.5, 1)],
  [/grade|slope/i, span(-12, 12, 0.4, 1)],
  [/dominant/i, span(5, 400, 6, 1)],
  [/humidity/i, span(25, 75, 0.3, 1)],
  [/power_?factor|cos_?phi/i, span(0.8, 1, 0.005, 3)],
  [/odometer|mileage/i, { ...span(0, 1e9, 30, 1), rises: true }],
  [/energy/i, { ...span(0, 1e9, 0.01, 3), rises: true }],
]

/** By UCUM code. */
const BY_UNIT: Readonly<Record<string, Span>> = {
  Cel: span(-10, 45, 0.2, 1),
  '%': span(0, 100, 0.5, 1),
  hPa: span(980, 1040, 0.1, 1),
  Pa: span(98_000, 104_000, 10, 0),
  'dB[m]': span(-95, -40, 2, 0),
  dBm: span(-95, -40, 2, 0),
  'm/s': span(0, 36, 0.8, 2),
  'km/h': span(0, 130, 3, 1),
  'm/s2': span(0, 20, 0.5, 3),
  'mm/s': span(0, 12, 0.3, 3),
  '[g]': span(-2, 2, 0.05, 4),
  deg: { ...span(0, 360, 5, 1), wraps: true },
  m: span(200, 900, 0.5, 1),
  km: span(0, 1000, 0.5, 2),
  L: span(5, 300, 0.2, 1),
  l: span(5, 300, 0.2, 1),
  'L/h': span(0.8, 40, 0.8, 1),
  kg: span(0, 20_000, 10, 0),
  V: span(225, 235, 0.3, 1),
  A: span(0.5, 32, 0.4, 2),
  W: span(100, 7000, 60, 1),
  kW: span(0.1, 7, 0.06, 3),
  'V.A': span(-900, 900, 20, 1),
  Hz: span(49.9, 50.1, 0.01, 3),
  'kW.h': { ...span(0, 1e9, 0.01, 3), rises: true },
  'W.h': { ...span(0, 1e12, 10, 0), rises: true },
}

const DEFAULT_SPAN = span(0, 100, 1, 2)

/** Of a column. */
export const spanOf = (name: string, unit: string): Span =>
  BY_NAME.find(([pattern]) => pattern.test(name))?.[1] ?? BY_UNIT[unit] ?? DEFAULT_SPAN
