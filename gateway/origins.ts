/**
 * Owns which pages may have a browser ask the gateway, by the origin that it says with what they ask. What is no browser says none: there
 * the token decides alone.
 *
 * Always true: the gateway's own pages may, unless authentication is off and they are not of this machine. Bound: a page of another
 * origin than those that are allowed is refused with 403, and an answer names no origin but the one that asks.
 */

import { Refusal } from './refusal.ts'
import type { Request } from './request.ts'
import type { Headers } from './server/server.ts'

export interface OriginsOptions {
  /** Whether pages from elsewhere are refused whatever they ask: where no token keeps them out. */
  readonly refuseForeign: boolean
  /** Those whose pages may ask, as browsers spell them; of every one if undefined. */
  readonly origins?: readonly string[]
}

/** Access is by token alone, which a page must have been given, and never by a cookie that a browser would add by itself. */
const OF_ANY: Headers = { 'Access-Control-Allow-Origin': '*' }
/** A cache must not give one page what was answered to another. */
const OF_SOME: Headers = { Vary: 'Origin' }

export class Origins {
  readonly #refuseForeign: boolean
  readonly #allowed: ReadonlySet<string> | undefined

  constructor({ refuseForeign, origins }: OriginsOptions) {
    this.#refuseForeign = refuseForeign
    this.#allowed = origins && new Set(origins)
  }

  /** Of every answer to that origin, by which a browser lets the page read it. */
  headersFor(origin: string): Headers {
    if (this.#allowed === undefined) return OF_ANY
    return this.#allowed.has(origin) ? { ...OF_SOME, 'Access-Control-Allow-Origin': origin } : OF_SOME
  }

  /** Throws a `Refusal` `foreign-page`. */
  readonly require = ({ foreign, origin, host }: Request): void => {
    if (this.#refuseForeign && foreign !== undefined) {
      throw new Refusal('foreign-page', `${foreign}: allowed is this machine only, for TELLTALE_AUTH is off`)
    }
    if (this.#allowed === undefined || origin === '' || this.#allowed.has(origin) || isOwn(origin, host)) return
    const message = `Origin is ${JSON.stringify(origin)}: allowed are this gateway's own pages and those of TELLTALE_GATEWAY_ORIGINS`
    throw new Refusal('foreign-page', message)
  }
}

/** Whether the page came from where it asks: behind a proxy only that knows whether by `http` or `https`. */
function isOwn(origin: string, host: string): boolean {
  const authority = /^https?:\/\/(.+)$/.exec(origin)?.[1]
  return authority === host.toLowerCase()
}
