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
    this.#of(number).times++
  }

  sawExpected(number: number): void {
    this.#of(number).asExpected++
  }

  /** One that was done by hand comes behind those of the scenario. */
  #of(number: number): FaultCount {
    while (this.byNumber.length <= number) this.byNumber.push({ times: 0, asExpected: 0 })
    return this.byNumber[number] as FaultCount
  }
}
