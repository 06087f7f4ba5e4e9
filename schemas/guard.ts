/**
 * Owns the proof that bytes are a whole value of their writer schema, walked before avsc sees them: avsc 5.7.9 trusts an
 * array's count (a payload of 4 bytes ends the process), reads past the end, and lets numbers through that it garbles.
 *
 * Always true after `check` returned undefined: every byte is accounted for, at most `READINGS_PER_MESSAGE_MAX` readings,
 * every number is exact in a double, every string is UTF-8, every branch and symbol exists. It allocates nothing on the
 * good path and its work is linear in the payload.
 *
 * A record is compiled to a flat program of steps without loops; a nullable field may jump forward. One walk of
 * `environment` takes about 35 ns (`node --import tsx bench/schemas.ts`).
 */

import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { READINGS_PER_MESSAGE_MAX } from '../platform/limits.ts'
import { type Field, isLogical, MAP_KEY_CHARS_MAX, type RecordShape } from './definition.ts'
import { wireOf } from './logical.ts'
import { Rejection } from './reading.ts'
import { quote } from './values.ts'

/**
 * What avsc 5.7.9 reads exactly. Below, the sign is lost, for its `readLong` adds 1 to a zigzag beyond 2^53; above, it
 * throws, one earlier than `Number.MAX_SAFE_INTEGER`.
 */
export const LONG_MIN = -(2 ** 52)
export const LONG_MAX = 2 ** 53 - 2

const STEP = {
  fixed: 0,
  int: 1,
  long: 2,
  boolean: 3,
  string: 4,
  enumeration: 5,
  union: 6,
  bytes: 7,
  list: 8,
  map: 9,
} as const
type StepCode = (typeof STEP)[keyof typeof STEP]

interface Step {
  code: StepCode
  /** fixed: bytes; enumeration: symbols; union: the branch of null; list, map: the bytes of a number, or 0 of int and 1 of long. */
  argument: number
  /** union: where to go on when it is null. */
  target: number
  /** The fields it covers with their sizes, for the reason of a rejection. */
  fields: { name: string; bytes: number }[]
  /** map: those that are declared. */
  keys?: ReadonlySet<string>
}

/** What a list's step has for its numbers: their size, or less than that could be for those whose size is in their bytes. */
const INT = 0
const LIST_ARGUMENTS = { int: INT, long: 1, float: 4, double: 8 } as const
const NO_KEYS: ReadonlySet<string> = new Set()
/** Its length: an empty key is Avro, too, though it is never declared. */
const KEY_BYTES_MIN = 1
/** A key that is longer is none that is declared. */
const QUOTED_BYTES = MAP_KEY_CHARS_MAX
const INT_BYTES_MAX = 5
const LONG_BYTES_MAX = 10
/** Strings up to here are looked through for ASCII, which is quicker than to call `isUtf8`. */
const ASCII_LOOK_BYTES = 48

export class Guard {
  readonly #batch: boolean
  readonly #codes: Uint8Array
  readonly #arguments: Int32Array
  readonly #targets: Int32Array
  readonly #steps: readonly Step[]
  /** The fewest bytes one record can take. */
  readonly #itemBytesMin: number
  #fault = ''
  /** The bytes are whole, but no reading may have such a value. */
  #isUnfit = false
  #value = 0
  /** The block of a list or a map that was opened last; `end` is -1 if it does not say. */
  readonly #opened = { count: 0, end: -1 }

  /** For payload bodies that are one `record`, or an array of it (`batch`). */
  constructor(record: RecordShape, batch: boolean) {
    this.#batch = batch
    this.#steps = compile(record, '', [])
    this.#codes = Uint8Array.from(this.#steps, (step) => step.code)
    this.#arguments = Int32Array.from(this.#steps, (step) => step.argument)
    this.#targets = Int32Array.from(this.#steps, (step) => step.target)
    this.#itemBytesMin = bytesMin(this.#steps)
    // An item of no bytes would let any count pass; the time field alone takes one.
    assert(this.#itemBytesMin > 0)
  }

  /** Undefined when `bytes` from `from` to their end are sound; why not otherwise (`malformed-avro`, `too-many-readings`). */
  check(bytes: Buffer, from: number): Rejection | undefined {
    this.#isUnfit = false
    if (this.#batch) return this.#checkBatch(bytes, from)
    const end = this.#record(bytes, from)
    if (end < 0) return this.#rejection(this.#fault)
    return this.#checkEnd(bytes, end)
  }

  #rejection(what: string): Rejection {
    return this.#isUnfit ? new Rejection('invalid-reading', what) : malformed(what)
  }

  #checkEnd(bytes: Buffer, end: number): Rejection | undefined {
    if (end === bytes.length) return undefined
    return malformed(
      `${bytes.length - end} bytes are left over after the last field; was it written by another schema?`,
    )
  }

  /** Avro specification, "Arrays": blocks of a count and items; a negative count is followed by the block's size. */
  #checkBatch(bytes: Buffer, from: number): Rejection | undefined {
    let at = from
    let total = 0
    for (;;) {
      at = this.#varint(bytes, at)
      if (at < 0) return malformed(`the array's block count ${this.#fault}`)
      let count = this.#value
      let blockEnd = -1
      if (count === 0) return this.#checkEnd(bytes, at)
      if (count < 0) {
        count = -count
        at = this.#varint(bytes, at)
        if (at < 0) return malformed(`the array's block size ${this.#fault}`)
        if (this.#value < 0 || this.#value > bytes.length - at) {
          return malformed(`a block of the array claims ${this.#value} bytes, and ${bytes.length - at} are left`)
        }
        blockEnd = at + this.#value
      }
      const left = (blockEnd < 0 ? bytes.length : blockEnd) - at
      if (count * this.#itemBytesMin > left) {
        return malformed(`the array claims ${count} readings, and ${left} bytes are left for them`)
      }
      if (total + count > READINGS_PER_MESSAGE_MAX) return tooMany(total + count)
      for (let item = 0; item < count; item++) {
        at = this.#record(bytes, at)
        if (at < 0) return this.#rejection(`reading ${total + item + 1}: ${this.#fault}`)
      }
      total += count
      if (blockEnd >= 0 && at !== blockEnd) return malformed('a block of the array is not as long as it claims')
    }
  }

  /** The position after the record that starts at `at`, or -1 with `#fault` set. */
  #record(bytes: Buffer, start: number): number {
    const end = bytes.length
    const codes = this.#codes
    let at = start
    for (let pc = 0; pc < codes.length; ) {
      switch (codes[pc]) {
        case STEP.fixed: {
          at += this.#arguments[pc] as number
          if (at > end) return this.#failFixed(pc, end - (at - (this.#arguments[pc] as number)))
          break
        }
        case STEP.int: {
          at = this.#int(bytes, at)
          if (at < 0) return this.#fail(pc, this.#fault)
          break
        }
        case STEP.long: {
          at = this.#long(bytes, at)
          if (at < 0) return this.#fail(pc, this.#fault)
          break
        }
        case STEP.list: {
          at = this.#list(bytes, at, this.#arguments[pc] as number)
          if (at < 0) return this.#fail(pc, this.#fault)
          break
        }
        case STEP.boolean: {
          if (at >= end) return this.#fail(pc, 'is missing')
          if ((bytes[at++] as number) > 1) return this.#fail(pc, `is the byte ${bytes[at - 1]}; a boolean is 0 or 1`)
          break
        }
        case STEP.bytes:
        case STEP.string: {
          at = this.#varint(bytes, at)
          if (at < 0) return this.#fail(pc, `has a length that ${this.#fault}`)
          const length = this.#value
          if (length < 0 || length > end - at) return this.#fail(pc, `claims ${length} bytes, and ${end - at} are left`)
          if (codes[pc] === STEP.string && !isText(bytes, at, at + length)) return this.#fail(pc, 'is not UTF-8')
          at += length
          break
        }
        case STEP.map: {
          at = this.#map(bytes, at, pc)
          if (at < 0) return this.#fail(pc, this.#fault)
          break
        }
        case STEP.enumeration: {
          at = this.#varint(bytes, at)
          if (at < 0) return this.#fail(pc, this.#fault)
          const symbols = this.#arguments[pc] as number
          if (this.#value < 0 || this.#value >= symbols) {
            return this.#fail(pc, `is symbol ${this.#value} of an enum; it has 0 to ${symbols - 1}`)
          }
          break
        }
        case STEP.union: {
          at = this.#varint(bytes, at)
          if (at < 0) return this.#fail(pc, this.#fault)
          if (this.#value !== 0 && this.#value !== 1) {
            return this.#fail(pc, `is branch ${this.#value} of a union; it has 0 and 1`)
          }
          if (this.#value === this.#arguments[pc]) {
            pc = this.#targets[pc] as number
            continue
          }
          break
        }
      }
      pc++
    }
    return at
  }

  /** The position after an int, or -1 with `#fault` set. */
  #int(bytes: Buffer, first: number): number {
    const end = bytes.length
    let at = first
    while (at < end && (bytes[at] as number) >= 0x80) at++
    if (at++ >= end) return this.#failWith('is cut short')
    const length = at - first
    if (length > INT_BYTES_MAX || (length === INT_BYTES_MAX && (bytes[at - 1] as number) > 0x0f)) {
      return this.#failWith('is beyond 32 bits; its type is int')
    }
    return at
  }

  /** Likewise after a long. */
  #long(bytes: Buffer, first: number): number {
    const end = bytes.length
    let at = first
    while (at < end && (bytes[at] as number) >= 0x80) at++
    if (at++ >= end) return this.#failWith('is cut short')
    // Seven bytes hold 49 bits. The eighth: up to 2^54 when even (positive), up to 2^53 when odd (negative).
    if (at - first > 7) {
      const top = (bytes[first] as number) & 1 ? 0x10 : 0x20
      const last = bytes[at - 1] as number
      if (at - first > 8 || last >= top || (last === 0x1f && this.#isBeyondMax(bytes, first))) {
        return this.#failWith(`is not within ${LONG_MIN} to ${LONG_MAX}, where integers are exact`)
      }
    }
    return at
  }

  /** Likewise after an array of numbers, whose blocks are those of a batch. */
  #list(bytes: Buffer, from: number, size: number): number {
    let at = from
    for (;;) {
      at = this.#block(bytes, at, Math.max(size, 1))
      const { count, end } = this.#opened
      if (at < 0 || count === 0) return at
      if (size > 1) at += count * size
      for (let item = 0; size <= 1 && item < count; item++) {
        at = this.#number(bytes, at, size)
        if (at < 0) return at
      }
      if (end >= 0 && at !== end) return this.#failWith('has a block that is not as long as it claims')
    }
  }

  /** Likewise after a map of numbers. A key stands once, and is declared: none reaches avsc that is a member of each object. */
  #map(bytes: Buffer, from: number, pc: number): number {
    const keys = this.#steps[pc]?.keys ?? NO_KEYS
    const size = this.#arguments[pc] as number
    const known = new Set<string>()
    let at = from
    for (;;) {
      at = this.#block(bytes, at, KEY_BYTES_MIN + Math.max(size, 1))
      const { count, end } = this.#opened
      if (at < 0 || count === 0) return at
      for (let item = 0; item < count; item++) {
        at = this.#varint(bytes, at)
        if (at < 0) return this.#failWith(`has a key of a length that ${this.#fault}`)
        const length = this.#value
        if (length < 0 || length > bytes.length - at) {
          return this.#failWith(`claims a key of ${length} bytes, and ${bytes.length - at} are left`)
        }
        const key = bytes.toString('latin1', at, at + Math.min(length, QUOTED_BYTES))
        if (length > QUOTED_BYTES || !keys.has(key))
          return this.#failUnfit(`has the key ${quote(key)}; it may have ${[...keys].join(', ')}`)
        if (known.has(key)) return this.#failUnfit(`has the key ${quote(key)} twice`)
        known.add(key)
        at = this.#number(bytes, at + length, size)
        if (at < 0) return at
      }
      if (end >= 0 && at !== end) return this.#failWith('has a block that is not as long as it claims')
    }
  }

  /** The position where the numbers of a block begin; how many and, if it says so, where it ends in `#opened`. */
  #block(bytes: Buffer, from: number, itemBytesMin: number): number {
    const opened = this.#opened
    opened.end = -1
    let at = this.#varint(bytes, from)
    if (at < 0) return this.#failWith(`has a block count that ${this.#fault}`)
    opened.count = Math.abs(this.#value)
    if (this.#value < 0) {
      at = this.#varint(bytes, at)
      if (at < 0) return this.#failWith(`has a block size that ${this.#fault}`)
      opened.end = at + this.#value
      if (this.#value < 0 || opened.end > bytes.length) {
        return this.#failWith(`claims a block of ${this.#value} bytes, and ${bytes.length - at} are left`)
      }
    }
    const left = (opened.end < 0 ? bytes.length : opened.end) - at
    if (opened.count * itemBytesMin <= left) return at
    return this.#failWith(`claims ${opened.count} numbers, and ${left} bytes are left for them`)
  }

  /** The position after a number of a list or a map; `size` is as their step has it. */
  #number(bytes: Buffer, at: number, size: number): number {
    const end = size > 1 ? at + size : size === INT ? this.#int(bytes, at) : this.#long(bytes, at)
    if (end > bytes.length) return this.#failWith('has a number that is cut short')
    return end < 0 ? this.#failWith(`has a number that ${this.#fault}`) : end
  }

  /** Reads a zigzag varint into `#value` and returns the position after it, or -1 with `#fault` set. */
  #varint(bytes: Buffer, from: number): number {
    const first = bytes[from]
    if (first !== undefined && first < 0x80) {
      this.#value = (first >> 1) ^ -(first & 1)
      return from + 1
    }
    let value = 0
    let scale = 1
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at] as number
      value += (byte & 0x7f) * scale
      scale *= 128
      if (byte < 0x80) {
        this.#value = value % 2 === 0 ? value / 2 : -(value + 1) / 2
        return at + 1
      }
      if (at - from + 1 >= LONG_BYTES_MAX) return this.#failWith(`is longer than ${LONG_BYTES_MAX} bytes`)
    }
    return this.#failWith('is cut short')
  }

  #isBeyondMax(bytes: Buffer, at: number): boolean {
    this.#varint(bytes, at)
    return this.#value > LONG_MAX
  }

  #fail(pc: number, what: string): -1 {
    return this.#failWith(`${this.#steps[pc]?.fields[0]?.name} ${what}`)
  }

  #failUnfit(fault: string): -1 {
    this.#isUnfit = true
    return this.#failWith(fault)
  }

  #failWith(fault: string): -1 {
    this.#fault = fault
    return -1
  }

  #failFixed(pc: number, left: number): -1 {
    let bytes = 0
    for (const field of this.#steps[pc]?.fields ?? []) {
      if (bytes >= left) return this.#failWith(`${field.name} is missing: the bytes end before it`)
      bytes += field.bytes
      if (bytes > left) return this.#failWith(`${field.name} is cut short`)
    }
    return this.#fail(pc, 'is cut short')
  }
}

const malformed = (what: string) => new Rejection('malformed-avro', what)

export const tooMany = (count: number) =>
  new Rejection(
    'too-many-readings',
    `the message holds ${count} readings or more; at most ${READINGS_PER_MESSAGE_MAX} are possible: send several messages`,
  )

function isText(bytes: Buffer, from: number, to: number): boolean {
  if (to - from > ASCII_LOOK_BYTES) return isUtf8(bytes.subarray(from, to))
  for (let at = from; at < to; at++) if ((bytes[at] as number) >= 0x80) return isUtf8(bytes.subarray(from, to))
  return true
}

function compile(record: RecordShape, above: string, steps: Step[]): Step[] {
  for (const field of record.fields) {
    const name = above + field.name
    if (field.nullBranch === undefined) compileValue(field, name, steps)
    else {
      const union: Step = { code: STEP.union, argument: field.nullBranch, target: 0, fields: [{ name, bytes: 1 }] }
      steps.push(union)
      compileValue(field, name, steps)
      union.target = steps.length
    }
  }
  return steps
}

function compileValue({ shape }: Field, name: string, steps: Step[]): void {
  const add = (code: StepCode, argument: number, bytes: number) =>
    steps.push({ code, argument, target: 0, fields: [{ name, bytes }] })
  if (isLogical(shape)) {
    const wire = wireOf(shape)
    if (typeof wire === 'number') addFixed(steps, name, wire)
    else add(STEP[wire], 0, 1)
    return
  }
  switch (shape.kind) {
    case 'record':
      compile(shape, `${name}.`, steps)
      return
    case 'float':
    case 'double':
      addFixed(steps, name, shape.kind === 'float' ? 4 : 8)
      return
    case 'map':
      add(STEP.map, LIST_ARGUMENTS[shape.values], 1)
      Object.assign(steps.at(-1) ?? {}, { keys: new Set(shape.fields.map((field) => field.name)) })
      return
    case 'array':
      add(STEP.list, LIST_ARGUMENTS[shape.items], 1)
      return
    case 'enum':
      add(STEP.enumeration, shape.symbols.length, 1)
      return
    default:
      add(STEP[shape.kind], 0, 1)
  }
}

/** Floats that follow one another become one step, unless a null jumps between them. */
function addFixed(steps: Step[], name: string, bytes: number): void {
  const last = steps.at(-1)
  const landing = steps.some((step) => step.code === STEP.union && step.target === steps.length)
  if (last?.code === STEP.fixed && !landing) {
    last.argument += bytes
    last.fields.push({ name, bytes })
  } else steps.push({ code: STEP.fixed, argument: bytes, target: 0, fields: [{ name, bytes }] })
}

/** A union takes at least its own byte: what it may skip counts nothing. */
function bytesMin(steps: readonly Step[]): number {
  let bytes = 0
  for (let pc = 0; pc < steps.length; ) {
    const step = steps[pc] as Step
    bytes += step.code === STEP.fixed ? step.argument : 1
    pc = step.code === STEP.union ? step.target : pc + 1
  }
  return bytes
}
