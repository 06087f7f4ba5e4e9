/**
 * Owns Avro's single-object encoding as a framing: the fingerprint in a payload's header names the schema that it was
 * written by, whose codec reads the body (avro-codec.ts). Always true: only a schema of the topic's own stream is decoded.
 */

import { type AvroCodec, BODY_AT } from './avro-codec.ts'
import { AVRO } from './content-type.ts'
import { fingerprintHex } from './fingerprint.ts'
import type { Contents, Framing, Message, Publishing, Remark } from './framing.ts'
import { fieldLines, inspectAvro } from './inspect.ts'
import { type Reading, Rejection } from './reading.ts'
import type { RegisteredSchema, Registry } from './registry.ts'

export class AvroFraming implements Framing {
  readonly key = 'avro'
  readonly numbers = [AVRO]
  readonly isForApps = true
  readonly format = 'Avro'
  readonly name = 'Avro single-object encoding'
  readonly start = 'c301'
  readonly #registry: Registry

  constructor(registry: Registry) {
    this.#registry = registry
  }

  publishing(stream: string): Publishing | undefined {
    const newest = this.#registry.versions(stream).at(-1)
    return newest && avroFirstBytes(newest)
  }

  claims({ payload }: Message): boolean {
    return payload[0] === 0xc3 && payload[1] === 0x01
  }

  glance(message: Message): Rejection | undefined {
    const codec = this.#codecOf(message)
    return codec instanceof Rejection ? codec : undefined
  }

  decode(message: Message): readonly Reading[] | Rejection {
    const codec = this.#codecOf(message)
    return codec instanceof Rejection ? codec : codec.decode(message.payload, BODY_AT, message)
  }

  #codecOf(message: Message): AvroCodec | Rejection {
    const { payload, stream } = message
    if (!this.claims(message)) {
      const start = payload.toString('hex', 0, 4)
      const text = `by its content type the payload is Avro; it starts with the bytes ${start}, and must start with ${this.start} (${this.name})`
      return new Rejection('malformed-avro', text)
    }
    if (payload.length < BODY_AT) {
      return new Rejection(
        'malformed-avro',
        `the payload ends inside the fingerprint, after ${payload.length} bytes of ${BODY_AT}`,
      )
    }
    const codec = this.#registry.codec(payload.readInt32LE(2), payload.readInt32LE(6))
    if (codec?.definition.stream === stream) return codec
    const versions = this.#registry.versions(stream)
    if (versions.length === 0) return new Rejection('unknown-schema', this.#registry.unknownStream(stream))
    if (codec === undefined) {
      const known = versions.map(({ version, fingerprint }) => `${version} (${fingerprint})`)
      return new Rejection(
        'unknown-schema',
        `no registered schema has the fingerprint ${fingerprintIn(payload)}; versions of ${stream} are ${known.join(', ')}`,
      )
    }
    return new Rejection(
      'wrong-stream',
      `the payload is of ${codec.definition.stream} ${codec.definition.version}, sent to the topic of ${stream}`,
    )
  }

  /** One that a library computes in its own way is known here, and may not be elsewhere. */
  remark({ payload }: Message): Remark | undefined {
    const halves = [payload.readInt32LE(2), payload.readInt32LE(6)] as const
    const spelling = this.#registry.spelling(...halves)
    if (spelling === undefined) return undefined
    const right = this.#registry.codec(...halves)?.hex
    const taken = `the message was taken, for ${spelling} is known to compute it so`
    const message = `the fingerprint is ${fingerprintIn(payload)}, by the Avro specification it is ${right}: ${taken}`
    return { code: 'foreign-fingerprint', message }
  }

  /** Field by field, by the schema that the fingerprint names; if it names none, by the newest of the stream as a guess. */
  show(message: Message): Contents {
    const { payload, stream } = message
    if (!this.claims(message)) {
      const fault = `it does not start with ${this.start}`
      return { json: { framing: 'avro', fault }, lines: [['contents', `Avro by its content type, and ${fault}`]] }
    }
    if (payload.length < BODY_AT) {
      const fault = 'it ends inside the fingerprint'
      return { json: { framing: 'avro', fault }, lines: [['contents', fault]] }
    }
    const fingerprint = fingerprintIn(payload)
    const halves = [payload.readInt32LE(2), payload.readInt32LE(6)] as const
    const known = this.#registry.codec(...halves)
    const spelling = this.#registry.spelling(...halves)
    const definition = known?.definition ?? this.#registry.newest(stream)
    const header = `${this.name}, fingerprint ${fingerprint}, of`
    if (definition === undefined) {
      return { json: { framing: 'avro', fingerprint }, lines: [['contents', `${header} no registered schema`]] }
    }
    const batch = known?.batch ?? false
    const schema = `${definition.stream} ${definition.version}${batch ? ', a batch' : ''}`
    const read = inspectAvro(definition.schema, batch, payload, BODY_AT)
    if (known !== undefined) {
      return {
        json: { framing: 'avro', fingerprint, schema, read },
        lines: [
          ['contents', `${header} ${schema}${spelling ? `, as ${spelling} computes it` : ''}`],
          ...fieldLines(read),
        ],
      }
    }
    return {
      json: { framing: 'avro', fingerprint, schema, guessed: true, read },
      lines: [
        ['contents', `${header} no registered schema`],
        ['', `read as ${schema}, for want of a better one:`],
        ...fieldLines(read),
      ],
    }
  }
}

/** What its payloads begin with: the mark, and the fingerprint with its last byte first. */
export function avroFirstBytes({ fingerprint, batchFingerprint }: RegisteredSchema): Required<Publishing> {
  const begin = (hex: string) => `c301${Buffer.from(hex, 'hex').reverse().toString('hex')}`
  return { firstBytes: begin(fingerprint), batchFirstBytes: begin(batchFingerprint) }
}

const fingerprintIn = (payload: Buffer): string => fingerprintHex(payload.readBigUInt64LE(2))
