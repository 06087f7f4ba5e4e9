/**
 * Owns the app's token: asks for one when none is known, and for another when that one has expired or was revoked.
 *
 * Always true: a token function is asked once at a time, whoever waits for its answer. Bound: `TOKENS_REFUSED_MAX` tokens refused
 * in a row, or one that is a string: then it is of no use to try again.
 */

import { TelltaleError } from './error.ts'

/** A token, or what gives a new one each time that it is called. */
export type Token = string | (() => string | Promise<string>)

/** Tokens refused in a row, each fresh from the app, before the app is told. */
const TOKENS_REFUSED_MAX = 3

export class TokenSource {
  readonly #given: Token | undefined
  #current: Promise<string> | undefined
  /** What `#current` came to. */
  #value: string | undefined
  #refused = 0

  constructor(given: Token | undefined) {
    this.#given = given
  }

  /** Undefined if the app has none. Rejects as the app's function does. */
  async get(): Promise<string | undefined> {
    const given = this.#given
    if (typeof given !== 'function') return given
    this.#current ??= this.#ask(given)
    return this.#current
  }

  async #ask(given: () => string | Promise<string>): Promise<string> {
    try {
      // A turn later, so that one that throws at once is forgotten like one that rejects.
      const token = await Promise.resolve().then(given)
      this.#value = token
      return token
    } catch (error) {
      this.#current = undefined
      throw error
    }
  }

  /** The gateway takes it. */
  accepted(): void {
    this.#refused = 0
  }

  /** The gateway has refused `token`: the next `get` brings another one. Throws `why` if there is none to be had. */
  refuse(token: string | undefined, why: TelltaleError): void {
    if (typeof this.#given !== 'function') throw why
    if (token !== this.#value) return // Another one has been asked for already.
    this.#current = undefined
    this.#value = undefined
    if (++this.#refused < TOKENS_REFUSED_MAX) return
    throw new TelltaleError('token-refused', `${TOKENS_REFUSED_MAX} tokens in a row were refused: ${why.message}`, {
      cause: why,
    })
  }
}
