/** Owns what a person does to one device of a run: faults like those of a scenario, from now on. */

import type { Fault } from '../scenario/fault.ts'
import { deviceName, type Scenario } from '../scenario/scenario.ts'
import type { Simulator } from '../simulator.ts'
import type { Hand } from '../view/keys.ts'
import type { DeviceState } from '../view/moment.ts'

/** As long a link that is cut by hand stays away. */
const AWAY_MS = 5_000
const SKEW_MS = 60_000

export class RunHand implements Hand {
  readonly #simulator: Simulator
  readonly #scenario: Scenario
  /** By device: the number of the fault. */
  readonly #muted = new Map<string, number>()

  constructor(simulator: Simulator, scenario: Scenario) {
    this.#simulator = simulator
    this.#scenario = scenario
  }

  /** Of an index in the whole fleet. */
  deviceAt(index: number): { readonly id: string; readonly state: DeviceState } {
    const id = this.#idAt(index)
    if (this.#muted.has(id)) return { id, state: 'muted' }
    const isOnline = this.#simulator.isOnline(id)
    if (isOnline === undefined) return { id, state: 'connecting' }
    return { id, state: isOnline ? 'online' : 'away' }
  }

  kill(device: string): void {
    this.#befall(device, { kind: 'link-loss', ...this.#now(device, AWAY_MS) })
  }

  mute(device: string): void {
    const muted = this.#muted.get(device)
    if (muted === undefined) {
      const fault = { kind: 'mute', ...this.#now(device, Number.POSITIVE_INFINITY) } as const
      this.#muted.set(device, this.#befall(device, fault))
    } else {
      this.#muted.delete(device)
      this.#simulator.relieve(device, muted)
    }
  }

  skew(device: string): void {
    this.#befall(device, { kind: 'clock-jump', byMs: SKEW_MS, ...this.#now(device, Number.POSITIVE_INFINITY) })
  }

  #befall(device: string, fault: Fault): number {
    return this.#simulator.befall(device, fault)
  }

  #now(device: string, forMs: number) {
    return { atMs: this.#simulator.snapshot.elapsedMs, forMs, devices: { ids: device } }
  }

  #idAt(index: number): string {
    let before = 0
    for (const group of this.#scenario.fleet) {
      if (index < before + group.devices) return deviceName(group, index - before)
      before += group.devices
    }
    throw new RangeError(`there is no device ${index}`)
  }
}
