/** Owns how often each fault of a scenario was done in one process, and how often the platform did what it should. */

export interface FaultCount {
  /** Messages, cut connections, connects that were tried. */
  times: number
  /** Of those of a connection: how often what is expected was seen; of messages the verification finds it. */
  asExpected: number
}

export class FaultCounts {
  /** By the fault's number in the scenario. */
  readonly byNumber: FaultCount[]

  constructor(faults: number) {
    this.byNumber = Array.from({ length: faults }, () => ({ times: 0, asExpected: 0 }))
  }

  did(number: number): void {
    const count = this.byNumber[number]
    if (count !== undefined) count.times++
  }

  sawExpected(number: number): void {
    const count = this.byNumber[number]
    if (count !== undefined) count.asExpected++
  }
}
