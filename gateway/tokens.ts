/**
 * Owns the tokens that were found good: who shows one again is let in without another look at its signature.
 *
 * That saves work, and it keeps an upgrade inside the server's own handler, as uWebSockets.js wants it (`server/uws/exchange.ts`):
 * a known token is answered by microtasks alone, which run before that handler ends; so is one that this installation signed
 * (`identity/own-token.ts`). Only the first connection with a token that was signed elsewhere comes late.
 *
 * Bound: `TOKENS_KNOWN_MAX`; the oldest is forgotten. A token is forgotten when it expires or was revoked.
 */

import type { Identity } from '../identity/identity.ts'
import type { Clock } from '../platform/clock.ts'
import { Access } from './access.ts'
import { Refusal } from './refusal.ts'

/** Tokens found good that are remembered; the oldest is forgotten, and looked at again when it is shown. */
const TOKENS_KNOWN_MAX = 10_000

export type Verifies = Pick<Identity, 'verify' | 'isRevoked'>

export class Tokens {
  readonly #identity: Verifies
  readonly #clock: Clock
  readonly #known = new Map<string, Access>()

  constructor(dependencies: { readonly identity: Verifies; readonly clock: Clock }) {
    this.#identity = dependencies.identity
    this.#clock = dependencies.clock
  }

  /** What an app's token gives access to. Rejects with an `IdentityError`, or a `Refusal` `not-an-app`. */
  async verify(token: string): Promise<Access> {
    const known = this.#known.get(token)
    if (known !== undefined && this.whyOver(known) === undefined) return known
    this.#known.delete(token)
    const principal = await this.#identity.verify(token)
    if (principal.kind !== 'app') {
      throw new Refusal('not-an-app', `the token is that of device ${principal.device}: allowed is an app's`)
    }
    const access = new Access(principal)
    this.#remember(token, access)
    return access
  }

  /** What an access that was given has come to; undefined while it is good. */
  whyOver({ principal }: Access): 'expired' | 'revoked' | undefined {
    if (principal.expiresAt <= this.#clock.now()) return 'expired'
    return this.#identity.isRevoked(principal) ? 'revoked' : undefined
  }

  #remember(token: string, access: Access): void {
    this.#known.set(token, access)
    if (this.#known.size <= TOKENS_KNOWN_MAX) return
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest)
      return
    }
  }
}
