/** Owns what is wrong with what an app got live: lost, doubled, altered, out of order, late; and whose fault that is. */

import type { RunRecord } from '../kept/run-folder.ts'
import type { Findings } from './findings.ts'
import type { Matched } from './letters.ts'
import type { LiveAccount, LiveLook, Swapped } from './live-look.ts'
import type { Reconciled } from './reconcile.ts'
import type { Sent } from './sent.ts'
import type { Witnesses } from './witnesses.ts'

/** Of those that came out of order, so many are looked up in the log. */
const ASKED_MAX = 20

export interface LiveDeps {
  readonly sent: Sent
  readonly findings: Findings
  readonly witnesses: Witnesses
  readonly run: Pick<RunRecord, 'endedAt'>
  readonly lateMs: number
  readonly matched: Matched
  /** What is wrong in the store is told of that; undefined where nobody was asked. */
  readonly reconciled: Reconciled | undefined
}

export async function judgeLive(live: LiveLook, deps: LiveDeps): Promise<LiveAccount> {
  const { sent, findings, lateMs } = deps
  const account = live.account((message) => isDue(message, live, deps))
  tellLost(account.lost, live, deps)
  await tellDuplicated(account.duplicated, live, deps)
  const alteredToo = new Set(deps.reconciled?.altered.map(sent.showRow))
  for (const row of account.altered) {
    if (alteredToo.has(sent.showRow(row))) continue
    const because = 'the store has it right, an app got it otherwise'
    findings.add({ code: 'live-altered', stage: 'live', because, example: sent.showRow(row) })
  }
  if (live.invented > 0) {
    const because = 'an app got readings of its devices and of its time, which it did not send'
    findings.add({ code: 'invented', stage: 'live', count: live.invented, because })
  }
  for (const row of live.late) {
    const because = `an app got it more than ${lateMs / 1000} s after its acknowledgement, ${(live.lateMsMax / 1000).toFixed(1)} s at most, while nothing was wrong`
    findings.add({ code: 'live-late', stage: 'live', because, example: sent.showRow(row) })
  }
  await tellSwapped(live.swapped, deps)
  return account
}

/** Of a run that was cut off it is not known until when an app was there. */
function isDue(message: number, live: LiveLook, { sent, run, lateMs, matched }: LiveDeps): boolean {
  if (!sent.isPromised(message) || sent.outcome(message) !== 'stored' || matched.setAside.has(message)) return false
  return run.endedAt !== undefined || sent.acknowledgedAt(message) < live.endedAt - lateMs
}

/** What gaps excuse, and what the store has not either, is no fault of live's. */
function tellLost(rows: readonly number[], live: LiveLook, { sent, findings, reconciled }: LiveDeps): void {
  const lost = new Set([...(reconciled?.missing ?? []), ...(reconciled?.stale ?? [])].map(sent.messageOf))
  const own = rows.filter((row) => !lost.has(sent.messageOf(row)))
  const messages = new Set(own.map((row) => sent.messageOf(row)))
  if (messages.size <= live.missed) return
  for (const row of own) {
    const because =
      live.missed > 0
        ? `the store has it, no app got it, and gaps of ${live.missed} messages were told, of ${messages.size} that are missing`
        : 'the store has it, no app got it, and no gap was told'
    findings.add({ code: 'live-lost', stage: 'live', because, example: sent.showRow(row) })
  }
}

/** What the log has more often than it was sent, an app gets so often. Those that are not asked about are told as most of the others. */
async function tellDuplicated(
  rows: readonly number[],
  live: LiveLook,
  { sent, findings, witnesses }: LiveDeps,
): Promise<void> {
  const because = {
    broker: 'it was sent once, and the log has it more often, each time received anew',
    log: 'it was sent once and received once, and the log has it more often',
    live: 'it was sent once, and an app got it more often',
  }
  const counts = { live: 0, log: 0, broker: 0 }
  for (const row of rows.slice(0, ASKED_MAX)) {
    const places = await witnesses.placesOf(row)
    const isMore = places.length > live.timesAt(row)
    const receipts = new Set(places.map(({ receivedAt }) => receivedAt))
    const stage = !isMore ? 'live' : receipts.size === 1 ? 'log' : 'broker'
    counts[stage]++
    findings.add({ code: 'live-duplicated', stage, because: because[stage], example: sent.showRow(row) })
  }
  const most = (['live', 'log', 'broker'] as const).toSorted((one, other) => counts[other] - counts[one])[0] ?? 'live'
  const more = rows.length - ASKED_MAX
  if (more > 0) findings.add({ code: 'live-duplicated', stage: most, because: because[most], count: more })
}

async function tellSwapped(swapped: readonly Swapped[], { sent, findings, witnesses }: LiveDeps): Promise<void> {
  let [log, broker, live] = [0, 0, 0]
  const examples: string[] = []
  for (const { earlier, later, isReceivedSo } of swapped.slice(0, ASKED_MAX)) {
    const [first, second] = [await witnesses.placesOf(earlier), await witnesses.placesOf(later)]
    // Of what the log has several times, one is enough. Those of one message stand in it in their order.
    if (!first.some(({ offset }) => second.some((other) => offset > other.offset))) live++
    else if (isReceivedSo) broker++
    else log++
    examples.push(`${sent.showRow(earlier)} came after ${sent.showRow(later)}`)
  }
  if (swapped.length === 0) return
  const because = {
    broker: 'one device sent them in another order on one topic, and they were received in this one',
    log: 'one device sent them in another order on one topic, and the log has them in this one',
    live: 'the log has them in the order in which they were sent, an app got them otherwise',
  }
  const most = Math.max(log, broker, live)
  const stage = most === live ? 'live' : most === log ? 'log' : 'broker'
  for (const [index, example] of examples.entries()) {
    const count = index === 0 ? swapped.length - examples.length + 1 : 1
    findings.add({ code: 'out-of-order', stage, count, because: because[stage], example })
  }
}
