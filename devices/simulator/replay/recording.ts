/**
 * Owns how a recording is read, line by line: NDJSON as `telltale record` writes it, or the CSV that `GET /v1/readings` gives.
 *
 *   {"device":"truck-7","stream":"vehicle","ts":1763900000000,"received":1763900000123,"values":{"velocity":12.5}}
 *   {"gap":{"reason":"retention","missed":12}}
 *
 *   ts,device,stream,velocity
 *   1763900000000,truck-7,vehicle,12.5
 *
 * `received` may be missing; `ts` may be a time as text (ISO 8601). In CSV a value that is not there, or an empty text, is an empty field, and
 * `device` and `stream` may be given besides where the file has no such columns.
 *
 * Always true: what cannot be read is told with file and line, and nothing behind it is given; a last line that was cut off is left out, and
 * told. Bounds: `LINE_BYTES_MAX` a line, and one block of the file is in memory, however large that is.
 */

import { isUtf8 } from 'node:buffer'
import { createReadStream } from 'node:fs'
import { isDeviceId, isStreamName } from '../../../identity/topics.ts'
import { messageOf } from '../../../platform/errors.ts'
import type { Reading } from '../../../schemas/reading.ts'
import { CsvReader } from './csv-recording.ts'
import { isOpen } from './csv-row.ts'
import {
  type Recorded,
  type RecordingDeps,
  RecordingError,
  type RecordingOptions,
  show,
  shown,
  timeOf,
} from './recorded.ts'

/** A line is longer: the recording is refused. A payload of 256 KiB is less, as JSON too. */
const LINE_BYTES_MAX = 4 * 1024 * 1024
const BLOCK_BYTES = 256 * 1024
const LINE_END = 0x0a

/** All of a recording, in its order. Throws a `RecordingError`. */
export async function* readRecording(options: RecordingOptions, deps: RecordingDeps): AsyncGenerator<Recorded> {
  const { file } = options
  let table: CsvReader | undefined
  let isFirst = true
  for await (const lines of linesOf(file)) {
    for (const { text, line, isWhole } of lines) {
      if (text === '') continue
      if (isFirst) {
        isFirst = false
        if (!text.startsWith('{')) {
          table = new CsvReader(text, line, options, deps)
          continue
        }
      }
      yield table === undefined ? ofJson(text, line, file, isWhole) : table.read(text, line, isWhole)
    }
  }
}

interface Line {
  readonly text: string
  /** Of the file, from 1. */
  readonly line: number
  /** It has its end. */
  readonly isWhole: boolean
}

/** Lines without their ends, those of a block at once; of a CSV one that ends within quotes goes on. */
async function* linesOf(file: string): AsyncGenerator<readonly Line[]> {
  let rest: Buffer = Buffer.alloc(0)
  let line = 1
  let isJson: boolean | undefined
  /** Lines of one row, which ends within quotes so far. */
  let open: { readonly parts: string[]; readonly line: number; length: number } | undefined
  const joined = (text: string): Line | undefined => {
    if (text !== '') isJson ??= text.startsWith('{')
    const row = open ?? { parts: [], line, length: 0 }
    const isWithin = isJson === false && isOpen(text) !== (open !== undefined)
    row.parts.push(text)
    row.length += text.length + 1
    line++
    if (row.length > LINE_BYTES_MAX) throw tooLong(file, row.line)
    open = isWithin ? row : undefined
    return isWithin ? undefined : { text: row.parts.join('\n').replace(/\r$/, ''), line: row.line, isWhole: true }
  }
  try {
    for await (const block of createReadStream(file, { highWaterMark: BLOCK_BYTES }) as AsyncIterable<Buffer>) {
      const bytes = rest.length === 0 ? block : Buffer.concat([rest, block])
      const end = bytes.lastIndexOf(LINE_END)
      rest = bytes.subarray(end + 1)
      if (rest.length > LINE_BYTES_MAX) throw tooLong(file, line)
      if (end < 0) continue
      const lines: Line[] = []
      for (const text of textOf(bytes.subarray(0, end), file, line).split('\n')) {
        const whole = joined(text)
        if (whole !== undefined) lines.push(whole)
      }
      yield lines
    }
  } catch (error) {
    if (error instanceof RecordingError) throw error
    throw new RecordingError(file, undefined, `cannot be read: ${messageOf(error)}`)
  }
  const last = [...(open?.parts ?? []), rest.toString('utf8')].join('\n')
  if (last !== '') yield [{ text: last.replace(/\r$/, ''), line: open?.line ?? line, isWhole: false }]
}

const tooLong = (file: string, line: number) => new RecordingError(file, line, `is longer than ${LINE_BYTES_MAX} bytes`)

function textOf(bytes: Buffer, file: string, line: number): string {
  if (isUtf8(bytes)) return line === 1 ? bytes.toString('utf8').replace(/^\ufeff/, '') : bytes.toString('utf8')
  throw new RecordingError(file, line, 'is not UTF-8, or what follows it')
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function ofJson(text: string, line: number, file: string, isWhole: boolean): Recorded {
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch (error) {
    if (!isWhole) return { kind: 'cut', line }
    throw new RecordingError(file, line, `is not JSON: ${messageOf(error)}`)
  }
  const refuse = (what: string) => new RecordingError(file, line, what)
  if (!isObject(given)) throw refuse(`is ${shown(text)}; a reading or a gap is right`)
  if (isObject(given.gap)) {
    return { kind: 'gap', line, reason: String(given.gap.reason), missed: Number(given.gap.missed) || 0 }
  }
  const { device, stream, values, received } = given
  if (typeof device !== 'string' || !isDeviceId(device)) throw refuse(`device is ${show(device)}; a device id is right`)
  if (typeof stream !== 'string' || !isStreamName(stream)) throw refuse(`stream is ${show(stream)}; a name is right`)
  if (!isObject(values)) throw refuse(`values is ${show(values)}; an object is right`)
  for (const [name, value] of Object.entries(values)) {
    if (value === null) delete values[name]
    else if (!isValue(value))
      throw refuse(`${name} is ${show(value)}; a number, text, true, false or numbers are right`)
  }
  return {
    kind: 'reading',
    line,
    device,
    stream,
    ts: timeOf(given.ts) ?? never(refuse(`ts is ${show(given.ts)}; milliseconds since 1970 are right, or a time`)),
    ...(typeof received === 'number' && { received }),
    values: values as Reading['values'],
  }
}

const never = (error: Error): never => {
  throw error
}
const isValue = (value: unknown): boolean =>
  ['number', 'string', 'boolean'].includes(typeof value) ||
  (Array.isArray(value) && value.every((each) => typeof each === 'number'))
