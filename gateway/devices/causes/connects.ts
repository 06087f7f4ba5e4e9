/**
 * Owns the causes of a device that is not let in, or does not stay: it never connected, it is refused, or another takes its place. Always
 * true: one that is connected is neither refused nor never-connected.
 */

import type { Facts } from '../facts.ts'
import { mendOf, mendOfCode } from '../mends.ts'
import { since } from '../words.ts'
import type { Found } from './cause.ts'
import { RECENT_MS, TAKEOVERS_MIN, takeoversSince } from './faults.ts'

/** Two that take each other's place: each is let in, and none stays. */
export function twoDevices({ device, events, now }: Facts): Found | undefined {
  // A connection that ended in another way is the end of the quarrel.
  const peace = events.findLastIndex(({ kind, code }) => kind === 'disconnected' && code !== 'taken-over')
  const times = takeoversSince(events.slice(peace + 1), now - RECENT_MS)
  if (times < TAKEOVERS_MIN) return undefined
  const from = [...new Set(events.filter(({ kind }) => kind === 'connected').map((event) => event.from))].filter(
    Boolean,
  )
  const where = from.length > 1 ? `, from ${from.slice(-3).join(' and ')}` : ''
  return {
    cause: 'two-devices',
    sentence: `${device} connects again and again while it is connected (${times} times within 10 minutes${where}): two devices have this id, or one connects twice`,
    mend: mendOf('two-devices'),
  }
}

/** Its last try to connect was refused, and it is not connected. */
export function refused(facts: Facts): Found | undefined {
  const { device, online, events, now } = facts
  const refusal = events.findLast(({ kind, code }) => kind === 'refused' && code !== 'used-by-another')
  const change = events.findLast(({ kind }) => kind === 'connected' || kind === 'disconnected')
  if (refusal === undefined || online) return undefined
  if (change !== undefined && refusal.at < change.at) return undefined
  const others = refusal.code === 'sent-by-another' ? ownRefusal(facts) : undefined
  const { code, text, at } = others ?? refusal
  const from = (others ?? refusal).from
  if (code === 'sent-by-another') {
    const sentence = `${device} itself does not connect, and another sends in its name: ${text}`
    return { cause: 'refused', code, sentence, mend: mendOfCode(code) }
  }
  const where = from ? ` from ${from}` : ''
  const sentence = `${device} is not let in: ${text} (its last try ${since(at, now, 'was')}${where})`
  return { cause: 'refused', code, sentence, mend: mendOfCode(code) }
}

const ownRefusal = ({ events }: Facts) =>
  events.findLast(({ kind, code }) => kind === 'refused' && code !== 'sent-by-another' && code !== 'used-by-another')

export function neverConnected(facts: Facts): Found | undefined {
  const { device, now, since: changed, heardAt, hasReadings, online, events } = facts
  if (online || changed !== undefined || heardAt !== undefined || hasReadings) return undefined
  if (events.some(({ kind }) => kind === 'connected')) return undefined
  const use = events.findLast(({ code }) => code === 'used-by-another')
  if (use !== undefined) {
    const from = use.from ? ` from ${use.from}` : ''
    const sentence = `${device} itself has never connected, and another used its token ${since(use.at, now, '')}${from}: ${use.text}`
    return { cause: 'never-connected', code: use.code, sentence, mend: mendOfCode(use.code) }
  }
  const declared = facts.declared === undefined ? '' : ', though its file in config/devices says that it should'
  const sentence = `${device} has never connected${declared}`
  return { cause: 'never-connected', sentence, mend: mendOf('never-connected') }
}
