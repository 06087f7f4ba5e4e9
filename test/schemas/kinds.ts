/** Owns a stream with a column of each kind that is neither a plain number nor free text, and one reading of it as each side has it. */

import { probe } from './schema-folder.ts'

export const TS = 1_763_900_000_123
export const field = (name: string, type: unknown, more: object = {}) => ({ name, type, ...more })
export const logical = (type: string, logicalType: string, more: object = {}) => ({ type, logicalType, ...more })
export const fixed = (name: string, size: number, more: object = {}) => ({ type: 'fixed', name, size, ...more })

const FIELDS = [
  field('day', logical('int', 'date')),
  field('at', logical('int', 'time-millis')),
  field('at_micros', logical('long', 'time-micros')),
  field('seen', ['null', logical('long', 'timestamp-millis')], { default: null }),
  field('seen_micros', logical('long', 'timestamp-micros')),
  field('local', logical('long', 'local-timestamp-millis')),
  field('local_micros', logical('long', 'local-timestamp-micros')),
  field('run', logical('string', 'uuid')),
  field('part', fixed('part', 16, { logicalType: 'uuid' })),
  field('energy', logical('bytes', 'decimal', { precision: 18, scale: 3 }), { unit: 'kW.h' }),
  field('price', fixed('price', 4, { logicalType: 'decimal', precision: 6, scale: 2 })),
  field('mac', fixed('mac', 6)),
  field('raw', 'bytes'),
  field('burst', ['null', { type: 'array', items: 'float' }], { default: null, unit: 'm/s2' }),
  field('exact', { type: 'array', items: 'double' }),
  field('counts', { type: 'array', items: 'int' }),
  field('totals', { type: 'array', items: { type: 'long' } }),
  field('cells', { type: 'map', values: 'float', keys: ['a', 'b', 'c'] }, { unit: 'V' }),
  field('hits', ['null', { type: 'map', values: 'long', keys: ['left', 'right'] }], { default: null }),
]
export const SCHEMA = {
  ...probe(),
  fields: [{ ...field('ts', logical('long', 'timestamp-millis')), time: true }, ...FIELDS],
}

/** As Avro has them. */
export const RECORD = {
  ts: TS,
  day: 20_422,
  at: 38_169_250,
  at_micros: 38_169_250_001,
  seen: TS - 1,
  seen_micros: TS * 1000 + 7,
  local: -1,
  local_micros: 0,
  run: '123E4567-E89B-12D3-A456-426614174000',
  part: Buffer.from('00112233445566778899aabbccddeeff', 'hex'),
  energy: Buffer.from('ff00000000', 'hex'),
  price: Buffer.from('fffffb2e', 'hex'),
  mac: Buffer.from('a0b1c2d3e4f5', 'hex'),
  raw: Buffer.alloc(0),
  burst: [21.3, -0.1, 0, 3.4028234663852886e38],
  exact: [0.1 + 0.2, 5e-324, -1e300],
  counts: [-(2 ** 31), 2 ** 31 - 1],
  totals: [2 ** 53 - 2, -(2 ** 52)],
  cells: { c: 3.3, a: 4.1 },
  hits: { right: 2 ** 53 - 2 },
}
/** As readings have them. */
export const VALUES = {
  day: '2025-11-30',
  at: '10:36:09.250',
  at_micros: '10:36:09.250001',
  seen: '2025-11-23T12:13:20.122Z',
  seen_micros: '2025-11-23T12:13:20.123007Z',
  local: '1969-12-31T23:59:59.999',
  local_micros: '1970-01-01T00:00:00.000000',
  run: '123e4567-e89b-12d3-a456-426614174000',
  part: '00112233-4455-6677-8899-aabbccddeeff',
  energy: -4_294_967.296,
  price: -12.34,
  mac: 'a0b1c2d3e4f5',
  raw: '',
  burst: [21.3, -0.1, 0, 3.4028235e38],
  exact: [0.1 + 0.2, 5e-324, -1e300],
  counts: [-(2 ** 31), 2 ** 31 - 1],
  totals: [2 ** 53 - 2, -(2 ** 52)],
  cells_a: 4.1,
  cells_c: 3.3,
  hits_right: 2 ** 53 - 2,
}

export const PROTO = `syntax = "proto3";
package telltale;
message Probe {
  int64 ts = 1; string day = 2; int32 at = 3; string at_micros = 4; optional int64 seen = 5; sint64 seen_micros = 6;
  sfixed64 local = 7; string local_micros = 8; string run = 9; bytes part = 10; double energy = 11 [(telltale.unit) = "kW.h"];
  float price = 12; bytes mac = 13; bytes raw = 14; repeated float burst = 15 [(telltale.unit) = "m/s2"]; repeated double exact = 16;
  message Cells { optional float a = 1 [(telltale.unit) = "V"]; optional float b = 2 [(telltale.unit) = "V"]; optional float c = 3 [(telltale.unit) = "V"]; }
  message Hits { optional int64 left = 1; optional int64 right = 2; }
  Cells cells = 19; Hits hits = 20;
  repeated sint32 counts = 17 [packed = false]; repeated int64 totals = 18;
}`

/** As `PROTO` has them, but for the time. */
export const PROTO_RECORD = {
  cells: RECORD.cells,
  hits: RECORD.hits,
  ...VALUES,
  at: RECORD.at,
  seen: RECORD.seen,
  seen_micros: RECORD.seen_micros,
  local: RECORD.local,
  part: RECORD.part,
  mac: RECORD.mac,
  raw: RECORD.raw,
}
