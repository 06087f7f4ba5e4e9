/**
 * Owns the causes of a device of which nothing comes: connected, or gone. What was wrong with it just before is told, too: it may be so still
 * when the device is back. Always true: `offline` is not told of one that is connected, nor the others of one that is not.
 */

import { type Facts, later, silentAfterMs } from '../facts.ts'
import { mendOf, mendOfCode } from '../mends.ts'
import { interval, since } from '../words.ts'
import { endOf, hasGone, isQuiet } from './absence.ts'
import type { Found } from './cause.ts'
import { isAll, newestDrop, newestHeld, RECENT_MS, TAKEOVERS_MIN, takeoversSince } from './faults.ts'

export function sendsNothing(facts: Facts): Found | undefined {
  const { device, now, online, since: changed, heardAt } = facts
  if (!online || changed === undefined) return undefined
  // A device that has sent before, on another connection, is given its usual time.
  const sentAt = later(heardAt, newestDrop(facts)?.at)
  if (sentAt !== undefined && (sentAt >= changed || now - changed <= silentAfterMs(facts))) return undefined
  const never = sentAt === undefined ? 'it has never sent anything' : 'nothing it sent was ever taken'
  const last = heardAt === undefined ? never : `its last message came ${since(heardAt, now, '')}`
  const { text, mend } = troubleBefore(facts, changed)
  const sentence = `${device} is connected ${since(changed, now)}, and sends nothing; ${last}${text}`
  return { cause: 'sends-nothing', sentence, mend: mendOf('sends-nothing') + mend }
}

export function silent(facts: Facts): Found | undefined {
  const { device, now, online, since: changed, heardAt, intervalMs } = facts
  const end = endOf(facts)
  if (online ? !isQuiet(facts) : !hasGone(facts)) return undefined
  const sends = facts.declared?.intervalMs === undefined ? 'used to send' : 'should send'
  const usual = intervalMs === undefined ? '' : `; it ${sends} one every ${interval(intervalMs)}`
  if (online) {
    const last = heardAt === undefined ? '' : ` ${since(heardAt, now)}`
    const { text, mend } = troubleBefore(facts, Math.max(heardAt ?? 0, changed ?? 0))
    const sentence = `${device} is connected and silent${last}${usual}${text}`
    return { cause: 'silent', sentence, mend: mendOf('silent') + mend }
  }
  const behind = offlineBehind(facts)
  if (behind !== undefined) return behind
  const why = end === undefined ? '' : `: ${end.text}`
  const at = end?.at ?? changed
  if (at === undefined) {
    const last = heardAt === undefined ? '' : `; its last message came ${since(heardAt, now, '')}`
    return { cause: 'offline', sentence: `${device} is not connected${last}`, mend: mendOf('offline') }
  }
  const { text, mend } = troubleBefore(facts, at)
  const sentence = `${device} is offline ${since(at, now)}${why}${text}`
  return { cause: 'offline', ...(end && { code: end.code }), sentence, mend: mendOfCode(end?.code ?? 'offline') + mend }
}

/** What was wrong with it just before it fell silent or went, at `end`, as the rest of the sentence and of what mends it. */
function troubleBefore(facts: Facts, end: number): { readonly text: string; readonly mend: string } {
  const { events, receipts, heardAt = 0 } = facts
  const from = end - RECENT_MS
  if (takeoversSince(events, from) >= TAKEOVERS_MIN)
    return { text: '; before that two devices had this id', mend: `; ${mendOf('two-devices')}` }
  const held = newestHeld(facts)
  if (held !== undefined && isAll(facts, held.lastAt))
    return {
      text: '; what it sent before is set aside',
      mend: `; of what is set aside: ${mendOfCode(held.code, held.framing)}`,
    }
  const drop = newestDrop(facts)
  if (drop !== undefined && drop.at >= heardAt)
    return { text: '; what it sent before was dropped', mend: `; of what was dropped: ${mendOfCode(drop.code)}` }
  if (events.some(({ kind, at }) => kind === 'slowed' && at >= from))
    return { text: '; before that it sent more than it may', mend: `; ${mendOf('too-fast')}` }
  if ((receipts?.supersededAt ?? 0) >= Math.max(from, receipts?.lastStoredAt ?? 0))
    return { text: '; before that it gave several readings the same time', mend: `; ${mendOf('repeats-times')}` }
  return { text: '', mend: '' }
}

/** A device of Sparkplug, which is where its edge node says it is. */
function offlineBehind({ device, now, since: changed, edgeNode }: Facts): Found | undefined {
  if (edgeNode === undefined || changed === undefined) return undefined
  const { id, online, since: nodeChanged, end } = edgeNode
  if (online) {
    const what =
      nodeChanged < changed
        ? 'is there, and has told of its death (DDEATH)'
        : `is there again ${since(nodeChanged, now)}, and has not told of its birth (DBIRTH)`
    const sentence = `${device} is offline ${since(changed, now)}: its edge node ${id} ${what}`
    return { cause: 'offline', code: 'not-born', sentence, mend: mendOfCode('not-born') }
  }
  const how = end === undefined ? '' : `: ${end.text}`
  const sentence = `${device} is offline ${since(changed, now)}, for its edge node ${id} is gone ${since(nodeChanged, now)}${how}`
  const evidence = [{ at: nodeChanged, text: `its edge node ${id} went${how}` }]
  return { cause: 'offline', code: 'edge-node-gone', sentence, mend: mendOfCode('edge-node-gone'), evidence }
}
