/**
 * Owns the replay of a recording: its readings as messages of their devices, in the recording's order, each with when it is due.
 *
 * A reading is due as long after the first as the platform had it after the first (`received`), or, where nobody recorded that, as it was
 * measured; both divided by the speed. So what came late comes late again: at once behind the reading before it.
 *
 * Always true: a recording is read once before anything is sent, so that one that cannot be replayed is refused at the start; due times never
 * fall; of one device and stream, later times stay later. Bounds: `DEVICES_MAX` devices; in memory is one block of the file, and a time for
 * each device and stream, however long the recording is.
 */

import { telemetryTopic } from '../../../identity/topics.ts'
import { PAYLOAD_BYTES_MAX } from '../../../platform/limits.ts'
import type { Definition } from '../../../schemas/definition.ts'
import { SchemaError } from '../../../schemas/definition.ts'
import type { Stream } from '../../../schemas/reading.ts'
import { DEVICES_MAX } from '../scenario/schema.ts'
import { RecordWriter, type ReplayFormat } from './record-writer.ts'
import { type RecordedReading, RecordingError, type RecordingOptions } from './recorded.ts'
import { readRecording } from './recording.ts'

/** As fast as a recording may be replayed, and as slowly. */
export const SPEED_MAX = 10_000
export const SPEED_MIN = 0.001
/** A reading whose time is so long before that of one before it came late. */
const LATE_MS = 60_000

export interface ReplayOptions extends RecordingOptions {
  /** How many times as fast as it was; 1 for as it was. */
  readonly speed: number
  /** `kept`: readings have their times; `shifted`: they are as old as they were when they came, and the first comes at the start. */
  readonly times: 'kept' | 'shifted'
  readonly format: ReplayFormat
}

/** The part of the schemas' registry that a replay needs. */
export interface ReplaySchemas {
  stream(name: string): Stream | undefined
  newest(name: string): Definition | undefined
  encode(stream: string, record: object): Buffer
}

export interface ReplayMessage {
  /** Of the recording. */
  readonly line: number
  readonly device: string
  readonly stream: string
  readonly topic: string
  readonly payload: Buffer
  /** After the start; never less than that of the message before. */
  readonly dueMs: number
  /** Of its reading, milliseconds since 1970 with up to three decimals. */
  readonly ts: number
}

export class Replay {
  /** In the order in which they come first. */
  readonly devices: readonly string[]
  readonly streams: readonly string[]
  readonly readings: number
  /** When the last message is due, after the start. */
  readonly durationMs: number
  /** Messages that the recorder was told are missing, and in how many gaps. */
  readonly missed: number
  readonly gaps: number
  /** The number of a last line that was cut off; undefined if none was. */
  readonly cutAt: number | undefined
  readonly #options: ReplayOptions
  readonly #schemas: ReplaySchemas
  readonly #firstAt: number

  private constructor(found: Found, options: ReplayOptions, schemas: ReplaySchemas) {
    this.devices = [...found.devices]
    this.streams = [...found.streams]
    this.readings = found.readings
    this.durationMs = (found.lastAt - found.firstAt) / options.speed
    this.missed = found.missed
    this.gaps = found.gaps
    this.cutAt = found.cutAt
    this.#options = options
    this.#schemas = schemas
    this.#firstAt = found.firstAt
  }

  /** Reads all of the recording. Throws a `RecordingError` for what cannot be read, or not be written by the schemas. */
  static async open(options: ReplayOptions, schemas: ReplaySchemas): Promise<Replay> {
    return new Replay(await lookThrough(options, schemas), options, schemas)
  }

  /** All messages, or those of some devices, as they are taken. `startAt`: milliseconds since 1970, for times that are shifted. */
  async *messages(startAt: number, isTaken: (device: string) => boolean = () => true): AsyncGenerator<ReplayMessage> {
    const { file, speed, times, format } = this.#options
    const writers = new Writers(format, this.#schemas)
    const clock = new ShiftedTimes(this.#firstAt, startAt, speed)
    let lastAt = this.#firstAt
    for await (const recorded of readRecording(this.#options, { streams: this.#schemas })) {
      if (recorded.kind !== 'reading') continue
      const { device, stream, line } = recorded
      lastAt = Math.max(lastAt, cameAt(recorded))
      if (!isTaken(device)) continue
      const { writer, definition } = writers.of(recorded, file)
      const ts = times === 'kept' ? recorded.ts : clock.timeOf(recorded, definition.precision)
      const payload = written(writer, recorded, ts, file)
      if (payload.length > PAYLOAD_BYTES_MAX) {
        throw new RecordingError(file, line, `becomes ${payload.length} bytes: allowed are ${PAYLOAD_BYTES_MAX}`)
      }
      const dueMs = (lastAt - this.#firstAt) / speed
      yield { line, device, stream, topic: telemetryTopic(device, stream), payload, dueMs, ts }
    }
  }
}

const cameAt = ({ received, ts }: RecordedReading): number => received ?? ts

interface Found {
  readonly devices: ReadonlySet<string>
  readonly streams: ReadonlySet<string>
  readonly readings: number
  readonly firstAt: number
  readonly lastAt: number
  readonly missed: number
  readonly gaps: number
  readonly cutAt: number | undefined
}

async function lookThrough(options: ReplayOptions, schemas: ReplaySchemas): Promise<Found> {
  const { file, format } = options
  const writers = new Writers(format, schemas)
  const devices = new Set<string>()
  const streams = new Set<string>()
  let [readings, late, missed, gaps] = [0, 0, 0, 0]
  let cutAt: number | undefined
  let firstAt = Number.NaN
  let lastAt = Number.NEGATIVE_INFINITY
  for await (const recorded of readRecording(options, { streams: schemas })) {
    if (recorded.kind === 'cut') cutAt = recorded.line
    if (recorded.kind === 'gap') {
      missed += recorded.missed
      gaps++
    }
    if (recorded.kind !== 'reading') continue
    const { device, stream, values, line } = recorded
    const fault = writers.of(recorded, file).writer.fault(values)
    if (fault !== undefined) throw new RecordingError(file, line, fault)
    devices.add(device)
    streams.add(stream)
    if (devices.size > DEVICES_MAX) {
      throw new RecordingError(file, line, `is of one device more than ${DEVICES_MAX}, which are allowed`)
    }
    const at = cameAt(recorded)
    if (readings === 0) firstAt = at
    if (at < lastAt - LATE_MS) late++
    lastAt = Math.max(lastAt, at)
    readings++
  }
  if (readings === 0) throw new RecordingError(file, undefined, 'has no readings')
  if (late > readings / 2) {
    const what = `${late} of its ${readings} readings stand behind one that is more than a minute later`
    throw new RecordingError(file, undefined, `is not in the order of time: ${what}; right is one that is sorted by ts`)
  }
  return { devices, streams, readings, firstAt, lastAt, missed, gaps, cutAt }
}

function written(writer: RecordWriter, { values, line }: RecordedReading, ts: number, file: string): Buffer {
  try {
    return writer.write(values, ts)
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error
    throw new RecordingError(file, line, error.message)
  }
}

/** What writes each stream, made when it comes first. */
class Writers {
  readonly #format: ReplayFormat
  readonly #schemas: ReplaySchemas
  readonly #byStream = new Map<string, { readonly writer: RecordWriter; readonly definition: Definition }>()

  constructor(format: ReplayFormat, schemas: ReplaySchemas) {
    this.#format = format
    this.#schemas = schemas
  }

  of({ stream, line }: RecordedReading, file: string) {
    const known = this.#byStream.get(stream)
    if (known !== undefined) return known
    const definition = this.#schemas.newest(stream)
    if (definition === undefined) {
      throw new RecordingError(file, line, `there is no schema of ${stream}: right is one in TELLTALE_SCHEMAS_DIR`)
    }
    const writer = new RecordWriter(definition, this.#format, (record) => this.#schemas.encode(stream, record))
    const made = { writer, definition }
    this.#byStream.set(stream, made)
    return made
  }
}

/**
 * Times that begin at the start and go on at the replay's speed. Of one device and stream what was later is later, also where the speed
 * makes two times one.
 */
class ShiftedTimes {
  readonly #firstAt: number
  readonly #startAt: number
  readonly #speed: number
  readonly #last = new Map<string, { was: number; is: number }>()

  constructor(firstAt: number, startAt: number, speed: number) {
    this.#firstAt = firstAt
    this.#startAt = startAt
    this.#speed = speed
  }

  timeOf({ device, stream, ts }: RecordedReading, precision: 'ms' | 'us'): number {
    const perMs = precision === 'us' ? 1_000 : 1
    const units = Math.round((this.#startAt + (ts - this.#firstAt) / this.#speed) * perMs)
    const key = `${device}/${stream}`
    const last = this.#last.get(key)
    const isLater = last !== undefined && ts > last.was
    const is = isLater ? Math.max(units, last.is + 1) : ts === last?.was ? last.is : units
    if (last === undefined) this.#last.set(key, { was: ts, is })
    else if (isLater) {
      last.was = ts
      last.is = is
    }
    return is / perMs
  }
}
