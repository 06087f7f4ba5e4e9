/**
 * Owns one run of a simulated fleet, from the first connection to the summary.
 *
 *   connecting (bounded, spread) -> publishing -> draining (to a deadline) -> closed
 *
 * Publishing ends with the first of: every device has sent its share, the duration is over, the signal is aborted, a
 * device is refused, which the summary says. Always true: what the summary calls acknowledged was acknowledged by the broker; each message is
 * counted once however often it was resent. Bound: `SIMULATOR_CONNECTING_MAX` devices connect at once; what is not
 * acknowledged `drainMs` after the end is reported as unacknowledged.
 */

import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../../platform/clock.ts'
import type { Logger } from '../../platform/logger.ts'
import { SimulatedDevice } from './device.ts'
import { Messages, type SchemaSource } from './messages.ts'
import { deviceName, type SimulatorOptions } from './options.ts'
import { seededRandom } from './signals/random.ts'
import { SimulatorError } from './simulator-error.ts'
import { type Summary, summarize } from './summary.ts'
import { Tally } from './tally.ts'

/** Simulated devices between CONNECT and CONNACK; when full, the next device waits. */
const SIMULATOR_CONNECTING_MAX = 50
/** Connections a second that a simulator opens at its start. */
const SIMULATOR_CONNECTS_PER_SECOND_MAX = 500
/** All devices have to be connected by then, on top of the time their spread starts take; else the run fails. */
const SIMULATOR_CONNECT_DEADLINE_MS = 15_000

export interface SimulatorDeps {
  readonly registry: SchemaSource
  /** The token a device shows as its MQTT password. */
  readonly credentials: (device: string) => Promise<string>
  readonly clock: Clock
  readonly logger: Logger
}

/** What is known of a run while it lasts. */
export interface Snapshot {
  readonly phase: 'connecting' | 'publishing' | 'draining' | 'closed'
  readonly devices: number
  readonly connected: number
  readonly sent: number
  readonly acknowledged: number
  readonly reconnects: number
  readonly errors: number
  /** Milliseconds since the first message was due; 0 before. */
  readonly elapsedMs: number
  /** Why no device is connected yet. */
  readonly problem?: string
}

/** Chance for back-offs, apart from the values': a reconnect must not change what a device measures. */
const BACK_OFF_STREAM = 0x8000_0000

export class Simulator {
  readonly #options: SimulatorOptions
  readonly #deps: SimulatorDeps
  readonly #tally = new Tally()
  #devices: SimulatedDevice[] = []
  #phase: Snapshot['phase'] = 'connecting'
  #beganAt: number | undefined
  #refusal: SimulatorError | undefined
  #wake: () => void = () => {}

  constructor(options: SimulatorOptions, deps: SimulatorDeps) {
    this.#options = options
    this.#deps = deps
  }

  get snapshot(): Snapshot {
    const { connected, sent, acknowledged, reconnects } = this.#tally
    const problem = this.#phase === 'connecting' && connected === 0 ? this.#problem() : undefined
    return {
      phase: this.#phase,
      devices: this.#options.devices,
      connected,
      sent,
      acknowledged,
      reconnects,
      errors: this.#tally.errorCount(),
      elapsedMs: this.#beganAt === undefined ? 0 : performance.now() - this.#beganAt,
      ...(problem !== undefined && { problem }),
    }
  }

  /**
   * Runs to the end; aborting `signal` ends it early, in good order. Once only. Rejects with a `SimulatorError`:
   * `unknown-stream`, `unsupported-field`, `message-too-large`, `refused`, `unreachable`.
   */
  async run(signal: AbortSignal): Promise<Summary> {
    const onAbort = () => this.#wake()
    signal.addEventListener('abort', onAbort)
    try {
      this.#devices = await this.#makeDevices()
      await this.#connect(signal)
      await this.#publish(signal)
      const elapsedMs = await this.#drain()
      return summarize(this.#options, this.#tally, elapsedMs, this.#refusal?.message)
    } finally {
      signal.removeEventListener('abort', onAbort)
      await Promise.all(this.#devices.map((device) => device.close()))
      this.#phase = 'closed'
    }
  }

  async #makeDevices(): Promise<SimulatedDevice[]> {
    const { devices, seed, stream, batch, format, mqtt, qos, url, rate, messages } = this.#options
    const { registry, clock, logger, credentials } = this.#deps
    // A batch that is too large, or a field that cannot be drawn, shows before anything connects.
    new Messages({ stream, seed, batch, format, index: 0 }, { registry, clock }).next()
    const made: SimulatedDevice[] = []
    for (let index = 0; index < devices; index++) {
      const id = deviceName(this.#options, index)
      const share = Math.floor(messages / devices) + (index < messages % devices ? 1 : 0)
      const device = new SimulatedDevice(
        {
          url,
          id,
          token: await credentials(id),
          stream,
          mqtt,
          qos,
          batch,
          messages: messages === Number.POSITIVE_INFINITY ? messages : share,
          intervalMs: rate === 0 ? 0 : 1000 / rate,
        },
        {
          source: new Messages({ stream, seed, batch, format, index }, { registry, clock }),
          tally: this.#tally,
          random: seededRandom(seed, BACK_OFF_STREAM + index),
          logger,
        },
      )
      device.onIdle = () => this.#wake()
      device.onRefused = (error) => {
        this.#refusal ??= error
        this.#wake()
      }
      made.push(device)
    }
    return made
  }

  /** Resolves when every device has been connected once. Throws `refused`, or `unreachable` after the deadline. */
  async #connect(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + SIMULATOR_CONNECT_DEADLINE_MS + this.#connectSpreadMs()
    const connecting = new Set<Promise<void>>()
    const over = () => signal.aborted || this.#refusal !== undefined || performance.now() >= deadline
    const startedAt = performance.now()
    for (const [index, device] of this.#devices.entries()) {
      const dueAt = startedAt + (index * 1000) / SIMULATOR_CONNECTS_PER_SECOND_MAX
      if (dueAt > performance.now()) await delay(Math.ceil(dueAt - performance.now()))
      while (connecting.size >= SIMULATOR_CONNECTING_MAX && !over()) await this.#changed(deadline, connecting)
      if (over()) break
      const connected = device.connect().finally(() => connecting.delete(connected))
      connecting.add(connected)
    }
    while (connecting.size > 0 && !over()) await this.#changed(deadline, connecting)
    this.#throwIfRefused()
    if (!signal.aborted && this.#devices.some((device) => !device.everOnline)) throw this.#unreachable()
  }

  /** At the bounded rate, the last device's turn comes this late. */
  #connectSpreadMs(): number {
    return (this.#options.devices * 1000) / SIMULATOR_CONNECTS_PER_SECOND_MAX
  }

  async #publish(signal: AbortSignal): Promise<void> {
    const { rate, devices, durationMs } = this.#options
    const beganAt = performance.now()
    this.#beganAt = beganAt
    this.#phase = 'publishing'
    const spreadMs = rate === 0 ? 0 : 1000 / rate / devices
    for (const [index, device] of this.#devices.entries()) device.begin(beganAt + index * spreadMs)
    const deadline = beganAt + durationMs
    const over = () =>
      signal.aborted ||
      this.#refusal !== undefined ||
      performance.now() >= deadline ||
      this.#devices.every((device) => device.done)
    while (!over()) await this.#changed(deadline)
  }

  /** Waits for the outstanding acknowledgements; returns the milliseconds from the first message to the last of them. */
  async #drain(): Promise<number> {
    this.#phase = 'draining'
    for (const device of this.#devices) device.halt()
    const deadline = performance.now() + this.#options.drainMs
    const waiting = () => this.#devices.some((device) => device.inFlight > 0 && !device.isRefused)
    while (waiting() && performance.now() < deadline) await this.#changed(deadline)
    return performance.now() - (this.#beganAt ?? performance.now())
  }

  /** Resolves at `deadline`, when a device calls, the signal aborts, or one of `others` settles. */
  #changed(deadline: number, others: Iterable<Promise<void>> = []): Promise<void> {
    return new Promise((resolve) => {
      const wait = Math.min(deadline - performance.now(), TIMER_MAX_MS)
      const timer = setTimeout(resolve, Math.max(0, Math.ceil(wait)))
      const done = () => {
        clearTimeout(timer)
        resolve()
      }
      this.#wake = done
      for (const other of others) other.then(done)
    })
  }

  #throwIfRefused(): void {
    if (this.#refusal !== undefined) throw this.#refusal
  }

  #problem(): string | undefined {
    const error = this.#devices.find((device) => device.lastError !== undefined)?.lastError
    return error && `cannot connect to ${this.#options.url} (${errorText(error)}), trying again`
  }

  #unreachable(): SimulatorError {
    const missing = this.#devices.filter((device) => !device.everOnline)
    const cause = missing.find((device) => device.lastError !== undefined)?.lastError
    const why = cause === undefined ? 'no answer' : errorText(cause)
    const { url, devices } = this.#options
    const message = `${missing.length} of ${devices} devices could not connect to ${url} (${why}): is it up?`
    return new SimulatorError('unreachable', message, { cause })
  }
}

/** The longest `setTimeout` takes; a longer wait is a chain of these. */
const TIMER_MAX_MS = 2 ** 31 - 1

/** Node reports a host that refused on each of its addresses as an `AggregateError` without a message. */
function errorText(error: Error): string {
  return error.message || ('code' in error ? String(error.code) : error.name)
}
