/**
 * Owns the way from Protobuf to readings: compiled once from the newest `.proto` of a stream, which reads what all older ones wrote.
 *
 * As proto3 has it: fields come in any order, of one that comes twice the last counts, messages that come twice are merged, what is
 * unknown is passed over, and a field without presence that does not come is 0. Unlike there, nothing is wrong in silence: another wire
 * type than the field's, an integer that its type or a double cannot hold, a text that is no UTF-8, an enum's number without a name, and a
 * number that is not finite set the message aside. None of them is what a device meant.
 *
 * Always true: a value is taken from bytes that are there; the work is linear in the payload, and what is made is bounded by its readings.
 * Bound: `READINGS_PER_MESSAGE_MAX` readings, the levels and columns of a schema.
 */

import { isUtf8 } from 'node:buffer'
import { READINGS_PER_MESSAGE_MAX } from '../platform/limits.ts'
import { type Definition, isLogical, type LogicalLeaf } from './definition.ts'
import { LONG_MAX, LONG_MIN, tooMany } from './guard.ts'
import { fromJson, Unfit as UnfitLogical } from './logical.ts'
import { Malformed } from './malformed.ts'
import { LIST_NUMBERS_MAX, ListFault, listOf } from './numbers.ts'
import type { ProtoVersion } from './protobuf-definition.ts'
import { BATCH_FIELD, TIME_FIELD } from './protobuf-parse.ts'
import { type FieldShape, type MessageShape, type ProtoScalar, TIMESTAMP } from './protobuf-shape.ts'
import { TWO_32, WIRE, WireReader } from './protobuf-wire.ts'
import { type Reading, Rejection, type Value } from './reading.ts'
import { itemOf, type MessageContext, noValue } from './record-mapper.ts'
import { shortestFloat } from './shortest-float.ts'
import { quote, tagFault, timeFault } from './values.ts'

const NO_BYTES = new Uint8Array(0)
const NANOS_PER_SECOND = 1e9
const INT32_MAX = 2 ** 31 - 1
/** Below it, 64 bits are exact in a double, also once they are shifted by one. */
const HIGH_EXACT = 2 ** 20

/** How each type is written. */
export const WIRE_TYPES: Readonly<Record<ProtoScalar | 'enum' | 'message', number>> = {
  int32: WIRE.varint,
  sint32: WIRE.varint,
  uint32: WIRE.varint,
  int64: WIRE.varint,
  sint64: WIRE.varint,
  uint64: WIRE.varint,
  bool: WIRE.varint,
  enum: WIRE.varint,
  fixed32: WIRE.fixed32,
  sfixed32: WIRE.fixed32,
  float: WIRE.fixed32,
  fixed64: WIRE.fixed64,
  sfixed64: WIRE.fixed64,
  double: WIRE.fixed64,
  string: WIRE.length,
  bytes: WIRE.length,
  message: WIRE.length,
}

/** A value as it was sent. */
type Sent = Value | Uint8Array

/** What was found of each leaf of a message, by its slot. */
type Slots = (Sent | undefined)[]

interface Plan {
  readonly steps: ReadonlyMap<number, Step>
  /** Slots of leaves without presence, and what they are if they do not come. */
  readonly implied: readonly (readonly [slot: number, value: Sent])[]
}

interface Step {
  readonly name: string
  readonly type: FieldShape['type']
  readonly wireType: number
  /** Its numbers come one a field, or many in one (protobuf.dev, "Packed Repeated Fields"). */
  readonly isList: boolean
  /** Of a leaf. */
  readonly slot: number
  /** Of a message. */
  readonly plan: Plan | undefined
  /** Slots of the other fields of its `oneof`. */
  readonly clears: readonly number[]
}

interface Column {
  readonly name: string
  readonly slot: number
  readonly isFloat: boolean
  readonly isTag: boolean
  /** What the value is to be made by; undefined where it is what was sent. */
  readonly leaf: LogicalLeaf | undefined
}

/** A value that is whole, and that no reading may have. */
class Unfit extends Error {}

export class ProtobufCodec {
  readonly definition: Definition
  readonly message: MessageShape
  readonly #plan: Plan
  readonly #slots: number
  readonly #time: { readonly slot: number; readonly nanos: number | undefined; readonly unitsPerSecond: number }
  readonly #columns: readonly Column[]
  readonly #earliest: number

  /** `newest` is the stream's newest version, which may have other columns. No reading's time is before `earliest`, milliseconds. */
  constructor({ message, definition }: ProtoVersion, newest: Definition, earliest: number) {
    this.definition = definition
    this.message = message
    this.#earliest = earliest
    const compiler = new Compiler()
    this.#plan = compiler.plan(message, '')
    this.#slots = compiler.slots.size
    const slotOf = (name: string) => compiler.slots.get(name)
    const isTimestamp = message.fields.some(({ type }) => type === TIMESTAMP)
    this.#time = {
      slot: slotOf(isTimestamp ? `${TIME_FIELD}.seconds` : TIME_FIELD) ?? 0,
      nanos: isTimestamp ? slotOf(`${TIME_FIELD}.nanos`) : undefined,
      unitsPerSecond: newest.precision === 'ms' ? 1e3 : 1e6,
    }
    this.#columns = newest.places.flatMap(({ column: { name, kind, tag }, leaf }) => {
      const slot = slotOf(name)
      const logical = isLogical(leaf) ? leaf : undefined
      return slot === undefined ? [] : [{ name, slot, isFloat: kind === 'float', isTag: tag, leaf: logical }]
    })
  }

  decode(payload: Buffer, batch: boolean, context: MessageContext): readonly Reading[] | Rejection {
    let at = ''
    try {
      if (!batch) {
        const reading = this.#reading(new WireReader(payload), payload.length, context, '')
        return reading instanceof Rejection ? reading : [reading]
      }
      const spans = spansOf(payload)
      if (spans instanceof Rejection) return spans
      const readings: Reading[] = []
      for (const [index, { start, end }] of spans.entries()) {
        at = itemOf(index, spans.length)
        const reading = this.#reading(new WireReader(payload, start), end, context, at)
        if (reading instanceof Rejection) return reading
        readings.push(reading)
      }
      return readings
    } catch (error) {
      if (error instanceof Malformed) return new Rejection('malformed-protobuf', `${at}the Protobuf ${error.message}`)
      if (error instanceof Unfit) return new Rejection('invalid-reading', at + error.message)
      throw error
    }
  }

  #reading(reader: WireReader, end: number, context: MessageContext, item: string): Reading | Rejection {
    const slots: Slots = new Array(this.#slots).fill(undefined)
    readMessage(this.#plan, reader, end, slots)
    const { stream } = this.definition
    const time = this.#timeOf(slots)
    if (time === undefined) return new Rejection('invalid-reading', `${item}${TIME_FIELD} is missing`)
    const isMs = this.#time.unitsPerSecond === 1e3
    const late = timeFault(time, isMs ? 'ms' : 'us', context.receivedAt, this.#earliest)
    if (late !== undefined) return new Rejection('bad-timestamp', `${item}${TIME_FIELD} ${late}`)
    const values: Record<string, Value> = {}
    let count = 0
    for (const { name, slot, isFloat, isTag, leaf } of this.#columns) {
      const sent = slots[slot]
      if (sent === undefined || (isTag && sent === '')) continue
      const value = leaf === undefined ? (sent as Value) : fromJson(leaf, sent)
      if (value instanceof UnfitLogical) throw new Unfit(`${name} ${value.what}`)
      if (typeof value === 'object') {
        const list = listOf(value, false)
        if (list instanceof ListFault) throw new Unfit(`${name} ${list.what}`)
        values[name] = list
        count++
        continue
      }
      if (isFloat && !Number.isFinite(value)) throw new Unfit(`${name} is ${value}; a finite number is right`)
      const fault = isTag ? tagFault(value as string) : undefined
      if (fault !== undefined) throw new Unfit(`${name} ${fault}`)
      values[name] = value === 0 ? 0 : value
      if (!isTag) count++
    }
    if (count === 0) return noValue(item)
    return { device: context.device, stream, ts: isMs ? time : time / 1000, values }
  }

  /** In the units of the stream; undefined if it did not come, or is 0. */
  #timeOf(slots: Slots): number | undefined {
    const { slot, nanos, unitsPerSecond } = this.#time
    const time = slots[slot] as number | undefined
    if (nanos === undefined) return time || undefined
    if (time === undefined) return undefined
    const fraction = (slots[nanos] ?? 0) as number
    if (fraction < 0 || fraction >= NANOS_PER_SECOND)
      throw new Unfit(`${TIME_FIELD} has ${fraction} nanos; 0 to 999999999 are right`)
    return time * unitsPerSecond + Math.floor(fraction / (NANOS_PER_SECOND / unitsPerSecond))
  }
}

/** Gives each leaf a slot, by its column's name. */
class Compiler {
  readonly slots = new Map<string, number>()

  plan({ fields }: MessageShape, above: string): Plan {
    const implied: [number, Sent][] = []
    const leaves = new Map<FieldShape, number[]>()
    const made = fields.map((field) => {
      const name = above + field.name
      const first = this.slots.size
      const plan =
        field.type.kind === 'message'
          ? this.plan(field.type, field.type === TIMESTAMP ? `${name}.` : `${name}_`)
          : undefined
      const slot = plan === undefined ? this.#slot(name) : -1
      if (plan === undefined && !field.hasPresence) implied.push([slot, zeroOf(field.type)])
      leaves.set(field, range(first, this.slots.size))
      return { field, name, plan, slot }
    })
    const steps = made.map(({ field, name, plan, slot }): [number, Step] => {
      const others = fields
        .filter(({ oneof }) => oneof !== undefined && oneof === field.oneof)
        .filter((each) => each !== field)
      const clears = others.flatMap((other) => leaves.get(other) ?? [])
      const { number, type, isList } = field
      return [number, { name, type, isList, wireType: WIRE_TYPES[type.kind], slot, plan, clears }]
    })
    return { steps: new Map(steps), implied }
  }

  #slot(name: string): number {
    const slot = this.slots.size
    this.slots.set(name, slot)
    return slot
  }
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

function zeroOf(type: FieldShape['type']): Sent {
  if (type.kind === 'enum') return type.symbols.get(0) ?? ''
  if (type.kind === 'bytes') return NO_BYTES
  return type.kind === 'string' ? '' : type.kind === 'bool' ? false : 0
}

/** Where each reading of a batch stands. */
function spansOf(payload: Buffer): { readonly start: number; readonly end: number }[] | Rejection {
  const reader = new WireReader(payload)
  const spans: { start: number; end: number }[] = []
  while (reader.at < payload.length) {
    reader.tag(payload.length)
    if (reader.number !== BATCH_FIELD) {
      reader.skip(payload.length)
      continue
    }
    if (reader.wireType !== WIRE.length) throw new Malformed(wrongType('readings', reader, WIRE.length))
    const end = reader.lengthEnd(payload.length, 'a reading')
    spans.push({ start: reader.at, end })
    if (spans.length > READINGS_PER_MESSAGE_MAX) return tooMany(spans.length)
    reader.at = end
  }
  if (spans.length === 0) return new Rejection('invalid-reading', 'the batch is empty; it needs at least one reading')
  return spans
}

function readMessage(plan: Plan, reader: WireReader, end: number, slots: Slots): void {
  while (reader.at < end) {
    reader.tag(end)
    const step = plan.steps.get(reader.number)
    if (step === undefined) {
      reader.skip(end)
      continue
    }
    const isPacked = step.isList && reader.wireType === WIRE.length
    if (reader.wireType !== step.wireType && !isPacked) throw new Malformed(wrongType(step.name, reader, step.wireType))
    for (const slot of step.clears) slots[slot] = undefined
    if (step.isList) readNumbers(step, reader, isPacked ? reader.lengthEnd(end, step.name) : undefined, end, slots)
    else if (step.plan === undefined) slots[step.slot] = readLeaf(step, reader, end)
    else readMessage(step.plan, reader, reader.lengthEnd(end, step.name), slots)
  }
  for (const [slot, value] of plan.implied) slots[slot] ??= value
}

const wrongType = (name: string, { number, wireType, at }: WireReader, right: number) =>
  `has ${name} (field ${number}) as wire type ${wireType} before byte ${at}, ${right} is right; was it written by another schema?`

/** Adds one number, or all up to `packedEnd`. */
function readNumbers(step: Step, reader: WireReader, packedEnd: number | undefined, end: number, slots: Slots): void {
  const known = slots[step.slot] as number[] | undefined
  const list = known ?? []
  slots[step.slot] = list
  do {
    if (packedEnd !== undefined && reader.at >= packedEnd) return
    list.push(readLeaf(step, reader, packedEnd ?? end) as number)
    if (list.length > LIST_NUMBERS_MAX) throw new Unfit(`${step.name} has more than ${LIST_NUMBERS_MAX} numbers`)
  } while (packedEnd !== undefined)
}

function readLeaf({ name, type }: Step, reader: WireReader, end: number): Sent {
  if ('symbols' in type) {
    reader.varint(end, name)
    const number = int32(reader, name)
    return type.symbols.get(number) ?? unknownSymbol(name, number, type.symbols)
  }
  switch (type.kind) {
    case 'int32':
      reader.varint(end, name)
      return int32(reader, name)
    case 'sint32':
      reader.varint(end, name)
      if (reader.high !== 0) outOf(name, signed64(reader), '32 bits')
      return (reader.low >>> 1) ^ -(reader.low & 1)
    case 'uint32':
      reader.varint(end, name)
      if (reader.high !== 0) outOf(name, unsigned64(reader), '32 bits without a sign')
      return reader.low
    case 'int64':
      reader.varint(end, name)
      return int64(reader, name)
    case 'sint64':
      reader.varint(end, name)
      return sint64(reader, name)
    case 'uint64':
      reader.varint(end, name)
      return uint64(reader, name)
    case 'bool':
      reader.varint(end, name)
      return (reader.low | reader.high) !== 0
    case 'fixed32':
      return reader.bytes.readUInt32LE(reader.take(4, end, name))
    case 'sfixed32':
      return reader.bytes.readInt32LE(reader.take(4, end, name))
    case 'float': {
      const value = reader.bytes.readFloatLE(reader.take(4, end, name))
      return Number.isFinite(value) ? shortestFloat(value) : value
    }
    case 'fixed64':
      fixed64(reader, end, name)
      return uint64(reader, name)
    case 'sfixed64':
      fixed64(reader, end, name)
      return int64(reader, name)
    case 'double':
      return reader.bytes.readDoubleLE(reader.take(8, end, name))
    case 'string': {
      const textEnd = reader.lengthEnd(end, name)
      const text = reader.bytes.subarray(reader.at, textEnd)
      reader.at = textEnd
      if (!isUtf8(text)) throw new Malformed(`has ${name} that is not UTF-8`)
      return text.toString('utf8')
    }
    case 'bytes': {
      const bytesEnd = reader.lengthEnd(end, name)
      const bytes = reader.bytes.subarray(reader.at, bytesEnd)
      reader.at = bytesEnd
      return bytes
    }
    case 'message':
      throw new Malformed(`has ${name}, which is no leaf`)
  }
}

/** Sign-extended to 64 bits, as the encoding has it. */
function int32(reader: WireReader, name: string): number {
  const { low, high } = reader
  if (high === 0 && low <= INT32_MAX) return low
  if (high === 0xffff_ffff && low > INT32_MAX) return low | 0
  return outOf(name, signed64(reader), '32 bits')
}

function int64(reader: WireReader, name: string): number {
  const { low, high } = reader
  if (high < HIGH_EXACT) return high * TWO_32 + low
  return exact(signed64(reader), name)
}

function uint64(reader: WireReader, name: string): number {
  const { low, high } = reader
  return high < HIGH_EXACT ? high * TWO_32 + low : exact(unsigned64(reader), name)
}

function sint64(reader: WireReader, name: string): number {
  const { low, high } = reader
  if (high < HIGH_EXACT) {
    const half = Math.floor((high * TWO_32 + low) / 2)
    return (low & 1) === 0 ? half : -half - 1
  }
  const zigzag = unsigned64(reader)
  return exact((zigzag >> 1n) ^ -(zigzag & 1n), name)
}

function fixed64(reader: WireReader, end: number, name: string): void {
  const at = reader.take(8, end, name)
  reader.low = reader.bytes.readUInt32LE(at)
  reader.high = reader.bytes.readUInt32LE(at + 4)
}

const unsigned64 = ({ low, high }: WireReader): bigint => (BigInt(high) << 32n) | BigInt(low)
const signed64 = (reader: WireReader): bigint => BigInt.asIntN(64, unsigned64(reader))

function exact(value: bigint, name: string): number {
  if (value < LONG_MIN || value > LONG_MAX)
    throw new Unfit(`${name} is ${value}; an integer from ${LONG_MIN} to ${LONG_MAX} is right`)
  return Number(value)
}

function outOf(name: string, value: bigint, right: string): never {
  throw new Unfit(`${name} is ${value}; an integer of ${right} is right`)
}

/** It is of a newer version: once that is registered, the message can be replayed. */
function unknownSymbol(name: string, number: number, symbols: ReadonlyMap<number, string>): never {
  const known = [...symbols].map(([each, symbol]) => `${symbol} (${each})`).join(', ')
  throw new Unfit(`${name} is ${number}, which has no name: known are ${quote(known)}`)
}
