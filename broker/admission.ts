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
 * message is durable or was dropped for good. Bound: what is held is counted in `ReceiveWindow`, which stops the reading; beyond it
 * the log refuses (`LOG_PENDING_BYTES_MAX`).
 */

import type { PublishPacket } from 'aedes'
import type { DeviceTopic } from '../identity/topics.ts'
import type { Entries } from '../log/log.ts'
import type { Clock } from '../platform/clock.ts'
import { FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../platform/limits.ts'
import { Disconnect } from './reports/disconnects.ts'
import type { ErrorReports } from './reports/error-reports.ts'
import type { BrokerMetrics } from './reports/metrics.ts'
import type { ThrottledLines } from './reports/throttled-lines.ts'
import type { Holder, Session } from './session/session.ts'
import type { StatusBoard } from './status-board.ts'

type Done = (error?: Error | null) => void
/** Of a topic that is shown to a person. */
const TOPIC_CHARS_SHOWN = 200

type DropCode = 'payload-too-large' | 'publish-forbidden' | 'rate-limited'

export interface AdmissionDependencies {
  readonly log: Pick<Entries, 'append'>
  readonly statusBoard: StatusBoard
  readonly reports: ErrorReports
  readonly clock: Clock
  readonly metrics: BrokerMetrics
  readonly lines: ThrottledLines
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
    const { rate } = session
    if (rate?.passes(this.#dependencies.clock.now(), payloadLength(packet)) === false) {
      const message = `this device may publish ${rate.description}: the message was dropped`
      this.#drop(session, packet, { code: 'rate-limited', message }, done)
    } else this.admitWill(session, packet, done)
  }

  /** As `admit`, whatever the rate: a device that published too much and died is offline all the same. */
  admitWill(session: Session, packet: PublishPacket, done: Done): void {
    const { holder } = session
    const topic = session.topic(packet.topic)
    const bytes = payloadLength(packet)
    if (holder.kind === 'app') done(new Disconnect('publish-forbidden', 'an app publishes nothing'))
    else if (bytes > PAYLOAD_BYTES_MAX) {
      const message = `a payload has ${bytes} bytes: allowed are ${PAYLOAD_BYTES_MAX}`
      this.#drop(session, packet, { code: 'payload-too-large', message }, done)
    } else if (holder.kind === 'anyone' && topic === undefined) done(startsWithDollar(packet))
    else if (topic === undefined || !isAllowed(session, topic)) {
      this.#drop(session, packet, { code: 'publish-forbidden', message: forbidden(packet.topic, holder) }, done)
    } else if (topic.kind === 'telemetry') this.#append(session, topic, packet, done)
    else if (topic.kind === 'status') this.#keepStatus(session, topic.device, packet, done)
    else done()
  }

  #append(session: Session, topic: DeviceTopic & { kind: 'telemetry' }, packet: PublishPacket, done: Done): void {
    const { log, clock, metrics } = this.#dependencies
    const { device, stream } = topic
    const payload = payloadOf(packet)
    const entry = { device, stream, receivedAt: clock.now(), flags: 0, payload }
    session.receiveWindow.hold(payload.length)
    log.append(entry, (error) => {
      if (error === undefined) metrics.accepted[packet.qos] = (metrics.accepted[packet.qos] ?? 0) + 1
      else metrics.refused('log-refused')
      done(error)
      session.receiveWindow.release(payload.length)
    })
  }

  #keepStatus(session: Session, device: string, packet: PublishPacket, done: Done): void {
    const bytes = payloadLength(packet)
    session.receiveWindow.hold(bytes)
    this.#dependencies.statusBoard.publish(device, packet, (error) => {
      done(error)
      session.receiveWindow.release(bytes)
    })
  }

  /** Acknowledged and gone: whoever sent it is told, and so is whoever looks for it. */
  #drop(
    session: Session,
    packet: PublishPacket,
    { code, message }: { readonly code: DropCode; readonly message: string },
    done: Done,
  ): void {
    const { metrics, reports, clock, lines } = this.#dependencies
    const { holder } = session
    const topic = session.topic(packet.topic)
    const device = holder.kind === 'device' ? holder.device : topic?.device
    this.#dropped.add(packet)
    metrics.refused(code)
    lines.say(`a message was acknowledged and dropped: ${message}`, { client: device ?? '', reason: code })
    if (device !== undefined) {
      // A stream that the device may not write to is none of its own.
      const stream = topic?.kind === 'telemetry' && code !== 'publish-forbidden' ? topic.stream : null
      reports.report(device, { code, message, stream, at: clock.now() })
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

/** Of a packet that is larger than any may be, nothing but its length was kept. */
function payloadLength(packet: PublishPacket): number {
  const { payload, length = 0 } = packet as PublishPacket & { readonly length?: number }
  if (length > FRAME_BYTES_MAX) return length
  return typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length
}

function forbidden(topic: string, holder: Holder): string {
  const own = holder.kind === 'device' ? holder.device : '<device>'
  const shown = JSON.stringify(topic.slice(0, TOPIC_CHARS_SHOWN))
  return `topic ${shown} may not be published: allowed are devices/${own}/telemetry/<stream>, a stream being a-z, 0-9 and _, and devices/${own}/status`
}

/** `$SYS` and its like are the broker's own; replacing `authorizePublish` took away the guard that Aedes had. */
function startsWithDollar(packet: PublishPacket): Error | null {
  return packet.topic.startsWith('$') ? new Error(`topic ${packet.topic} is the broker's own`) : null
}
