/**
 * Owns MessagePack and CBOR as framings: what JSON says in fewer bytes, read by the newest schema of the topic's stream
 * (json-mappers.ts). Neither tells itself apart from others by its first bytes, so their senders say which it is.
 *
 * Always true: nothing is rounded on the way. A number that no double holds, one that is not finite, a text that is not UTF-8, a
 * name that stands twice in one map, and bytes behind the end are refused; a float32 is the shortest number that is the same float32.
 */

import { readCbor } from './cbor.ts'
import { CBOR, MSGPACK } from './content-type.ts'
import type { Contents, Framing, FramingClass, Message, Publishing } from './framing.ts'
import { JsonMappers } from './json-mappers.ts'
import { Malformed } from './malformed.ts'
import { readMsgpack } from './msgpack.ts'
import { type Reading, Rejection, type RejectionCode } from './reading.ts'
import type { Registry } from './registry.ts'
import { showJson, showMalformed } from './show-json.ts'

interface Compact {
  readonly key: string
  readonly format: string
  readonly number: number
  readonly code: RejectionCode
  /** Throws `Malformed`. */
  readonly read: (payload: Buffer) => unknown
}

class CompactFraming implements Framing {
  readonly key: string
  readonly format: string
  readonly name: string
  readonly numbers: readonly number[]
  readonly #code: RejectionCode
  readonly #read: (payload: Buffer) => unknown
  readonly #mappers: JsonMappers

  constructor(registry: Registry, { key, format, number, code, read }: Compact) {
    this.key = key
    this.format = format
    this.name = format
    this.numbers = [number]
    this.#code = code
    this.#read = read
    this.#mappers = new JsonMappers(registry)
  }

  publishing(stream: string): Publishing | undefined {
    return this.#mappers.knows(stream) ? {} : undefined
  }

  /** No first byte says so. */
  claims(): boolean {
    return false
  }

  glance(message: Message): Rejection | undefined {
    return this.#mappers.glance(message)
  }

  decode(message: Message): readonly Reading[] | Rejection {
    return this.#mappers.map(message, () => {
      try {
        return this.#read(message.payload)
      } catch (error) {
        if (error instanceof Malformed) return new Rejection(this.#code, `the ${this.format} ${error.message}`)
        throw error
      }
    })
  }

  show({ payload }: Message): Contents {
    try {
      return showJson(this.format, this.#read(payload))
    } catch (error) {
      if (error instanceof Malformed) return showMalformed(this.format, `it ${error.message}`)
      throw error
    }
  }
}

const compact = (row: Compact): FramingClass<Registry> =>
  class extends CompactFraming {
    constructor(registry: Registry) {
      super(registry, row)
    }
  }

export const MsgpackFraming = compact({
  key: 'messagepack',
  format: 'MessagePack',
  number: MSGPACK,
  code: 'malformed-msgpack',
  read: readMsgpack,
})

export const CborFraming = compact({
  key: 'cbor',
  format: 'CBOR',
  number: CBOR,
  code: 'malformed-cbor',
  read: readCbor,
})
