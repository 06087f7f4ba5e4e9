/**
 * Owns which server the gateway runs on: uWebSockets.js, where its binary loads; else node:http with ws. Only the one that is
 * chosen is loaded.
 */

import { messageOf } from '../../platform/errors.ts'
import { HTTP_HEAD_BYTES_MAX } from '../../platform/limits.ts'
import { whyUnloadable } from '../../platform/unloadable.ts'
import { type MakeServer, ServerError } from './server.ts'

export const SERVER_CHOICES = ['auto', 'uws', 'node'] as const
export type ServerChoice = (typeof SERVER_CHOICES)[number]

export interface ChosenServer {
  readonly kind: Exclude<ServerChoice, 'auto'>
  readonly makeServer: MakeServer
  /** Which one, and why not the other: to follow on "served by". */
  readonly why: string
}

/** Rejects with a `ServerError` `server-unusable` if uWebSockets.js was asked for and cannot be loaded. */
export async function chooseServer(choice: ServerChoice): Promise<ChosenServer> {
  if (choice === 'node') return nodeServer('as TELLTALE_GATEWAY_SERVER says')
  // Its bound on a head that comes in pieces; it looks when it is loaded.
  process.env.UWS_HTTP_MAX_HEADERS_SIZE = String(HTTP_HEAD_BYTES_MAX)
  try {
    const { makeServer } = await import('./uws/server.ts')
    return { kind: 'uws', makeServer, why: 'uWebSockets.js' }
  } catch (cause) {
    const problem = whyUnloadable(cause) ?? messageOf(cause)
    if (choice === 'auto') return nodeServer(`for ${problem}`)
    const message = `TELLTALE_GATEWAY_SERVER is uws, but ${problem}. With auto or node, apps are served all the same`
    throw new ServerError('server-unusable', message, { cause })
  }
}

async function nodeServer(why: string): Promise<ChosenServer> {
  const { makeServer } = await import('./node/server.ts')
  return { kind: 'node', makeServer, why: `node:http with ws, ${why}` }
}
