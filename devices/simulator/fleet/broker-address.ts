/**
 * Owns how the URL of a broker becomes what `mqtt` connects to. Given a URL, mqtt 5.16 parses it with `url.parse`, which Node
 * calls deprecated (DEP0169).
 */

import type { IClientOptions } from 'mqtt'

/** Of `mqtt://host:port`, `mqtts`, `ws` or `wss`, with a path for the latter two; a port that is not named is the scheme's. */
export function brokerAddress(text: string): IClientOptions {
  const { protocol, hostname, port, pathname, username, password } = new URL(text)
  return {
    protocol: protocol.slice(0, -1) as NonNullable<IClientOptions['protocol']>,
    // Of an IPv6 address a URL shows the brackets.
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    path: pathname === '' ? '/' : pathname,
    ...(port !== '' && { port: Number(port) }),
    ...(username !== '' && { auth: `${decodeURIComponent(username)}:${decodeURIComponent(password)}` }),
  }
}
