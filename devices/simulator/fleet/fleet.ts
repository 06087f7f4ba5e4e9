/**
 * Owns the devices of one process of a run, from the first connection to the last acknowledgement.
 *
 *   connect() (bounded, spread over the ramp) -> begin() -> drain() (to a deadline) -> close()
 *
 * Always true: what is counted as acknowledged was acknowledged by the broker; each message is counted once however often it was resent.
 * Bound: `SIMULATOR_CONNECTING_MAX` devices connect at once, `SIMULATOR_CONNECTS_PER_SECOND_MAX` a second.
 */

import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import { messageOf } from '../../../platform/errors.ts'
import type { Logger } from '../../../platform/logger.ts'
import { type FaultCount, FaultCounts } from '../faults/fault-counts.ts'
import type { SimulatorSchemas } from '../messages/simulator-schemas.ts'
import { sourceOf } from '../messages/source.ts'
import { Replay } from '../replay/replay-source.ts'
import { befallenBy } from '../scenario/befallen.ts'
import type { FaultKind } from '../scenario/fault.ts'
import { deviceName, devicesOf, type Group, type Scenario } from '../scenario/scenario.ts'
import { seededRandom } from '../signals/random.ts'
import { SimulatorError } from '../simulator-error.ts'
import { SimulatedDevice } from './device.ts'
import type { Journal } from './journal.ts'
import { NoBroker } from './no-broker.ts'
import { feedReplay } from './replay-feed.ts'
import { ReplaySender } from './replay-sender.ts'
import { Sender, type Sends } from './sender.ts'
import { type Share, Tally } from './tally.ts'
import { type TlsFileNames, TlsFiles } from './tls-files.ts'
import { errorText, hintOf } from './unreachable.ts'

/** Simulated devices between CONNECT and CONNACK; when full, the next device waits. */
const SIMULATOR_CONNECTING_MAX = 50
/** Connections a second that a run opens at its start. */
const SIMULATOR_CONNECTS_PER_SECOND_MAX = 500
/** If not even TCP has answered any device by then, there is nobody to talk to. */
const SIMULATOR_NOBODY_MS = 2_500
const LOOK_MS = 100
/** All devices have to be connected by then, on top of the time their spread starts take; else the run fails. */
const SIMULATOR_CONNECT_DEADLINE_MS = 15_000
/** The longest `setTimeout` takes; a longer wait is a chain of these. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** Chance for back-offs and for faults, apart from the values': a reconnect must not change what a device measures. */
const BACK_OFF_STREAM = 0x8000_0000
const FAULT_STREAM = 0xc000_0000

export interface FleetOptions {
  readonly scenario: Scenario
  readonly url: string
  readonly tls: TlsFileNames
  /** Which of how many processes this is: it has every device whose index leaves this rest. */
  readonly part: { readonly index: number; readonly of: number }
}

/** How devices show who they are. */
export interface Credentials {
  /** The token that a device shows as its MQTT password. */
  good(device: string): Promise<string>
  /** Tokens that it must not be let in with. */
  expired(device: string): Promise<string>
  revoked(device: string): Promise<string>
}

export interface FleetDeps {
  readonly schemas: SimulatorSchemas
  readonly credentials: Credentials
  readonly journal: Journal
  readonly logger: Logger
}

/** What a fleet tells of itself, once a second. */
export interface FleetShare extends Share {
  readonly faults: readonly FaultCount[]
  /** Messages that are due and not sent. */
  readonly waiting: number
}

export class Fleet {
  readonly #options: FleetOptions
  readonly #deps: FleetDeps
  readonly #tally = new Tally()
  readonly #faultCounts: FaultCounts
  readonly #tlsFiles: TlsFiles
  #devices: readonly SimulatedDevice[] = []
  /** Of a run that sends what was recorded. */
  #replaying: { readonly replay: Replay; readonly senders: Map<string, ReplaySender> } | undefined
  /** `performance.now()` time. */
  #beganAt = 0
  #startAt = 0
  #refusal: SimulatorError | undefined
  #wake: () => void = () => {}

  constructor(options: FleetOptions, deps: FleetDeps) {
    this.#options = options
    this.#deps = deps
    this.#faultCounts = new FaultCounts(options.scenario.faults.length)
    this.#tlsFiles = new TlsFiles(options.tls)
  }

  /**
   * Makes the devices. Throws a `SimulatorError`: what cannot be drawn or written shows before anything connects.
   */
  async prepare(): Promise<void> {
    const { scenario, part } = this.#options
    const { replay } = scenario
    if (replay !== undefined) {
      const [format] = scenario.fleet.flatMap(({ sends }) => sends.map((sending) => sending.format))
      const options = { ...replay, format: format === 'json' ? ('json' as const) : ('avro' as const) }
      this.#replaying = { replay: await Replay.open(options, this.#deps.schemas.registry), senders: new Map() }
    }
    const befallen = befallenBy(scenario)
    const making: Promise<SimulatedDevice>[] = []
    let index = 0
    for (const group of scenario.fleet) {
      for (let inGroup = 0; inGroup < group.devices; inGroup++, index++) {
        if (index % part.of === part.index) making.push(this.#makeDevice(group, inGroup, index, befallen(index)))
      }
    }
    this.#devices = await Promise.all(making)
  }

  /**
   * Resolves when every device has been connected once; with a ramp, when every device has begun to try. Throws `refused`, or `unreachable`:
   * when nobody answers, or without a ramp after the deadline.
   */
  async connect(signal: AbortSignal): Promise<void> {
    const isRamped = this.#options.scenario.rampMs > 0
    const startedAt = performance.now()
    const nobodyBy = startedAt + SIMULATOR_NOBODY_MS
    const deadline = startedAt + SIMULATOR_CONNECT_DEADLINE_MS + this.#connectAt(this.#devices.length)
    const connecting = new Set<Promise<void>>()
    const isNobody = () =>
      performance.now() >= nobodyBy && this.#devices.every(({ connection }) => connection.isUnanswered)
    const isLate = () => !isRamped && performance.now() >= deadline
    const over = () => signal.aborted || this.#refusal !== undefined || isNobody() || isLate()
    const changed = (until: number) => this.#changed(until, signal)
    for (const [index, device] of this.#devices.entries()) {
      const dueAt = startedAt + this.#connectAt(index)
      while (dueAt > performance.now() && !over()) await changed(Math.min(dueAt, performance.now() + LOOK_MS))
      // A ramp is a schedule, which a slow broker does not slow down.
      while (!isRamped && connecting.size >= SIMULATOR_CONNECTING_MAX && !over())
        await changed(performance.now() + LOOK_MS)
      if (over()) break
      const connected = device.connection.open().finally(() => {
        connecting.delete(connected)
        this.#wake()
      })
      connecting.add(connected)
      // On a busy machine it is late for each device: what has come is taken all the same, or nobody would seem to answer.
      await setImmediate()
    }
    const isWaiting = () => connecting.size > 0 && (!isRamped || performance.now() < nobodyBy)
    while (isWaiting() && !over()) await changed(performance.now() + LOOK_MS)
    if (this.#refusal !== undefined) throw this.#refusal
    if (signal.aborted) return
    if (isNobody() || (!isRamped && this.#devices.some(({ connection }) => !connection.wasOnline)))
      throw this.#unreachable()
  }

  /** `at`: milliseconds since 1970 from which the schedule counts; `startAt`: of what is measured then. */
  begin(at: number, startAt: number): void {
    this.#beganAt = at - performance.timeOrigin
    this.#startAt = startAt
    const endMs = this.#options.scenario.durationMs
    for (const device of this.#devices) device.begin(this.#beganAt, { startAt, endMs })
  }

  /** Gives devices what is recorded of them, until all is read. */
  async #feed(startAt: number, signal: AbortSignal): Promise<void> {
    const { replay, senders } = this.#replaying ?? {}
    if (replay === undefined || senders === undefined) return
    const now = () => performance.now() - this.#beganAt
    await feedReplay({ replay, senders, now, look: (id) => this.device(id)?.look() }, startAt, signal)
  }

  /** Resolves at `until` (milliseconds since 1970), when all is sent, when a device was refused, or the signal is aborted. */
  async publish(until: number, signal: AbortSignal): Promise<void> {
    const deadline = until - performance.timeOrigin
    let done = 0
    // Those before it are done, and stay so: not all are asked each time that one of them is.
    const isDone = () => {
      while (done < this.#devices.length && this.#devices[done]?.isDone) done++
      return done === this.#devices.length
    }
    const over = () => signal.aborted || this.#refusal !== undefined || performance.now() >= deadline || isDone()
    const ended = new AbortController()
    const feeding = this.#feed(this.#startAt, AbortSignal.any([signal, ended.signal]))
    // What cannot be read ends the run.
    const failing = feeding.catch((error: unknown) => {
      this.#refusal ??= error instanceof SimulatorError ? error : new SimulatorError('bad-recording', messageOf(error))
      this.#wake()
    })
    while (!over()) await this.#changed(deadline, signal)
    ended.abort()
    await failing
  }

  /** Sends what was due by now, and waits so long for the outstanding acknowledgements. */
  async drain(ms: number): Promise<void> {
    for (const device of this.#devices) device.finish()
    const deadline = performance.now() + ms
    const never = new AbortController().signal
    let idle = 0
    // Likewise; one that was idle may be away since.
    const isIdle = () => {
      while (idle < this.#devices.length && this.#devices[idle]?.isIdle) idle++
      if (idle < this.#devices.length) return false
      idle = 0
      return this.#devices.every((device) => device.isIdle)
    }
    while (!isIdle() && performance.now() < deadline) await this.#changed(deadline, never)
  }

  async close(): Promise<void> {
    await Promise.all(this.#devices.map((device) => device.close()))
  }

  share(): FleetShare {
    let waiting = 0
    for (const device of this.#devices) waiting += device.waiting()
    return { ...this.#tally.share(), faults: this.#faultCounts.byNumber.map((count) => ({ ...count })), waiting }
  }

  get refusal(): SimulatorError | undefined {
    return this.#refusal
  }

  /** Why no device is connected yet, or most are not any more. */
  get problem(): string | undefined {
    const away = this.#devices.filter(({ connection }) => !connection.isOnline)
    if (this.#wasOnline && away.length * 2 <= this.#devices.length) return undefined
    const error = away.find(({ connection }) => connection.lastError !== undefined)?.connection.lastError
    return error && `cannot connect to ${this.#options.url} (${errorText(error)}), trying again`
  }

  device(id: string): SimulatedDevice | undefined {
    return this.#devices.find((device) => device.id === id)
  }

  get #wasOnline(): boolean {
    return this.#devices.some(({ connection }) => connection.wasOnline)
  }

  async #makeDevice(
    group: Group,
    inGroup: number,
    index: number,
    faults: ReturnType<ReturnType<typeof befallenBy>>,
  ): Promise<SimulatedDevice> {
    const { scenario, url } = this.#options
    const { schemas, credentials, journal, logger } = this.#deps
    const { seed } = scenario
    const id = deviceName(group, inGroup)
    const all = devicesOf(scenario)
    const senders = group.sends.map((sending, number): Sends => {
      const replayed = this.#replaying?.senders
      if (replayed !== undefined) {
        const sender = new ReplaySender(id, sending, schemas)
        replayed.set(id, sender)
        return sender
      }
      const source = sourceOf({ group, sending, device: id, index, seed }, { schemas })
      const spreadMs = (sending.everyMs * index) / all
      const firstMs = (scenario.rampMs * index) / all + spreadMs
      const isTimedByClock = scenario.startAt === undefined
      const random = seededRandom(seed, FAULT_STREAM + index * group.sends.length + number)
      return new Sender({ device: id, sending, firstMs, isTimedByClock }, { source, faults, random })
    })
    const befallenBy = (kind: FaultKind) => faults.some(({ fault }) => fault.kind === kind)
    // Before the good one: with the token all that were issued before it are revoked.
    const revoked = befallenBy('revoked-token') ? await credentials.revoked(id) : undefined
    const expired = befallenBy('expired-token') ? await credentials.expired(id) : undefined
    const options = {
      url,
      tls: this.#tlsFiles.of(id),
      id,
      token: await credentials.good(id),
      mqtt: group.mqtt,
      keepaliveSeconds: group.keepaliveSeconds,
      keepsSession: group.sends.some(({ qos }) => qos === 2),
    }
    const device = new SimulatedDevice(options, quotaOf(scenario, index, all), {
      senders,
      faults,
      tally: this.#tally,
      faultCounts: this.#faultCounts,
      journal,
      badTokens: { expired, revoked },
      random: seededRandom(seed, BACK_OFF_STREAM + index),
      logger,
    })
    device.onIdle = () => this.#wake()
    device.onRefused = (error) => {
      this.#refusal ??= error
      this.#wake()
    }
    return device
  }

  /** When a device of this process connects, after the first: over the ramp, and not faster than may be. */
  #connectAt(index: number): number {
    const { scenario, part } = this.#options
    const fastest = (index * part.of * 1000) / SIMULATOR_CONNECTS_PER_SECOND_MAX
    return Math.max(fastest, (scenario.rampMs * (index * part.of + part.index)) / devicesOf(scenario))
  }

  /** Resolves at `deadline`, when a device calls, or the signal aborts. */
  #changed(deadline: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, Math.max(0, Math.min(Math.ceil(deadline - performance.now()), TIMER_MS_MAX)))
      signal.addEventListener('abort', done)
      this.#wake = done
    })
  }

  #unreachable(): SimulatorError {
    const missing = this.#devices.filter(({ connection }) => !connection.wasOnline)
    const cause = missing.find(({ connection }) => connection.lastError !== undefined)?.connection.lastError
    const why = cause === undefined ? 'no answer' : errorText(cause)
    const message = `${missing.length} of ${this.#devices.length} devices could not connect to ${this.#options.url} (${why})`
    const hint = cause instanceof NoBroker ? '' : `: ${hintOf(cause, this.#options.url)}`
    return new SimulatorError('unreachable', message + hint, { cause })
  }
}

/** Of all messages of the run. */
function quotaOf({ messages }: Scenario, index: number, devices: number): number {
  if (messages === Number.POSITIVE_INFINITY) return messages
  return Math.floor(messages / devices) + (index < messages % devices ? 1 : 0)
}
