/**
 * Owns what the embedded store knows of the log that it is written from: up to which position, and which stretches of it the
 * store was given whole, with the place of each row. One row of one table, written in the transaction of the rows.
 *
 * The position is not needed to write once what is replayed (see `table.ts`); it tells whether the log is still the one that
 * the rows came from. The stretches tell what an app that resumes from a place can be given without a loss: they begin where a
 * store began to keep places, and there is a hole where the log lost messages before they were stored.
 *
 * Bound: `STRETCHES_PER_SHARD_MAX`; one more, and the oldest of its shard is no longer vouched for.
 */

import type { DuckDBConnection } from '@duckdb/node-api'
import { type LogStretch, type Place, turnOf } from '../../schemas/history.ts'
import type { BatchSource } from '../store.ts'
import { identifier } from './sql.ts'

const STRETCHES_PER_SHARD_MAX = 32

/** No stream's name has a space in it. */
const TABLE = identifier('log checkpoint')

export interface Kept {
  /** The text of the log's position after the newest batch; undefined before the first. */
  readonly position: string | undefined
  /** By shard, then offset; none touches another. */
  readonly held: readonly LogStretch[]
}

/** Makes the table, or brings an older one to its columns, and reads it. */
export async function openCheckpoint(connection: DuckDBConnection): Promise<Kept> {
  await connection.run(`CREATE TABLE IF NOT EXISTS ${TABLE} (position VARCHAR NOT NULL, held VARCHAR)`)
  await connection.run(`ALTER TABLE ${TABLE} ADD COLUMN IF NOT EXISTS held VARCHAR`)
  return readCheckpoint(connection)
}

export async function readCheckpoint(connection: DuckDBConnection): Promise<Kept> {
  const [row] = (await connection.runAndReadAll(`SELECT position, held FROM ${TABLE}`)).getRows()
  if (row === undefined) return { position: undefined, held: [] }
  const [position, held] = row
  return { position: String(position), held: held === null ? [] : parseStretches(String(held)) }
}

/** Within the transaction that is open on the connection. */
export async function writeCheckpoint(connection: DuckDBConnection, { position, held }: Kept): Promise<void> {
  await connection.run(`DELETE FROM ${TABLE}`)
  if (position === undefined) return
  const stretches = JSON.stringify(held.map(({ shard, first, next }) => [shard, first, next]))
  await connection.run(`INSERT INTO ${TABLE} VALUES (?, ?)`, [position, stretches])
}

function parseStretches(text: string): LogStretch[] {
  const stretches: [number, number, number][] = JSON.parse(text)
  return stretches.map(([shard, first, next]) => ({ shard, first, next }))
}

/** What is kept after a batch. */
export function keptAfter({ held }: Kept, { shard, first, next, checkpoint }: BatchSource): Kept {
  return { position: checkpoint, held: withStretch(held, { shard, first, next }) }
}

function withStretch(held: readonly LogStretch[], added: LogStretch): LogStretch[] {
  let { first, next } = added
  const others: LogStretch[] = []
  for (const stretch of held) {
    if (stretch.shard !== added.shard || stretch.next < first || stretch.first > next) others.push(stretch)
    else {
      first = Math.min(first, stretch.first)
      next = Math.max(next, stretch.next)
    }
  }
  const all = [...others, { shard: added.shard, first, next }].sort((a, b) => a.shard - b.shard || a.first - b.first)
  const ofShard = all.filter(({ shard }) => shard === added.shard)
  return ofShard.length > STRETCHES_PER_SHARD_MAX ? all.filter((stretch) => stretch !== ofShard[0]) : all
}

/** The parts of what was asked for that are in none of the stretches. */
export function lackingIn(held: readonly LogStretch[], from: Place, before: readonly number[]): LogStretch[] {
  const lacking: LogStretch[] = []
  for (const [shard, asked] of from.position.entries()) {
    const { [shard]: end = 0 } = before
    let first = asked
    for (const stretch of held) {
      if (stretch.shard !== shard || stretch.next <= first || stretch.first >= end) continue
      if (stretch.first > first) lacking.push({ shard, first, next: stretch.first })
      first = stretch.next
    }
    if (first < end) lacking.push({ shard, first, next: end })
  }
  return lacking.sort((a, b) => turnOf(from, a.shard) - turnOf(from, b.shard) || a.first - b.first)
}
