/**
 * Owns all that we use of Aedes beyond its documented interface, read in the source of version 1.2.0 (the lockfile pins
 * it), so that an upgrade has one file to check.
 */

import type { Client, PublishPacket } from 'aedes'

/** What `aedes-persistence` 11 offers of retained messages and of QoS 2 messages that await their PUBREL. */
export interface Persistence {
  storeRetained(packet: PublishPacket): Promise<void>
  /** Resolves with the packet that was stored under this message id, rejects if there is none. */
  incomingGetPacket(client: Client, packet: PublishPacket): Promise<unknown>
}

/** mqtt-packet's streaming parser, as each Aedes client owns one. */
interface Parser {
  /** The packet being read; `length` is its remaining length, -1 until the fixed header is whole. */
  readonly packet: { readonly length: number }
  parse(chunk: Buffer): number
}

interface ClientInternals {
  readonly _parser: Parser
  readonly _will: PublishPacket | null
}

function internals(client: Client): ClientInternals {
  return client as unknown as ClientInternals
}

/**
 * Ends the connection of a client whose packet announces more bytes than `limit()` allows. Neither Aedes nor mqtt-packet
 * has such a limit (64 MB of one CONNECT were buffered before authentication); with this, what is buffered is at most one
 * socket chunk more than the limit, since the parser is asked after each chunk.
 */
export function limitFrames(client: Client, limit: () => number): void {
  const parser = internals(client)._parser
  const parse = parser.parse.bind(parser)
  parser.parse = (chunk) => {
    const left = parse(chunk)
    if (parser.packet.length > limit() && !client.closed) {
      client.emit('error', new Error(`a packet of ${parser.packet.length} bytes is larger than allowed, ${limit()}`))
    }
    return left
  }
}

/** The will of a client that is being authenticated; Aedes sets it before `authenticate`. */
export function willOf(client: Client): PublishPacket | undefined {
  return internals(client)._will ?? undefined
}

/** Renames a client that is being authenticated: Aedes registers it by this id afterwards. */
export function renameClient(client: Client, id: string): void {
  Object.assign(client, { id })
}
