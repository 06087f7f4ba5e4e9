/**
 * Owns `--verify`: what became of every message of a run, by its folder and by asking the platform: the store, the dead letters, what came
 * live, the books; of one at another broker by what came at a subscriber. Always true: it only reads, and asks again while the platform is away; the same folder and the same platform give the
 * same answer. Bound: about 150 bytes a message (`sent.ts`), and a page of history.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../../platform/clock.ts'
import { messageOf } from '../../../platform/errors.ts'
import { checkKeptFiles } from '../kept/kept-files.ts'
import type { RunRecord } from '../kept/run-folder.ts'
import { LATE, type Verification } from '../report/summary.ts'
import { SimulatorError } from '../simulator-error.ts'
import { verifyAtBroker } from './at-broker.ts'
import { type Books, type BooksAfter, caughtUp, checkPlatform, compareBooks, type Shown } from './books.ts'
import { hasOthers, judgeDeviceLedgers, readDeviceLedgers } from './device-books.ts'
import { outcomesOf } from './fault-outcomes.ts'
import { Findings } from './findings.ts'
import { GatewayApi } from './gateway-api.ts'
import { readHistory, type StreamOfStore, streamsOf, tagsOf } from './history.ts'
import { lettersSince, type Matched, matchLetters, payloadFrom, type Until } from './letters.ts'
import { judgeLive } from './live.ts'
import { type LiveAccount, LiveLook } from './live-look.ts'
import { Places } from './places.ts'
import { type Reconciled, reconcile } from './reconcile.ts'
import { Sent } from './sent.ts'
import { StoreLook } from './store-look.ts'
import { judgeProbes } from './store-probe.ts'
import type { StoreQuery } from './store-query.ts'
import { Witnesses } from './witnesses.ts'

/** What came later than this is late, unless told. */
export const LATE_MS = 5_000
/** How long no answer, or a store that takes nothing, is borne with, unless told. */
export const PATIENCE_MS = 120_000

/** What was on its way at the end of a run comes so much later at most. */
const ON_ITS_WAY_MS = 5_000

export interface VerifyOptions {
  /** The run folder. */
  readonly directory: string
  /** Of the gateway; by default the one in `run.json`. */
  readonly gateway?: string | undefined
  readonly lateMs?: number
  readonly patienceMs?: number
  /** Nobody else can have sent the like since. */
  readonly isJustOver?: boolean
  /** How long it is waited for what is neither stored nor set aside, if none of it goes on; `patienceMs` unless told. */
  readonly catchUpMs?: number
}

export interface VerifyDeps {
  /** For an app that may read all the run's readings and dead letters; '' where authentication is off. */
  readonly token: () => Promise<string>
  readonly clock: Clock
  /** The store itself, besides history. */
  readonly store?: StoreQuery | undefined
  readonly signal?: AbortSignal | undefined
  /** What is being done, for a person. */
  readonly onStep?: (step: string) => void
  /** What is waited for, in a sentence; undefined when it has come. */
  readonly onWaiting?: (what: string | undefined) => void
}

/** Throws a `SimulatorError`: `bad-run`, `unreachable`, `refused`. */
export async function verifyRun(options: VerifyOptions, deps: VerifyDeps): Promise<Verification> {
  const run = readRunRecord(options.directory)
  const url = options.gateway ?? run.gateway
  deps.onStep?.('reading what was sent')
  checkKeptFiles(options.directory, run)
  const sent = await Sent.read(options.directory)
  if (url === undefined) {
    deps.onStep?.('comparing what came at the subscriber')
    return verifyAtBroker({ directory: options.directory, run, lateMs: options.lateMs ?? LATE_MS }, sent)
  }
  const gateway = new GatewayApi({ url: url.replace(/\/$/, ''), patienceMs: options.patienceMs ?? PATIENCE_MS }, deps)
  return new Verifier({ ...options, run }, { ...deps, sent, gateway }).verify()
}

export function readRunRecord(directory: string): RunRecord {
  let run: RunRecord | null
  try {
    run = JSON.parse(readFileSync(join(directory, 'run.json'), 'utf8')) as RunRecord | null
  } catch (cause) {
    throw new SimulatorError('bad-run', `${directory} is no run folder: ${messageOf(cause)}`, { cause })
  }
  if (typeof run?.beganAt === 'number') return run
  throw new SimulatorError('bad-run', `${directory} is no run folder: run.json does not say when the run began`)
}

interface VerifierOptions extends VerifyOptions {
  readonly run: RunRecord
}

interface VerifierDeps extends VerifyDeps {
  readonly sent: Sent
  readonly gateway: GatewayApi
}

class Verifier {
  readonly #options: VerifierOptions
  readonly #deps: VerifierDeps
  readonly #findings = new Findings()
  readonly #places: Places
  readonly #asked: string[] = []

  constructor(options: VerifierOptions, deps: VerifierDeps) {
    this.#options = options
    this.#deps = deps
    this.#places = new Places(deps.sent)
  }

  async verify(): Promise<Verification> {
    const { sent, gateway, clock, onStep, onWaiting } = this.#deps
    const { directory, run, patienceMs = PATIENCE_MS, catchUpMs = patienceMs, lateMs = LATE_MS } = this.#options
    const findings = this.#findings
    onStep?.('waiting until the platform has caught up')
    const books = await caughtUp(gateway, { patienceMs: catchUpMs, clock, findings, onWaiting })
    checkPlatform(run, books, gateway.url)
    onStep?.('comparing the dead letters')
    const matched = await this.#letters()
    onStep?.('comparing the store')
    const streams = await streamsOf(gateway, sent)
    const [history, native] = [await this.#history(streams), await this.#native(streams)]
    onStep?.('comparing what came live')
    // A run at what was not known to be ours has kept messages as they came, and no readings.
    const live =
      run.gateway === undefined
        ? undefined
        : await LiveLook.read(join(directory, 'live.tsv'), { sent, places: this.#places, lateMs })
    const after = (run.booksAfter as Books | undefined) ?? books
    const shown = compareBooks(run.booksBefore as Partial<Books> | undefined, after, sent, matched.setAside)
    const witnesses = new Witnesses({
      sent,
      gateway,
      findings,
      live,
      native: history && native,
      shown,
      hasHistory: history !== undefined,
      isAlone: this.#isAloneSince(books),
    })
    const look = history ?? native
    const reconciled = look && (await this.#store(look, streams, { matched, witnesses }))
    await witnesses.tellUnheld(matched.unheld)
    const liveAccount = live && (await judgeLive(live, { sent, findings, witnesses, run, lateMs, matched, reconciled }))
    judgeProbes(directory, { findings, sent, lateMs })
    await this.#books(shown, books, matched.setAside)
    return this.#verification({ matched, reconciled, live, liveAccount })
  }

  async #letters(): Promise<Matched> {
    const { sent, gateway } = this.#deps
    const { beganAt, booksBefore } = this.#options.run
    const after = (booksBefore as Partial<Books> | undefined)?.newestLetter
    const letters = lettersSince(gateway, { at: beganAt, after, until: this.#until })
    return matchLetters(letters, sent, { findings: this.#findings, payloadOf: payloadFrom(gateway) })
  }

  /** What came to the platform later is of others: a later run of the same devices. */
  get #until(): Until {
    const { run, isJustOver = false } = this.#options
    const { at, newestLetter } = (run.booksAfter ?? {}) as Partial<BooksAfter>
    if (isJustOver || run.endedAt === undefined) return { at: Number.POSITIVE_INFINITY, letter: undefined }
    return { at: at ?? run.endedAt + ON_ITS_WAY_MS, letter: newestLetter }
  }

  /** Whether others may have sent something since the run, which the books of now have, too. */
  #isAloneSince({ accepted }: Books): boolean {
    const { run, isJustOver = false } = this.#options
    return isJustOver || (run.booksAfter as Partial<Books> | undefined)?.accepted === accepted
  }

  /** Undefined if the gateway has no history: of VictoriaMetrics. */
  async #history(streams: readonly StreamOfStore[]): Promise<StoreLook | undefined> {
    const { sent, gateway } = this.#deps
    const devices = namesOf(sent)
    const look = this.#look(streams)
    try {
      for (const stream of streams) {
        for (const span of this.#places.spansOf(sent.streams.add(stream.name))) {
          for await (const reading of readHistory(gateway, { ...span, stream: stream.name, devices, count: sent.rows }))
            look.take(reading)
        }
      }
    } catch (error) {
      if (!(error instanceof SimulatorError) || error.code !== 'no-history' || this.#deps.store === undefined)
        throw error
      return undefined
    }
    this.#asked.push('history')
    return look
  }

  async #native(streams: readonly StreamOfStore[]): Promise<StoreLook | undefined> {
    const { sent, store, signal } = this.#deps
    if (store === undefined) return undefined
    const look = this.#look(streams)
    const devices = namesOf(sent)
    for (const stream of streams) {
      for (const span of this.#places.spansOf(sent.streams.add(stream.name))) {
        for await (const row of store.rows({ ...span, stream, devices }, signal)) look.take(row)
      }
    }
    this.#asked.push(store.language)
    return look
  }

  #look(streams: readonly StreamOfStore[]): StoreLook {
    const tags = new Map(streams.map((stream) => [stream.name, tagsOf(stream)]))
    const { beganAt } = this.#options.run
    return new StoreLook({ beganAt, until: this.#until.at, tags }, { sent: this.#deps.sent, places: this.#places })
  }

  async #store(
    look: StoreLook,
    streams: readonly StreamOfStore[],
    { matched, witnesses }: { readonly matched: Matched; readonly witnesses: Witnesses },
  ): Promise<Reconciled> {
    const { sent } = this.#deps
    const tagged = new Set(streams.filter((each) => tagsOf(each).length > 0).map(({ name }) => sent.streams.add(name)))
    const isSetAside = (message: number) => matched.setAside.has(message)
    const options = { isSetAside, hasTags: (stream: number) => tagged.has(stream) }
    const reconciled = reconcile({ sent, places: this.#places, look }, options)
    await witnesses.tell('missing', reconciled.missing)
    await witnesses.tell('altered', reconciled.altered)
    await witnesses.tell('stale', reconciled.stale)
    await witnesses.tell('twice', reconciled.twice)
    for (const row of reconciled.forbidden) {
      const because = 'it is in the store, though its device may not send it there'
      const example = sent.showRow(row)
      this.#findings.add({ code: 'accepted-though-forbidden', stage: 'broker', because, example })
    }
    if (look.invented > 0) {
      const because = 'rows of its devices and of its time, which it did not send'
      const [example] = look.inventedExamples
      this.#findings.add({ code: 'invented', stage: 'ingest', count: look.invented, because, example })
    }
    return reconciled
  }

  /** What the books have wrong beside what is lost, and told already. */
  async #books({ missing, tooMany }: Shown, after: Books, setAside: ReadonlySet<number>): Promise<void> {
    const { sent, gateway } = this.#deps
    const findings = this.#findings
    const told = findings.count('lost', 'late')
    if (missing > told) {
      const because = 'fewer messages are counted as accepted than were acknowledged, and they are there'
      findings.add({ code: 'unbalanced', stage: 'books', count: missing - told, because })
    }
    const ledgers = await readDeviceLedgers(gateway, sent)
    if (findings.count('lost', 'late', 'not-set-aside') === 0) judgeDeviceLedgers(ledgers, { sent, setAside, findings })
    const more = tooMany - findings.count('accepted-though-forbidden', 'duplicated', 'live-duplicated', 'invented')
    if (more > 0 && this.#isAloneSince(after) && hasOthers(ledgers, after, sent) === false) {
      const because = 'more messages are counted as accepted than were sent, and nobody else has sent any'
      findings.add({ code: 'unbalanced', stage: 'books', count: more, because })
    }
  }

  #verification({ matched, reconciled, live, liveAccount }: Seen): Verification {
    const { sent } = this.#deps
    const findings = this.#findings.all()
    let acknowledged = 0
    for (let message = 0; message < sent.messages; message++) if (sent.isPromised(message)) acknowledged++
    return {
      acknowledged,
      expectedReadings: reconciled?.expected ?? 0,
      stored: reconciled?.stored ?? 0,
      superseded: reconciled?.superseded ?? 0,
      deadLettered: matched.asIntended.size,
      lost: this.#findings.count('lost'),
      duplicated: this.#findings.count('duplicated'),
      altered: this.#findings.count('altered'),
      late: this.#findings.count('late'),
      storedUnacknowledged: reconciled?.storedUnacknowledged.size ?? 0,
      live: {
        expected: liveAccount?.expected ?? 0,
        came: liveAccount?.came ?? 0,
        received: live?.received ?? 0,
        again: liveAccount?.again ?? 0,
        unpromised: liveAccount?.unpromised ?? 0,
        lost: this.#findings.count('live-lost'),
        duplicated: this.#findings.count('live-duplicated'),
        gaps: live?.gaps ?? 0,
      },
      // Of a run that was cut off it may not be known until when the app was there.
      asked: [...this.#asked, 'dead letters', ...(liveAccount && liveAccount.expected > 0 ? ['live'] : []), 'books'],
      faults: reconciled === undefined ? [] : outcomesOf({ sent, matched, reconciled }),
      findings,
      // What is waited for in vain is told as late, too.
      ok: findings.every(({ code }) => LATE.includes(code)) && isAllThere(reconciled),
    }
  }
}

const isAllThere = (reconciled: Reconciled | undefined): boolean =>
  reconciled === undefined || reconciled.stored + reconciled.superseded === reconciled.expected

interface Seen {
  readonly matched: Matched
  readonly reconciled: Reconciled | undefined
  readonly live: LiveLook | undefined
  readonly liveAccount: LiveAccount | undefined
}

function namesOf({ devices }: Sent): string[] {
  return Array.from({ length: devices.count }, (_, device) => devices.text(device))
}
