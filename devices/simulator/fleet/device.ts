/**
 * Owns one simulated device: what it sends when, over its connection, and which of its messages are not acknowledged.
 *
 *   idle --connect()--> connected as its connection is --begin()--> sends what is due
 *   any --halt()--> takes no new message --inFlight 0--> idle --close()--> closed
 *
 * Always true: what is due is sent in the order in which it was due, as far as there is room. Bound: `SIMULATOR_IN_FLIGHT_MAX` unacknowledged
 * messages, and the Receive Maximum of a broker of MQTT 5; when full, the next one waits, and its latency counts from when it was due.
 */

import { performance } from 'node:perf_hooks'
import type { Logger } from '../../../platform/logger.ts'
import type { FaultCounts } from '../faults/fault-counts.ts'
import type { Made } from '../faults/message-faults.ts'
import type { NumberedFault } from '../scenario/befallen.ts'
import type { Random } from '../signals/random.ts'
import type { SimulatorError } from '../simulator-error.ts'
import { Connection } from './connection.ts'
import type { Journal } from './journal.ts'
import { type BadTokens, LinkFaults } from './link-faults.ts'
import type { ConnectionOptions } from './mqtt-client.ts'
import type { Sends } from './sender.ts'
import type { Tally } from './tally.ts'
import { Twin } from './twin.ts'

/** Unacknowledged messages of one simulated device; when full, its next message waits. */
const SIMULATOR_IN_FLIGHT_MAX = 64
/** The longest `setTimeout` takes; a longer wait is a chain of these. */
const TIMER_MS_MAX = 2 ** 31 - 1

export interface DeviceDeps {
  readonly senders: readonly Sends[]
  readonly faults: readonly NumberedFault[]
  readonly tally: Tally
  readonly faultCounts: FaultCounts
  readonly journal: Journal
  readonly badTokens: BadTokens
  /** For the jitter of the back-off and of storms only: it does not touch the values. */
  readonly random: Random
  readonly logger: Logger
}

/** Sent, and not acknowledged. */
interface InFlight {
  readonly number: number
  /** `performance.now()` time. */
  readonly dueAt: number
}

export class SimulatedDevice {
  readonly id: string
  readonly connection: Connection
  readonly #deps: DeviceDeps
  readonly #links: LinkFaults
  /** Messages it may send in all. */
  readonly #quota: number
  /** What is due then or later, after the fleet began, is not sent any more. */
  #endMs = Number.POSITIVE_INFINITY
  #hasEnded = false
  #isRefused = false
  #sent = 0
  /** By packet identifier. */
  readonly #inFlight = new Map<number, InFlight>()
  /** QoS 0, not yet written; those of an earlier connection are never. */
  #writing = 0
  #connections = 0
  #inFlightMax = SIMULATOR_IN_FLIGHT_MAX
  /** When the fleet began, `performance.now()` time; Infinity before. */
  #beganAt = Number.POSITIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #isPumping = false
  /** It changes places with the next one. */
  #heldBack: { readonly made: Made; readonly sender: Sends; readonly dueAt: number } | undefined
  /** Called whenever the device may have nothing more to do: the quota is sent, or the last message acknowledged. */
  onIdle: () => void = () => {}
  onRefused: (error: SimulatorError) => void = () => {}

  constructor(options: ConnectionOptions, quota: number, deps: DeviceDeps) {
    this.id = options.id
    this.#quota = quota
    this.#deps = deps
    const { tally, random, logger, journal } = deps
    this.connection = new Connection(
      options,
      { tally, random, logger },
      {
        online: (inFlightMax) => this.#wentOnline(inFlightMax),
        offline: () => this.#wentOffline(),
        refused: (error) => {
          this.#isRefused = true
          clearTimeout(this.#timer)
          this.onRefused(error)
        },
        refusedInDisguise: () => this.#links.refused(),
        admittedInDisguise: () => this.#links.admitted(),
        told: (payload) => tally.error(journal.told(this.id, payload)),
        resent: (messageId) => {
          const message = this.#inFlight.get(messageId)
          if (message !== undefined) journal.resent(message.number)
        },
      },
    )
    this.#links = new LinkFaults(deps.faults, {
      id: this.id,
      connection: this.connection,
      counts: tally.counts,
      faultCounts: deps.faultCounts,
      badTokens: deps.badTokens,
      random,
      twin: (events) => new Twin(options, events),
    })
  }

  /** Everything it was to send has been sent. */
  get isDone(): boolean {
    return this.#sent >= this.#quota || this.#deps.senders.every(({ isOver }) => isOver)
  }

  /** It is there, nothing that it has sent is to be acknowledged (QoS 0: written) any more, and nothing is to be sent. */
  get isIdle(): boolean {
    if (this.#isRefused) return true
    const isAway = this.connection.wasOnline && !this.connection.isOnline
    return !isAway && this.#inFlight.size + this.#writing === 0 && this.waiting() === 0
  }

  /** Messages that are due and not sent. */
  waiting(): number {
    const nowMs = Math.min(this.#endMs, performance.now() - this.#beganAt)
    let count = this.#heldBack === undefined ? 0 : 1
    for (const sender of this.#deps.senders) count += sender.waiting(nowMs)
    return Math.min(count, this.#quota - this.#sent)
  }

  /** Starts publishing what is due since `at` (`performance.now()` time), measured since `startAt` (milliseconds since 1970), until `endMs`. */
  begin(at: number, { startAt, endMs }: { readonly startAt: number; readonly endMs: number }): void {
    this.#beganAt = at
    this.#endMs = endMs
    for (const sender of this.#deps.senders) sender.startAt = startAt
    this.#links.start(performance.now() - at)
    this.#pump()
  }

  /** It has more to send than it knew. */
  look(): void {
    this.#pump()
  }

  /** From now on this befalls it, too. */
  befall(fault: NumberedFault): void {
    for (const sender of this.#deps.senders) sender.befall(fault)
    this.#links.add(fault, performance.now() - this.#beganAt)
  }

  /** And from now on no more. */
  relieve(number: number): void {
    for (const sender of this.#deps.senders) sender.relieve(number)
    this.#links.relieve(number)
    this.#pump()
  }

  /** Nothing more is due: it comes back if it is away, and sends what is left. */
  finish(): void {
    this.#endMs = Math.min(this.#endMs, performance.now() - this.#beganAt)
    this.#hasEnded = true
    this.#links.stop()
    this.connection.comeBack()
    this.#pump()
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#links.stop()
    await this.connection.close(this.isIdle)
  }

  #wentOnline(inFlightMax: number): void {
    this.#inFlightMax = Math.min(SIMULATOR_IN_FLIGHT_MAX, inFlightMax)
    this.#connections++
    for (const { source } of this.#deps.senders) {
      for (const birth of source.birth(this.#deps.journal.now())) {
        this.#deps.journal.born(this.id, birth, source)
        this.connection.publish(birth.topic, birth.payload, 0, () => {})
      }
    }
    this.#links.online()
    this.#pump()
    this.onIdle()
  }

  #wentOffline(): void {
    clearTimeout(this.#timer)
    // QoS 0 is never sent again, and the callback of a write that waited for `drain` never comes.
    this.#writing = 0
    this.#links.offline()
    this.onIdle()
  }

  /** Sends what is due, as far as the window allows; called again by the timer, an acknowledgement or a reconnect. */
  #pump(): void {
    // A QoS 0 callback may come while `publish` is still on the stack; and it may be online before it is to begin.
    if (this.#isPumping || this.#beganAt === Number.POSITIVE_INFINITY) return
    this.#isPumping = true
    clearTimeout(this.#timer)
    // Nothing comes behind it that it could wait for.
    if (this.#hasEnded && this.connection.isOnline && this.#hasRoom) this.#sendHeldBack()
    while (this.connection.isOnline && !this.#isRefused && !this.isDone && this.#hasRoom) {
      const nowMs = performance.now() - this.#beganAt
      const [sender, dueMs] = this.#next(nowMs)
      if (sender === undefined || dueMs >= this.#endMs) break
      if (dueMs > nowMs) {
        if (Number.isFinite(dueMs)) this.#sleep(dueMs, nowMs)
        break
      }
      this.#take(sender, dueMs, nowMs)
    }
    this.#isPumping = false
  }

  get #hasRoom(): boolean {
    return this.#inFlight.size + this.#writing < this.#inFlightMax
  }

  #sleep(dueMs: number, nowMs: number): void {
    this.#timer = setTimeout(() => this.#wake(dueMs), Math.min(Math.ceil(dueMs - nowMs), TIMER_MS_MAX))
  }

  #wake(dueMs: number): void {
    const lateMs = performance.now() - this.#beganAt - dueMs
    if (lateMs >= 0) this.#deps.tally.timings.slip.record(lateMs)
    this.#pump()
  }

  /** Which is due first, and when after the fleet began. */
  #next(nowMs: number): readonly [sender: Sends | undefined, dueMs: number] {
    let first: Sends | undefined
    let firstMs = Number.POSITIVE_INFINITY
    for (const sender of this.#deps.senders) {
      const dueMs = sender.dueMs(nowMs)
      if (dueMs >= firstMs) continue
      first = sender
      firstMs = dueMs
    }
    return [first, firstMs]
  }

  #take(sender: Sends, dueMs: number, nowMs: number): void {
    this.#sent++
    const made = sender.take(dueMs, nowMs)
    const dueAt = this.#beganAt + (sender.sending.everyMs === 0 ? nowMs : dueMs)
    const isLast = this.isDone || this.#hasEnded
    if (made.fault?.fault.kind === 'reordering' && this.#heldBack === undefined && !isLast) {
      this.#heldBack = { made, sender, dueAt }
      return
    }
    this.#send(made, sender, dueAt)
    this.#sendHeldBack()
  }

  #sendHeldBack(): void {
    const held = this.#heldBack
    this.#heldBack = undefined
    if (held !== undefined) this.#send(held.made, held.sender, held.dueAt)
  }

  #send(made: Made, { sending, source }: Sends, dueAt: number): void {
    const { tally, journal, faultCounts } = this.#deps
    const { counts } = tally
    const { qos, batch } = sending
    const { topic, payload, fault } = made
    const number = journal.sent({ device: this.id, qos, dueAt, made, source })
    if (fault !== undefined) faultCounts.did(fault.number)
    counts.sent++
    counts.readings += batch
    if (qos > 0) counts.toAcknowledge++
    else this.#writing++
    const connection = this.#connections
    let isOver = false
    const messageId = this.connection.publish(topic, payload, qos, (code) => {
      isOver = true
      if (qos > 0) {
        this.#inFlight.delete(messageId)
        counts.acknowledged++
        tally.timings.puback.record(performance.now() - dueAt)
        journal.acknowledged(number, code)
      } else if (connection === this.#connections && this.#writing > 0) this.#writing--
      this.#pump()
      if (this.isDone || this.#hasEnded) this.onIdle()
    })
    if (qos === 0 || isOver) return
    this.#inFlight.set(messageId, { number, dueAt })
    if (fault?.fault.kind === 'duplicates') this.connection.repeat(topic, payload, qos, messageId)
  }
}
