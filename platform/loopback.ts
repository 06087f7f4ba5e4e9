/**
 * Owns what belongs to this machine: the addresses of loopback, and which requests of browsers come from its own pages.
 *
 * A page from anywhere can have its browser ask 127.0.0.1. The browser then says the page's origin; or, when the page has its
 * own name lead to 127.0.0.1 (DNS rebinding), that name as the host. What lets anyone in on loopback must look at both.
 */

/** A name or an address in brackets, and a port perhaps (RFC 9110 section 7.2); before it, in an origin, the scheme. */
const HOST = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::\d+)?$/
const ORIGIN = /^https?:\/\/(.*)$/

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

/**
 * What shows that a request comes from a page of another machine, for a sentence to begin with; undefined if nothing does.
 * The headers are empty where they are not there: what is no browser need not say them.
 */
export function foreignSign(headers: { readonly host: string; readonly origin: string }): string | undefined {
  const { host, origin } = headers
  if (host !== '' && !isOurs(host)) return `Host is ${JSON.stringify(host)}`
  if (origin !== '' && !isOurs(ORIGIN.exec(origin)?.[1] ?? '')) return `Origin is ${JSON.stringify(origin)}`
  return undefined
}

function isOurs(authority: string): boolean {
  const [, address, name] = HOST.exec(authority.toLowerCase()) ?? []
  return isLoopback(address ?? name ?? '')
}
