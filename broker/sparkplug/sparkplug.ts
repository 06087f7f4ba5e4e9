/**
 * Owns what becomes of a PUBLISH under `spBv1.0/` (docs/sparkplug.md): telemetry for the log, with what births said of its metrics; a
 * status of an edge node and its devices; or nothing that is kept.
 *
 * Always true: who may publish here is an edge node on its own topics, for itself and its devices, or who speaks for it; what a
 * message means is settled before it is acknowledged. Bounds: those of `EdgeNodes` and `Rebirths`.
 */

import type { ErrorReport } from '../../intake/error-reports.ts'
import { bytesInLog, type Context, inLog, tell } from '../../maps/sparkplug/context.ts'
import { readSparkplug, type SparkplugPayload } from '../../maps/sparkplug/payload.ts'
import {
  deviceIdOf,
  hasReadings,
  isStateTopic,
  nodeIdOf,
  parseSparkplug,
  type SparkplugTopic,
  stateTopic,
} from '../../maps/sparkplug/topic.ts'
import type { Clock } from '../../platform/clock.ts'
import { MAPPED_TOPIC_BYTES_MAX } from '../../platform/limits.ts'
import { TWO_32 } from '../../schemas/protobuf-wire.ts'
import { Rejection } from '../../schemas/reading.ts'
import { READING_AHEAD_MAX_MS } from '../../schemas/values.ts'
import { type ForeignMessage, type ForeignPlace, otherThan, senderOf, speaksFor } from '../session/foreign-topics.ts'
import type { Holder, Session } from '../session/session.ts'
import { type EdgeNode, EdgeNodes, NOTHING_KNOWN, type Publisher } from './edge-nodes.ts'
import type { SparkplugMetrics } from './metrics.ts'
import type { Rebirths } from './rebirths.ts'

export type SparkplugVerdict =
  /** `payload` is as the log has it; `bytes` are too many for it if it is left out. */
  | {
      readonly kind: 'telemetry'
      readonly device: string
      readonly stream: string
      readonly bytes: number
      readonly payload: () => Buffer
    }
  /** Resolves when it is durable. */
  | { readonly kind: 'status'; readonly kept: Promise<unknown> }
  | { readonly kind: 'left' }
  | { readonly kind: 'forbidden'; readonly why: string }

export interface SparkplugDependencies {
  readonly place: (holder: Holder, message: ForeignMessage) => ForeignPlace | undefined
  readonly rebirths: Pick<Rebirths, 'ask' | 'born' | 'gone'>
  /** Keeps, and publishes, whether a device is there; resolves when that is durable. */
  readonly status: (device: string, online: boolean, more: object) => Promise<void>
  readonly report: (device: string, report: ErrorReport) => void
  readonly metrics: SparkplugMetrics
  readonly clock: Clock
}

const LEFT: SparkplugVerdict = { kind: 'left' }
const NO_MESSAGE: SparkplugPayload = { timestamp: undefined, seq: undefined, metrics: [] }

export class Sparkplug {
  readonly #dependencies: SparkplugDependencies
  readonly #nodes: EdgeNodes
  /** This platform, as a host application. */
  readonly #host: string | undefined

  constructor(host: string | undefined, dependencies: SparkplugDependencies) {
    this.#host = host
    this.#dependencies = dependencies
    this.#nodes = new EdgeNodes(dependencies.clock.now())
    dependencies.metrics.observe(() => this.#nodes.count)
  }

  /** `message` is on a topic under `spBv1.0/`. */
  take(session: Session, message: ForeignMessage): SparkplugVerdict {
    const { holder } = session
    const topic = parseSparkplug(message.topic)
    if (topic === undefined || topic.type === 'NCMD' || topic.type === 'DCMD') return this.#other(holder, message.topic)
    const id = nodeIdOf(topic)
    if (!speaksFor(holder, id))
      return { kind: 'forbidden', why: `on this topic only the device ${id} may publish, or who speaks for it` }
    const payload = readSparkplug(message.payload)
    const read = payload instanceof Rejection ? undefined : payload
    if (!hasReadings(topic)) return this.#death(session, topic, read ?? NO_MESSAGE)
    if (message.payload.length === 0) return LEFT
    const place = this.#dependencies.place(holder, message)
    if (place?.kind === 'forbidden') return place
    if (place === undefined)
      return { kind: 'forbidden', why: `its topic has more than ${MAPPED_TOPIC_BYTES_MAX} bytes` }
    if (place.kind === 'unplaced') return { kind: 'forbidden', why: place.why }
    const context = read === undefined ? {} : this.#note(session, topic, read)
    if (place.kind !== 'taken') return LEFT
    const { device, stream } = place
    // Of a device its edge node, even where nobody has to say who he is.
    const sender = holder.kind === 'anyone' ? otherThan(device, id) : senderOf(holder, device)
    const parts = [message.topic, context, message.payload, sender] as const
    return { kind: 'telemetry', device, stream, bytes: bytesInLog(...parts), payload: () => inLog(...parts) }
  }

  /** Whatever the edge nodes of a connection said holds no more: it has ended. */
  ended(session: Session): void {
    for (const id of this.#nodes.ended(session)) {
      this.#dependencies.rebirths.gone(id)
      void this.#dependencies.status(id, false, {})
    }
  }

  /** With authentication off others may be host applications, and command; the state of this one is its own. */
  #other(holder: Holder, topic: string): SparkplugVerdict {
    const isOwnState = this.#host !== undefined && topic === stateTopic(this.#host)
    if (holder.kind === 'anyone' && !isOwnState) return LEFT
    const what = isStateTopic(topic) ? 'the state of a host application' : 'no message of an edge node or a device'
    return { kind: 'forbidden', why: `topic ${JSON.stringify(topic.slice(0, 200))} is ${what}` }
  }

  /** What a birth or data says besides its values. Resolves what its metrics are. */
  #note(session: Session, topic: SparkplugTopic, payload: SparkplugPayload): Context {
    const { type, device } = topic
    if (type === 'NBIRTH') {
      const bdSeq = bdSeqOf(payload)
      const node = this.#nodes.bear(session, nodeIdOf(topic), payload, bdSeq)
      this.#dependencies.rebirths.born(topic)
      void this.#dependencies.status(node.id, true, bdSeq === undefined ? {} : { bdSeq })
      return { ...tieOf(node, payload, this.#dependencies.clock.now()) }
    }
    const node = this.#nodes.born(session, nodeIdOf(topic))
    if (node !== undefined) this.#checkSequence(topic, node, payload)
    if (type === 'DBIRTH' && node !== undefined && device !== undefined) {
      const born = this.#nodes.bearDevice(node, device, deviceIdOf(topic), payload)
      void this.#dependencies.status(born.id, true, {})
    }
    const publisher = device === undefined ? node : node?.devices.get(device)
    const { told, unknown } = tell(payload, publisher?.metrics ?? NOTHING_KNOWN)
    if (publisher?.metrics === undefined || unknown !== undefined || node?.isIncomplete) this.#askRebirth(topic, node)
    const tie = publisher === undefined ? microsOf(payload) : tieOf(publisher, payload, this.#dependencies.clock.now())
    return { ...(told.length > 0 && { m: told }), ...tie }
  }

  #death(session: Session, topic: SparkplugTopic, payload: SparkplugPayload): SparkplugVerdict {
    const node = this.#nodes.born(session, nodeIdOf(topic))
    // Of a connection before: who is there now is not dead.
    if (node === undefined) return LEFT
    if (topic.device === undefined) {
      const bdSeq = bdSeqOf(payload)
      if (bdSeq !== undefined && node.bdSeq !== undefined && bdSeq !== node.bdSeq) return LEFT
      this.#dependencies.rebirths.gone(node.id)
      const gone = this.#nodes.die(node).map((id) => this.#dependencies.status(id, false, {}))
      return { kind: 'status', kept: Promise.all(gone) }
    }
    this.#checkSequence(topic, node, payload)
    this.#nodes.dieDevice(node, topic.device)
    return { kind: 'status', kept: this.#dependencies.status(deviceIdOf(topic), false, {}) }
  }

  #checkSequence(topic: SparkplugTopic, node: EdgeNode, { seq }: SparkplugPayload): void {
    const missing = node.missingBefore(seq)
    if (missing === 0) return
    const { metrics, report, clock } = this.#dependencies
    metrics.gap()
    node.isIncomplete = true
    const many = missing === 1 ? 'a message is' : `${missing} messages are`
    const message = `${many} missing before the one of seq ${seq}, or it came out of order; a rebirth is asked for`
    report(node.id, { code: 'sequence-gap', message, stream: null, at: clock.now() })
    this.#askRebirth(topic, node)
  }

  #askRebirth(topic: SparkplugTopic, node: EdgeNode | undefined): void {
    if (node !== undefined) node.isIncomplete = true
    this.#dependencies.rebirths.ask(topic)
  }
}

/** The number of its session that an edge node gives its birth and its death. */
function bdSeqOf({ metrics }: SparkplugPayload): number | undefined {
  const value = metrics.find(({ name }) => name === 'bdSeq')?.value
  return value?.in === 'int' || value?.in === 'long' ? value.high * TWO_32 + value.low : undefined
}

/**
 * What is later than all that it said is told apart by its time; what is not, by microseconds, for it may speak of other metrics, and
 * stores have one point of a time.
 */
function tieOf(publisher: Publisher, payload: SparkplugPayload, now: number): Pick<Context, 't' | 'l'> {
  const before = publisher.latestMs
  let isTied = false
  let isLater = false
  for (const { timestamp = payload.timestamp } of payload.metrics) {
    if (timestamp === undefined) continue
    if (timestamp > before) isLater = true
    else isTied = true
    // One that is further ahead is refused.
    if (timestamp > publisher.latestMs && timestamp <= now + READING_AHEAD_MAX_MS) publisher.latestMs = timestamp
  }
  if (!isTied) return isLater ? {} : microsOf(payload)
  return { ...microsOf(payload), ...(isLater && { l: before }) }
}

const microsOf = ({ seq = 0 }: SparkplugPayload) => ({ t: (seq % 256) + 1 })
