/**
 * Owns the verdict on a PUBLISH, before it is acknowledged: telemetry goes to the log and is accepted once durable, a status
 * goes to the presence records, the rest is dropped, or forwarded if authentication is off.
 *
 *   PUBLISH --> is it within the device's rate? --no--> held back until it is
 *                   | yes
 *               may it be sent? --no--> dropped, and told
 *                   | yes
 *               will it be set aside? --yes, and it is asked of telemetry by MQTT 5--> append, with its dead letter
 *                   | no, or not asked                                                    |--durable--> set aside
 *                   +--> append --durable--> accepted                                     '--refused--> refused
 *                               --refused--> refused
 *
 * It knows nothing of how a message was read, nor of who acknowledges it. `intake/verdict.ts` says what becomes of it.
 * Always true: `decided` is called once, never synchronously with an exception, and with `accepted` or `set-aside` only when the message is
 * durable; of two messages it may be called for the later one first (`OrderedAcks`). Bound: what is held is counted in
 * `ReceiveWindow`, which stops the reading; beyond it the log refuses (`LOG_PENDING_BYTES_MAX`).
 */

import type { DeviceTopic } from '../../identity/topics.ts'
import {
  ACCEPTED,
  type DropCode,
  type Dropped,
  dropped,
  keptTooLarge,
  refused,
  setAside,
  shownTopic,
  tooLarge,
  type Verdict,
} from '../../intake/verdict.ts'
import type { NewEntry } from '../../log/entry.ts'
import type { Appends, SetAsideReason } from '../../log/log.ts'
import { isSparkplug } from '../../maps/sparkplug/topic.ts'
import type { Clock } from '../../platform/clock.ts'
import { FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../../platform/limits.ts'
import { FOREIGN, FRAMING_LEVELS_SHOWN, SPARKPLUG } from '../../schemas/content-type.ts'
import { foreignBytes, foreignPayload } from '../../schemas/foreign.ts'
import { CONNECTION_CLOSED, Disconnect } from '../reports/disconnects.ts'
import type { BrokerMetrics, Refusal } from '../reports/metrics.ts'
import { type ForeignTopics, senderOf } from '../session/foreign-topics.ts'
import type { PayloadCheck } from '../session/payload-check.ts'
import type { Holder, Session } from '../session/session.ts'
import { AdmittedTopics, type TelemetryRun } from '../session/telemetry-run.ts'
import type { Sparkplug } from '../sparkplug/sparkplug.ts'
import type { Drops } from './drops.ts'
import type { StatusBoard } from './status-board.ts'

export type Decided = (verdict: Verdict) => void

/** What a PUBLISH says. */
export interface Message {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** What its content type says of a payload of telemetry (`schemas/content-type.ts`); nothing if it is left out. */
  readonly framing?: number
  /** Bytes of its packet; of one that is larger than any may be, the payload was not kept. */
  readonly length?: number
}

export interface AdmissionDependencies {
  readonly log: Appends
  readonly statusBoard: StatusBoard
  /** There are no foreign topics if it is not given. */
  readonly foreign?: ForeignTopics | undefined
  /** Likewise. */
  readonly sparkplug?: Sparkplug | undefined
  readonly drops: Drops
  /** Undefined: no payload is looked at. */
  readonly check?: PayloadCheck | undefined
  readonly clock: Clock
  readonly metrics: BrokerMetrics
}

/** Whose telemetry a message is. */
interface Placed {
  readonly device: string
  readonly stream: string
}

export class Admission {
  readonly #dependencies: AdmissionDependencies

  constructor(dependencies: AdmissionDependencies) {
    this.#dependencies = dependencies
  }

  admit(session: Session, message: Message, decided: Decided): void {
    const { heldBack } = session
    if (heldBack === undefined) {
      this.#judge(session, message, decided)
      return
    }
    const waits = heldBack.take({
      bytes: payloadLength(message),
      pass: () => this.#judge(session, message, decided),
      abandon: () => this.#abandon(session, message, decided),
    })
    if (waits) this.#dependencies.drops.heldBack(heldBack, session)
  }

  /**
   * Counted, and whatever the rate: a device that published too much and died is offline all the same, and its will must not come
   * when it is online again.
   */
  admitWill(session: Session, message: Message, decided: Decided): void {
    session.heldBack?.rate.charge(this.#dependencies.clock.now(), payloadLength(message))
    this.#judge(session, message, decided)
  }

  /**
   * Admits a run: its topic was admitted before on this connection, and `HeldBack.passes` has counted each of its messages. It is
   * accepted as a whole, or refused as a whole, with the error that `done` has.
   */
  admitRun(session: Session, run: TelemetryRun, done: (error?: Error) => void): void {
    const { log, clock, metrics } = this.#dependencies
    const { receiveWindow } = session
    const { count, payloadBytes } = run
    const receivedAt = clock.now()
    run.receivedAt = receivedAt
    receiveWindow.hold(payloadBytes, count)
    log.appendRun(run, (error) => {
      if (error === undefined) metrics.durable(1, clock.now() - receivedAt, count)
      else metrics.refused('log-refused', count)
      done(error)
      receiveWindow.release(payloadBytes, count)
    })
  }

  /** The connection ended while the message waited for its device's rate. */
  #abandon(session: Session, message: Message, decided: Decided): void {
    if (message.qos > 0) decided(refused(new Error(CONNECTION_CLOSED)))
    else {
      const text = `this device may publish ${session.heldBack?.rate.description}, and its connection ended while the message waited`
      this.#drop(session, message, 'rate-limited', text, decided)
    }
  }

  #judge(session: Session, message: Message, decided: Decided): void {
    const { holder } = session
    const topic = session.topic(message.topic)
    const bytes = payloadLength(message)
    if (holder.kind === 'app') this.#refuse(session, message, 'publish-forbidden', 'an app publishes nothing', decided)
    else if (bytes > PAYLOAD_BYTES_MAX) {
      this.#dropAs(tooLarge(bytes), session, message, decided)
    } else if (topic === undefined) this.#judgeForeign(session, message, decided)
    else if (!isAllowed(session, topic)) {
      this.#drop(session, message, 'publish-forbidden', forbidden(message.topic, holder), decided)
    } else if (topic.kind === 'telemetry') {
      session.admittedTopics ??= new AdmittedTopics()
      session.admittedTopics.note(message.topic, topic, session.epochFor(topic.device))
      this.#append(session, topic, message, decided)
    } else if (topic.kind === 'status') this.#keepStatus(session, topic.device, message, decided)
    else decided(ACCEPTED)
  }

  /** What a map takes is telemetry; what it leaves out, and with authentication off whatever has no map, is for subscribers only. */
  #judgeForeign(session: Session, message: Message, decided: Decided): void {
    const { holder } = session
    const { topic } = message
    // `$SYS` and its like; replacing `authorizePublish` took away the guard that Aedes had.
    if (holder.kind === 'anyone' && topic.startsWith('$')) {
      this.#refuse(session, message, 'protocol-error', `topic ${topic} is the broker's own`, decided)
      return
    }
    const { foreign, sparkplug, metrics } = this.#dependencies
    if (sparkplug !== undefined && isSparkplug(topic)) {
      this.#judgeSparkplug(sparkplug, session, message, decided)
      return
    }
    const place = foreign?.place(holder, message)
    metrics.foreign(place?.kind ?? 'unmapped')
    if (place?.kind === 'taken') this.#appendForeign(session, place, message, decided)
    else if (place?.kind === 'left' || (place === undefined && holder.kind === 'anyone')) decided(ACCEPTED)
    else this.#drop(session, message, 'publish-forbidden', place?.why ?? unmapped(topic, holder), decided)
  }

  /** Its topic is kept with it, for the map asks for it, and who sent it for another, who is told if it cannot be read. */
  #appendForeign(session: Session, place: Placed, message: Message, decided: Decided): void {
    const { topic, payload } = message
    const sender = senderOf(session.holder, place.device)
    const bytes = foreignBytes(topic, payload, sender)
    const keep = () => foreignPayload(topic, payload, sender)
    this.#appendKept(session, { ...place, framing: FOREIGN }, message, bytes, keep, decided)
  }

  #judgeSparkplug(sparkplug: Sparkplug, session: Session, message: Message, decided: Decided): void {
    const verdict = sparkplug.take(session, message)
    switch (verdict.kind) {
      case 'telemetry': {
        const { bytes, payload } = verdict
        this.#appendKept(session, { ...verdict, framing: SPARKPLUG }, message, bytes, payload, decided)
        break
      }
      case 'status':
        void verdict.kept.then(() => decided(ACCEPTED))
        break
      case 'left':
        decided(ACCEPTED)
        break
      case 'forbidden':
        this.#drop(session, message, 'publish-forbidden', verdict.why, decided)
    }
  }

  /** What is kept is more than was published, and must be no more than a message may have. */
  #appendKept(
    session: Session,
    { device, stream, framing }: Placed & { readonly framing: number },
    message: Message,
    bytes: number,
    keep: () => Buffer,
    decided: Decided,
  ): void {
    if (bytes <= PAYLOAD_BYTES_MAX) {
      this.#append(session, { device, stream, framing }, { ...message, payload: keep() }, decided)
      return
    }
    this.#dropAs(keptTooLarge(bytes), session, message, decided)
  }

  #append(session: Session, topic: Placed & { readonly framing: number }, message: Message, decided: Decided): void {
    const { log, check, clock, metrics } = this.#dependencies
    const { device, stream } = topic
    const { payload, qos } = message
    const framing = topic.framing || (message.framing ?? 0)
    const receivedAt = clock.now()
    const entry = { device, stream, receivedAt, flags: 0, payload, framing, epoch: session.epochFor(device) }
    session.receiveWindow.hold(payload.length)
    const why = check !== undefined && session.level5 !== undefined && qos > 0 ? check(entry) : undefined
    if (why !== undefined) {
      this.#setAside(session, entry, why, qos, decided)
      return
    }
    log.append(entry, (error) => {
      if (error === undefined) metrics.durable(qos, clock.now() - receivedAt)
      else metrics.refused('log-refused')
      decided(error === undefined ? ACCEPTED : refused(error))
      session.receiveWindow.release(payload.length)
    })
  }

  #setAside(session: Session, entry: NewEntry, why: SetAsideReason, qos: 0 | 1 | 2, decided: Decided): void {
    const { log, clock, metrics } = this.#dependencies
    const { code, reason } = why
    log.appendSetAside(entry, { code, reason }, (error, isSetAside) => {
      if (error === undefined) metrics.durable(qos, clock.now() - entry.receivedAt)
      else metrics.refused('log-refused')
      if (isSetAside) metrics.setAside(code)
      if (error !== undefined) decided(refused(error))
      else decided(isSetAside ? setAside(reason) : ACCEPTED)
      session.receiveWindow.release(entry.payload.byteLength)
    })
  }

  #keepStatus(session: Session, device: string, message: Message, decided: Decided): void {
    const bytes = payloadLength(message)
    session.receiveWindow.hold(bytes)
    this.#dependencies.statusBoard.publish(session, device, message, (error) => {
      decided(error ? refused(error) : ACCEPTED)
      session.receiveWindow.release(bytes)
    })
  }

  /** Its sender made a mistake; who can be told by the acknowledgement is, and any other is disconnected. */
  #refuse(session: Session, message: Message, reason: Refusal, text: string, decided: Decided): void {
    if (session.level5 !== undefined && message.qos > 0)
      this.#drop(session, message, 'publish-forbidden', text, decided)
    else decided(refused(new Disconnect(reason, text)))
  }

  #drop(session: Session, message: Message, code: DropCode, text: string, decided: Decided): void {
    this.#dropAs(dropped(code, text), session, message, decided)
  }

  #dropAs(verdict: Dropped, session: Session, message: Message, decided: Decided): void {
    this.#dependencies.drops.tell(verdict.code, verdict.text, session, message.topic)
    decided(verdict)
  }
}

function isAllowed(session: Session, topic: DeviceTopic): boolean {
  const { holder } = session
  if (holder.kind === 'anyone') return true
  const isSending = topic.kind === 'telemetry' || topic.kind === 'status'
  return holder.kind === 'device' && isSending && topic.device === holder.device
}

function payloadLength({ payload, length = 0 }: Message): number {
  return length > FRAME_BYTES_MAX ? length : payload.length
}

/** What begins as the platform's own topics do was meant to be one. */
function unmapped(topic: string, holder: Holder): string {
  if (topic.startsWith('devices/') || topic.startsWith('$')) return forbidden(topic, holder)
  const own = holder.kind === 'device' ? holder.device : '<device>'
  return `no map takes topic ${shownTopic(topic)}: telltale map propose prints one for what has come; without a map allowed are devices/${own}/telemetry/<stream> and devices/${own}/status`
}

function forbidden(topic: string, holder: Holder): string {
  const own = holder.kind === 'device' ? holder.device : '<device>'
  return `topic ${shownTopic(topic)} may not be published: allowed are devices/${own}/telemetry/<stream>, a stream being a-z, 0-9 and _, with nothing or ${FRAMING_LEVELS_SHOWN} behind it, and devices/${own}/status`
}
