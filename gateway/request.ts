/**
 * Owns what the gateway takes from an HTTP request, whose head may be read during the handler's call only: everything needed
 * later is copied here at once.
 */

import { foreignSign, isLoopback } from '../platform/loopback.ts'
import { badParameter } from './refusal.ts'
import type { Exchange } from './server/server.ts'

export interface Request {
  /** As sent: `GET`, `HEAD`... */
  readonly method: string
  readonly path: string
  readonly query: Query
  /** The peer's address. */
  readonly peer: string
  readonly authorization: string
  readonly accept: string
  readonly acceptEncoding: string
  /** What the peer has of the answer already. */
  readonly ifNoneMatch: string
  /** The cursor of the last event that a browser has had, when it comes back. */
  readonly lastEventId: string
  /** As a browser says it for a page: `https://app.example`, or `null`; empty if none is said. */
  readonly origin: string
  readonly host: string
  /** The peer is on this machine, and no proxy says that it speaks for another. */
  readonly local: boolean
  /** What shows that a page from elsewhere asks, as `foreignSign` says it. */
  readonly foreign: string | undefined
}

/**
 * What proxies and content networks add for others: RFC 7239, RFC 9110 section 7.6.3, and what vendors do. One that adds nothing
 * looks like a peer on this machine; for it there is `TELLTALE_LOOPBACK_METRICS`.
 */
const OF_PROXIES =
  /^(forwarded|via|cdn-loop|x-forwarded(-.*)?|x-original-.*|x-real-ip|x-proxy.*|(x-|true-|x-cluster-)?client-ip|(cf|fastly|fly|x-envoy|x-azure|x-appengine|x-amzn|x-amz-cf|x-vercel|akamai|x-akamai|x-arr)-.*)$/

export function readRequest(exchange: Exchange): Request {
  const [host, origin] = [exchange.header('host'), exchange.header('origin')]
  return {
    method: exchange.method,
    path: exchange.path,
    query: new Query(exchange.query),
    authorization: exchange.header('authorization'),
    accept: exchange.header('accept'),
    acceptEncoding: exchange.header('accept-encoding'),
    ifNoneMatch: exchange.header('if-none-match'),
    lastEventId: exchange.header('last-event-id'),
    peer: exchange.peer,
    local: isLoopback(exchange.peer) && !exchange.hasHeader(OF_PROXIES),
    origin,
    host,
    foreign: foreignSign({ host, origin }),
  }
}

/** Of these a `+` is a space, as in forms: they are what people name, and who builds a query by a library for forms writes a space so. */
const NAMED_BY_PEOPLE: readonly string[] = ['site', 'label']

/**
 * The parameters of a query. A `+` stays a `+`, unlike in forms (URL standard, `application/x-www-form-urlencoded`): it
 * is a wildcard of topic filters, and people type it as it is. Of a site or a label it is a space, and a `+` is `%2B`.
 */
export class Query {
  readonly #parameters: (readonly [name: string, value: string])[] = []

  constructor(query: string) {
    for (const part of query.split('&')) {
      if (part === '') continue
      const [encoded = '', ...value] = part.split('=')
      const name = decode(encoded)
      const text = value.join('=')
      this.#parameters.push([name, decode(NAMED_BY_PEOPLE.includes(name) ? text.replaceAll('+', ' ') : text)])
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
