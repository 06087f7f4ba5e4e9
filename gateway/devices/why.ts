/**
 * Owns the answer to "why is this device's data missing": from what is known of it to one cause, a sentence, what shows it, and what
 * mends it. Pure: the same facts, the same answer. The looks are in `causes/`.
 *
 * Always true: of several causes the first in the order below is told, for it hides those after it: what is not let in cannot send, what
 * does not send cannot be set aside.
 */

import type { Found } from './causes/cause.ts'
import { neverConnected, refused, twoDevices } from './causes/connects.ts'
import { missingStream } from './causes/missing-stream.ts'
import { dropped, setAside } from './causes/not-taken.ts'
import { bridgeDown, brokerDown, logFull, waiting } from './causes/platform.ts'
import { sendsNothing, silent } from './causes/silence.ts'
import { clock, repeats, tooFast } from './causes/timing.ts'
import { type Evidence, sorted, storyOf } from './evidence.ts'
import type { Facts } from './facts.ts'
import { interval, since } from './words.ts'

export interface Why extends Found {
  readonly device: string
  /** The time that it is true of, milliseconds. */
  readonly at: number
  /** Oldest first. */
  readonly evidence: readonly Evidence[]
}

export function whyOf(facts: Facts): Why {
  const { evidence = [], ...found } = foundIn(facts)
  const { device, now: at } = facts
  const mend = found.mend !== undefined && { mend: found.mend.replaceAll('<id>', device) }
  return { device, at, ...found, ...mend, evidence: sorted([...evidence, ...storyOf(facts)]) }
}

/** The cause and its sentence, at a small part of what the evidence costs: for who asks of all devices. */
export function foundIn(facts: Facts): Found {
  for (const look of LOOKS) {
    const found = look(facts)
    if (found !== undefined) return found
  }
  return { cause: 'well', sentence: wellOf(facts) }
}

/** The first that finds something is told. */
const LOOKS: readonly ((facts: Facts) => Found | undefined)[] = [
  brokerDown,
  bridgeDown,
  twoDevices,
  refused,
  neverConnected,
  logFull,
  dropped, // wrong-topic, too-large
  waiting, // store-away, ingest-down, late
  setAside,
  sendsNothing,
  silent, // offline, too
  missingStream,
  clock, // clock-ahead, clock-behind
  repeats, // repeats-times
  tooFast,
]

function wellOf(facts: Facts): string {
  const { device, now, online, heardAt, intervalMs, inHour = [] } = facts
  const every = intervalMs === undefined ? '' : `, one every ${interval(intervalMs)}`
  const isUnknown = heardAt === undefined || inHour.includes('heardAt')
  const last = isUnknown ? '' : `: its last message came ${since(heardAt, now, '')}${every}`
  if (online) return `all is well with ${device}${last}`
  return `all is well with ${device}, which is not connected just now${last}`
}
