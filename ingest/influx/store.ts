/**
 * Owns the writing of readings to InfluxDB 1.x and 2.x, and to what takes their line protocol.
 *
 * Always true: a line is done only when a request that held it was answered 204, or when the server refused it alone.
 * What the server refuses as a whole is halved until the bad lines are alone; a line may so be written several times,
 * which changes nothing. One request at a time, so that of two values of a series and time the newer stays.
 * Bound: `INFLUX_LINES_PER_REQUEST_MAX` lines a request.
 */

import { INFLUX_LINES_PER_REQUEST_MAX } from '../../platform/limits.ts'
import type { History } from '../../schemas/history.ts'
import type { Stream } from '../../schemas/reading.ts'
import { Lines, LineWriter } from '../line-protocol.ts'
import type { InfluxOptions, PointStore, RejectedEntry, StoreBatch, WriteOutcome } from '../store.ts'
import { InfluxConnection } from './connection.ts'
import { InfluxHistory } from './history.ts'

export class InfluxStore implements PointStore {
  readonly name = 'influx'
  readonly history: History
  readonly #connection: InfluxConnection
  /** One a stream: bounded by the registry. */
  readonly #writers = new Map<Stream, LineWriter>()

  constructor(options: InfluxOptions, deps: { readonly streams: readonly Stream[] }) {
    this.#connection = new InfluxConnection(options)
    this.history = new InfluxHistory(this.#connection, deps.streams)
  }

  async start(): Promise<void> {}

  async write(batch: StoreBatch, signal: AbortSignal): Promise<WriteOutcome> {
    const rejected = new Map<number, string>()
    const lines = this.#lines(batch, rejected)
    for (let from = 0; from < lines.count; from += INFLUX_LINES_PER_REQUEST_MAX) {
      const to = Math.min(lines.count, from + INFLUX_LINES_PER_REQUEST_MAX)
      await this.#write(lines, from, to, rejected, signal)
    }
    return { rejected: [...rejected].map(([index, reason]): RejectedEntry => ({ index, reason })) }
  }

  async stop(): Promise<void> {
    this.#connection.close()
  }

  #lines(batch: StoreBatch, rejected: Map<number, string>): Lines {
    const lines = new Lines()
    for (let index = 0; index < batch.entries.length; index++) {
      const entry = batch.entries[index]
      if (entry === undefined) continue
      const writer = this.#writer(entry.stream)
      for (const reading of entry.readings) {
        const line = writer.line(reading)
        if (typeof line === 'string') lines.add(line, index)
        else reject(rejected, index, line.reason)
      }
    }
    return lines
  }

  #writer(stream: Stream): LineWriter {
    let writer = this.#writers.get(stream)
    if (writer === undefined) {
      writer = new LineWriter(stream)
      this.#writers.set(stream, writer)
    }
    return writer
  }

  /** Writes the lines from `from` to before `to`; those that the server refuses alone are noted in `rejected`. */
  async #write(
    lines: Lines,
    from: number,
    to: number,
    rejected: Map<number, string>,
    signal: AbortSignal,
  ): Promise<void> {
    const answer = await this.#connection.write(lines.slice(from, to), signal)
    if (answer.kind === 'written') return
    const count = to - from
    // `dropped=N` of N lines: the whole part is refused, and halving it would only say so N times more.
    if (count === 1 || (answer.kind === 'bad-data' && answer.dropped === count)) {
      for (let line = from; line < to; line++) reject(rejected, lines.entry(line), answer.reason)
      return
    }
    const middle = from + (count >> 1)
    await this.#write(lines, from, middle, rejected, signal)
    await this.#write(lines, middle, to, rejected, signal)
  }
}

/** The first reason of an entry is kept. */
function reject(rejected: Map<number, string>, index: number, reason: string): void {
  if (!rejected.has(index)) rejected.set(index, reason)
}
