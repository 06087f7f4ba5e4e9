/**
 * Owns the writing of readings to InfluxDB 1.x and 2.x, and to what takes their line protocol.
 *
 * Always true: a line is done only when a request that held it was answered 204, or when the server refused it alone.
 * What the server refuses as a whole is halved until the bad lines are alone; a line may so be written several times,
 * which changes nothing. One request at a time, so that of two values of a series and time the newer stays.
 * A batch that is tried again goes on where it failed. Halving may take a thousand requests, and a store that fails one
 * in a hundred would never be through with them.
 * The lines of a device and stream stand together, in log order: those that a server refuses mostly are of one stream
 * (another type of field is there already) or of one device (its clock is wrong). Mixed with others, each would have to
 * be found by itself; together they are refused in a few requests.
 * A request over which the server meets an error of its own (500) again and again is halved likewise: a line is refused if
 * the server fails over it alone, and takes others meanwhile. If it takes none, it is ill, and is waited for.
 * Bound: `INFLUX_LINES_PER_REQUEST_MAX` lines a request.
 */

import { type Clock, systemClock } from '../../platform/clock.ts'
import type { Reading, Stream } from '../../schemas/reading.ts'
import { Lines, LineWriter } from '../line-protocol.ts'
import {
  type PointStore,
  type RejectedEntry,
  type StoreBatch,
  type StoreDependencies,
  StoreError,
  Superseded,
  type SupersededReadings,
  type WriteOutcome,
} from '../store.ts'
import { isInternalError } from './answers.ts'
import { InfluxConnection, type InfluxOptions } from './connection.ts'
import { InfluxHistory } from './history.ts'
import { RecentPoints } from './recent.ts'
import { Victoria } from './victoria.ts'

/** Lines of one request to InfluxDB; a batch with more is several requests. */
const INFLUX_LINES_PER_REQUEST_MAX = 5_000

/** Internal errors of the server over the same lines after which it is looked for the line that causes them. */
const INTERNAL_ERRORS_MAX = 5
/** Requests of that search that may fail before one is taken: enough to find one line among those of a request. */
const PROBES_MAX = 32

/** How many readings of an entry were refused, and why the first was. */
interface Refused {
  refused: number
  readonly reason: string
}

/** A batch on its way: lines before `done` are written or refused. */
interface Work {
  readonly batch: StoreBatch
  readonly lines: Lines
  readonly rejected: Map<number, Refused>
  /** The reading of each line, and the lines that were refused. */
  readonly readings: readonly Reading[]
  readonly refused: Set<number>
  done: number
  /** Internal errors of the server since `done` last rose. */
  internalErrors: number
}

export class InfluxStore implements PointStore {
  readonly name = 'influx'
  readonly history: InfluxHistory
  readonly #connection: InfluxConnection
  /** One a stream: bounded by the registry. */
  readonly #writers = new Map<Stream, LineWriter>()
  readonly #clock: Clock
  readonly #recent = new RecentPoints()
  /** Once the server has shown that it is VictoriaMetrics. */
  #victoria: Victoria | undefined
  /** Of the batch that was tried last, until it is through. */
  #work: Work | undefined
  /** The line that was written last, of those that were taken: one before it may have been replaced since. */
  #newestLine: Buffer | undefined

  constructor(options: InfluxOptions, deps: StoreDependencies) {
    this.#connection = new InfluxConnection(options)
    this.#clock = deps.clock ?? systemClock
    this.history = new InfluxHistory(this.#connection, deps.streams)
  }

  async start(): Promise<void> {}

  async useStreams(streams: readonly Stream[]): Promise<void> {
    this.history.useStreams(streams)
    for (const stream of this.#writers.keys()) if (!streams.includes(stream)) this.#writers.delete(stream)
    this.#recent.useStreams(streams)
  }

  async write(batch: StoreBatch, signal: AbortSignal): Promise<WriteOutcome> {
    if (this.#work?.batch !== batch) this.#work = this.#begin(batch)
    let work = this.#work
    const before = work.done
    try {
      while (work.done < work.lines.count) {
        const to = Math.min(work.lines.count, work.done + INFLUX_LINES_PER_REQUEST_MAX)
        const known = this.#victoria
        if (work.internalErrors < INTERNAL_ERRORS_MAX) await this.#write(work, work.done, to, signal)
        else await this.#isolate(work, to, signal)
        if (this.#victoria !== known) work = this.#reconsider(work)
      }
    } catch (error) {
      if (error instanceof StoreError) {
        error.progressed = work.done > before
        if (error.progressed || !isInternalError(error)) work.internalErrors = 0
        else work.internalErrors++
      }
      throw error
    }
    this.#work = undefined
    this.#newestLine = newestOf(work, work.lines.count) ?? this.#newestLine
    const superseded = this.#superseded(work)
    return {
      superseded,
      rejected: [...work.rejected].map(([index, refused]): RejectedEntry => ({ index, ...refused })),
    }
  }

  async stop(): Promise<void> {
    this.#connection.close()
  }

  /** The work, or its batch begun anew if some of it is to be refused, now that the server is known. */
  #reconsider(work: Work): Work {
    const anew = this.#begin(work.batch)
    if (anew.rejected.size === work.rejected.size) return work
    this.#work = anew
    return anew
  }

  #begin(batch: StoreBatch): Work {
    const lines = new Lines()
    const readings: Reading[] = []
    const rejected = new Map<number, Refused>()
    for (const { stream, indexes } of bySource(batch)) {
      const writer = this.#writer(stream)
      for (const index of indexes) {
        for (const reading of batch.entries[index]?.readings ?? []) {
          const fault = this.#victoria?.fault(reading, stream, this.#clock.now())
          const unwritten = fault === undefined ? writer.write(reading, lines, index) : { reason: fault }
          if (unwritten === undefined) readings.push(reading)
          else reject(rejected, index, unwritten.reason)
        }
      }
    }
    return { batch, lines, rejected, readings, refused: new Set(), done: 0, internalErrors: 0 }
  }

  /** Once all lines are written, for one that is refused replaces nothing. */
  #superseded({ batch, lines, readings, refused }: Work): readonly SupersededReadings[] {
    const superseded = new Superseded()
    for (const [line, reading] of readings.entries()) {
      const stream = batch.entries[lines.entry(line)]?.stream
      if (stream === undefined || (refused.size > 0 && refused.has(line))) continue
      if (this.#recent.replaces(reading, stream)) superseded.add(reading)
    }
    return superseded.list
  }

  #writer(stream: Stream): LineWriter {
    let writer = this.#writers.get(stream)
    if (writer === undefined) {
      writer = new LineWriter(stream)
      this.#writers.set(stream, writer)
    }
    return writer
  }

  /**
   * Writes the lines from `from` (the first that is not done) to before `to`; those that are refused alone are rejected. Whether
   * the server has taken any.
   */
  async #write(work: Work, from: number, to: number, signal: AbortSignal): Promise<boolean> {
    const { lines } = work
    const answer = await this.#connection.write(lines.slice(from, to), signal)
    const count = to - from
    if (answer.kind === 'written') {
      work.done = to
      if (answer.isVictoria) this.#victoria ??= new Victoria(await this.#connection.metrics(signal))
      return true
    }
    // `dropped=N` of N lines: the whole part is refused, and halving it would only say so N times more.
    if (count === 1 || (answer.kind === 'bad-data' && answer.dropped === count)) {
      for (let line = from; line < to; line++) refuse(work, line, answer.reason)
      work.done = to
      return false
    }
    const middle = from + (count >> 1)
    const tookFirst = await this.#write(work, from, middle, signal)
    return (await this.#write(work, middle, to, signal)) || tookFirst
  }

  /**
   * Writes the lines up to `to` but for those over which alone the server fails; throws if it takes no line at all. A server that
   * falls ill or gets well meanwhile must not have good lines refused: so it has to take others before and after those fail once
   * more; and in their order, so that of two values the newer stays. (A line that it refuses shows nothing: a server that has no
   * room to write refuses lines all the same.)
   */
  async #isolate(work: Work, to: number, signal: AbortSignal): Promise<void> {
    const start = work.done
    try {
      const { suspects, error } = await this.#suspects(work, start, to, signal)
      const writeOthers = async (left: readonly number[]) => {
        const tookSome = await this.#writeAllBut(left, work, start, to, signal)
        if (error !== undefined && !tookSome) await this.#probe(work, start, error, signal)
      }
      await writeOthers(suspects)
      const guilty = new Map<number, string>()
      for (const line of suspects) {
        await this.#write(work, line, line + 1, signal).catch((thrown) => {
          if (!isInternalError(thrown)) throw thrown
          guilty.set(line, thrown.message)
        })
      }
      await writeOthers([...guilty.keys()])
      for (const [line, reason] of guilty) refuse(work, line, reason)
      work.done = to
      work.internalErrors = 0
    } catch (error) {
      work.done = start
      throw error
    }
  }

  /**
   * The lines over which alone the server failed, and what it said last; throws if it took nothing before it had failed
   * `PROBES_MAX` times.
   */
  async #suspects(
    work: Work,
    start: number,
    to: number,
    signal: AbortSignal,
  ): Promise<{ readonly suspects: readonly number[]; readonly error: StoreError | undefined }> {
    const suspects: number[] = []
    let last: StoreError | undefined
    let probes = 0
    const look = async (from: number, end: number): Promise<void> => {
      try {
        if (await this.#write(work, from, end, signal)) probes = Number.NEGATIVE_INFINITY
      } catch (error) {
        if (!isInternalError(error) || ++probes > PROBES_MAX) throw error
        last = error
        if (end - from === 1) {
          suspects.push(from)
          return
        }
        const middle = from + ((end - from) >> 1)
        await look(from, middle)
        await look(middle, end)
      }
    }
    await look(start, to)
    return { suspects, error: last }
  }

  /** Writes again what was taken last, which changes nothing; throws `error` if that is not taken, or nothing was yet. */
  async #probe(work: Work, start: number, error: StoreError, signal: AbortSignal): Promise<void> {
    const newest = newestOf(work, start) ?? this.#newestLine
    const answer = newest === undefined ? undefined : await this.#connection.write(newest, signal)
    if (answer?.kind !== 'written') throw error
  }

  /** Whether the server has taken any. */
  async #writeAllBut(
    left: readonly number[],
    work: Work,
    start: number,
    to: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    let from = start
    let tookSome = false
    for (const line of [...left, to]) {
      if (line > from && (await this.#write(work, from, line, signal))) tookSome = true
      from = line + 1
    }
    return tookSome
  }
}

/** The last of the lines before `end` that were taken: none behind it is of its series and time. */
function newestOf({ lines, refused }: Work, end: number): Buffer | undefined {
  for (let line = end - 1; line >= 0; line--) {
    if (!refused.has(line)) return Buffer.from(lines.slice(line, line + 1))
  }
  return undefined
}

/** A line may be refused again, when it is written again. */
function refuse({ lines, rejected, refused }: Work, line: number, reason: string): void {
  if (refused.has(line)) return
  refused.add(line)
  reject(rejected, lines.entry(line), reason)
}

/** The indexes of the batch's entries by stream and, within, by device: streams together, and each device's in log order. */
function bySource({ entries }: StoreBatch): { readonly stream: Stream; readonly indexes: number[] }[] {
  const streams = new Map<Stream, Map<string, number[]>>()
  for (let index = 0; index < entries.length; index++) {
    const { stream, readings } = entries[index] ?? {}
    if (stream === undefined) continue
    let devices = streams.get(stream)
    if (devices === undefined) {
      devices = new Map()
      streams.set(stream, devices)
    }
    const device = readings?.[0]?.device ?? ''
    const indexes = devices.get(device)
    if (indexes === undefined) devices.set(device, [index])
    else indexes.push(index)
  }
  return [...streams].flatMap(([stream, devices]) => [...devices.values()].map((indexes) => ({ stream, indexes })))
}

/** The first reason of an entry is kept. */
function reject(rejected: Map<number, Refused>, index: number, reason: string): void {
  const known = rejected.get(index)
  if (known === undefined) rejected.set(index, { refused: 1, reason })
  else known.refused++
}
