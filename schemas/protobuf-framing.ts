/**
 * Owns Protobuf as a framing: a message, or a batch of them, by the newest `.proto` of the topic's stream (protobuf-codec.ts). A payload says
 * neither that it is Protobuf nor by which schema, so the topic says both.
 */

import { PROTOBUF, PROTOBUF_BATCH } from './content-type.ts'
import type { Contents, Framing, Message, Publishing } from './framing.ts'
import type { ProtobufCodec } from './protobuf-codec.ts'
import { inspectProtobuf } from './protobuf-inspect.ts'
import { type Reading, Rejection } from './reading.ts'
import type { Registry } from './registry.ts'

export class ProtobufFraming implements Framing {
  readonly key = 'protobuf'
  readonly format = 'Protobuf'
  readonly name = 'Protobuf'
  readonly numbers = [PROTOBUF, PROTOBUF_BATCH]
  readonly #registry: Registry

  constructor(registry: Registry) {
    this.#registry = registry
  }

  publishing(stream: string): Publishing | undefined {
    return this.#registry.protobuf(stream) && {}
  }

  /** No first byte says so. */
  claims(): boolean {
    return false
  }

  glance({ stream }: Message): Rejection | undefined {
    const codec = this.#codecOf(stream)
    return codec instanceof Rejection ? codec : undefined
  }

  decode(message: Message): readonly Reading[] | Rejection {
    const { stream, payload, framing } = message
    const codec = this.#codecOf(stream)
    return codec instanceof Rejection ? codec : codec.decode(payload, framing === PROTOBUF_BATCH, message)
  }

  #codecOf(stream: string): ProtobufCodec | Rejection {
    const codec = this.#registry.protobuf(stream)
    if (codec !== undefined) return codec
    if (this.#registry.newest(stream) === undefined) {
      return new Rejection('unknown-schema', this.#registry.unknownStream(stream))
    }
    return new Rejection(
      'unknown-schema',
      `${stream} has no .proto: ${stream}/<n>.proto in the folder of the schemas is right`,
    )
  }

  show({ stream, payload, framing }: Message): Contents {
    const codec = this.#registry.protobuf(stream)
    const schema = codec && `${stream} ${codec.definition.version}${framing === PROTOBUF_BATCH ? ', a batch' : ''}`
    const read = inspectProtobuf(codec?.message, framing === PROTOBUF_BATCH, payload)
    return {
      json: { framing: 'protobuf', ...(schema !== undefined && { schema }), read },
      lines: [
        ['contents', `Protobuf${schema === undefined ? ', of no registered schema' : ` of ${schema}`}`],
        ...read.fields.map(({ path, value }): [string, string] => ['', `${path}  ${value}`]),
        ...(read.fault === undefined ? [] : [['', `stopped: ${read.fault}`] as const]),
      ],
    }
  }
}
