/**
 * Owns what the gateway takes from an HTTP request. uWebSockets.js lends its request for the length of the callback
 * only, so everything needed later is copied here at once.
 */

import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import { isLoopback } from '../platform/settings.ts'
import { badParameter } from './refusal.ts'

export interface Request {
  /** As sent: `GET`, `HEAD`... */
  readonly method: string
  readonly path: string
  readonly query: Query
  readonly authorization: string
  readonly accept: string
  /** The peer is on this machine, and no proxy says that it speaks for another. */
  readonly local: boolean
}

export function readRequest(response: HttpResponse, request: HttpRequest): Request {
  const peer = Buffer.from(response.getRemoteAddressAsText()).toString()
  const proxied = request.getHeader('x-forwarded-for') !== '' || request.getHeader('forwarded') !== ''
  return {
    method: request.getCaseSensitiveMethod(),
    path: request.getUrl(),
    query: new Query(request.getQuery() ?? ''),
    authorization: request.getHeader('authorization'),
    accept: request.getHeader('accept'),
    local: !proxied && isLoopback(plainAddress(peer)),
  }
}

/** uWebSockets.js spells IPv6 in full, and IPv4 on a socket for both as `::ffff:127.0.0.1`, in hexadecimal. */
function plainAddress(peer: string): string {
  if (/^(0+:){7}0*1$/.test(peer)) return '::1'
  const mapped = /^(?:0{1,4}:){5}ffff:([0-9a-f]{2})([0-9a-f]{2}):([0-9a-f]{2})([0-9a-f]{2})$/.exec(peer)
  if (!mapped) return peer
  return mapped
    .slice(1)
    .map((byte) => Number.parseInt(byte, 16))
    .join('.')
}

/**
 * The parameters of a query. A `+` stays a `+`, unlike in forms (URL standard, `application/x-www-form-urlencoded`): it
 * is a wildcard of topic filters, people type it as it is, and no parameter has a space in it.
 */
export class Query {
  readonly #parameters: (readonly [name: string, value: string])[] = []

  constructor(text: string) {
    for (const part of text.split('&')) {
      if (part === '') continue
      const [name = '', ...value] = part.split('=')
      this.#parameters.push([decode(name), decode(value.join('='))])
    }
  }

  all(name: string): string[] {
    return this.#parameters.filter(([own]) => own === name).map(([, value]) => value)
  }

  /** The parameter's value; undefined if absent or empty. Throws a `Refusal` if it is there twice. */
  one(name: string): string | undefined {
    const values = this.all(name).filter((value) => value !== '')
    if (values.length > 1) throw badParameter(name, values.join(', '), 'one value')
    return values[0]
  }

  /** Throws a `Refusal` naming the first parameter that is not `allowed`, so that a misspelt one is not ignored. */
  allow(allowed: readonly string[]): void {
    for (const [name, value] of this.#parameters) {
      if (allowed.includes(name) || name === 'access_token') continue
      throw badParameter(
        name,
        value,
        allowed.length > 0 ? `one of the parameters ${allowed.join(', ')}` : 'no parameter',
      )
    }
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text // Not percent-encoded: whoever reads the parameter will say what is wrong with it.
  }
}
