/**
 * Owns the messages of one device and one sending, in their order: what it measures, how that is written, and what a platform makes of it.
 *
 * Always true: times of readings are unique and strictly rising, in the schema's own precision, and never earlier than they were asked for;
 * the same seed, index and stream give the same values. Bound: a message of `PAYLOAD_BYTES_MAX`; a larger one is refused, as the platform would.
 */

import { PAYLOAD_BYTES_MAX } from '../../../platform/limits.ts'
import type { Reading, Rejection } from '../../../schemas/reading.ts'
import type { Group, Sending } from '../scenario/scenario.ts'
import { type Measure, measurementOf } from '../signals/measurement.ts'
import { deviceRandom } from '../signals/random.ts'
import { SimulatorError } from '../simulator-error.ts'
import { formatOf } from './formats.ts'
import { mappedVersion, sparkplugVersion } from './made-version.ts'
import { columnsOf, type RecordColumn } from './record-columns.ts'
import type { SentVersion, SimulatorSchemas } from './simulator-schemas.ts'
import type { Birth, MeasuredRecord, WireFormat } from './wire-format.ts'

export type { Birth, MeasuredRecord }

export interface Source {
  /** Of which its readings are: the one that sends them, or a device of Sparkplug for which that speaks. */
  readonly device: string
  /** Where its messages go. */
  readonly topic: string
  /** Of a record, which holds when it was measured. */
  readonly timeField: string
  /** What a record says beside its time. */
  readonly columns: readonly RecordColumn[]
  /** What must come first on each connection, if the format has such (Sparkplug); `at` is milliseconds since 1970. */
  birth(at: number): readonly Birth[]
  /** What the next message says; the last reading is of `at`, the ones before it lie evenly between it and the message before. */
  measure(at: number): MeasuredRecord[]
  /** Throws a `SimulatorError` `message-too-large`. */
  write(records: readonly MeasuredRecord[]): Buffer
  /** What a platform with these schemas makes of a payload on that topic. */
  read(topic: string, payload: Buffer, receivedAt: number): readonly Reading[] | Rejection
  /** Has their times be so many milliseconds later. */
  shift(records: readonly MeasuredRecord[], byMs: number): void
}

export interface SourceOptions {
  readonly group: Group
  readonly sending: Sending
  /** Its id. */
  readonly device: string
  /** Which device of the fleet, from 0: chooses the random sequence, and of several versions its own. */
  readonly index: number
  readonly seed: number
}

/**
 * Throws a `SimulatorError`: `unknown-stream`, `unknown-version`, `unsupported-field`, or `unsupported-format` where the stream cannot be
 * written so.
 */
export function sourceOf(options: SourceOptions, deps: { readonly schemas: SimulatorSchemas }): Source {
  return new DeviceSource(options, deps.schemas)
}

function versionOf(sending: Sending, index: number, schemas: SimulatorSchemas): SentVersion {
  const { stream, versions, format, signals } = sending
  const { registry } = schemas
  const isMade = registry.newest(stream) === undefined
  const made = isMade ? registry.stream(stream) : undefined
  if (made !== undefined && format === 'map') return mappedVersion(made, signals)
  if (isMade && format === 'sparkplug') return sparkplugVersion(stream, signals)
  return schemas.version(stream, versions?.[index % versions.length])
}

class DeviceSource implements Source {
  readonly device: string
  readonly topic: string
  readonly #format: WireFormat
  readonly timeField: string
  readonly columns: readonly RecordColumn[]
  /** Units of the schema's time field in a millisecond. */
  readonly #unitsPerMs: number
  /** The least that two times differ by. */
  readonly #step: number
  readonly #batch: number
  readonly #measure: Measure
  /** Of the last message, milliseconds. */
  #messageAt: number | undefined
  /** Before the first message. */
  readonly #everyMs: number
  /** Of the last reading, in the schema's units. */
  #lastTime = 0

  constructor({ group, sending, device, index, seed }: SourceOptions, schemas: SimulatorSchemas) {
    const version = versionOf(sending, index, schemas)
    this.#format = formatOf({ group, sending, device, version, schemas })
    this.topic = this.#format.topic
    this.device = this.#format.device ?? device
    this.timeField = version.definition.timeField
    this.columns = columnsOf(version.definition).filter(({ path }) => path[0] !== this.timeField)
    this.#unitsPerMs = version.definition.precision === 'us' ? 1000 : 1
    this.#step = this.#format.wholeMs ? this.#unitsPerMs : 1
    this.#batch = sending.batch
    this.#everyMs = sending.everyMs
    const random = deviceRandom(seed, index, sending.stream)
    const { definition } = version
    this.#measure = measurementOf({ definition, signals: sending.signals, isJson: this.#format.drawsJson, random })
  }

  birth(at: number): readonly Birth[] {
    return this.#format.birth(at)
  }

  measure(at: number): MeasuredRecord[] {
    const count = this.#batch
    const step = (at - (this.#messageAt ?? at - this.#everyMs)) / count
    this.#messageAt = at
    const records: MeasuredRecord[] = new Array(count)
    for (let index = 0; index < count; index++) records[index] = this.#reading(at - (count - 1 - index) * step)
    return records
  }

  write(records: readonly MeasuredRecord[]): Buffer {
    const payload = this.#format.write(records)
    if (payload.length <= PAYLOAD_BYTES_MAX) return payload
    throw new SimulatorError(
      'message-too-large',
      `a message of ${records.length} readings has ${payload.length} bytes: allowed are ${PAYLOAD_BYTES_MAX}`,
    )
  }

  read(topic: string, payload: Buffer, receivedAt: number): readonly Reading[] | Rejection {
    return this.#format.read(topic, payload, receivedAt)
  }

  shift(records: readonly MeasuredRecord[], byMs: number): void {
    for (const record of records) {
      record[this.timeField] = Math.round(Number(record[this.timeField]) + byMs * this.#unitsPerMs)
    }
  }

  #reading(at: number): MeasuredRecord {
    const step = this.#step
    this.#lastTime = Math.max(Math.round((at * this.#unitsPerMs) / step) * step, this.#lastTime + step)
    return this.#measure(at, { [this.timeField]: this.#lastTime })
  }
}
