/**
 * Owns the causes that are the platform's: a part of it does not run, its disk is full, or its store is away or slow. Always true: none is
 * the device's fault, and what was acknowledged is kept.
 */

import type { Evidence } from '../evidence.ts'
import type { Facts } from '../facts.ts'
import { mendOf } from '../mends.ts'
import { count, since } from '../words.ts'
import type { Found } from './cause.ts'

/** Messages that wait for the store for longer are late. */
const LATE_MS = 30_000

export function brokerDown({ device, platform, now }: Facts): Found | undefined {
  const down = platform.down.find(({ role }) => role === 'broker')
  if (down === undefined) return undefined
  return {
    cause: 'broker-down',
    sentence: `no device can send, ${device} neither: the platform's broker ${stoppedSince(down, now)}`,
    mend: mendOf('broker-down'),
    evidence: ended(down, down.reason ?? 'the broker was stopped'),
  }
}

/** Of a device whose messages came over a bridge when it was heard of last. */
export function bridgeDown({ device, platform, events, now }: Facts): Found | undefined {
  const way = events.findLast(({ kind }) => kind === 'bridged' || kind === 'connected')
  if (way?.kind !== 'bridged') return undefined
  const nothing = `nothing comes over the bridge, and nothing of ${device}`
  const down = platform.down.find(({ role }) => role === 'bridge')
  if (down !== undefined) {
    return {
      cause: 'broker-down',
      sentence: `${nothing}: the platform's bridge ${stoppedSince(down, now)}`,
      mend: mendOf('broker-down'),
      evidence: ended(down, down.reason ?? 'the bridge was stopped'),
    }
  }
  const { bridgeAway } = platform
  if (bridgeAway === undefined) return undefined
  return {
    cause: 'broker-down',
    sentence: `${nothing}: the other broker is away ${since(bridgeAway.since, now)} (${bridgeAway.text})`,
    mend: 'look whether the other broker runs, and lets the bridge in: TELLTALE_BRIDGE_URL',
    evidence: [{ at: bridgeAway.since, text: `the other broker went away: ${bridgeAway.text}` }],
  }
}

export function logFull({ device, platform, now }: Facts): Found | undefined {
  const { logFull } = platform
  if (logFull === undefined) return undefined
  const sentence = `the platform takes no messages ${since(logFull.since, now)}, and ${device} keeps its own: ${logFull.text}`
  const evidence = [{ at: logFull.since, text: `no more messages were taken: ${logFull.text}` }]
  return { cause: 'log-full', sentence, mend: mendOf('log-full'), evidence }
}

/** It was received, and is not in the store. */
export function waiting(facts: Facts): Found | undefined {
  const { device, now, pending, pendingSince, platform, receipts, heardAt } = facts
  const { storeAway } = platform
  const many = pending === undefined ? '' : `, and ${count(pending, 'message')} of ${device} wait for it`
  if (storeAway !== undefined && (pending ?? 1) > 0 && (heardAt ?? now) >= storeAway.since - LATE_MS) {
    return {
      cause: 'store-away',
      sentence: `what ${device} sends is late, for the store is away ${since(storeAway.since, now)}${many}; nothing is lost`,
      mend: mendOf('store-away'),
      evidence: [{ at: storeAway.since, text: `the store took no more writes: ${storeAway.text}` }],
    }
  }
  if (pending === undefined || pending === 0) return undefined
  const down = platform.down.find(({ role }) => role === 'ingest')
  if (down !== undefined) {
    const sentence = `what ${device} sends is kept and not stored, for ingest ${stoppedSince(down, now)}${many}`
    return {
      cause: 'ingest-down',
      sentence,
      mend: mendOf('ingest-down'),
      evidence: ended(down, down.reason ?? 'ingest was stopped'),
    }
  }
  // What is older than what is accounted for came before, and is put through again just now.
  if (pendingSince === undefined || now - pendingSince < LATE_MS || pendingSince < (receipts?.lastReceivedAt ?? 0))
    return undefined
  const wait = pending === 1 ? 'waits' : 'wait'
  const sentence = `what ${device} sends is late: ${count(pending, 'message')} of it ${wait} for the store, which does not keep up, the oldest ${since(pendingSince, now)}`
  const evidence = [{ at: pendingSince, text: 'the oldest message that waits for the store was received' }]
  return { cause: 'late', sentence, mend: mendOf('late'), evidence }
}

function stoppedSince(
  { since: at, reason }: { readonly since?: number; readonly reason?: string },
  now: number,
): string {
  const why = reason === undefined ? '' : ` (${reason})`
  if (at === undefined) return `does not run${why}`
  return reason === undefined ? `is stopped ${since(at, now)}` : `is gone ${since(at, now)}${why}`
}

const ended = ({ since: at }: { readonly since?: number }, text: string): Evidence[] =>
  at === undefined ? [] : [{ at, text }]
