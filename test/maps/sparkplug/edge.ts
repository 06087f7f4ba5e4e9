/** Owns Sparkplug B payloads as an edge node writes them, by protobufjs, which nothing of what reads them uses. */

import protobuf from 'protobufjs'

export interface MetricSaid {
  readonly name?: string
  readonly alias?: number
  readonly timestamp?: number
  readonly datatype?: number
  readonly is_historical?: boolean
  readonly is_null?: boolean
  readonly properties?: { readonly keys: readonly string[]; readonly values: readonly object[] }
  readonly int_value?: number
  readonly long_value?: number | string
  readonly float_value?: number
  readonly double_value?: number
  readonly boolean_value?: boolean
  readonly string_value?: string
  readonly bytes_value?: Uint8Array
}

export interface Said {
  readonly timestamp?: number
  readonly seq?: number
  readonly uuid?: string
  readonly body?: Uint8Array
  readonly metrics?: readonly MetricSaid[]
}

/** Of the tables of the specification (3.0, section 6.4), as far as the tests write it. */
const { root } = protobuf.parse(
  `syntax = "proto2";
  message Payload {
    message PropertyValue {
      optional uint32 type = 1; optional bool is_null = 2; optional uint32 int_value = 3; optional uint64 long_value = 4;
      optional float float_value = 5; optional double double_value = 6; optional bool boolean_value = 7; optional string string_value = 8;
    }
    message PropertySet { repeated string keys = 1; repeated PropertyValue values = 2; }
    message Metric {
      optional string name = 1; optional uint64 alias = 2; optional uint64 timestamp = 3; optional uint32 datatype = 4;
      optional bool is_historical = 5; optional bool is_transient = 6; optional bool is_null = 7; optional PropertySet properties = 9;
      optional uint32 int_value = 10; optional uint64 long_value = 11; optional float float_value = 12; optional double double_value = 13;
      optional bool boolean_value = 14; optional string string_value = 15; optional bytes bytes_value = 16;
    }
    optional uint64 timestamp = 1; repeated Metric metrics = 2; optional uint64 seq = 3; optional string uuid = 4; optional bytes body = 5;
  }`,
  { keepCase: true },
)
const Payload = root.lookupType('Payload')

export const write = (said: Said): Buffer => Buffer.from(Payload.encode(Payload.fromObject(said as object)).finish())
export const read = (bytes: Buffer): Said => Payload.toObject(Payload.decode(bytes), { longs: Number }) as Said

/** Datatypes by their names. */
export const TYPE = {
  Int8: 1,
  Int16: 2,
  Int32: 3,
  Int64: 4,
  UInt8: 5,
  UInt16: 6,
  UInt32: 7,
  UInt64: 8,
  Float: 9,
  Double: 10,
  Boolean: 11,
  String: 12,
  DateTime: 13,
  Text: 14,
  UUID: 15,
  DataSet: 16,
  Bytes: 17,
} as const
