/**
 * Owns telemetry of QoS 1 that came on one topic, message behind message, in one piece of what a client sent: a run. Its messages are
 * known by where their payloads lie in those bytes (and their ids, each as far before its payload), and its topic by its bytes, as
 * one on which telemetry of this connection was admitted before.
 *
 * Always true: who may publish on a topic may do so until the connection ends, for its holder stays who it is; one whose token
 * is revoked is disconnected. Bounds: a run's bytes are those of one turn (`TURN_BYTES_MAX` of `Inbound`), kept until it is
 * acknowledged; `ADMITTED_TOPICS_MAX` topics are known a connection, and a message on one more is looked at anew each time.
 */

import type { PublishPacket } from 'aedes'
import type { DeviceTopic } from '../../identity/topics.ts'
import type { NewRun } from '../../log/entry.ts'

/** A device has a handful of streams. Who publishes for many devices, as a bridge does, has more than these. */
export const ADMITTED_TOPICS_MAX = 16

const PUBACK = 0x40
const PUBACK_BYTES = 4

export interface AdmittedTopic {
  /** ASCII, as every topic of the platform. */
  readonly name: string
  readonly device: string
  readonly stream: string
  /** What it says of the payloads; 0: nothing. */
  readonly framing: number
  /** Of its messages (`NewEntry`). */
  readonly epoch: number
}

export class AdmittedTopics {
  readonly #topics: AdmittedTopic[] = []
  /** The one that was found or noted last: the next message is nearly always on the same. */
  #last: AdmittedTopic | undefined

  note(name: string, { device, stream, framing }: DeviceTopic & { readonly kind: 'telemetry' }, epoch: number): void {
    if (name === this.#last?.name || this.#topics.some((topic) => topic.name === name)) return
    if (this.#topics.length === ADMITTED_TOPICS_MAX) return
    this.#last = { name, device, stream, framing, epoch }
    this.#topics.push(this.#last)
  }

  /** The one that stands at `at`, its length before it, as in a PUBLISH. Where the packet ends is the caller's to look at. */
  at(bytes: Buffer, at: number): AdmittedTopic | undefined {
    if (this.#last !== undefined && standsAt(this.#last, bytes, at)) return this.#last
    for (const topic of this.#topics) {
      if (!standsAt(topic, bytes, at)) continue
      this.#last = topic
      return topic
    }
    return undefined
  }

  named(name: string | undefined): AdmittedTopic | undefined {
    return this.#topics.find((topic) => topic.name === name)
  }
}

/** From the end, for those of one connection begin alike. */
function standsAt({ name }: AdmittedTopic, bytes: Buffer, at: number): boolean {
  const { length } = name
  if (bytes[at + 1] !== length % 0x100 || bytes[at] !== length >> 8) return false
  const start = at + 2
  for (let index = length - 1; index >= 0; index--) {
    if (bytes[start + index] !== name.charCodeAt(index)) return false
  }
  return true
}

export class TelemetryRun implements NewRun {
  readonly topic: AdmittedTopic
  readonly device: string
  readonly stream: string
  /** Set when it is admitted. */
  receivedAt = 0
  readonly epoch: number
  readonly bytes: Buffer
  readonly spans: number[] = []
  payloadBytes = 0
  /** How far before its payload a packet's id stands: in MQTT 5 there are properties between. */
  readonly idBefore: number
  /** What the topic or the content type of its messages says of their payloads; 0: nothing. */
  readonly framing: number

  constructor(topic: AdmittedTopic, bytes: Buffer, idBefore: number, framing: number) {
    this.topic = topic
    this.idBefore = idBefore
    this.framing = framing
    this.device = topic.device
    this.stream = topic.stream
    this.epoch = topic.epoch
    this.bytes = bytes
  }

  get count(): number {
    return this.spans.length / 2
  }

  add(start: number, end: number): void {
    this.spans.push(start, end)
    this.payloadBytes += end - start
  }

  /** The PUBACKs of its messages, in their order. */
  acknowledgements(): Buffer {
    const { bytes, spans, idBefore } = this
    const pubacks = Buffer.allocUnsafe(this.count * PUBACK_BYTES)
    let at = 0
    for (let index = 0; index < spans.length; index += 2) {
      const id = (spans[index] as number) - idBefore
      pubacks[at++] = PUBACK
      pubacks[at++] = 2
      pubacks[at++] = bytes[id] as number
      pubacks[at++] = bytes[id + 1] as number
    }
    return pubacks
  }

  /** Its messages as Aedes hands them to subscribers. */
  packets(): PublishPacket[] {
    const packets: PublishPacket[] = []
    for (let index = 0; index < this.spans.length; index += 2) {
      const payload = this.bytes.subarray(this.spans[index], this.spans[index + 1])
      packets.push({ cmd: 'publish', topic: this.topic.name, payload, qos: 1, retain: false, dup: false })
    }
    return packets
  }
}
