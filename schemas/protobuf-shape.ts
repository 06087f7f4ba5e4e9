/** Owns what the decoder of Protobuf needs to know of a message: its fields by their numbers, and where each value goes. */

export type ProtoScalar =
  | 'int32'
  | 'sint32'
  | 'sfixed32'
  | 'uint32'
  | 'fixed32'
  | 'int64'
  | 'sint64'
  | 'sfixed64'
  | 'uint64'
  | 'fixed64'
  | 'float'
  | 'double'
  | 'bool'
  | 'string'
  | 'bytes'

export interface EnumShape {
  readonly kind: 'enum'
  readonly name: string
  /** By number; of several names of one number the first. */
  readonly symbols: ReadonlyMap<number, string>
}

export interface MessageShape {
  readonly kind: 'message'
  readonly name: string
  /** The comment at it. */
  readonly doc?: string
  readonly fields: readonly FieldShape[]
}

export interface FieldShape {
  readonly number: number
  readonly name: string
  readonly type: { readonly kind: ProtoScalar } | EnumShape | MessageShape
  /** A list of numbers: what is not sent is none. */
  readonly isList: boolean
  /** That it was not sent can be told from 0: `optional`, one of a `oneof`, a message, or a list. */
  readonly hasPresence: boolean
  /** Of the real `oneof` that it is in: at most one of its fields has a value. */
  readonly oneof: string | undefined
  readonly tag: boolean
  readonly unit: string | undefined
  readonly doc?: string
  /** The line of its file, from 1. */
  readonly line: number
}

/** `google.protobuf.Timestamp`. */
export const TIMESTAMP: MessageShape = {
  kind: 'message',
  name: 'google.protobuf.Timestamp',
  fields: [['seconds', 'int64'] as const, ['nanos', 'int32'] as const].map(([name, kind], index) => ({
    number: index + 1,
    name,
    type: { kind },
    isList: false,
    hasPresence: false,
    oneof: undefined,
    tag: false,
    unit: undefined,
    line: 0,
  })),
}
