/** Owns when each message of a run is due: one device after the other, each in its turn. A message is known by its device and time. */

const MS_PER_SECOND = 1000
const NS_PER_MS = 1e6

export interface Schedule {
  /** Which message of its device in this run a reading of that time is; less than 0 for an earlier run's. */
  numberOf(ts: number): number
  /** When message `number` of the device was due, by `performance.now()`. */
  dueAt(device: string, number: number): number
}

export interface RunTimes {
  /** Messages a second of all devices. */
  readonly rate: number
  /** The time of each device's first reading, and from one to its next. */
  readonly from: number
  readonly stepMs: number
}

export class RunSchedule implements Schedule {
  readonly #numbers: ReadonlyMap<string, number>
  readonly #times: RunTimes
  #firstDueAt = Number.NaN

  constructor(devices: readonly string[], times: RunTimes) {
    this.#numbers = new Map(devices.map((device, index) => [device, index]))
    this.#times = times
  }

  /** The first message is due then, by the clock that all processes share (`process.hrtime`). */
  begin(firstDueNs: bigint): void {
    this.#firstDueAt = performance.now() + Number(firstDueNs - process.hrtime.bigint()) / NS_PER_MS
  }

  numberOf(ts: number): number {
    return Math.round((ts - this.#times.from) / this.#times.stepMs)
  }

  dueAt(device: string, number: number): number {
    const message = number * this.#numbers.size + (this.#numbers.get(device) ?? 0)
    return this.#firstDueAt + (message * MS_PER_SECOND) / this.#times.rate
  }
}
