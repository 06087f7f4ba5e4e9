/** Owns what is said of the platform: what is not well with it, the worst first, or that it is well. Pure, but for how times are said. */

import type { PlatformHealth } from '../answers.ts'
import { duration } from '../duration.ts'
import { clockTime } from '../time.ts'
import { bytes, count, counted, rate } from '../values.ts'

/** Of the disk; below it a person should look. */
const FREE_SHARE_MIN = 0.1
/** A store that is as far behind is told, though it takes what comes. */
const LAG_MS_MAX = 30_000

export interface Finding {
  readonly tone: 'bad' | 'warn'
  readonly text: string
}

export function findingsOf({ ready, reason, ledger, log, disk, store, parts = [] }: PlatformHealth): Finding[] {
  const findings: Finding[] = []
  const bad = (text: string) => findings.push({ tone: 'bad', text })
  const warn = (text: string) => findings.push({ tone: 'warn', text })
  const stopped = parts.filter(({ state }) => state === 'stopped')
  if (!ready) bad(reason === undefined ? 'The platform is not ready.' : `The platform is not ready: ${reason}.`)
  if (!ledger.balanced)
    bad(`The books do not balance: of ${counted(ledger.accepted, 'message')} not all are accounted for.`)
  if (log?.full !== undefined && log.full !== reason) bad(`No message is taken: ${log.full}.`)
  for (const { role, since } of stopped)
    bad(`The ${role} has stopped${sinceWhen(since)}: ${MEANS[role] ?? 'start it again'}.`)
  if (store?.state === 'away')
    warn(`The store is away${sinceWhen(store.since)}; ${waiting(store.lagMessages)}, nothing is lost.`)
  else if (store !== undefined && store.lagMs > LAG_MS_MAX && stopped.length === 0)
    warn(`The store is ${duration(store.lagMs)} behind; ${waiting(store.lagMessages)}, nothing is lost.`)
  if (disk !== undefined && disk.freeBytes < FREE_SHARE_MIN * disk.totalBytes)
    warn(`The disk is nearly full: ${bytes(disk.freeBytes)} of ${bytes(disk.totalBytes)} are free.`)
  return findings
}

/** What follows for people. */
const MEANS: Readonly<Record<string, string>> = {
  broker: 'no device can connect',
  bridge: 'what the other broker has waits there',
  ingest: 'what comes waits in the log, and nothing is lost',
}

const sinceWhen = (since: number | undefined) => (since === undefined ? '' : ` since ${clockTime(since)}`)
const waiting = (messages: number) => `${counted(messages, 'message')} ${messages === 1 ? 'waits' : 'wait'}`

/** Of a platform of which nothing was found. */
export function wellness({ ledger, rates, store }: PlatformHealth): string {
  const { receivedPerSecond = 0, deadLetteredPerSecond = 0 } = rates ?? {}
  const isBehind = ledger.pending > 0
  const rest = isBehind ? `${waiting(ledger.pending)} to be stored` : 'all that came is stored or set aside'
  if (rates === undefined || store === undefined) return `All is well: ${rest}.`
  if (receivedPerSecond === 0) return `All is well: no message comes now, and ${rest}.`
  const later = isBehind ? `${duration(store.lagMs)} later` : 'at once'
  const aside = deadLetteredPerSecond === 0 ? '' : `; ${perSecond(deadLetteredPerSecond)} are set aside as dead letters`
  return `All is well: ${perSecond(receivedPerSecond)} messages a second come, and are stored ${later}${aside}.`
}

/** `25`, `1,234`, `0.3`. */
export const perSecond = (number: number): string => (Number.isInteger(number) ? count(number) : rate(number))
