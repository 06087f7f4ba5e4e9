/**
 * Owns the verification of a run at a broker of whatever make: what it has acknowledged has come at a subscriber, with the same bytes, in order, as
 * often as MQTT allows. Always true: no store is asked, and all that is wrong is the broker's (or of what stands before it); messages of QoS 0
 * are counted apart, for nobody has promised them.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { RunRecord } from '../kept/run-folder.ts'
import type { Verification } from '../report/summary.ts'
import { SimulatorError } from '../simulator-error.ts'
import { Findings } from './findings.ts'
import type { Sent } from './sent.ts'
import { Subscription, type SubscriptionAccount } from './subscription.ts'

/** Reason codes from here on refuse the message (MQTT 5, section 2.4). */
const REFUSED_FROM = 0x80

export interface AtBrokerOptions {
  /** The run folder. */
  readonly directory: string
  readonly run: Pick<RunRecord, 'beganAt' | 'endedAt'>
  readonly lateMs: number
}

/** Throws a `SimulatorError` `bad-run` where nobody was subscribed. */
export async function verifyAtBroker({ directory, run, lateMs }: AtBrokerOptions, sent: Sent): Promise<Verification> {
  const path = join(directory, 'live.tsv')
  if (!existsSync(path)) {
    const why =
      'names no gateway, and nobody was subscribed at the broker: right is --verify, or --gateway of a platform'
    throw new SimulatorError('bad-run', `${directory} ${why}`)
  }
  const subscription = await Subscription.read(path, { sent, lateMs })
  const isTaken = (message: number) => sent.isPromised(message) && sent.code(message) < REFUSED_FROM
  // Of a run that was cut off it is not known until when the subscriber was there.
  const isInTime = (message: number) =>
    run.endedAt !== undefined || sent.acknowledgedAt(message) < subscription.endedAt - lateMs
  // Births of Sparkplug, which devices say as they connect, may be before it.
  const isCounted = (message: number) => sent.sentAt(message) >= run.beganAt
  const account = subscription.account((message) => isTaken(message) && isInTime(message), isCounted)
  const findings = new Findings()
  tell(account, subscription, { findings, sent, lateMs })
  return verificationOf(account, { findings, subscription, sentQos0: qos0Of(sent, isCounted) })
}

interface Told {
  readonly findings: Findings
  readonly sent: Sent
  readonly lateMs: number
}

function tell(account: SubscriptionAccount, subscription: Subscription, { findings, sent, lateMs }: Told): void {
  const add = (code: 'lost' | 'altered' | 'duplicated' | 'late', because: string, messages: readonly number[]) => {
    for (const message of messages) findings.add({ code, stage: 'broker', because, example: sent.showMessage(message) })
  }
  add('lost', lostBecause(subscription), account.lost)
  add('altered', 'a subscriber got something else on its topic', account.altered)
  add('duplicated', 'a subscriber got it more often than it was sent, as a message of its own', account.duplicated)
  const seconds = (subscription.lateMsMax / 1000).toFixed(1)
  add(
    'late',
    `a subscriber got it more than ${lateMs / 1000} s after it was acknowledged, ${seconds} s at most`,
    subscription.late,
  )
  if (account.invented > 0) {
    const because = 'a subscriber got it on a topic of the fleet, which did not send it'
    findings.add({ code: 'invented', stage: 'broker', count: account.invented, because })
  }
  for (const { earlier, later } of subscription.swapped) {
    const because = 'one device sent them in another order on one topic'
    const example = `${sent.showMessage(earlier)} came after that sent at ${new Date(sent.sentAt(later)).toISOString()}`
    findings.add({ code: 'out-of-order', stage: 'broker', because, example })
  }
}

function lostBecause({ gaps, forgotten }: Subscription): string {
  if (forgotten > 0)
    return `no subscriber got it; its session is to be kept, and the broker had forgotten it ${times(forgotten)}`
  if (gaps > 0) return `no subscriber got it; it was cut off ${times(gaps)}, and the broker had kept its session`
  return 'no subscriber got it, and it was connected all the time'
}

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`)

function qos0Of(sent: Sent, isCounted: (message: number) => boolean): number {
  let count = 0
  for (let message = 0; message < sent.messages; message++) if (sent.qos(message) === 0 && isCounted(message)) count++
  return count
}

function verificationOf(
  account: SubscriptionAccount,
  { findings, subscription, sentQos0 }: { findings: Findings; subscription: Subscription; sentQos0: number },
): Verification {
  const { came, lost, altered, cameQos0, cameUnacknowledged } = account
  const found = findings.all()
  return {
    acknowledged: came + lost.length + altered.length,
    expectedReadings: 0,
    stored: 0,
    superseded: 0,
    deadLettered: 0,
    lost: findings.count('lost'),
    duplicated: findings.count('duplicated'),
    altered: findings.count('altered'),
    late: findings.count('late'),
    storedUnacknowledged: 0,
    live: {
      expected: 0,
      came: 0,
      received: 0,
      again: 0,
      unpromised: 0,
      lost: 0,
      duplicated: 0,
      gaps: subscription.gaps,
    },
    // What became of each fault's messages is the business of a platform.
    faults: [],
    subscription: { came, sentQos0, cameQos0, cameUnacknowledged },
    asked: ['subscription'],
    findings: found,
    ok: found.length === 0,
  }
}
