/** Owns the cause of a device one of whose streams does not come. Always true: another stream of it has come. */

import { type Facts, type SentStream, silentAfterMs } from '../facts.ts'
import { mendOf, mendOfCode } from '../mends.ts'
import { listOf, since } from '../words.ts'
import type { Found } from './cause.ts'

const HOUR_MS = 3_600_000
/** A stream that came like a clock has stopped after so many of its intervals, but none that is shorter. */
const STOPPED_INTERVALS = 10
const STOPPED_MS_MIN = 60_000
/** One that no file declares and that has not come for so long is not sent any more. */
const RETIRED_MS = 24 * HOUR_MS

/** It sends, and one of its streams does not come: it never did, though its file says that it should, or it comes no more. */
export function missingStream(facts: Facts): Found | undefined {
  return neverCame(facts) ?? stopped(facts)
}

/** What its file says that it should send, too, and what came like a clock. Of the past only what is known of then. */
function stopped(facts: Facts): Found | undefined {
  const { device, now, sent = [], isPast } = facts
  const missing = sent.filter((each) => hasStopped(each, facts))
  const [first] = missing.toSorted((one, other) => one.heardAt - other.heardAt)
  if (first === undefined) return undefined
  const others = sent.filter((each) => !missing.includes(each) && each.heardAt > first.heardAt)
  if (others.length === 0) return undefined
  const gone = missing.map(({ stream, heardAt }) => `${stream} ${since(heardAt, now)}`)
  const go = `; ${listOf(others.map(({ stream }) => stream))} still ${others.length === 1 ? 'comes' : 'come'}`
  // What of the others had come by then nobody knows.
  const sentence = isPast ? `${device} had sent no ${listOf(gone)}` : `${device} sends no more ${listOf(gone)}${go}`
  const evidence = missing.map(({ stream, heardAt }) => ({
    at: heardAt,
    text: `the newest message of ${stream} was received`,
  }))
  return { cause: 'missing-stream', code: 'stream-stopped', sentence, mend: mendOfCode('stream-stopped'), evidence }
}

function hasStopped({ stream, heardAt, intervalMs, isRegular }: SentStream, facts: Facts): boolean {
  const { now, since: changed = 0, online, declared, isPast } = facts
  const unheardMs = now - heardAt
  // Who has come back is given his time again.
  const waitedMs = now - Math.max(heardAt, online ? changed : 0)
  if (declared?.streams.includes(stream) && !isPast) {
    if (declared.intervalMs !== undefined) return waitedMs > silentAfterMs({ intervalMs: declared.intervalMs })
    return waitedMs > Math.max(STOPPED_MS_MIN, silentAfterMs({ intervalMs }))
  }
  if (!isRegular || intervalMs === undefined || unheardMs > RETIRED_MS) return false
  return waitedMs > Math.max(STOPPED_MS_MIN, STOPPED_INTERVALS * intervalMs)
}

function neverCame(facts: Facts): Found | undefined {
  const { device, now, declared, streams = [], receipts, heardAt, isPast } = facts
  // What came by then of which stream is not kept.
  if (declared === undefined || streams.length === 0 || isPast) return undefined
  const missing = declared.streams.filter((stream) => !streams.includes(stream))
  const first = receipts?.firstReceivedAt ?? heardAt
  // One that has just begun is given its usual time.
  if (missing.length === 0 || first === undefined || now - first <= silentAfterMs(facts)) return undefined
  const sentence = `${device} sends ${listOf(streams)}, but never ${listOf(missing)}, which it should by its file in config/devices`
  return { cause: 'missing-stream', sentence, mend: mendOf('missing-stream') }
}
