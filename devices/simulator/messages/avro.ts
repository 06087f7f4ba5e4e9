/**
 * Owns Avro as the simulator writes it, by the version that the device has: in single-object encoding.
 *
 * Hot path: `Registry.encode` copies each record and looks at its values twice, to say what is wrong with one. Here avsc writes the record as it
 * is, and only what it cannot write goes that way.
 */

import avro from 'avsc'
import { avroType, BODY_AT } from '../../../schemas/avro-codec.ts'
import { avroFirstBytes } from '../../../schemas/avro-framing.ts'
import { avscName } from '../../../schemas/avsc-names.ts'
import { oneOrAll } from './json.ts'
import { columnsOf } from './record-columns.ts'
import type { SentVersion } from './simulator-schemas.ts'
import type { Encoding } from './telemetry-format.ts'
import type { MeasuredRecord, WireOptions } from './wire-format.ts'

/** What is longer is written by `Registry.encode`. */
const SCRATCH_BYTES = 16 * 1024

/** How one version is written: a record, and an array of them. */
class AvroWriter {
  readonly #record: avro.Type
  readonly #batch: avro.Type
  readonly #recordStart: Buffer
  readonly #batchStart: Buffer
  readonly #scratch = Buffer.allocUnsafe(SCRATCH_BYTES)

  constructor({ registered }: SentVersion) {
    this.#record = avroType(registered.schema)
    this.#batch = avro.Type.forSchema({ type: 'array', items: this.#record })
    const { firstBytes, batchFirstBytes } = avroFirstBytes(registered)
    this.#recordStart = Buffer.from(firstBytes, 'hex')
    this.#batchStart = Buffer.from(batchFirstBytes, 'hex')
  }

  /** Undefined of what it cannot write. */
  write(records: readonly MeasuredRecord[]): Buffer | undefined {
    const isOne = records.length === 1
    const length = this.#encode(isOne ? this.#record : this.#batch, isOne ? records[0] : records)
    if (length < 0) return undefined
    const payload = Buffer.allocUnsafe(BODY_AT + length)
    payload.set(isOne ? this.#recordStart : this.#batchStart)
    this.#scratch.copy(payload, BODY_AT, 0, length)
    return payload
  }

  /** Negative where there is no room for it, or it does not fit the type. */
  #encode(type: avro.Type, value: unknown): number {
    try {
      return type.encode(value, this.#scratch, 0)
    } catch {
      return -1
    }
  }
}

const writerOf = (version: SentVersion) => new AvroWriter(version)
/** avsc knows some fields by other names than records have. */
const hasOtherNames = ({ definition }: SentVersion) =>
  columnsOf(definition).some(({ path }) => path.some((name) => avscName(name) !== name))

export function avroEncoding({ version, schemas }: WireOptions): Encoding {
  const { stream, version: number } = version.registered
  const { registry } = schemas
  const writer = hasOtherNames(version) ? undefined : schemas.once(version, writerOf)
  return {
    drawsJson: false,
    encode: (records) => writer?.write(records) ?? registry.encode(stream, oneOrAll(records), number),
  }
}
