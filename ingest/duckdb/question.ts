/**
 * Owns one question of history at DuckDB: a connection of its own, so that it can be interrupted and no other is, and what the
 * queries answered, each in a temporary table. A result itself is no place for that: it is outside of DuckDB's bound on memory,
 * and goes when the JavaScript that names it is collected, which may be long after (1.5.6: 500 MB after fifty answers).
 *
 *   begun --keep, read...--> closed: by `close`, or by the signal, which interrupts what runs
 */

import type { DuckDBConnection, DuckDBInstance, DuckDBValue } from '@duckdb/node-api'
import { identifier } from './sql.ts'

/** An interrupt that comes before DuckDB has begun to run is forgotten, so it is repeated. */
const INTERRUPT_AGAIN_MS = 50

export class Question {
  /** Resolves when nothing of it is left. */
  readonly closed: Promise<void>
  readonly #connection: DuckDBConnection
  readonly #signal: AbortSignal
  #isRunning = false
  #isClosed = false
  #interrupting: NodeJS.Timeout | undefined
  #tellClosed: () => void = () => undefined

  private constructor(connection: DuckDBConnection, signal: AbortSignal) {
    this.#connection = connection
    this.#signal = signal
    this.closed = new Promise((resolve) => {
      this.#tellClosed = resolve
    })
    signal.addEventListener('abort', this.close, { once: true })
  }

  static async begin(instance: DuckDBInstance, signal: AbortSignal): Promise<Question> {
    signal.throwIfAborted()
    const question = new Question(await instance.connect(), signal)
    // A signal that has aborted meanwhile does not say so again.
    if (signal.aborted) question.close()
    return question
  }

  /** Keeps what a query answers as `table`; resolves with the number of rows. If it fails the question is closed. */
  async keep(table: string, query: string, values: readonly string[]): Promise<number> {
    try {
      const [counted] = await this.#run(`CREATE TEMP TABLE ${identifier(table)} AS ${query}`, values)
      return Number(counted?.[0] ?? 0)
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** `count` rows of `table` from the one numbered `at`, as the query ordered them. */
  async read(table: string, at: number, count: number): Promise<DuckDBValue[][]> {
    const rows = `rowid >= ${at} AND rowid < ${at + count}`
    return this.#run(`SELECT * FROM ${identifier(table)} WHERE ${rows} ORDER BY rowid`, [])
  }

  readonly close = (): void => {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#signal.removeEventListener('abort', this.close)
    if (!this.#isRunning) this.#end()
    else {
      this.#connection.interrupt()
      this.#interrupting = setInterval(() => this.#connection.interrupt(), INTERRUPT_AGAIN_MS)
    }
  }

  async #run(sql: string, values: readonly string[]): Promise<DuckDBValue[][]> {
    this.#signal.throwIfAborted()
    if (this.#isClosed) throw new Error('the question is closed')
    this.#isRunning = true
    try {
      return (await this.#connection.runAndReadAll(sql, [...values])).getRows()
    } finally {
      this.#isRunning = false
      if (this.#isClosed) this.#end()
    }
  }

  #end(): void {
    clearInterval(this.#interrupting)
    this.#connection.closeSync()
    this.#tellClosed()
  }
}
