/**
 * Owns the subprotocol `telltale.v1.avro`: readings come as the devices have sent them, undecoded, and are decoded here. A module of
 * its own, so that an app that does not import it has nothing of it.
 *
 *   import { avro } from '@telltale/client/avro'
 *   const live = connect(url, { token, encoding: avro })
 *
 *   u8 1 · u8 length, subscription · u16 length, cursor · messages        (all little-endian, names ASCII)
 *   a message: f64 received (ms) · u32 readings of it to skip · u8 length, device · u8 length, stream · u32 length, payload
 *
 * Always true: its readings are those that JSON would have brought; a message that is none is in neither.
 * Bound: the schemas of the streams that come, each asked for once; a fingerprint that nobody knows has them asked for again, at
 * most every `LOOK_AGAIN_MS`.
 */

import { TelltaleError } from '../error.ts'
import { decodeText, type Encoding, type Frame, type FrameDecoder } from '../frames.ts'
import type { Reading } from '../readings.ts'
import { decodeJson } from './by-hand.ts'
import { Bytes } from './bytes.ts'
import { Codec, type Decoded } from './codec.ts'
import { Columns } from './columns.ts'
import { fingerprintIn, fingerprintsOf } from './fingerprint.ts'
import { shapeOf } from './shape.ts'

export const avro: Encoding = {
  subprotocol: 'telltale.v1.avro',
  decoder: (get) => new AvroDecoder(get),
}

const LOOK_AGAIN_MS = 10_000
const FRAME_VERSION = 1
const MARK = [0xc3, 0x01] as const
/** Where the body starts: after the mark and the fingerprint. */
const BODY_AT = 10

type Get = <T>(path: string) => Promise<T>

interface Listing {
  readonly schemas: readonly {
    readonly stream: string
    readonly versions: readonly { readonly version: number; readonly fingerprint: string }[]
  }[]
}

interface Message {
  readonly received: number
  readonly skip: number
  readonly device: string
  readonly stream: string
  readonly payload: Uint8Array
}

/** A stream as the gateway knows it; without columns if it does not. */
interface Known {
  readonly columns: Columns | undefined
  readonly codecs: ReadonlyMap<string, Codec>
  readonly at: number
}

export class AvroDecoder implements FrameDecoder {
  readonly #get: Get
  readonly #known = new Map<string, Known>()
  readonly #schemas = new Map<string, Promise<unknown>>()
  #listing: Promise<Listing> | undefined

  constructor(get: Get) {
    this.#get = get
  }

  opened(): void {
    this.#known.clear()
    this.#listing = undefined
  }

  decode(data: unknown): Frame | Promise<Frame> {
    if (!(data instanceof ArrayBuffer)) return decodeText(data)
    const { subscription, cursor, messages } = readFrame(new Bytes(new Uint8Array(data)))
    const frame = (): Frame => {
      const readings = messages.flatMap((message) => this.#readingsOf(message))
      return { type: 'readings', subscription, cursor, readings, merged: 0 }
    }
    const unknown = new Set(messages.filter((message) => this.#isUnknown(message)).map(({ stream }) => stream))
    if (unknown.size === 0) return frame()
    return Promise.all([...unknown].map((stream) => this.#learn(stream))).then(frame)
  }

  #isUnknown({ stream, payload }: Message): boolean {
    const known = this.#known.get(stream)
    if (known === undefined) return true
    const isOld = performance.now() - known.at > LOOK_AGAIN_MS
    return isOld && isAvro(payload) && !known.codecs.has(fingerprintIn(payload.subarray(2, BODY_AT)))
  }

  #readingsOf({ received, skip, device, stream, payload }: Message): Reading[] {
    let decoded: readonly Decoded[] = []
    try {
      decoded = this.#decode(payload, this.#known.get(stream))
    } catch {
      // It is a dead letter: what stores and JSON have nothing of.
    }
    return decoded.slice(skip).map(({ ts, values }) => ({ device, stream, ts, received, values }))
  }

  #decode(payload: Uint8Array, known: Known | undefined): readonly Decoded[] {
    if (known?.columns === undefined) return []
    if (!isAvro(payload)) return decodeJson(payload, known.columns)
    const bytes = new Bytes(payload)
    bytes.take(MARK.length)
    const codec = known.codecs.get(fingerprintIn(bytes.take(BODY_AT - MARK.length)))
    return codec?.decode(bytes) ?? []
  }

  async #learn(stream: string): Promise<void> {
    const at = performance.now()
    if (this.#known.has(stream)) this.#listing = undefined
    this.#listing ??= this.#get<Listing>('/v1/schemas')
    try {
      const { schemas } = await this.#listing
      const versions = schemas.find((each) => each.stream === stream)?.versions ?? []
      const read = await Promise.all(versions.map((each) => this.#schema(stream, each)))
      const columns = read.length === 0 ? undefined : new Columns(shapeOf(read.at(-1)))
      this.#known.set(stream, { columns, codecs: columns ? codecsOf(read, columns) : new Map(), at })
    } catch (error) {
      this.#listing = undefined
      throw error
    }
  }

  #schema(stream: string, { version, fingerprint }: { readonly version: number; readonly fingerprint: string }) {
    const key = `${stream}/${version}/${fingerprint}`
    const read = this.#schemas.get(key) ?? this.#read(stream, version)
    this.#schemas.set(key, read)
    read.catch(() => this.#schemas.delete(key))
    return read
  }

  async #read(stream: string, version: number): Promise<unknown> {
    const { schema } = await this.#get<{ readonly schema: unknown }>(`/v1/schemas/${stream}/${version}`)
    return schema
  }
}

/** Of each version, a record and a batch. What the specification says a fingerprint is goes before what a library makes of it. */
function codecsOf(schemas: readonly unknown[], columns: Columns): Map<string, Codec> {
  const all = schemas.flatMap((schema) => {
    const shape = shapeOf(schema)
    return [
      { prints: fingerprintsOf(schema), codec: new Codec(shape, columns, false) },
      { prints: fingerprintsOf({ type: 'array', items: schema }), codec: new Codec(shape, columns, true) },
    ]
  })
  const codecs = new Map<string, Codec>()
  for (const { prints, codec } of all) codecs.set(prints[0] ?? '', codec)
  for (const { prints, codec } of all) {
    for (const print of prints) if (!codecs.has(print)) codecs.set(print, codec)
  }
  return codecs
}

const isAvro = (payload: Uint8Array) => payload[0] === MARK[0] && payload[1] === MARK[1]

function readFrame(bytes: Bytes) {
  const version = bytes.uint8()
  if (version !== FRAME_VERSION) throw new TelltaleError('bad-answer', `a frame is of version ${version}`)
  const subscription = ascii(bytes.take(bytes.uint8()))
  const cursor = ascii(bytes.take(bytes.uint16()))
  const messages: Message[] = []
  while (bytes.left > 0) {
    messages.push({
      received: bytes.double(),
      skip: bytes.uint32(),
      device: ascii(bytes.take(bytes.uint8())),
      stream: ascii(bytes.take(bytes.uint8())),
      payload: bytes.take(bytes.uint32()),
    })
  }
  return { subscription, cursor, messages }
}

const ascii = (bytes: Uint8Array) => String.fromCharCode(...bytes)
