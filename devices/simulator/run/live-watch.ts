/**
 * Owns an app beside the run that sees the fleet's readings live, and keeps of each what it was and when it came (`live.tsv`). Always true:
 * it is live before the first message is sent; a gap that it was told of is kept where it was. Bound: what is written at once is
 * `LINES_BYTES_MAX`; one reading is held at a time.
 */

import { closeSync, openSync, writeSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { connect } from '../../../client/client.ts'
import { messageOf } from '../../../platform/errors.ts'
import { Timing } from '../fleet/timing.ts'
import { SimulatorError } from '../simulator-error.ts'
import type { DueTimes } from './due-times.ts'
import { rowHash } from './row-hash.ts'

const LINES_BYTES_MAX = 64 * 1024
/** A subscription has so many filters at most; more streams than that are all streams. */
const FILTERS_MAX = 20
/** A gateway that cannot be reached by then is not there. */
const NOBODY_MS = 2_500
/** One that can be has said by then that all that is sent will come. */
const LIVE_WITHIN_MS = 15_000
const LOOK_MS = 100
/** After the platform has caught up: what it sends comes within so much. */
const QUIET_MS = 1_000

export interface LiveWatchOptions {
  /** Of the gateway. */
  readonly url: string
  readonly token: () => Promise<string>
  readonly streams: readonly string[]
  /** `live.tsv`; undefined: nothing is kept. */
  readonly file: string | undefined
}

export class LiveWatch {
  readonly #options: LiveWatchOptions
  readonly #dueTimes: DueTimes
  readonly #file: number | undefined
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #isStopped = false
  #lines = ''
  /** From a message's due time to its coming, since the last second. */
  readonly timing = new Timing()
  received = 0
  gaps = 0

  constructor(options: LiveWatchOptions, dueTimes: DueTimes) {
    this.#options = options
    this.#dueTimes = dueTimes
    this.#file = options.file === undefined ? undefined : openSync(options.file, 'a')
  }

  /** Resolves when it is live, or with a `SimulatorError` `no-gateway` that says why it is not; then it is over. */
  async start(): Promise<SimulatorError | undefined> {
    const { url } = this.#options
    let lastError: Error | undefined
    const began = performance.now()
    const isNobody = () => performance.now() - began >= (lastError === undefined ? LIVE_WITHIN_MS : NOBODY_MS)
    let looking: NodeJS.Timeout | undefined
    const why = await new Promise<string | undefined>((resolve) => {
      looking = setInterval(() => isNobody() && resolve(lastError?.message ?? 'no answer'), LOOK_MS)
      const failed = (error: Error) => {
        lastError = error
      }
      this.#running = this.#follow(() => resolve(undefined), failed).catch((error) => resolve(messageOf(error)))
    })
    clearInterval(looking)
    if (why === undefined) return undefined
    this.#stopping.abort()
    return new SimulatorError('no-gateway', `no live readings from ${url} (${why})`)
  }

  /** Resolves when nothing has come for a while, and what has is written. */
  async settled(): Promise<void> {
    for (let quietMs = 0, before = this.received; quietMs < QUIET_MS; quietMs += LOOK_MS, before = this.received) {
      await pause(LOOK_MS)
      if (this.received > before) quietMs = 0
    }
    this.flush()
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#stopping.abort()
    await this.#running
    this.flush()
    if (this.#file !== undefined) closeSync(this.#file)
  }

  flush(): void {
    const bytes = Buffer.from(this.#lines)
    this.#lines = ''
    if (this.#file === undefined) return
    for (let written = 0; written < bytes.length; ) written += writeSync(this.#file, bytes, written)
  }

  async #follow(isLive: () => void, failed: (error: Error) => void): Promise<void> {
    const { url, token, streams } = this.#options
    const app = connect(url, { token })
    const filters =
      streams.length > FILTERS_MAX
        ? ['devices/+/telemetry/#']
        : streams.map((stream) => `devices/+/telemetry/${stream}` as const)
    try {
      const onState = (_: string, error?: Error) => {
        if (error !== undefined) failed(error)
      }
      const { signal } = this.#stopping
      for await (const event of app.subscribe(filters, { signal, onState }).events()) {
        const at = performance.timeOrigin + performance.now()
        if (event.type === 'live') isLive()
        else if (event.type === 'gap') this.#gap(at, event)
        else for (const reading of event.readings) this.#take(at, reading)
      }
    } finally {
      app.close()
    }
  }

  #take(at: number, { device, stream, ts, received, values }: LiveReading): void {
    if (!this.#dueTimes.has(device)) return
    this.received++
    const dueAt = this.#dueTimes.of(device, stream, ts)
    if (dueAt !== undefined) this.timing.record(at - dueAt)
    if (this.#file === undefined) return
    this.#lines += `${at.toFixed(3)}\t${device}\t${stream}\t${ts}\t${rowHash(values)}\t${received ?? ''}\n`
    if (this.#lines.length >= LINES_BYTES_MAX) this.flush()
  }

  #gap(at: number, { missed, reason }: { readonly missed?: number | null; readonly reason: string }): void {
    this.gaps++
    this.#lines += `gap\t${at.toFixed(3)}\t${missed ?? ''}\t${reason}\n`
  }
}

interface LiveReading {
  readonly device: string
  readonly stream: string
  readonly ts: number
  readonly received?: number
  readonly values: Readonly<Record<string, unknown>>
}
