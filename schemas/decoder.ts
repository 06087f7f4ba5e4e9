/**
 * Owns the way from a payload to its readings (docs/contract.md, "Payloads"): the list of framings, and the one place that
 * chooses among them. Ingest and the gateway decode by it, and the view of a dead letter shows the payload by it.
 *
 * Always true: the framing that a message's sender names has it alone, or else the first of the list that claims the payload; a decoded message is either all readings
 * or one `Rejection`; no payload makes `decode` or `show` throw. Bound: each framing is made once, from the registry;
 * nothing grows with traffic.
 *
 * A new framing is one file and one row of `FRAMINGS`; that of the maps comes with the registry (foreign.ts).
 */

import { readingsAsJson } from './as-json.ts'
import { AvroFraming } from './avro-framing.ts'
import { CborFraming, MsgpackFraming } from './compact-framing.ts'
import { ConfluentFraming } from './confluent-framing.ts'
import { CONTENT_TYPES_SHOWN, FRAMING_LEVELS_SHOWN, isForeign, NOT_TOLD } from './content-type.ts'
import type { Contents, Framing, FramingClass, Message, Remark } from './framing.ts'
import { JsonFraming } from './json-framing.ts'
import { ProtobufFraming } from './protobuf-framing.ts'
import { type Reading, Rejection } from './reading.ts'
import type { Registry } from './registry.ts'

/** In the order in which they are asked. */
export const FRAMINGS: readonly FramingClass<Registry>[] = [
  AvroFraming,
  JsonFraming,
  ConfluentFraming,
  MsgpackFraming,
  CborFraming,
  ProtobufFraming,
]

export class Decoder {
  readonly registry: Registry
  readonly #framings: readonly Framing[]
  /** Those that are known by how their payloads begin. */
  readonly #claiming: readonly Framing[]
  /** Made once: what is refused may come in floods. */
  readonly #empty: Rejection
  /** Of payloads whose sender says what they are, by that number. */
  readonly #emptyOf = new Map<number, Rejection>()
  readonly #starts: string

  constructor(registry: Registry, framings = FRAMINGS) {
    this.registry = registry
    const own = framings.map((Class) => new Class(registry))
    this.#framings = registry.foreign === undefined ? own : [...own, registry.foreign.framing]
    this.#claiming = this.#framings.filter(({ start }) => start !== undefined)
    const formats = [...new Set(this.#claiming.map(({ format }) => format))]
    this.#empty = isEmpty(formats.join(' or '))
    for (const { format, numbers } of this.#framings)
      for (const each of numbers) this.#emptyOf.set(each, isEmpty(format))
    const starts = this.#claiming.map(({ name, start }) => `${start} (${name})`).join(', ')
    this.#starts = `${starts}, a topic with ${FRAMING_LEVELS_SHOWN} behind it, or by MQTT 5 the content type ${CONTENT_TYPES_SHOWN}`
  }

  decode(message: Message): readonly Reading[] | Rejection {
    const framing = this.#framingOf(message)
    return framing === undefined ? this.#refuse(message) : framing.decode(message)
  }

  /** Whether a framing claims the message, and its schema is known: why not, or undefined. Reads a few bytes. */
  glance(message: Message): Rejection | undefined {
    const framing = this.#framingOf(message)
    return framing === undefined ? this.#refuse(message) : framing.glance(message)
  }

  /** What the sender of a message that was decoded should know, though there is nothing wrong with its readings. */
  remark(message: Message): Remark | undefined {
    return this.#framingOf(message)?.remark?.(message)
  }

  /** The payload of a message that became `readings`, for apps that decode it themselves; undefined if there is no schema to decode it by. */
  forApps(message: Message, readings: readonly Reading[]): Buffer | undefined {
    if (this.#framingOf(message)?.isForApps) return message.payload
    const stream = this.registry.stream(message.stream)
    if (stream === undefined) return message.payload
    return this.registry.newest(stream.name) && readingsAsJson(stream, readings)
  }

  show(message: Message): Contents {
    const framing = this.#framingOf(message)
    if (framing !== undefined) return framing.show(message)
    if (message.payload.length === 0) return { json: { framing: 'empty' }, lines: [['contents', 'nothing']] }
    const names = this.#claiming.map(({ name }) => name)
    return { json: { framing: 'unknown' }, lines: [['contents', `neither ${names.join(' nor ')}`]] }
  }

  #framingOf(message: Message): Framing | undefined {
    if (message.payload.length === 0) return undefined
    const { framing: number = NOT_TOLD } = message
    if (number !== NOT_TOLD) {
      for (const framing of this.#framings) if (framing.numbers.includes(number)) return framing
      if (isForeign(number)) return undefined
    }
    for (const framing of this.#claiming) if (framing.claims(message)) return framing
    return undefined
  }

  #refuse({ payload, stream, framing = NOT_TOLD }: Message): Rejection {
    if (payload.length === 0) return this.#emptyOf.get(framing) ?? this.#empty
    if (isForeign(framing)) return new Rejection('no-map', 'it came on a foreign topic, and there are no maps')
    const start = payload.toString('hex', 0, 4)
    return new Rejection(
      'unknown-framing',
      `the payload for ${stream} starts with the bytes ${start}; right is ${this.#starts}`,
    )
  }
}

const isEmpty = (format: string) => new Rejection('empty', `the payload is empty; ${format} is expected`)
