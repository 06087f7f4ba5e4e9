/**
 * Owns a machine that shakes: quiet as a rule, with its shaft as the strongest line if any; now and then a burst, of a bearing say, whose
 * amplitude and frequency come together and which dies away. A list of samples is a decaying sine of both, with noise.
 *
 * Always true: accelerations 0 to 40 m/s2, the peak at least the root of two times the RMS; velocity 0 to 45 mm/s; frequency 10 to 400 Hz.
 */

import { Drift, Elapsed, HOUR_MS, type ModelOf, SECOND_MS } from './model.ts'
import { clamp, rounding } from './rounding.ts'

/** From the end of one burst to the next, on average. */
const QUIET_MS = 5 * 60_000
const SENSORS = ['bearing_de', 'bearing_nde', 'gearbox', 'pump'] as const
const AXES = ['x', 'y', 'z'] as const
/** In a list, and in how many of them a sine dies away to a third. */
const SAMPLES = 64
const SAMPLES_DECAY = 24
const SAMPLES_HZ = 1_600
/** Of a burst that never ends, degrees for each m/s2; and how long that takes. */
const HEAT = 3
const HEAT_MS = 10 * 60_000
/** Of the windows in which nothing stands out. */
const FLAT_SHARE = 0.5

export const machineOf: ModelOf = (columns, random) => {
  if (!columns.some(({ name }) => /acceleration|velocity|vibration/.test(name))) return undefined
  const sensor = SENSORS[random.below(SENSORS.length)]
  const axis = AXES[random.below(AXES.length)]
  const shaftHz = random.between(23, 50)
  const quiet = random.between(0.3, 1)
  const warm = random.between(30, 50)
  const air = new Drift(2, HOUR_MS, random)
  const elapsed = new Elapsed()
  const [tenth, thousandth] = [rounding(1), rounding(3)]
  let burst = 0
  let burstHz = shaftHz
  let decayMs = SECOND_MS
  let rms = quiet
  let peak = quiet
  let hertz: number | null = null
  let velocity = 0
  let heat = 0
  const samples = () => {
    const [amplitude, step] = [rms * Math.SQRT2, (2 * Math.PI * (hertz ?? shaftHz)) / SAMPLES_HZ]
    const list = new Array<number>(SAMPLES)
    for (let at = 0; at < SAMPLES; at++) {
      const sine = amplitude * Math.exp(-at / SAMPLES_DECAY) * Math.sin(at * step)
      list[at] = thousandth(sine + random.between(-0.1, 0.1) * quiet)
    }
    return list
  }
  const lists = columns
    .filter(({ kind }) => kind === 'float[]')
    .map(({ name }): [string, () => unknown] => [name, samples])
  return {
    advance: (at) => {
      const ms = elapsed.to(at)
      burst *= Math.exp(-ms / decayMs)
      if (burst < 0.1 && random.next() < 1 - Math.exp(-ms / QUIET_MS)) {
        burstHz = random.between(80, 350)
        decayMs = random.between(3, 20) * SECOND_MS
        // It began some time since the reading before.
        burst = random.between(4, 14) * Math.exp((-ms * random.next()) / decayMs)
      }
      const isBurst = burst >= 0.5
      const noise = quiet * random.between(0.85, 1.15)
      rms = clamp(Math.hypot(noise, burst), 0, 20)
      peak = clamp(rms * random.between(isBurst ? 1.45 : 1.9, isBurst ? 1.7 : 2.6), 0, 40)
      if (isBurst) hertz = clamp(burstHz * random.between(0.99, 1.01), 10, 400)
      else hertz = random.next() < FLAT_SHARE ? null : shaftHz * random.between(0.998, 1.002)
      // A sine's velocity is its acceleration over 2 pi f; of the quiet machine one of 50 Hz at least.
      velocity = clamp((1_000 * rms) / (2 * Math.PI * Math.max(50, hertz ?? 0)), 0, 45)
      heat += (HEAT * burst - heat) * (1 - Math.exp(-ms / HEAT_MS))
      air.after(ms)
    },
    columns: new Map<string, () => unknown>([
      ['sensor', () => sensor],
      ['axis', () => axis],
      ['acceleration_rms', () => thousandth(rms)],
      ['acceleration_peak', () => thousandth(peak)],
      ['velocity_rms', () => thousandth(velocity)],
      ['dominant_frequency', () => (hertz === null ? null : tenth(hertz))],
      ['temperature', () => tenth(warm + air.value + heat)],
      ...lists,
    ]),
  }
}
