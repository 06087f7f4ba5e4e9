/**
 * Owns the place of a reading in history (`HistoryKey`) as the cursors of apps have it: the last members of a list in JSON, as
 * base64url (RFC 4648 section 5), its time in microseconds. It says nothing that the app has not been told.
 * Bound: about 150 characters, and four thirds of the tags' bytes (`TAG_CHARS_MAX` a tag).
 */

import { isDeviceId, isStreamName } from '../identity/topics.ts'
import type { HistoryKey } from '../schemas/history.ts'

/** More than any time that a request can name. */
const MICROS_MAX = 1e18

export interface KeyText {
  /** What stands before the key. */
  readonly head: readonly unknown[]
  readonly key: HistoryKey
}

export function writeKey({ ts, device, stream, tags }: HistoryKey, ...head: readonly unknown[]): string {
  return Buffer.from(JSON.stringify([...head, micros(ts), device, stream, tags])).toString('base64url')
}

/** Undefined for what is none with so many members before it. */
export function readKey(text: string, before = 0): KeyText | undefined {
  let members: unknown
  try {
    members = JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    return undefined
  }
  if (!Array.isArray(members) || members.length !== before + 4) return undefined
  const head = members.slice(0, before) as unknown[]
  const [ts, device, stream, tags] = members.slice(before) as unknown[]
  if (!isMicros(ts) || !isTags(tags)) return undefined
  if (typeof device !== 'string' || !isDeviceId(device)) return undefined
  if (typeof stream !== 'string' || !isStreamName(stream)) return undefined
  return { head, key: { ts: ts / 1000, device, stream, tags } }
}

export const micros = (ms: number): number => Math.round(ms * 1000)

export const isMicros = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= MICROS_MAX

function isTags(value: unknown): value is HistoryKey['tags'] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every((tag) => typeof tag === 'string')
}
