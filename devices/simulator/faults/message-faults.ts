/**
 * Owns what faults do to the messages of one device and one sending: to its clock, to what it measures, to the bytes, to where they go.
 *
 * Always true: it depends on the scenario, the device and the number of the message alone, so the same seed has the same faults; a message
 * has at most one of those that befall a share of the messages, the first that does.
 */

import { telemetryTopic } from '../../../identity/topics.ts'
import { recordValue, replaceValue } from '../messages/record-columns.ts'
import type { MeasuredRecord, Source } from '../messages/source.ts'
import type { NumberedFault } from '../scenario/befallen.ts'
import type { Fault, FaultKind } from '../scenario/fault.ts'
import type { Sending } from '../scenario/scenario.ts'
import type { Random } from '../signals/random.ts'
import { hostilePayload } from './hostile.ts'

export interface Made {
  readonly topic: string
  readonly payload: Buffer
  /** What it was made by, if it is not as a device in order sends it. */
  readonly fault: NumberedFault | undefined
  /** It goes to a topic that is not its device's. */
  readonly isForbidden: boolean
}

type OfMessages = Extract<Fault, { readonly share: number }>
interface Shared extends NumberedFault {
  readonly fault: OfMessages
}

const MS_PER_HOUR = 3_600_000
/** Avro's int. */
const INT_MAX = 2 ** 31 - 1
const AVRO_MARK = [0xc3, 0x01]
const FINGERPRINT_BYTES = 8
const CONFLUENT_MARK = [0x00]
const SCHEMA_ID_BYTES = 4

export class MessageFaults {
  readonly #faults: NumberedFault[]
  readonly #shared: Shared[]
  readonly #source: Source
  readonly #device: string
  readonly #sending: Pick<Sending, 'stream' | 'format' | 'qos'>
  readonly #random: Random
  #before: readonly MeasuredRecord[] | undefined
  /** By the fault's number: the value of each column. */
  readonly #stuckAt = new Map<number, ReadonlyMap<string, unknown>>()

  constructor(
    faults: readonly NumberedFault[],
    {
      source,
      device,
      sending,
      random,
    }: { source: Source; device: string; sending: Pick<Sending, 'stream' | 'format' | 'qos'>; random: Random },
  ) {
    this.#faults = [...faults]
    const isPossible = (each: NumberedFault): each is Shared => 'share' in each.fault && canBefall(each.fault, sending)
    this.#shared = faults.filter(isPossible)
    this.#source = source
    this.#device = device
    this.#sending = sending
    this.#random = random
  }

  /** One more; of those that befall a share of the messages there is none that comes later. */
  add(fault: NumberedFault): void {
    this.#faults.push(fault)
  }

  /** By its number. */
  remove(number: number): void {
    const at = this.#faults.findIndex((fault) => fault.number === number)
    if (at >= 0) this.#faults.splice(at, 1)
  }

  /** The message that is due so many milliseconds after the fleet began, measured at `at`, milliseconds since 1970. */
  make(offsetMs: number, at: number): Made {
    const source = this.#source
    const records = source.measure(at)
    const drawn = this.#draw(offsetMs)
    let fault: NumberedFault | undefined = this.#shiftClock(records, offsetMs) ?? this.#stick(records, offsetMs)
    if (drawn !== undefined) {
      this.#mismeasure(drawn.fault, records)
      fault = drawn
    }
    this.#before = records
    const good = source.write(records)
    const kind = drawn?.fault.kind
    return {
      topic: kind === 'forbidden-topic' ? telemetryTopic(`${this.#device}-other`, this.#sending.stream) : source.topic,
      payload: this.#misspell(kind, good),
      fault,
      isForbidden: kind === 'forbidden-topic',
    }
  }

  #draw(offsetMs: number): Shared | undefined {
    let drawn: Shared | undefined
    // The first reading has none before it.
    const isPossible = ({ kind }: Fault) => kind !== 'repeated-times' || this.#before !== undefined
    for (const each of this.#shared) {
      // One draw for each that is under way, so that one fault more changes nothing of the others' chance.
      if (isUnderWay(each.fault, offsetMs) && this.#random.next() < each.fault.share && isPossible(each.fault))
        drawn ??= each
    }
    return drawn
  }

  #shiftClock(records: readonly MeasuredRecord[], offsetMs: number): NumberedFault | undefined {
    let byMs = 0
    let found: NumberedFault | undefined
    for (const each of this.#faults) {
      const shift = shiftBy(each.fault, offsetMs)
      if (shift === 0) continue
      byMs += shift
      found ??= each
    }
    const shiftMs = Math.round(byMs)
    if (shiftMs === 0) return undefined
    this.#source.shift(records, shiftMs)
    return found
  }

  #stick(records: readonly MeasuredRecord[], offsetMs: number): NumberedFault | undefined {
    let found: NumberedFault | undefined
    for (const each of this.#faults) {
      if (each.fault.kind !== 'stuck' || !isUnderWay(each.fault, offsetMs)) continue
      for (const record of records) {
        const stuckAt = this.#stuckAt.get(each.number) ?? this.#valuesOf(record, each.fault.column)
        this.#stuckAt.set(each.number, stuckAt)
        for (const { column, path } of this.#source.columns) {
          if (!stuckAt.has(column.name)) continue
          replaceValue(record, path, stuckAt.get(column.name))
          found ??= each
        }
      }
    }
    return found
  }

  /** Of the column of that name, or of all that are numbers. */
  #valuesOf(record: MeasuredRecord, name: string | undefined): Map<string, unknown> {
    const values = this.#source.columns.map(({ column, path }) => [column.name, recordValue(record, path)] as const)
    const isMeant = (column: string, value: unknown) =>
      name === undefined ? typeof value === 'number' : name === column
    return new Map(values.filter(([column, value]) => isMeant(column, value)))
  }

  #mismeasure(fault: OfMessages, records: readonly MeasuredRecord[]): void {
    const { timeField } = this.#source
    if (fault.kind === 'repeated-times') {
      for (const [index, record] of records.entries()) {
        const before = this.#before?.[index]
        if (before !== undefined) record[timeField] = before[timeField]
      }
    } else if (fault.kind === 'spikes') {
      for (const record of records) {
        const numbers = this.#source.columns.filter(({ path }) => typeof recordValue(record, path) === 'number')
        const column = numbers[this.#random.below(numbers.length)]
        if (column === undefined) continue
        replaceValue(record, column.path, spiked(Number(recordValue(record, column.path)), fault.factor))
      }
    }
  }

  #misspell(kind: FaultKind | undefined, good: Buffer): Buffer {
    const random = this.#random
    if (kind === 'truncated') return good.subarray(0, random.below(good.length))
    if (kind === 'hostile') return hostilePayload(good, random)
    if (kind !== 'unknown-schema') return good
    const [mark, idBytes] =
      this.#sending.format === 'confluent' ? [CONFLUENT_MARK, SCHEMA_ID_BYTES] : [AVRO_MARK, FINGERPRINT_BYTES]
    const schemaId = Array.from({ length: idBytes }, () => random.below(256))
    return Buffer.from([...mark, ...schemaId, ...good.subarray(mark.length + idBytes)])
  }
}

/** What is not acknowledged is not said again [MQTT-3.3.1-2], and some formats name no schema. */
function canBefall({ kind }: Fault, { qos, format }: Pick<Sending, 'format' | 'qos'>): boolean {
  if (kind === 'duplicates') return qos > 0
  return kind !== 'unknown-schema' || NAMES_SCHEMA.has(format)
}

/** Beside JSON a device may send Avro on the same topic. */
const NAMES_SCHEMA: ReadonlySet<Sending['format']> = new Set(['avro', 'json', 'confluent'])

export const isUnderWay = ({ atMs, forMs }: Pick<Fault, 'atMs' | 'forMs'>, offsetMs: number): boolean =>
  offsetMs >= atMs && offsetMs < atMs + forMs

function shiftBy(fault: Fault, offsetMs: number): number {
  if (offsetMs < fault.atMs) return 0
  if (fault.kind === 'clock-jump') return fault.byMs
  if (!isUnderWay(fault, offsetMs)) return 0
  if (fault.kind === 'clock-offset') return fault.byMs
  return fault.kind === 'clock-drift' ? ((offsetMs - fault.atMs) / MS_PER_HOUR) * fault.msPerHour : 0
}

/** A whole number stays one that an int holds. */
function spiked(value: number, factor: number): number {
  const far = (value === 0 ? 1 : value) * factor
  return Number.isInteger(value) ? Math.max(-INT_MAX, Math.min(INT_MAX, Math.round(far))) : far
}
