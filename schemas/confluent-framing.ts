/**
 * Owns Confluent's wire format as a framing (docs.confluent.io, "Wire format"): what clients of a schema registry write.
 *
 *   00 · the schema's id (4 bytes, big-endian) · Avro body
 *
 * An id is what the lock gave a version when it was released, or an array of it (lock.ts). Always true: only a schema of the topic's own
 * stream is decoded.
 */

import type { AvroCodec } from './avro-codec.ts'
import type { Contents, Framing, Message, Publishing } from './framing.ts'
import { fieldLines, inspectAvro } from './inspect.ts'
import { type Reading, Rejection } from './reading.ts'
import type { Registry } from './registry.ts'

const MARK = 0
const BODY_AT = 5

export class ConfluentFraming implements Framing {
  readonly key = 'confluent'
  readonly numbers = []
  readonly format = 'Avro'
  readonly name = "Confluent's wire format"
  readonly start = '00'
  readonly #registry: Registry

  constructor(registry: Registry) {
    this.#registry = registry
  }

  publishing(stream: string): Publishing | undefined {
    const { id, batchId } = this.#registry.versions(stream).at(-1) ?? {}
    if (id === undefined || batchId === undefined) return undefined
    return { firstBytes: begin(id), batchFirstBytes: begin(batchId) }
  }

  claims({ payload }: Message): boolean {
    return payload[0] === MARK
  }

  glance(message: Message): Rejection | undefined {
    const codec = this.#codecOf(message)
    return codec instanceof Rejection ? codec : undefined
  }

  decode(message: Message): readonly Reading[] | Rejection {
    const codec = this.#codecOf(message)
    return codec instanceof Rejection ? codec : codec.decode(message.payload, BODY_AT, message)
  }

  #codecOf({ payload, stream }: Message): AvroCodec | Rejection {
    if (payload.length < BODY_AT) {
      return new Rejection(
        'malformed-avro',
        `the payload ends inside the id, after ${payload.length} bytes of ${BODY_AT}`,
      )
    }
    const versions = this.#registry.versions(stream)
    if (versions.length === 0) return new Rejection('unknown-schema', this.#registry.unknownStream(stream))
    const id = payload.readUInt32BE(1)
    const codec = this.#registry.byId(id)
    if (codec === undefined) {
      const known = versions.map(({ version, id, batchId }) =>
        id === undefined ? `${version} (none yet)` : `${version} (${id}, an array of it ${batchId})`,
      )
      return new Rejection(
        'unknown-schema',
        `no released schema has the id ${id}; those of ${stream} are ${known.join(', ')}`,
      )
    }
    if (codec.definition.stream === stream) return codec
    return new Rejection(
      'wrong-stream',
      `the payload is of ${codec.definition.stream} ${codec.definition.version}, sent to the topic of ${stream}`,
    )
  }

  show({ payload }: Message): Contents {
    if (payload.length < BODY_AT) {
      const fault = 'it ends inside the id'
      return { json: { framing: 'confluent', fault }, lines: [['contents', fault]] }
    }
    const id = payload.readUInt32BE(1)
    const codec = this.#registry.byId(id)
    const header = `${this.name}, id ${id}, of`
    if (codec === undefined) {
      return { json: { framing: 'confluent', id }, lines: [['contents', `${header} no released schema`]] }
    }
    const { definition, batch } = codec
    const schema = `${definition.stream} ${definition.version}${batch ? ', a batch' : ''}`
    const read = inspectAvro(definition.schema, batch, payload, BODY_AT)
    return {
      json: { framing: 'confluent', id, schema, read },
      lines: [['contents', `${header} ${schema}`], ...fieldLines(read)],
    }
  }
}

const begin = (id: number): string => id.toString(16).padStart(2 * BODY_AT, '0')
