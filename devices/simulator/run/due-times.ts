/**
 * Owns how an app's reading is known to have been due: by the schedule, from when it was measured. Always true: of a device whose clock a
 * fault has changed, or that repeats times, nothing is said.
 */

import { befallenBy } from '../scenario/befallen.ts'
import { deviceName, devicesOf, type Scenario, type Sending } from '../scenario/scenario.ts'

interface Known {
  readonly index: number
  readonly sends: readonly Sending[]
}

/** Half a millisecond: times are rounded to one. */
const ROUNDING_MS = 0.5

export class DueTimes {
  readonly #scenario: Scenario
  readonly #devices = new Map<string, Known>()
  readonly #all: number
  #beganAt = 0
  #startAt = 0

  constructor(scenario: Scenario) {
    this.#scenario = scenario
    this.#all = devicesOf(scenario)
    const befallen = befallenBy(scenario)
    let index = 0
    for (const group of scenario.fleet) {
      for (let inGroup = 0; inGroup < group.devices; inGroup++, index++) {
        const isOff =
          scenario.replay !== undefined ||
          befallen(index).some(({ fault: { kind } }) => kind.startsWith('clock-') || kind === 'repeated-times')
        this.#devices.set(deviceName(group, inGroup), { index, sends: isOff ? [] : group.sends })
      }
    }
  }

  /** When the fleet began, and of what time it measured then, milliseconds since 1970. */
  begin(beganAt: number, startAt: number): void {
    this.#beganAt = beganAt
    this.#startAt = startAt
  }

  has(device: string): boolean {
    return this.#known(device) !== undefined
  }

  /** Milliseconds since 1970; undefined if it cannot be said. */
  of(device: string, stream: string, ts: number): number | undefined {
    const known = this.#known(device)
    // Of Sparkplug a device has one sending at most, and the platform's maps say what stream it becomes.
    const isSparkplug = ({ format }: Sending) => format === 'sparkplug'
    const sending =
      known?.sends.find((each) => each.stream === stream && !isSparkplug(each)) ?? known?.sends.find(isSparkplug)
    if (known === undefined || sending === undefined) return undefined
    const { everyMs, burst } = sending
    const measuredMs = ts - this.#startAt
    if (everyMs === 0) return this.#scenario.startAt === undefined ? this.#beganAt + measuredMs : undefined
    const firstMs = ((this.#scenario.rampMs + everyMs) * known.index) / this.#all
    const message = Math.max(0, Math.ceil((measuredMs - ROUNDING_MS - firstMs) / everyMs))
    return this.#beganAt + firstMs + (Math.floor(message / burst) * burst + burst - 1) * everyMs
  }

  /** Itself, or the edge node that speaks for a device of Sparkplug. */
  #known(device: string): Known | undefined {
    return this.#devices.get(device) ?? this.#devices.get(device.split(':', 2).join(':'))
  }
}
