/**
 * Owns columns of numbers, and names by number: a run of a million messages is looked up in them, and as objects it would be a gigabyte.
 * Always true: a column grows at its end only. Bound: twice what it holds while it grows.
 */

import assert from 'node:assert/strict'

type Values = Float64Array | Uint32Array | Uint8Array
type Kind = Float64ArrayConstructor | Uint32ArrayConstructor | Uint8ArrayConstructor

const LENGTH_AT_FIRST = 1024

export class Numbers {
  readonly #kind: Kind
  #values: Values
  #length = 0

  constructor(kind: Kind) {
    this.#kind = kind
    this.#values = new kind(LENGTH_AT_FIRST)
  }

  get length(): number {
    return this.#length
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new this.#kind(this.#length * 2)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.#length++] = value
  }

  at(index: number): number {
    assert(index < this.#length, 'a number is asked for that is not there')
    return this.#values[index] as number
  }

  set(index: number, value: number): void {
    assert(index < this.#length, 'a number is set that is not there')
    this.#values[index] = value
  }
}

/** Texts by number, from 0. */
export class Names {
  readonly #numbers = new Map<string, number>()
  readonly #texts: string[] = []

  get count(): number {
    return this.#texts.length
  }

  /** Its number, a new one if it has none. */
  add(text: string): number {
    let number = this.#numbers.get(text)
    if (number === undefined) {
      number = this.#texts.length
      this.#texts.push(text)
      this.#numbers.set(text, number)
    }
    return number
  }

  find(text: string): number | undefined {
    return this.#numbers.get(text)
  }

  text(number: number): string {
    return this.#texts[number] ?? assert.fail(`there is no name ${number}`)
  }
}
