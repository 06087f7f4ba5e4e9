/**
 * Owns the messages of the fleet's runs: real readings, each device's strictly later than all before, so that each message is a point
 * of its own. All servers of a round are given the same ones.
 */

import { join } from 'node:path'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../schemas/registry.ts'
import { writePublishes } from './packet-file.ts'
import { makePublishes } from './publishes.ts'
import type { RunTimes } from './schedule.ts'

const MS_PER_SECOND = 1000

export interface FleetRun extends RunTimes {
  /** Of PUBLISHes, and how many they are. */
  readonly file: string
  readonly messages: number
}

export class FleetRuns {
  readonly #registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  readonly #devices: readonly string[]
  readonly #file: string
  /** No reading so far is of this time, or of a later one. */
  #from = 0

  /** The file of messages goes into `directory`. */
  constructor(devices: readonly string[], directory: string) {
    this.#devices = devices
    this.#file = join(directory, 'publishes')
  }

  /** Makes the next `perDevice` messages of each device, at `rate` a second of all together. What was made before is gone. */
  make(rate: number, perDevice: number): FleetRun {
    const stepMs = Math.max(1, Math.round((this.#devices.length * MS_PER_SECOND) / rate))
    const from = Math.max(Date.now(), this.#from)
    this.#from = from + perDevice * stepMs
    const publishes = this.#devices.map((device, index) =>
      makePublishes({ device, index, count: perDevice, from, stepMs }, this.#registry),
    )
    writePublishes(this.#file, publishes)
    return { file: this.#file, messages: perDevice * this.#devices.length, rate, from, stepMs }
  }
}
