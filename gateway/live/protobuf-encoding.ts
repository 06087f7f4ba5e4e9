/**
 * Owns the binary frames of the subprotocol `telltale.v1.protobuf`, each a `Readings` of `docs/protobuf/telltale/live.proto`. Numbers are doubles:
 * all that a reading may have is exact in them. Bound: as of a frame in JSON, a number of bytes here.
 */

import { createRequire } from 'node:module'
import type { Writer } from 'protobufjs'
import type { Reading, Value } from '../../schemas/reading.ts'
import type { Frame } from '../server/server.ts'

/** Only once an app asks for it, for it takes a while to load. */
const newWriter = (): Writer => {
  const { Writer } = createRequire(import.meta.url)('protobufjs/minimal') as typeof import('protobufjs')
  return Writer.create()
}

/** How a field is written (protobuf.dev, "Encoding"). */
const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const tag = (field: number, wireType: number = LENGTH) => (field << 3) | wireType

export const PROTOBUF = {
  name: 'protobuf',

  reading({ device, stream, ts, values }: Reading, received?: number): Buffer {
    const writer = newWriter().uint32(tag(1)).string(device).uint32(tag(2)).string(stream)
    writer.uint32(tag(3, FIXED64)).double(ts)
    if (received !== undefined) writer.uint32(tag(4, FIXED64)).double(received)
    for (const [name, value] of Object.entries(values)) {
      writer.uint32(tag(5)).fork().uint32(tag(1)).string(name).uint32(tag(2)).fork()
      writeValue(writer, value)
      writer.ldelim().ldelim()
    }
    return finished(writer)
  },

  frame(
    { name, byTime = false }: { readonly name: string; readonly byTime?: boolean },
    cursor: string,
    readings: readonly (string | Buffer)[],
    merged = 0,
  ): Frame {
    const writer = newWriter().uint32(tag(1)).string(name).uint32(tag(2)).string(cursor)
    for (const reading of readings) writer.uint32(tag(3)).bytes(reading as Buffer)
    if (merged > 0) writer.uint32(tag(4, VARINT)).uint64(merged)
    if (byTime) writer.uint32(tag(5, VARINT)).bool(true)
    return { event: 'readings', cursor, data: finished(writer) }
  },
}

function writeValue(writer: Writer, value: Value): void {
  if (typeof value === 'number') writer.uint32(tag(1, FIXED64)).double(value)
  else if (typeof value === 'boolean') writer.uint32(tag(2, VARINT)).bool(value)
  else if (typeof value === 'string') writer.uint32(tag(3)).string(value)
  else {
    writer.uint32(tag(4)).fork().uint32(tag(1)).fork()
    for (const number of value) writer.double(number)
    writer.ldelim().ldelim()
  }
}

function finished(writer: Writer): Buffer {
  const bytes = writer.finish()
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
