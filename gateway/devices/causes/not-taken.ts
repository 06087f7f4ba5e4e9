/**
 * Owns the causes of what came and was not taken: dropped by the broker, or set aside by ingest. Always true: of the two the newer is told,
 * and what a device sent last of all stays the cause, however long ago, until it is back.
 */

import { type Facts, silentAfterMs } from '../facts.ts'
import { mendOfCode } from '../mends.ts'
import { count, since, size } from '../words.ts'
import { beforeEnd, hasGone, isLongSilent } from './absence.ts'
import type { Found } from './cause.ts'
import { isAll, isOver, newestDrop, newestHeld, recentMs } from './faults.ts'
import { sendsNothing } from './silence.ts'

const HOUR_MS = 3_600_000

/** What it sent last was acknowledged and thrown away. */
export function dropped(facts: Facts): Found | undefined {
  const { device, now, heardAt = 0 } = facts
  const drop = newestDrop(facts)
  if (drop === undefined || isMended(facts, drop.at, heardAt)) return undefined
  // What was mended is over: it sends since, and no more of these.
  const isOld = now - drop.at > recentMs(facts) || drop.at < heardAt - silentAfterMs(facts)
  if (drop.at < heardAt && isOld) return undefined
  // Of two faults the newer one is what is to be mended.
  if ((newestHeld(facts)?.lastAt ?? 0) > drop.at && setAside(facts) !== undefined) return undefined
  const before = beforeEnd(facts, drop.at)
  const { code, text } = drop
  const cause = code === 'publish-forbidden' ? 'wrong-topic' : 'too-large'
  const sentence = cause === 'wrong-topic' ? onTopic(device, text, before) : tooBig(device, text, before)
  return { cause, code, sentence, mend: mendOfCode(code) }
}

/** The broker's words tell the device what it may; who looks for its data is told where it sends. */
function onTopic(device: string, text: string, before: string | undefined): string {
  const [, quoted] = /topic "((?:[^"\\]|\\.)+)"/.exec(text) ?? []
  const topic = quoted ?? 'a topic that is not its own'
  const publishes = before === undefined ? `publishes on ${topic}` : `published on ${topic} ${before}`
  const where = quoted === undefined ? text : text.startsWith('no map') ? 'where nothing is taken' : 'where it may not'
  return `${device} ${publishes}, ${where}; such messages are dropped`
}

function tooBig(device: string, text: string, before: string | undefined): string {
  const [, bytes, allowed] = /(\d+) bytes: allowed are (\d+)/.exec(text) ?? []
  const what = bytes === undefined ? text : `${size(Number(bytes))}, allowed are ${size(Number(allowed))}`
  const sent = before === undefined ? 'sends a message' : `sent a message ${before}`
  return `${device} ${sent} that is too big (${what}): it was dropped, and is not kept`
}

/** What it sent last stays the cause, however long ago, as long as nothing right came after it. */
export function setAside(facts: Facts): Found | undefined {
  const { device, now, receipts, isPast } = facts
  const newest = newestHeld(facts)
  if (receipts === undefined || newest === undefined) return undefined
  const { lastStoredAt = 0 } = receipts
  if (isMended(facts, newest.lastAt, lastStoredAt)) return undefined
  const all = isAll(facts, newest.lastAt)
  // It is gone for another reason than a few of its messages.
  if (!all && (now - newest.lastAt > recentMs(facts) || hasGone(facts) || isLongSilent(facts))) return undefined
  const before = beforeEnd(facts)
  // Of the past it is known by the hour only.
  const when = isPast && newest.lastAt === now ? '' : `, the newest ${since(newest.lastAt, now, '')}`
  const some = someOf(facts)
  const sends = all ? `${device} sends, and what it sends is set aside` : `${device} sends, and ${some} set aside`
  const sent = all ? `what ${device} sent ${before} is set aside` : `${device} sent ${before}, and ${some} set aside`
  return {
    cause: 'set-aside',
    code: newest.code,
    sentence: `${before === undefined ? sends : sent}${when}: ${newest.reason}`,
    mend: `${mendOfCode(newest.code, newest.framing)}; nothing of what is set aside is lost`,
  }
}

/** How many, of the last hour in which there were any. */
function someOf({ receipts, now }: Facts): string {
  const hour = receipts?.hours.findLast(({ from, setAside }) => setAside > 0 && from <= now)
  if (hour === undefined) return 'some of it is'
  const { from, stored, setAside } = hour
  const isThis = now < from + HOUR_MS
  const which = isThis ? 'this hour' : `the hour from ${new Date(from).toISOString().slice(11, 16)}Z on`
  return `${setAside} of ${count(stored + setAside, 'message')} of ${which} ${setAside === 1 ? 'is' : 'are'}`
}

/** Something right came after it, or it has come back and had the time to do it again. */
const isMended = (facts: Facts, at: number, rightAt: number) =>
  isOver(facts, at) && (rightAt > at || sendsNothing(facts) !== undefined)
