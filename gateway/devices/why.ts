/**
 * Owns the answer to "why is this device's data missing": from what is known of it to one cause, a sentence, what shows it, and what
 * mends it. Pure: the same facts, the same answer.
 *
 * Always true: of several causes the first in the order below is told, for it hides those after it: what is not let in cannot send, what
 * does not send cannot be set aside. The words are for who knows the device, not the code.
 */

import { type Evidence, sorted, storyOf } from './evidence.ts'
import { type Facts, later, type SentStream, silentAfterMs } from './facts.ts'
import { mendOf, mendOfCode } from './mends.ts'
import { count, duration, interval, listOf, since, size } from './words.ts'

export const CAUSES = [
  'never-connected',
  'refused',
  'two-devices',
  'log-full',
  'wrong-topic',
  'too-large',
  'store-away',
  'ingest-down',
  'late',
  'set-aside',
  'sends-nothing',
  'silent',
  'offline',
  'missing-stream',
  'clock-ahead',
  'clock-behind',
  'repeats-times',
  'too-fast',
  'broker-down',
  'well',
] as const
export type Cause = (typeof CAUSES)[number]

export interface Why {
  readonly device: string
  /** The time that it is true of, milliseconds. */
  readonly at: number
  readonly cause: Cause
  /** More than the cause says, as a code: of a refusal, of what is set aside. */
  readonly code?: string
  readonly sentence: string
  /** Oldest first. */
  readonly evidence: readonly Evidence[]
  /** What to do; absent when nothing is to be. */
  readonly mend?: string
}

/** What happened so lately is going on, where a device sends and its interval does not say more. */
const RECENT_MS = 10 * 60_000
const HOUR_MS = 3_600_000
/** A clock that is off by less is not told. */
export const CLOCK_OFFSET_MS_MIN = 60_000
/** Takeovers so many within `RECENT_MS` are no reconnects. */
const TAKEOVERS_MIN = 3
/** Messages that wait for the store for longer are late. */
const LATE_MS = 30_000

/** A stream that came like a clock has stopped after so many of its intervals, but none that is shorter. */
const STOPPED_INTERVALS = 10
const STOPPED_MS_MIN = 60_000
/** One that no file declares and that has not come for so long is not sent any more. */
const RETIRED_MS = 24 * HOUR_MS

/** What is told before it is shown: `evidence` is of the cause alone. */
type Found = Omit<Why, 'device' | 'at' | 'evidence'> & { readonly evidence?: readonly Evidence[] }

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

const LOOKS: readonly ((facts: Facts) => Found | undefined)[] = [
  brokerDown,
  twoDevices,
  refused,
  neverConnected,
  logFull,
  dropped,
  waiting,
  setAside,
  sendsNothing,
  silent,
  missingStream,
  clock,
  repeats,
  tooFast,
]

function brokerDown({ device, platform, now }: Facts): Found | undefined {
  const down = platform.down.find(({ role }) => role === 'broker')
  if (down === undefined) return undefined
  return {
    cause: 'broker-down',
    sentence: `no device can send, ${device} neither: the platform's broker ${stoppedSince(down, now)}`,
    mend: mendOf('broker-down'),
    evidence: ended(down, down.reason ?? 'the broker was stopped'),
  }
}

/** Two that take each other's place: each is let in, and none stays. */
function twoDevices({ device, events, now }: Facts): Found | undefined {
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

function takeoversSince(events: Facts['events'], from: number): number {
  const takeovers = events.filter(({ code, at }) => code === 'taken-over' && at >= from)
  return takeovers.reduce((sum, { firstAt, count: times }) => sum + (firstAt < from ? 1 : times), 0)
}

/** Its last try to connect was refused, and it is not connected. */
function refused(facts: Facts): Found | undefined {
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

function neverConnected(facts: Facts): Found | undefined {
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

function logFull({ device, platform, now }: Facts): Found | undefined {
  const { logFull } = platform
  if (logFull === undefined) return undefined
  const sentence = `the platform takes no messages ${since(logFull.since, now)}, and ${device} keeps its own: ${logFull.text}`
  const evidence = [{ at: logFull.since, text: `no more messages were taken: ${logFull.text}` }]
  return { cause: 'log-full', sentence, mend: mendOf('log-full'), evidence }
}

/** What it sent last was acknowledged and thrown away. */
function dropped(facts: Facts): Found | undefined {
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

/** What waited for its device's rate when the connection ended is told of the rate. */
const DROPS: ReadonlySet<string> = new Set(['publish-forbidden', 'payload-too-large'])

const newestDrop = ({ events }: Facts) => events.findLast(({ kind, code }) => kind === 'dropped' && DROPS.has(code))

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

/** It was received, and is not in the store. */
function waiting(facts: Facts): Found | undefined {
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

/** What it sent last stays the cause, however long ago, as long as nothing right came after it. */
function setAside(facts: Facts): Found | undefined {
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

/** Nothing that is stored came after it. Of the past no more may be known than what came in the same hour. */
function isAll({ receipts, hours, isPast }: Facts, at: number): boolean {
  const { lastStoredAt = 0 } = receipts ?? {}
  if (isPast && at === lastStoredAt) return hours.findLast(({ setAside }) => setAside > 0)?.stored === 0
  return at >= lastStoredAt
}

/** What was replayed or purged is mended. */
const newestHeld = ({ receipts }: Facts) => receipts?.deadLetters.findLast(({ held }) => held > 0)

/** How many, of the last hour in which there were any. */
function someOf({ receipts, now }: Facts): string {
  const hour = receipts?.hours.findLast(({ from, setAside }) => setAside > 0 && from <= now)
  if (hour === undefined) return 'some of it is'
  const { from, stored, setAside } = hour
  const isThis = now < from + HOUR_MS
  const which = isThis ? 'this hour' : `the hour from ${new Date(from).toISOString().slice(11, 16)}Z on`
  return `${setAside} of ${count(stored + setAside, 'message')} of ${which} ${setAside === 1 ? 'is' : 'are'}`
}

function sendsNothing(facts: Facts): Found | undefined {
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

function silent(facts: Facts): Found | undefined {
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

/** It sends, and one of its streams does not come: it never did, though its file says that it should, or it comes no more. */
function missingStream(facts: Facts): Found | undefined {
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
  const isDeclared = declared?.intervalMs !== undefined && declared.streams.includes(stream)
  if (isDeclared && !isPast) return waitedMs > silentAfterMs({ intervalMs: declared.intervalMs })
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

const endOf = ({ events }: Facts) => events.findLast(({ kind }) => kind === 'disconnected')

const isQuiet = (facts: Facts) => facts.heardAt === undefined || facts.now - facts.heardAt > silentAfterMs(facts)

/** Who says goodbye may come and go for each message. */
function hasGone(facts: Facts): boolean {
  const end = endOf(facts)
  const isCutOff = end !== undefined && end.code !== 'left'
  return !facts.online && (isCutOff || facts.edgeNode !== undefined || isQuiet(facts))
}

/** It was here, and is not. */
const hasEnded = (facts: Facts) => !facts.online && (facts.since !== undefined || endOf(facts) !== undefined)

/** Undefined while it sends. `at`: when it last sent something that was not taken. */
function beforeEnd(facts: Facts, at = 0): string | undefined {
  if (!hasEnded(facts)) return isLongSilent(facts, at) ? 'before it fell silent' : undefined
  if (facts.edgeNode !== undefined) return 'before it was offline'
  return endOf(facts)?.code === 'left' ? 'before it left' : 'before its connection ended'
}

const isLongSilent = (facts: Facts, at = 0) => facts.now - Math.max(at, facts.heardAt ?? 0) > recentMs(facts)

/** The parameter of history with which its readings of the last minutes are found. */
function wideEnough(now: number, clockOffsetMs: number): string {
  const time = (ms: number) => new Date(ms).toISOString().replace(/:\d\d\.\d+Z$/, 'Z')
  const readingsAt = now - clockOffsetMs
  return clockOffsetMs < 0 ? `to=${time(readingsAt + RECENT_MS)}` : `from=${time(readingsAt - RECENT_MS)}`
}

function clock({ device, now, clockOffsetMs = 0 }: Facts): Found | undefined {
  if (Math.abs(clockOffsetMs) <= CLOCK_OFFSET_MS_MIN) return undefined
  const isAhead = clockOffsetMs < 0
  const off = duration(Math.abs(clockOffsetMs))
  return {
    cause: isAhead ? 'clock-ahead' : 'clock-behind',
    sentence: `the clock of ${device} is ${off} ${isAhead ? 'ahead' : 'behind'}: its readings are stored with times that are ${off} too ${isAhead ? 'late' : 'early'}`,
    mend: `${mendOf(isAhead ? 'clock-ahead' : 'clock-behind')}, such as ${wideEnough(now, clockOffsetMs)}`,
  }
}

function repeats(facts: Facts): Found | undefined {
  const { device, now, receipts } = facts
  if (receipts?.supersededAt === undefined || isOver(facts, receipts.supersededAt)) return undefined
  const { superseded, supersededAt, readings, lastStoredAt = 0 } = receipts
  // It goes on, and well.
  if (supersededAt < lastStoredAt && now - supersededAt > recentMs(facts)) return undefined
  const before = beforeEnd(facts)
  const gives =
    before === undefined ? 'gives several readings the same time' : `gave several readings the same time ${before}`
  return {
    cause: 'repeats-times',
    sentence: `${device} ${gives}; only the last of each time is kept: ${superseded} of ${count(readings, 'reading')} were replaced, the newest ${since(supersededAt, now, '')}`,
    mend: mendOf('repeats-times'),
  }
}

function tooFast(facts: Facts): Found | undefined {
  const { device, now, events } = facts
  const slowed = events.findLast(({ kind }) => kind === 'slowed')
  if (slowed === undefined || now - slowed.at > recentMs(facts) || isOver(facts, slowed.at)) return undefined
  const before = beforeEnd(facts)
  const may = slowed.text.replace(/^this device may publish | \(TELLTALE_\w+\)/g, '')
  const what =
    before === undefined
      ? `sends more than it may (${may}), and is read from more slowly`
      : `sent more than it may (${may}) ${before}, and was read from more slowly`
  // What waited with QoS 0 when its connection ended.
  const lost = events.findLast(
    ({ kind, code, at }) => kind === 'dropped' && code === 'rate-limited' && at >= slowed.firstAt,
  )
  const losing = lost === undefined ? 'nothing is lost' : 'what waited with QoS 0 when its connection ended is lost'
  return { cause: 'too-fast', sentence: `${device} ${what}; ${losing}`, mend: mendOf('too-fast') }
}

function wellOf(facts: Facts): string {
  const { device, now, online, heardAt, intervalMs } = facts
  const every = intervalMs === undefined ? '' : `, one every ${interval(intervalMs)}`
  const last = heardAt === undefined ? '' : `: its last message came ${since(heardAt, now, '')}${every}`
  if (online) return `all is well with ${device}${last}`
  return `all is well with ${device}, which is not connected just now${last}`
}

/** It was so on a connection before the one that it has: whatever was mended was so then. */
function isOver({ online, events, receipts }: Facts, at: number): boolean {
  const connected = events.findLast(({ kind }) => kind === 'connected')
  if (connected === undefined || at >= connected.at) return false
  return online || (receipts?.lastStoredAt ?? 0) >= connected.at
}

/** Something right came after it, or it has come back and had the time to do it again. */
const isMended = (facts: Facts, at: number, rightAt: number) =>
  isOver(facts, at) && (rightAt > at || sendsNothing(facts) !== undefined)

const recentMs = (facts: Facts) => Math.max(RECENT_MS, silentAfterMs(facts))

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
