/**
 * Owns what the platform's books say of a run: how many messages it accepted, set aside and wrote between two looks. Always true: where
 * others may have used the platform meanwhile, nothing is concluded from a number that is too large.
 */

import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../../../platform/clock.ts'
import type { RunRecord } from '../kept/run-folder.ts'
import { SimulatorError } from '../simulator-error.ts'
import type { Findings } from './findings.ts'
import type { GatewayApi } from './gateway-api.ts'
import type { Sent } from './sent.ts'

const LOOK_MS = 250
/** What is not there by then is told to be waited for. */
const TOLD_MS = 3_000

/** Messages, but for `readings`. */
export interface Books {
  readonly accepted: number
  readonly stored: number
  readonly deadLettered: number
  readonly pending: number
  readonly readings: number
  readonly balanced: boolean
  /** The number of the newest dead letter; 0 if there is none. */
  readonly newestLetter: number
}

/** What `run.json` keeps of the time before the first message (`booksBefore`). */
export async function readBooks(gateway: GatewayApi): Promise<Books> {
  const ledger = await gateway.get<Omit<Books, 'newestLetter'>>('/v1/ledger')
  const page = await gateway.get<{ deadLetters: readonly { id: string }[] }>('/v1/deadletters', { limit: 1 })
  return { ...(ledger ?? NOTHING), newestLetter: Number(page?.deadLetters[0]?.id ?? 0) }
}

/** What `run.json` keeps of the time when the platform had caught up with the run (`booksAfter`). */
export interface BooksAfter extends Books {
  /** By the platform's clock, milliseconds since 1970. */
  readonly at: number
}

export async function booksAfter(gateway: GatewayApi): Promise<BooksAfter | undefined> {
  const books = await readBooks(gateway)
  const platform = await gateway.get<{ at: number }>('/v1/platform')
  return platform && { ...books, at: platform.at }
}

/** Throws a `SimulatorError` `bad-run` where the books were larger before the run than they are now: they only ever grow. */
export function checkPlatform(
  { gateway, booksBefore }: Pick<RunRecord, 'gateway' | 'booksBefore'>,
  now: Books,
  url: string,
): void {
  const before = (booksBefore as Partial<Books> | undefined)?.accepted ?? 0
  if (before <= now.accepted) return
  const counted = `it has taken ${now.accepted} messages, and had taken ${before} before the run`
  const right = `right is the one of ${gateway ?? 'the run'}, with its data of then`
  throw new SimulatorError('bad-run', `${url} is not the platform of the run: ${counted}; ${right}`)
}

const NOTHING = { accepted: 0, stored: 0, deadLettered: 0, pending: 0, readings: 0, balanced: true }

/** Waits until all that had been accepted when it was first asked is accounted for, as long as that goes on. */
export async function caughtUp(
  gateway: GatewayApi,
  {
    patienceMs,
    clock,
    findings,
    onWaiting,
  }: {
    readonly patienceMs: number
    readonly clock: Clock
    readonly findings: Findings
    readonly onWaiting?: ((what: string | undefined) => void) | undefined
  },
): Promise<Books> {
  let goal: number | undefined
  let done = -1
  const beganAt = clock.now()
  let movedAt = beganAt
  for (;;) {
    const books = (await gateway.get<Omit<Books, 'newestLetter'>>('/v1/ledger')) ?? NOTHING
    goal ??= books.accepted
    if (!books.balanced) {
      const { accepted, stored, deadLettered, pending } = books
      const because = 'the ledger says itself that it does not balance'
      const example = `accepted ${accepted}, stored ${stored}, deadLettered ${deadLettered}, pending ${pending}`
      findings.add({ code: 'unbalanced', stage: 'books', because, example })
    }
    const accounted = books.stored + books.deadLettered
    if (accounted > done) [done, movedAt] = [accounted, clock.now()]
    const left = goal - accounted
    if (left <= 0) {
      onWaiting?.(undefined)
      return readBooks(gateway)
    }
    if (clock.now() - beganAt >= TOLD_MS)
      onWaiting?.(`${left} messages that the platform has taken are neither stored nor set aside yet`)
    if (clock.now() - movedAt > patienceMs) {
      const { store } = (await gateway.get<{ store?: { away?: { text?: string } } }>('/v1/platform')) ?? {}
      const away =
        store?.away === undefined ? '' : `, and the store is away: ${store.away.text ?? 'it does not answer'}`
      const because = `the log has them, and in ${patienceMs / 1000} s none was stored or set aside${away}`
      findings.add({ code: 'late', stage: store?.away ? 'store' : 'ingest', count: left, because })
      return readBooks(gateway)
    }
    await pause(LOOK_MS)
  }
}

/** What the books show of the messages of a run; undefined where they show nothing. */
export interface Shown {
  readonly accepted: 'all' | 'fewer' | undefined
  readonly written: 'all' | 'fewer' | undefined
  readonly setAside: 'all' | 'fewer' | undefined
  /** By so many messages they have fewer or more than were sent. */
  readonly missing: number
  readonly tooMany: number
}

/** How many there must be, and how many there may be: a message that was not acknowledged may have come, one that was sent again twice. */
interface Span {
  least: number
  most: number
}

export function compareBooks(
  before: Partial<Books> | undefined,
  after: Books,
  sent: Sent,
  setAside: ReadonlySet<number>,
): Shown {
  const nothing = { accepted: undefined, written: undefined, setAside: undefined, missing: 0, tooMany: 0 }
  if (before?.accepted === undefined) return nothing
  const [messages, readings, letters] = [span(), span(), span()]
  for (let message = 0; message < sent.messages; message++) {
    const outcome = sent.outcome(message)
    if (outcome === 'dropped' || sent.isRefused(message)) continue
    const isSetAside = outcome.startsWith('dead:') || setAside.has(message)
    const least = sent.isPromised(message) ? 1 : 0
    const most = sent.times(message)
    add(messages, least, most)
    if (isSetAside) add(letters, least, most)
    else {
      const rows = sent.endRow(message) - sent.firstRow(message)
      add(readings, least * rows, most * rows)
    }
  }
  const accepted = after.accepted - before.accepted
  return {
    accepted: shownBy(accepted, messages),
    written: before.readings === undefined ? undefined : shownBy(after.readings - before.readings, readings),
    setAside:
      before.deadLettered === undefined ? undefined : shownBy(after.deadLettered - before.deadLettered, letters),
    missing: Math.max(0, messages.least - accepted),
    tooMany: Math.max(0, accepted - messages.most),
  }
}

const span = (): Span => ({ least: 0, most: 0 })

function add(to: Span, least: number, most: number): void {
  to.least += least
  to.most += most
}

/** `all` only where the number leaves no doubt. */
function shownBy(counted: number, { least, most }: Span): 'all' | 'fewer' | undefined {
  if (counted < least) return 'fewer'
  return least === most && counted === most ? 'all' : undefined
}
