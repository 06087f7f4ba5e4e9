/**
 * Owns the text of `next` and `after` of `GET /v1/readings`: where a page ended, of which question.
 *
 * It has the place of the last reading (`HistoryKey`), not a number of readings, so what is written meanwhile neither shifts nor
 * repeats; the times that the first page was asked for, for `-1h` or now are others by the next page; and a hash of the parameters,
 * so that it is not taken for the place in another question. It says nothing that the app has not been told, and allows nothing:
 * the filters are the request's own.
 * Bound: about 200 characters, and four thirds of the tags' bytes (`TAG_CHARS_MAX` a tag).
 */

import { createHash } from 'node:crypto'
import { isDeviceId, isStreamName } from '../identity/topics.ts'
import { HISTORY_ORDERS, type HistoryKey, type HistoryOrderName } from '../schemas/history.ts'
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

/** The version, then base64url (RFC 4648 section 5) of a list in JSON, times in microseconds. */
const TEXT = /^h1\.([A-Za-z0-9_-]+)$/
/** More than any time that a request can name. */
const MICROS_MAX = 1e18
const HASH_CHARS = 8

/** Of the texts of the parameters. */
export function hashOf(parameters: readonly (readonly string[])[]): string {
  return createHash('sha256').update(JSON.stringify(parameters)).digest('base64url').slice(0, HASH_CHARS)
}

export function writeCursor({ order, hash, from, to, after }: HistoryCursor): string {
  const { ts, device, stream, tags } = after
  const fields = [order, hash, micros(from), micros(to), micros(ts), device, stream, tags]
  return `h1.${Buffer.from(JSON.stringify(fields)).toString('base64url')}`
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
  let fields: unknown
  try {
    fields = JSON.parse(Buffer.from(TEXT.exec(text)?.[1] ?? '', 'base64url').toString())
  } catch {
    return undefined
  }
  if (!Array.isArray(fields) || fields.length !== 8) return undefined
  const [name, hash, from, to, ts, device, stream, tags] = fields as unknown[]
  const order = HISTORY_ORDERS.find((one) => one === name)
  if (order === undefined || typeof hash !== 'string') return undefined
  if (!isTime(from) || !isTime(to) || !isTime(ts)) return undefined
  if (typeof device !== 'string' || !isDeviceId(device)) return undefined
  if (typeof stream !== 'string' || !isStreamName(stream)) return undefined
  if (!isTags(tags)) return undefined
  return { order, hash, from: from / 1000, to: to / 1000, after: { ts: ts / 1000, device, stream, tags } }
}

const micros = (ms: number): number => Math.round(ms * 1000)

const isTime = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= MICROS_MAX

function isTags(value: unknown): value is HistoryKey['tags'] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every((tag) => typeof tag === 'string')
}
