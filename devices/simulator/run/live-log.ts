/**
 * Owns what came at an app while the run went on: of each reading what it was and when it came (`live.tsv`), and how long after it was due.
 * Always true: what is not of the fleet is left out; a gap that the app was told of is kept where it was. Bound: what waits to be written is
 * `LINES_BYTES_MAX`.
 */

import { closeSync, openSync, writeSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { Timing } from '../fleet/timing.ts'
import { hashOf, rowHash } from '../kept/row-hash.ts'
import type { SimulatorError } from '../simulator-error.ts'
import type { DueTimes } from './due-times.ts'

const LINES_BYTES_MAX = 64 * 1024
const LOOK_MS = 100
/** After the platform has caught up: what it sends comes within so much. */
const QUIET_MS = 1_000
/** What goes on coming for longer is no answer to what was sent. */
const SETTLED_MS_MAX = 30_000
/** What takes longer is told. */
const AWAY_TOLD_MS = 3_000

/** The reason of a gap: the broker knew nothing of the subscriber's session. */
export const FORGOTTEN = 'session-forgotten'

/** An app beside a run. */
export interface LiveWatch {
  /** Resolves when all that is sent from now on will come, or with why it will not; then it is over. */
  start(): Promise<SimulatorError | undefined>
  /** What was sent until now has come, or is on its way; false while it is away, and while it is sent what it missed. */
  readonly isThere: boolean
  /** Idempotent. */
  stop(): Promise<void>
}

export interface LiveReading {
  readonly device: string
  readonly stream: string
  readonly ts: number
  readonly received?: number | undefined
  readonly values: Readonly<Record<string, unknown>>
}

export interface LiveMessage {
  readonly device: string | undefined
  readonly topic: string
  readonly payload: Buffer
  /** With DUP: it may have come before. */
  readonly isAgain: boolean
}

export class LiveLog {
  readonly #dueTimes: DueTimes
  readonly #file: number | undefined
  #lines = ''
  #isClosed = false
  #received = 0
  /** From a message's due time to its coming, since it was taken last. */
  readonly timing = new Timing()

  /** `path`: of `live.tsv`; undefined: nothing is kept. */
  constructor(path: string | undefined, dueTimes: DueTimes) {
    this.#dueTimes = dueTimes
    this.#file = path === undefined ? undefined : openSync(path, 'a')
  }

  /** It came at `at`, milliseconds since 1970. */
  take(at: number, reading: LiveReading): void {
    const { device, stream, ts, received, values } = reading
    if (!this.#dueTimes.has(device)) return
    this.time(at, reading)
    if (this.#file === undefined) return
    this.#add(`${at.toFixed(3)}\t${device}\t${stream}\t${ts}\t${rowHash(values)}\t${received ?? ''}\n`)
  }

  /** As `take`, and nothing is kept of it. */
  time(at: number, { device, stream, ts }: Omit<LiveReading, 'values'>): void {
    if (!this.#dueTimes.has(device)) return
    this.#received++
    const dueAt = this.#dueTimes.of(device, stream, ts)
    if (dueAt !== undefined) this.timing.record(at - dueAt)
  }

  /** A message as it came at a subscriber of a broker that is not ours; `device` if it is known of which it is. */
  message(at: number, { device, topic, payload, isAgain }: LiveMessage): void {
    if (device !== undefined && !this.#dueTimes.has(device)) return
    this.#received++
    if (this.#file === undefined) return
    this.#add(`message\t${at.toFixed(3)}\t${topic}\t${hashOf(payload)}\t${isAgain ? 'dup' : ''}\n`)
  }

  /** `missed` messages are missing, if that is known. */
  gap(at: number, missed: number | null | undefined, reason: string): void {
    this.#lines += `gap\t${at.toFixed(3)}\t${missed ?? ''}\t${reason}\n`
  }

  /** Resolves when the app is there, or has been away for too long; `onWaiting` is told once that this takes a while. */
  async back(watch: Pick<LiveWatch, 'isThere'>, withinMs: number, onWaiting: () => void): Promise<void> {
    for (let waitedMs = 0; !watch.isThere && waitedMs < withinMs; waitedMs += LOOK_MS) {
      if (waitedMs === AWAY_TOLD_MS) onWaiting()
      await pause(LOOK_MS)
    }
  }

  /** Resolves when nothing has come for a while, or something for too long, and what has is written. */
  async settled(): Promise<void> {
    let quietMs = 0
    for (let waitedMs = 0; quietMs < QUIET_MS && waitedMs < SETTLED_MS_MAX; waitedMs += LOOK_MS) {
      const before = this.#received
      await pause(LOOK_MS)
      quietMs = this.#received > before ? 0 : quietMs + LOOK_MS
    }
    this.flush()
  }

  #add(line: string): void {
    this.#lines += line
    if (this.#lines.length >= LINES_BYTES_MAX) this.flush()
  }

  flush(): void {
    const bytes = Buffer.from(this.#lines)
    this.#lines = ''
    if (this.#file === undefined || this.#isClosed) return
    for (let written = 0; written < bytes.length; ) written += writeSync(this.#file, bytes, written)
  }

  close(): void {
    this.flush()
    if (this.#file !== undefined && !this.#isClosed) closeSync(this.#file)
    this.#isClosed = true
  }
}
