/**
 * Owns what the keys of a person do to a run: they choose a device, and something is done to it. Always true: a number chooses the device
 * that people count so, from 1; one that there is not chooses none.
 */

import type { Chosen } from './frame.ts'
import type { DeviceState } from './moment.ts'

/** What a person may do to one device. */
export interface Hand {
  /** Cuts its link; it comes back by itself. */
  kill(device: string): void
  /** It says nothing; once more, and it speaks again. */
  mute(device: string): void
  /** Its clock is a minute later from now on. */
  skew(device: string): void
}

export interface KeysDeps {
  readonly devices: number
  /** Of an index, from 0. */
  readonly deviceAt: (index: number) => { readonly id: string; readonly state: DeviceState }
  readonly hand: Hand
  /** Ends the run in good order. */
  readonly end: () => void
}

/** As `node:readline` tells of it. */
export interface Key {
  readonly name?: string | undefined
  readonly sequence?: string | undefined
  readonly ctrl?: boolean | undefined
}

export class Keys {
  readonly #deps: KeysDeps
  #index = 0
  /** Digits that a number is made of as long as no other key is pressed. */
  #typed = ''
  #done: string | undefined

  constructor(deps: KeysDeps) {
    this.#deps = deps
  }

  get chosen(): Chosen {
    const { id, state } = this.#deps.deviceAt(this.#index)
    return { number: this.#index + 1, id, state, ...(this.#done !== undefined && { done: this.#done }) }
  }

  press({ name, sequence }: Key): void {
    this.#done = undefined
    if (sequence !== undefined && /^\d$/.test(sequence)) this.#type(sequence)
    else this.#act(name)
  }

  #act(name: string | undefined): void {
    this.#typed = ''
    const { hand, devices, deviceAt, end } = this.#deps
    const { id, state } = deviceAt(this.#index)
    if (name === 'up') this.#index = (this.#index + devices - 1) % devices
    else if (name === 'down') this.#index = (this.#index + 1) % devices
    else if (name === 'q') end()
    else if (name === 'k') this.#do('its link is cut', () => hand.kill(id))
    else if (name === 'm') this.#do(state === 'muted' ? 'it speaks again' : 'it says nothing', () => hand.mute(id))
    else if (name === 's') this.#do('its clock is a minute later', () => hand.skew(id))
  }

  #type(digit: string): void {
    const { devices } = this.#deps
    // One digit more than there are devices begins another number.
    const typed = [this.#typed + digit, digit].find((text) => Number(text) >= 1 && Number(text) <= devices)
    this.#typed = typed ?? ''
    if (typed !== undefined) this.#index = Number(typed) - 1
  }

  #do(done: string, act: () => void): void {
    act()
    this.#done = done
  }
}
