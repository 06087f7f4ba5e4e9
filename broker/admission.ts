/**
 * Owns what happens to a PUBLISH before it is acknowledged: telemetry goes to the log and is acknowledged once durable,
 * a status goes to the presence records, the rest is dropped and its sender told, or forwarded if authentication is off.
 *
 *   PUBLISH --> may it be sent? --no--> acknowledged, dropped, counted, told on the errors topic
 *                   | yes
 *                   +--> append, hold the acknowledgement --durable--> acknowledge
 *                                                         --refused--> disconnect, unacknowledged: the device keeps it
 *
 * Always true: the callback is called once, never synchronously with an exception, and without an error only when the
 * message is durable or was dropped for good. Bound: what is held is counted in `Held`, which stops the reading; beyond it
 * the log refuses (`LOG_PENDING_BYTES_MAX`).
 */

import type { PublishPacket } from 'aedes'
import type { DeviceTopic } from '../devices/topics.ts'
import type { Log } from '../log/log.ts'
import type { Clock } from '../platform/clock.ts'
import { PAYLOAD_BYTES_MAX } from '../platform/limits.ts'
import type { ErrorReports } from './error-reports.ts'
import type { BrokerMetrics } from './metrics.ts'
import type { Session } from './session.ts'
import type { StatusBoard } from './status-board.ts'

type Done = (error?: Error | null) => void
type DropCode = 'payload-too-large' | 'publish-forbidden' | 'rate-limited'

export interface AdmissionDependencies {
  readonly log: Log
  readonly statusBoard: StatusBoard
  readonly reports: ErrorReports
  readonly clock: Clock
  readonly metrics: BrokerMetrics
}

export class Admission {
  readonly #dependencies: AdmissionDependencies
  /** Aedes passes the packet that was admitted on to `publish`, and keeps no verdict of ours. */
  readonly #dropped = new WeakSet<PublishPacket>()

  constructor(dependencies: AdmissionDependencies) {
    this.#dependencies = dependencies
  }

  /** Whether `admit` dropped this packet, so that it goes to no subscriber either. */
  wasDropped(packet: PublishPacket): boolean {
    return this.#dropped.has(packet)
  }

  admit(session: Session, packet: PublishPacket, done: Done): void {
    const { holder, rate } = session
    if (holder.kind === 'app') {
      this.#dependencies.metrics.refused('publish-forbidden')
      done(new Error('an app publishes nothing'))
      return
    }
    const topic = session.topic(packet.topic)
    const bytes = payloadLength(packet)
    if (rate !== undefined && !rate.passes(this.#dependencies.clock.now(), bytes)) {
      this.#dropOverRate(session, packet, topic, done)
    } else if (bytes > PAYLOAD_BYTES_MAX) this.#dropTooLarge(session, packet, topic, done)
    else if (holder.kind === 'anyone' && topic === undefined) done(startsWithDollar(packet))
    else if (topic === undefined || !isAllowed(session, topic)) this.#dropForbidden(session, packet, done)
    else if (topic.kind === 'telemetry') this.#append(session, topic, packet, done)
    else if (topic.kind === 'status') this.#keepStatus(session, topic.device, packet, done)
    else done()
  }

  #append(session: Session, topic: DeviceTopic & { kind: 'telemetry' }, packet: PublishPacket, done: Done): void {
    const { log, clock, metrics } = this.#dependencies
    const { device, stream } = topic
    const payload = payloadOf(packet)
    const entry = { device, stream, receivedAt: clock.now(), flags: 0, payload }
    session.held.hold(payload.length)
    log.append(entry, (error) => {
      if (error === undefined) metrics.accepted[packet.qos] = (metrics.accepted[packet.qos] ?? 0) + 1
      else metrics.refused('log-refused')
      done(error)
      session.held.release(payload.length)
    })
  }

  #keepStatus(session: Session, device: string, packet: PublishPacket, done: Done): void {
    const bytes = payloadLength(packet)
    session.held.hold(bytes)
    this.#dependencies.statusBoard.publish(device, packet, (error) => {
      done(error)
      session.held.release(bytes)
    })
  }

  #dropOverRate(session: Session, packet: PublishPacket, topic: DeviceTopic | undefined, done: Done): void {
    const stream = topic?.kind === 'telemetry' ? topic.stream : undefined
    const message = 'more was published than this device may in a second: the message was dropped'
    this.#drop(session, packet, { code: 'rate-limited', message, stream }, done)
  }

  #dropTooLarge(session: Session, packet: PublishPacket, topic: DeviceTopic | undefined, done: Done): void {
    const message = `a payload has ${payloadLength(packet)} bytes: allowed are ${PAYLOAD_BYTES_MAX}`
    const stream = topic?.kind === 'telemetry' ? topic.stream : undefined
    this.#drop(session, packet, { code: 'payload-too-large', message, stream }, done)
  }

  #dropForbidden(session: Session, packet: PublishPacket, done: Done): void {
    const { holder } = session
    const own = holder.kind === 'device' ? holder.device : '<device>'
    const message = `topic ${JSON.stringify(packet.topic.slice(0, 200))} may not be published: allowed are devices/${own}/telemetry/<stream> and devices/${own}/status`
    this.#drop(session, packet, { code: 'publish-forbidden', message, stream: undefined }, done)
  }

  #drop(
    session: Session,
    packet: PublishPacket,
    { code, message, stream }: { code: DropCode; message: string; stream: string | undefined },
    done: Done,
  ): void {
    const { metrics, reports, clock } = this.#dependencies
    this.#dropped.add(packet)
    metrics.refused(code)
    if (session.holder.kind === 'device') {
      reports.report(session.holder.device, { code, message, stream: stream ?? null, at: clock.now() })
    }
    done()
  }
}

function isAllowed(session: Session, topic: DeviceTopic): boolean {
  const { holder } = session
  if (holder.kind === 'anyone') return true
  const isSending = topic.kind === 'telemetry' || topic.kind === 'status'
  return holder.kind === 'device' && isSending && topic.device === holder.device
}

function payloadOf(packet: PublishPacket): Buffer {
  return typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload
}

function payloadLength(packet: PublishPacket): number {
  const { payload } = packet
  return typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length
}

/** `$SYS` and its like are the broker's own; replacing `authorizePublish` took away the guard that Aedes had. */
function startsWithDollar(packet: PublishPacket): Error | null {
  return packet.topic.startsWith('$') ? new Error(`topic ${packet.topic} is the broker's own`) : null
}
