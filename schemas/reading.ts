/**
 * Owns the vocabulary of decoded telemetry: what a reading is, which columns a stream has, and the codes by which a
 * payload is set aside. Nothing here knows MQTT, a store or HTTP.
 */

export type Value = number | boolean | string | readonly number[]

/** One reading of one device, as apps and stores see it. */
export interface Reading {
  readonly device: string
  readonly stream: string
  /** Milliseconds since 1970-01-01T00:00Z; a `timestamp-micros` stream has up to three decimals. */
  readonly ts: number
  /** When the platform received its message, milliseconds; undefined where that is not known, or not asked for. */
  readonly received?: number
  /** By column name, in the schema's order, nulls left out; nested records are flattened with `_`; tags are included. */
  readonly values: Readonly<Record<string, Value>>
  /** It is a part of a reading, which the store has whole. */
  readonly part?: Part
}

/** Of which whole: the store has as one reading what a map gathers of a series within a window. */
export interface Part {
  /** File and line of the map. */
  readonly by: string
  /** Windows are aligned to 1970, by the time of receipt, which is the part's. */
  readonly windowMs: number
}

/**
 * The value of a column, undefined if the reading has none. A column may be called `constructor` or `toString`: what an object
 * has of that name without being given it is a function, and no value is. (`Object.hasOwn` costs several times as much.)
 */
export function valueIn(values: Reading['values'], name: string): Value | undefined {
  const value: unknown = values[name]
  return typeof value === 'function' ? undefined : (value as Value | undefined)
}

/**
 * What a column becomes in a store: Avro int and long are integers, float, double and decimal floats, arrays lists of one of the two; all
 * else is text.
 */
export type ColumnKind = 'integer' | 'float' | 'boolean' | 'string' | 'integer[]' | 'float[]'
export const isList = (kind: ColumnKind): kind is 'integer[]' | 'float[]' => kind === 'integer[]' || kind === 'float[]'

/** Whether a column of this kind can have the value. What writes to a store asks: `OFF` is no boolean, though it is easily taken for true. */
export function isOfKind(value: Value, kind: ColumnKind): boolean {
  if (Array.isArray(value)) return isList(kind) && (kind === 'float[]' || value.every(Number.isSafeInteger))
  if (kind === 'integer') return Number.isSafeInteger(value)
  return typeof value === (kind === 'float' ? 'number' : kind)
}

export const notOfKind = (column: string, kind: ColumnKind, value: Value): string =>
  `${column} is ${JSON.stringify(value)}, and the column is of kind ${kind}`

/** What the text of a column is (`logical.ts`); `hex` is bytes. */
export type TextFormat =
  | 'date'
  | 'time-millis'
  | 'time-micros'
  | 'timestamp-millis'
  | 'timestamp-micros'
  | 'local-timestamp-millis'
  | 'local-timestamp-micros'
  | 'uuid'
  | 'hex'

export interface Column {
  readonly name: string
  readonly kind: ColumnKind
  /** Of a `string` that is no free text. */
  readonly format?: TextFormat
  /** `"tag": true` in the schema: part of the series' identity, an InfluxDB tag. Always of kind `string`. */
  readonly tag: boolean
  /** A UCUM code such as `Cel`, `%`, `Pa`. */
  readonly unit?: string
}

/** A stream as readers see it: the newest version's columns, the time field left out. */
export interface Stream {
  readonly name: string
  /** The newest registered version. */
  readonly version: number
  /** The name of the field that holds the reading's time. */
  readonly timeField: string
  readonly precision: 'ms' | 'us'
  /** Its messages have a part of a reading each, which the store has whole. */
  readonly isGathered?: boolean
  readonly columns: readonly Column[]
}

/** Why a payload, or a point made of it, was set aside. */
export const REJECTION_CODES = [
  'empty',
  'unknown-framing',
  'unknown-schema',
  'no-map',
  'wrong-stream',
  'malformed-avro',
  'malformed-json',
  'malformed-msgpack',
  'malformed-cbor',
  'malformed-protobuf',
  'malformed-sparkplug',
  'unknown-metric',
  'invalid-reading',
  'too-many-readings',
  'bad-timestamp',
  'store-rejected',
  'log-damaged',
] as const
export type RejectionCode = (typeof REJECTION_CODES)[number]

/** The outcome of a message that cannot be used: returned, not thrown, for bad input is an everyday event. */
export class Rejection {
  readonly code: RejectionCode
  readonly #reason: string | (() => string)

  /** A reason that is costly to find is given as a function. */
  constructor(code: RejectionCode, reason: string | (() => string)) {
    this.code = code
    this.#reason = reason
  }

  /** One sentence for the sender: what was wrong, where, and what would be right. Read where it is told to somebody only. */
  get reason(): string {
    return typeof this.#reason === 'string' ? this.#reason : this.#reason()
  }
}
