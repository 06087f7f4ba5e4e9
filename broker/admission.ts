/**
 * Owns the verdict on a PUBLISH, before it is acknowledged: telemetry goes to the log and is accepted once durable, a status
 * goes to the presence records, the rest is dropped, or forwarded if authentication is off.
 *
 *   PUBLISH --> may it be sent? --no--> dropped
 *                   | yes
 *                   +--> append --durable--> accepted
 *                               --refused--> refused
 *
 * Always true: `decided` is called once, never synchronously with an exception, and with `accepted` only when the message is
 * durable. `verdict.ts` says what becomes of it. Bound: what is held is counted in `ReceiveWindow`, which stops the reading;
 * beyond it the log refuses (`LOG_PENDING_BYTES_MAX`).
 */

import type { PublishPacket } from 'aedes'
import type { DeviceTopic } from '../identity/topics.ts'
import type { Appends } from '../log/log.ts'
import type { Clock } from '../platform/clock.ts'
import { FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../platform/limits.ts'
import { Disconnect } from './reports/disconnects.ts'
import type { BrokerMetrics } from './reports/metrics.ts'
import type { Holder, Session } from './session/session.ts'
import type { StatusBoard } from './status-board.ts'
import { ACCEPTED, dropped, refused, type Verdict } from './verdict.ts'

type Decided = (verdict: Verdict) => void
/** Of a topic that is shown to a person. */
const TOPIC_CHARS_SHOWN = 200

export interface AdmissionDependencies {
  readonly log: Appends
  readonly statusBoard: StatusBoard
  readonly clock: Clock
  readonly metrics: BrokerMetrics
}

export class Admission {
  readonly #dependencies: AdmissionDependencies

  constructor(dependencies: AdmissionDependencies) {
    this.#dependencies = dependencies
  }

  admit(session: Session, packet: PublishPacket, decided: Decided): void {
    const { rate } = session
    if (rate?.passes(this.#dependencies.clock.now(), payloadLength(packet)) === false) {
      decided(dropped('rate-limited', `this device may publish ${rate.description}: the message was dropped`))
    } else this.#judge(session, packet, decided)
  }

  /** Whatever the rate: a device that published too much and died is offline all the same. */
  admitWill(session: Session, packet: PublishPacket, decided: Decided): void {
    this.#judge(session, packet, decided)
  }

  #judge(session: Session, packet: PublishPacket, decided: Decided): void {
    const { holder } = session
    const topic = session.topic(packet.topic)
    const bytes = payloadLength(packet)
    if (holder.kind === 'app') decided(refused(new Disconnect('publish-forbidden', 'an app publishes nothing')))
    else if (bytes > PAYLOAD_BYTES_MAX) {
      decided(dropped('payload-too-large', `a payload has ${bytes} bytes: allowed are ${PAYLOAD_BYTES_MAX}`))
    } else if (holder.kind === 'anyone' && topic === undefined) decided(anyonesMessage(packet))
    else if (topic === undefined || !isAllowed(session, topic)) {
      decided(dropped('publish-forbidden', forbidden(packet.topic, holder)))
    } else if (topic.kind === 'telemetry') this.#append(session, topic, packet, decided)
    else if (topic.kind === 'status') this.#keepStatus(session, topic.device, packet, decided)
    else decided(ACCEPTED)
  }

  #append(session: Session, topic: DeviceTopic & { kind: 'telemetry' }, packet: PublishPacket, decided: Decided): void {
    const { log, clock, metrics } = this.#dependencies
    const { device, stream } = topic
    const payload = payloadOf(packet)
    const entry = { device, stream, receivedAt: clock.now(), flags: 0, payload }
    session.receiveWindow.hold(payload.length)
    log.append(entry, (error) => {
      if (error === undefined) metrics.accepted[packet.qos] = (metrics.accepted[packet.qos] ?? 0) + 1
      else metrics.refused('log-refused')
      decided(error === undefined ? ACCEPTED : refused(error))
      session.receiveWindow.release(payload.length)
    })
  }

  #keepStatus(session: Session, device: string, packet: PublishPacket, decided: Decided): void {
    const bytes = payloadLength(packet)
    session.receiveWindow.hold(bytes)
    this.#dependencies.statusBoard.publish(device, packet, (error) => {
      decided(error ? refused(error) : ACCEPTED)
      session.receiveWindow.release(bytes)
    })
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
function anyonesMessage({ topic }: PublishPacket): Verdict {
  return topic.startsWith('$')
    ? refused(new Disconnect('protocol-error', `topic ${topic} is the broker's own`))
    : ACCEPTED
}
