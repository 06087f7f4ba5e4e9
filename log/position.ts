/**
 * Owns places in the log.
 *
 * An offset numbers an entry within its shard, densely from 0; as a place it lies just before that entry. Only `log/` makes
 * one from another: everybody else compares offsets of one shard and hands them back.
 * A position is a place in the whole log, one offset a shard. Two are not always comparable: each may be ahead in a shard.
 * What outlives the process is a position's text; it names the log, so that another log's is refused instead of misread:
 *
 *   <log id>-<offset in shard 0>.<offset in shard 1>. ...        (base 36)
 */

import { LogError } from './log-error.ts'

declare const offsetBrand: unique symbol
export type Offset = number & { readonly [offsetBrand]: true }

/** In the order of the log's shards. */
export type Position = readonly Offset[]

/** What tells a log from others: its id, and how many shards it has, for ever. */
export interface LogIdentity {
  readonly id: string
  readonly shards: { readonly length: number }
}

const OFFSETS = /^[0-9a-z]{1,11}(\.[0-9a-z]{1,11})*$/

export function formatPosition({ id }: LogIdentity, position: Position): string {
  return `${id}-${position.map((offset) => offset.toString(36)).join('.')}`
}

/** Throws a `LogError` `bad-position` for what is no position of this log. */
export function parsePosition({ id, shards }: LogIdentity, text: string): Position {
  const offsets = text.startsWith(`${id}-`) ? text.slice(id.length + 1) : ''
  const position = OFFSETS.test(offsets) ? offsets.split('.').map((part) => Number.parseInt(part, 36) as Offset) : []
  if (position.length !== shards.length) throw new LogError('bad-position', `"${text}" is no position of this log`)
  return position
}
