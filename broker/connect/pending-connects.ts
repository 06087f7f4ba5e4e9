/**
 * Owns the connections whose first packet is not whole yet: a crowd that connects and says nothing must cost next to nothing,
 * and not keep out those that do. Only a whole CONNECT makes an MQTT client of one.
 *
 *   connection --> CONNECT? --yes--> whole? --yes--> handed on, with all its bytes
 *                     | no              | no
 *                     +--> closed       +--> waits; closed at a bound
 *
 * Bounds: `max`, together with those handed on that have no CONNACK yet; for one more, the one that has waited longest is closed,
 * and counted, first of those that have not sent their CONNECT. A first packet has at most `CONNECT_BYTES_MAX` (Aedes buffered
 * 64 MB of one) and is whole within `CONNECT_TIMEOUT_MS`. For all their bytes see `PartialPackets`.
 */

import type { Duplex } from 'node:stream'
import type { Client } from 'aedes'
import { CONNECT_TIMEOUT_MS } from '../../platform/limits.ts'
import type { FairShare } from '../inbound/fair-share.ts'
import { readBuffered } from '../inbound/inbound.ts'
import { packetBytes } from '../inbound/packet-rules.ts'
import type { Beginner, PartialPackets } from '../inbound/partial-packets.ts'
import { Disconnect, type Disconnects } from '../reports/disconnects.ts'
import { clearUnused, isConnect, notConnect } from './first-packet.ts'

/** A CONNECT is larger: the connection is closed. Holds a token, a will and a user name. */
export const CONNECT_BYTES_MAX = 64 * 1024

export interface PendingConnectsOptions {
  readonly max: number
  readonly partialPackets: PartialPackets
  readonly fairShare: FairShare
  /** Takes over a stream, with its first packet in it. */
  readonly arrived: (stream: Duplex) => Client
  readonly disconnects: Pick<Disconnects, 'end'>
}

interface PendingConnect extends Beginner {
  /** By the process's clock, milliseconds. */
  readonly since: number
  readonly pieces: Buffer[]
  /** Bytes of all pieces. */
  length: number
  /** Bytes of its first packet; undefined until its header is whole. */
  bytes: number | undefined
}

export class PendingConnects {
  readonly #options: PendingConnectsOptions
  /** That which has waited longest comes first. */
  readonly #waiting = new Map<Duplex, PendingConnect>()
  /** Handed on, and without a CONNACK yet; likewise. */
  readonly #unanswered = new Set<Client>()
  // One function for all streams: of a crowd, each with its own would be many.
  readonly #onReadable = ofStream((stream) => this.#read(stream))
  readonly #onEnd = ofStream((stream) => this.#end(stream))
  readonly #onError = ofStream((stream, error: Error) => this.#close(stream, error))
  readonly #onClose = ofStream((stream) => this.#leave(stream))
  #timer: NodeJS.Timeout | undefined

  constructor(options: PendingConnectsOptions) {
    this.#options = options
  }

  add(stream: Duplex): void {
    const makeRoom = () =>
      this.#close(stream, new Disconnect('stuck-packet', 'it began a CONNECT, and others need the room'))
    this.#waiting.set(stream, { since: performance.now(), pieces: [], length: 0, bytes: undefined, makeRoom })
    stream.on('readable', this.#onReadable)
    stream.on('end', this.#onEnd)
    stream.on('error', this.#onError)
    stream.on('close', this.#onClose)
    if (this.#waiting.size + this.#unanswered.size > this.#options.max) this.#makePlaceFor(stream)
    this.#timer ??= setTimeout(() => this.#closeLate(), CONNECT_TIMEOUT_MS).unref()
  }

  #makePlaceFor(stream: Duplex): void {
    const error = new Disconnect('too-many-connects', 'it has not connected, and others need the place')
    const [silent = stream] = this.#waiting.keys()
    const [unanswered] = this.#unanswered
    if (silent !== stream || unanswered === undefined) this.#close(silent, error)
    else {
      this.#unanswered.delete(unanswered)
      this.#options.disconnects.end(unanswered, error)
    }
  }

  #read(stream: Duplex): void {
    const arrival = this.#waiting.get(stream)
    const piece = readBuffered(stream)
    if (arrival === undefined || piece === null) return
    arrival.pieces.push(piece)
    arrival.length += piece.length
    const { pieces, length } = arrival
    const come = arrival.bytes === undefined ? Buffer.concat(pieces) : undefined
    if (come !== undefined) arrival.bytes = packetBytes(come)
    const { bytes } = arrival
    if (come !== undefined && !isConnect(come)) this.#close(stream, violation(notConnect(come)))
    else if (bytes !== undefined && bytes > CONNECT_BYTES_MAX) {
      this.#close(stream, violation(`a CONNECT of ${bytes} bytes is larger than allowed, ${CONNECT_BYTES_MAX}`))
    } else if (bytes === undefined || length < bytes) this.#options.partialPackets.note(arrival, length, false)
    else {
      this.#leave(stream)
      const connect = Buffer.concat(pieces)
      clearUnused(connect)
      stream.unshift(connect)
      this.#unanswered.add(this.#options.arrived(stream))
    }
  }

  /** One that was handed on has its CONNACK, or is gone. */
  answered(client: Client): void {
    this.#unanswered.delete(client)
  }

  #close(stream: Duplex, error: Error): void {
    this.#leave(stream)
    this.#options.disconnects.end(stream, error)
  }

  /** The peer has ended it. In its turn: a thousand that end at once would take one turn of the event loop. */
  #end(stream: Duplex): void {
    this.#leave(stream)
    this.#options.fairShare.wait({
      takeTurn: () => {
        stream.destroy()
        return undefined
      },
    })
  }

  #closeLate(): void {
    const begin = performance.now() - CONNECT_TIMEOUT_MS
    this.#timer = undefined
    for (const [stream, { since, length }] of this.#waiting) {
      if (since > begin) {
        this.#timer = setTimeout(() => this.#closeLate(), since - begin).unref()
        return
      }
      this.#close(stream, violation(length === 0 ? 'no CONNECT came in time' : 'its CONNECT was not whole in time'))
    }
  }

  #leave(stream: Duplex): void {
    const arrival = this.#waiting.get(stream)
    if (arrival === undefined) return
    this.#waiting.delete(stream)
    this.#options.partialPackets.note(arrival, 0, false)
    stream.off('readable', this.#onReadable)
    stream.off('end', this.#onEnd)
    stream.off('error', this.#onError)
    stream.off('close', this.#onClose)
  }
}

function ofStream<A extends unknown[]>(handle: (stream: Duplex, ...args: A) => void) {
  return function (this: Duplex, ...args: A): void {
    handle(this, ...args)
  }
}

const violation = (message: string) => new Disconnect('protocol-error', message)
