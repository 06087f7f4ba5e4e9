/** Owns an engine of streams in memory, for tests: several processes of a test have the same `MemoryEngine`, and each its own `MemoryStreams`. */

import assert from 'node:assert/strict'
import { LogError } from '../../../log/log-error.ts'
import {
  type NewRecord,
  type ReadLimits,
  STREAM_KINDS,
  type Stream,
  type StreamKind,
  type StreamRecord,
  type Streams,
} from '../../../log/streams/streams.ts'
import { Signal } from '../../../log/tables/signal.ts'

class Row {
  readonly records: StreamRecord[] = []
  readonly appended = new Signal()
  first = 0
  /** While it is, nobody is answered of this one. */
  isAway = false
}

export class MemoryEngine {
  readonly rows: Readonly<Record<StreamKind, readonly Row[]>>
  /** While it is away nothing is answered; what came just before may have been taken. */
  isAway = false

  constructor(shards: number) {
    const row = () => Array.from({ length: shards }, () => new Row())
    this.rows = { log: row(), books: row() }
  }

  answer(row?: Row): void {
    if (this.isAway || row?.isAway) throw new LogError('log-unreachable', 'the engine in memory is away')
  }
}

export class MemoryStreams implements Streams {
  readonly where = 'memory'
  readonly #engine: MemoryEngine
  readonly #stopping = new AbortController()
  readonly #streams: Readonly<Record<StreamKind, readonly Stream[]>>
  /** Whatever this process asks for waits for it: as of one that was stopped, or cut off. */
  held: Promise<void> = Promise.resolve()

  constructor(engine: MemoryEngine) {
    this.#engine = engine
    const held = () => this.held
    const streamsOf = (kind: StreamKind) =>
      engine.rows[kind].map((row) => new MemoryStream(engine, row, held, this.#stopping.signal))
    const [log, books] = STREAM_KINDS.map(streamsOf) as [MemoryStream[], MemoryStream[]]
    this.#streams = { log, books }
  }

  get shards(): number {
    return this.#engine.rows.log.length
  }

  async start(): Promise<void> {
    this.#engine.answer()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
  }

  stream(kind: StreamKind, shard: number): Stream {
    const stream = this.#streams[kind][shard]
    assert(stream, `there is no shard ${shard}`)
    return stream
  }

  async sizeOf(kind: StreamKind): Promise<{ bytes: number }> {
    const kept = this.#engine.rows[kind].flatMap(({ records, first }) => records.slice(first))
    return { bytes: kept.reduce((sum, { value }) => sum + value.length, 0) }
  }
}

class MemoryStream implements Stream {
  readonly #engine: MemoryEngine
  readonly #row: Row
  readonly #held: () => Promise<void>
  readonly #stopped: AbortSignal
  #isAppending = false

  constructor(engine: MemoryEngine, row: Row, held: () => Promise<void>, stopped: AbortSignal) {
    this.#engine = engine
    this.#row = row
    this.#held = held
    this.#stopped = stopped
  }

  async append(records: readonly NewRecord[]): Promise<void> {
    assert(!this.#isAppending, 'two appends of one stream overlap')
    this.#isAppending = true
    try {
      await this.#turn()
      const at = Date.now()
      const kept = this.#row.records
      for (const { value } of records) kept.push({ offset: kept.length, at, value: Buffer.from(value) })
      this.#row.appended.raise()
      await this.#turn()
    } finally {
      this.#isAppending = false
    }
  }

  async read(from: number, { bytesMax, recordsMax, waitMs, signal }: ReadLimits): Promise<readonly StreamRecord[]> {
    await this.#turn()
    const { records, appended, first } = this.#row
    if (from > records.length) throw new LogError('bad-position', `${from} lies past the end, ${records.length}`)
    const ending = AbortSignal.any([this.#stopped, ...(signal === undefined ? [] : [signal])])
    if (from === records.length && waitMs > 0 && !ending.aborted) {
      const wake = () => appended.raise()
      ending.addEventListener('abort', wake, { once: true })
      const seen = appended.raised
      await appended.wait(seen, Math.min(waitMs, 2 ** 31 - 1))
      ending.removeEventListener('abort', wake)
      await this.#turn()
    }
    const found: StreamRecord[] = []
    let bytes = 0
    for (let at = Math.max(from, first); at < records.length && found.length < recordsMax; at++) {
      const record = records[at] as StreamRecord
      bytes += record.value.length
      if (found.length > 0 && bytes > bytesMax) break
      found.push(record)
    }
    return found
  }

  async first(): Promise<number> {
    await this.#turn()
    return this.#row.first
  }

  async end(): Promise<number> {
    await this.#turn()
    return this.#row.records.length
  }

  async at(time: number): Promise<number> {
    await this.#turn()
    const found = this.#row.records.findIndex((record) => record.at >= time)
    return Math.max(this.#row.first, found < 0 ? this.#row.records.length : found)
  }

  async removeBefore(offset: number): Promise<void> {
    await this.#turn()
    this.#row.first = Math.max(this.#row.first, Math.min(offset, this.#row.records.length))
  }

  /** As over a network: the answer is of a later turn. */
  async #turn(): Promise<void> {
    if (this.#stopped.aborted) throw new LogError('log-unreachable', 'these streams are stopped')
    this.#engine.answer(this.#row)
    await new Promise((resolve) => setImmediate(resolve))
    await this.#held()
    this.#engine.answer(this.#row)
  }
}
