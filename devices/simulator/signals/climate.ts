/**
 * Owns the climate at a device: a temperature that follows day and season, a humidity that falls as it rises, a pressure around that of its
 * height, a battery that empties over weeks and is changed, and its radio.
 *
 * Always true: temperature -25 to 45 °C, humidity 12 to 100 %, pressure 870 to 1050 hPa, battery 5 to 100 %, rssi -98 to -40 dBm.
 */

import { DAY_MS, Drift, dayWave, Elapsed, HOUR_MS, type ModelOf } from './model.ts'
import { clamp, rounding } from './rounding.ts'

const WEATHER_MS = 6 * HOUR_MS
const AIR_MS = 20 * 60_000
const RADIO_MS = 60_000
const YEAR_MS = 365.25 * DAY_MS
/** Of the year, when it is warmest. */
const SUMMER_DAY = 202
/** Of relative humidity a degree. */
const HUMIDITY_SLOPE = -2.4
const BATTERY_CHANGED = 5

export const climateOf: ModelOf = (columns, random) => {
  if (!columns.some(({ name }) => name === 'temperature')) return undefined
  const mean = random.between(7, 14)
  const daily = random.between(3, 6)
  const yearly = random.between(7, 10)
  const peakHour = random.between(13, 15)
  const humid = random.between(58, 72)
  const height = random.between(0, 900)
  const signal = random.between(-85, -55)
  const lossPerMs = random.between(1, 4) / DAY_MS
  const weather = new Drift(2, WEATHER_MS, random)
  const air = new Drift(0.4, AIR_MS, random)
  const front = new Drift(6, WEATHER_MS, random)
  const moisture = new Drift(2.5, AIR_MS, random)
  const radio = new Drift(3, RADIO_MS, random)
  const elapsed = new Elapsed()
  const [tenth, whole] = [rounding(1), rounding(0)]
  let temperature = mean
  let humidity = humid
  let pressure = 1013
  let battery = random.between(40, 100)
  let rssi = signal
  return {
    advance: (at) => {
      const ms = elapsed.to(at)
      const season = Math.cos((2 * Math.PI * (at - SUMMER_DAY * DAY_MS)) / YEAR_MS)
      const warmer = daily * dayWave(at, peakHour) + weather.after(ms) + air.after(ms)
      temperature = clamp(mean + yearly * season + warmer, -25, 45)
      humidity = clamp(humid + HUMIDITY_SLOPE * warmer + moisture.after(ms), 12, 100)
      pressure = clamp(1013 - height / 8.3 + front.after(ms), 870, 1050)
      battery -= lossPerMs * ms
      if (battery < BATTERY_CHANGED) battery = 100
      rssi = clamp(signal + radio.after(ms), -98, -40)
    },
    columns: new Map<string, () => unknown>([
      ['temperature', () => tenth(temperature)],
      ['humidity', () => tenth(humidity)],
      ['pressure', () => tenth(pressure)],
      ['battery', () => whole(battery)],
      ['rssi', () => whole(rssi)],
    ]),
  }
}
