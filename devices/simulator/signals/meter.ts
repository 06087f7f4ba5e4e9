/**
 * Owns an electricity meter of one or three phases: loads that come and go through the day, at some meters the sun on the roof, a voltage that
 * sags with the current, and counters that are the integral of the power.
 *
 * Always true: a phase's active power is its voltage times its current times its power factor, as they are rounded, to 0.1 W; export is
 * negative power and a negative power factor. Voltage 200 to 245 V, current 0 to 63 A, frequency 49.8 to 50.2 Hz; counters never fall.
 */

import { Drift, dayWave, Elapsed, HOUR_MS, type Model, type ModelOf } from './model.ts'
import type { Random } from './random.ts'
import { clamp, rounding } from './rounding.ts'

const CIRCUITS = ['main', 'heat_pump', 'wallbox', 'workshop'] as const
const NOMINAL_V = 230
/** Of the line from the transformer to the meter. */
const LINE_OHM = 0.3
/** How long an appliance is on, and off, on average. */
const ON_MS = 0.25 * HOUR_MS
const OFF_MS = 1.5 * HOUR_MS
/** A motor that starts takes several times its current. */
const START_MS = 2_000
const START_FACTOR = 2.5
const GRID_MS = 60_000
const LOAD_MS = 120_000
const SUN_SHARE = 0.3
const NOON_UTC = 11.5
const WATT_MS_PER_KWH = 1_000 * HOUR_MS

const [tenth, hundredth, thousandth] = [rounding(1), rounding(2), rounding(3)]

class Phase {
  readonly #random: Random
  readonly #base: number
  readonly #appliance: number
  readonly #grid: Drift
  readonly #load: Drift
  #isOn = false
  /** The appliance started so long ago. */
  #onMs = 0
  voltage = NOMINAL_V
  current = 0
  factor = 1
  active = 0
  reactive = 0

  constructor(random: Random) {
    this.#random = random
    this.#base = random.between(150, 500)
    this.#appliance = random.between(800, 2500)
    this.#grid = new Drift(1.5, GRID_MS, random)
    this.#load = new Drift(0.15, LOAD_MS, random)
  }

  /** `sun`: watts that its share of the roof gives. */
  advance(at: number, ms: number, sun: number): void {
    const { next } = this.#random
    const changes = next() < 1 - Math.exp(-ms / (this.#isOn ? ON_MS : OFF_MS))
    // It changed some time since the reading before.
    this.#onMs = changes ? ms * next() : this.#onMs + ms
    if (changes) this.#isOn = !this.#isOn
    const evening = 1 + 0.4 * dayWave(at, 18)
    const appliance = this.#isOn ? this.#appliance * (this.#onMs < START_MS ? START_FACTOR : 1) : 0
    const load = this.#base * evening * (1 + this.#load.after(ms)) + appliance - sun
    const factor = thousandth(clamp((this.#isOn ? 0.93 : 0.87) + next() * 0.02, 0, 1))
    const open = NOMINAL_V + 2 + this.#grid.after(ms)
    this.current = hundredth(clamp(Math.abs(load) / (NOMINAL_V * factor), 0, 63))
    this.voltage = tenth(clamp(open - Math.sign(load) * LINE_OHM * this.current, 200, 245))
    this.factor = load < 0 ? -factor : factor
    this.active = tenth(this.voltage * this.current * this.factor)
    this.reactive = tenth(this.voltage * this.current * Math.sqrt(1 - factor * factor))
  }
}

class Meter implements Model {
  readonly columns: ReadonlyMap<string, () => unknown>
  readonly #phases: readonly Phase[]
  readonly #frequency: Drift
  readonly #clouds: Drift
  readonly #roof: number
  readonly #elapsed = new Elapsed()
  #hertz = 50
  #watts: number | undefined
  #imported: number
  #exported: number

  constructor(names: readonly string[], random: Random) {
    const circuit = CIRCUITS[random.below(CIRCUITS.length)]
    this.#phases = names.map(() => new Phase(random))
    this.#frequency = new Drift(0.03, GRID_MS, random)
    this.#clouds = new Drift(0.3, LOAD_MS, random)
    this.#roof = random.next() < SUN_SHARE ? random.between(2000, 4000) : 0
    this.#imported = random.between(500, 20_000)
    this.#exported = this.#roof === 0 ? 0 : random.between(100, 5_000)
    this.columns = new Map<string, () => unknown>([
      ['circuit', () => circuit],
      ['frequency', () => thousandth(this.#hertz)],
      ['energy_import', () => thousandth(this.#imported)],
      ['energy_export', () => thousandth(this.#exported)],
      ...this.#phases.flatMap((phase, index): [string, () => unknown][] => [
        [`${names[index]}voltage`, () => phase.voltage],
        [`${names[index]}current`, () => phase.current],
        [`${names[index]}active_power`, () => phase.active],
        [`${names[index]}reactive_power`, () => phase.reactive],
        [`${names[index]}power_factor`, () => phase.factor],
      ]),
    ])
  }

  advance(at: number): void {
    const ms = this.#elapsed.to(at)
    const sky = clamp(0.7 + this.#clouds.after(ms), 0, 1)
    const sun = this.#roof * sky * Math.max(0, dayWave(at, NOON_UTC))
    let watts = 0
    for (const phase of this.#phases) {
      phase.advance(at, ms, sun)
      watts += phase.active
    }
    // From reading to reading the power is taken to change evenly.
    const mean = (watts + (this.#watts ?? watts)) / 2
    this.#watts = watts
    this.#imported += (Math.max(0, mean) * ms) / WATT_MS_PER_KWH
    this.#exported += (Math.max(0, -mean) * ms) / WATT_MS_PER_KWH
    this.#hertz = 50 + this.#frequency.after(ms)
  }
}

export const meterOf: ModelOf = (columns, random) => {
  const names = columns.filter(({ name }) => /(^|_)voltage$/.test(name)).map(({ name }) => name.replace(/voltage$/, ''))
  return names.length === 0 ? undefined : new Meter(names, random)
}
