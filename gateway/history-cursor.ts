/**
 * Owns the text of `next` and `after` of `GET /v1/readings`: where a page ended, of which question.
 *
 * It has the place of the last reading (`HistoryKey`), not a number of readings, so what is written meanwhile neither shifts nor
 * repeats; the times that the first page was asked for, for `-1h` or now are others by the next page; and a hash of the parameters,
 * so that it is not taken for the place in another question. It says nothing that the app has not been told, and allows nothing:
 * the filters are the request's own.
 * Bound: 60 characters more than a key.
 */

import { createHash } from 'node:crypto'
import { HISTORY_ORDERS, type HistoryKey, type HistoryOrderName } from '../schemas/history.ts'
import { isMicros, micros, readKey, writeKey } from './history-key.ts'
import { badParameter, Refusal } from './refusal.ts'

export interface HistoryCursor {
  readonly order: HistoryOrderName
  /** Of the parameters that make the question, by `hashOf`. */
  readonly hash: string
  /** Milliseconds, as in a `HistoryQuery`. */
  readonly from: number
  readonly to: number
  readonly after: HistoryKey
}

/** The version, then a key with what the first page was asked for before it, times in microseconds. */
const TEXT = /^h1\.([A-Za-z0-9_-]+)$/
const HASH_CHARS = 8

/** Of the texts of the parameters. */
export function hashOf(parameters: readonly (readonly string[])[]): string {
  return createHash('sha256').update(JSON.stringify(parameters)).digest('base64url').slice(0, HASH_CHARS)
}

export function writeCursor({ order, hash, from, to, after }: HistoryCursor): string {
  return `h1.${writeKey(after, order, hash, micros(from), micros(to))}`
}

/** Throws a `Refusal` if the text is none, or was given for another order or other parameters. */
export function readCursor(text: string, order: HistoryOrderName, hash: string): HistoryCursor {
  const cursor = parse(text)
  if (cursor === undefined) throw badParameter('after', text, 'the next of a page of /v1/readings, as it was given')
  if (cursor.order !== order) {
    throw new Refusal('bad-parameter', `after was given for order=${cursor.order}, and cannot go on in order=${order}`)
  }
  if (cursor.hash !== hash) {
    const same = 'filter, from, to, every and fn, as written then'
    throw new Refusal('bad-parameter', `after was given for another question: it goes on with the same ${same}`)
  }
  return cursor
}

function parse(text: string): HistoryCursor | undefined {
  const { head: [name, hash, from, to] = [], key } = readKey(TEXT.exec(text)?.[1] ?? '', 4) ?? {}
  const order = HISTORY_ORDERS.find((one) => one === name)
  if (key === undefined || order === undefined || typeof hash !== 'string') return undefined
  if (!isMicros(from) || !isMicros(to)) return undefined
  return { order, hash, from: from / 1000, to: to / 1000, after: key }
}
