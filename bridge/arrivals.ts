/**
 * Owns the verdict on a message that came from another broker: telemetry goes to the log and is accepted once durable, a status goes to the
 * presence records, what is wrong is dropped and told.
 *
 *   message --> retained before we subscribed, and no status? --yes--> left: it was here when it came first, or is older than the bridge
 *                  | no
 *               telemetry, or taken by a map? --yes--> append --durable--> accepted, --refused--> refused
 *                  | no
 *               a status --> presence; a command, a report, left out by a map --> left; anything else --> dropped
 *
 * Who sent a message the other broker knows, and has let it: here its topic says whose it is, or its map.
 * Always true: `decided` is called once, with `accepted` only when the message is durable or needs not be.
 * Bounds: `DEVICES_KNOWN_MAX` devices are known as those of the bridge; one more, and all are forgotten, and become known again as they send.
 */

import { parseTopic } from '../identity/topics.ts'
import type { ErrorReport } from '../intake/error-reports.ts'
import type { ThrottledLines } from '../intake/throttled-lines.ts'
import {
  ACCEPTED,
  type Dropped,
  dropped,
  keptTooLarge,
  refused,
  shownTopic,
  tooLarge,
  type Verdict,
} from '../intake/verdict.ts'
import type { Journal } from '../log/journal.ts'
import type { Appends } from '../log/log.ts'
import type { Presence } from '../log/presence.ts'
import type { Maps } from '../maps/maps.ts'
import { isSparkplug } from '../maps/sparkplug/topic.ts'
import type { UnmappedTopics } from '../maps/unmapped-topics.ts'
import type { Clock } from '../platform/clock.ts'
import { FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../platform/limits.ts'
import { FOREIGN, FRAMING_LEVELS_SHOWN } from '../schemas/content-type.ts'
import { foreignBytes, foreignPayload } from '../schemas/foreign.ts'
import type { Arrival } from './connection.ts'
import type { BridgeMetrics } from './metrics.ts'
import { presenceBy } from './status.ts'

const DEVICES_KNOWN_MAX = 100_000

export interface ArrivalsDependencies {
  readonly log: Appends
  readonly presence: Presence
  readonly journal: Journal
  readonly maps: Pick<Maps, 'for'>
  readonly unmapped: Pick<UnmappedTopics, 'note'>
  /** Tells a device; undefined if that is not wanted. */
  readonly report: ((device: string, report: ErrorReport) => void) | undefined
  readonly lines: ThrottledLines
  readonly clock: Clock
  readonly metrics: BridgeMetrics
}

export type Decided = (verdict: Verdict) => void

/** Whose telemetry a message is, and how its payload is to be read. */
interface Placed {
  readonly device: string
  readonly stream: string
  readonly framing: number
}

export class Arrivals {
  /** The other broker, for a person. */
  readonly #name: string
  readonly #dependencies: ArrivalsDependencies
  readonly #devices = new Set<string>()

  constructor(name: string, dependencies: ArrivalsDependencies) {
    this.#name = name
    this.#dependencies = dependencies
  }

  /** Whether a message of this device came lately. */
  knows(device: string): boolean {
    return this.#devices.has(device)
  }

  take(message: Arrival, decided: Decided): void {
    const { metrics } = this.#dependencies
    metrics.received(message.qos)
    const topic = parseTopic(message.topic)
    const bytes = message.length > FRAME_BYTES_MAX ? message.length : message.payload.length
    if (topic?.kind === 'errors' || topic?.kind === 'commands') this.#leave('other', decided)
    else if (message.retain && topic?.kind !== 'status') this.#leave('retained', decided)
    else if (bytes > PAYLOAD_BYTES_MAX) this.#drop(tooLarge(bytes), message, topic, decided)
    else if (topic === undefined) this.#takeForeign(message, decided)
    else if (topic.kind === 'telemetry')
      this.#append({ ...topic, framing: topic.framing || message.framing }, message.payload, decided)
    else this.#keepStatus(topic.device, message.payload, decided)
  }

  /** Its topic is kept with it, for the map asks for it. */
  #takeForeign(message: Arrival, decided: Decided): void {
    const { maps, unmapped } = this.#dependencies
    const { topic, payload } = message
    const match = isSparkplug(topic) ? undefined : maps.for(topic)
    const place = match?.map.place(match.names, payload, false)
    if (place?.kind === 'left') {
      this.#leave('by-map', decided)
      return
    }
    if (place?.kind !== 'taken') {
      if (match === undefined) unmapped.note('', topic, payload)
      this.#drop(dropped('publish-forbidden', place?.why ?? unmappedText(topic)), message, undefined, decided)
      return
    }
    const bytes = foreignBytes(topic, payload)
    if (bytes > PAYLOAD_BYTES_MAX) this.#drop(keptTooLarge(bytes), message, place, decided)
    else this.#append({ ...place, framing: FOREIGN }, foreignPayload(topic, payload), decided)
  }

  #append({ device, stream, framing }: Placed, payload: Buffer, decided: Decided): void {
    const { log, clock, metrics } = this.#dependencies
    this.#know(device)
    const receivedAt = clock.now()
    log.append({ device, stream, receivedAt, flags: 0, payload, framing }, (error) => {
      if (error === undefined) metrics.appended(clock.now() - receivedAt)
      else metrics.refused()
      decided(error === undefined ? ACCEPTED : refused(error))
    })
  }

  #keepStatus(device: string, status: Buffer, decided: Decided): void {
    const { presence, clock, metrics } = this.#dependencies
    this.#know(device)
    const now = clock.now()
    const kept = Buffer.from(status)
    presence
      .update(device, (known) => presenceBy(kept, known, now))
      .then(
        () => this.#leave('status', decided),
        (error: Error) => {
          metrics.refused()
          decided(refused(error))
        },
      )
  }

  #leave(what: Parameters<BridgeMetrics['left']>[0], decided: Decided): void {
    this.#dependencies.metrics.left(what)
    decided(ACCEPTED)
  }

  #drop(
    verdict: Dropped,
    { topic }: Arrival,
    of: { readonly device: string; readonly stream?: string } | undefined,
    decided: Decided,
  ): void {
    const { metrics, journal, report, lines, clock } = this.#dependencies
    const { code, text } = verdict
    // By its topic it was meant to be of the platform; whose it is can be read all the same.
    const device = of?.device ?? /^devices\/([A-Za-z0-9._:-]{1,64})\//.exec(topic)?.[1]
    metrics.dropped(code)
    lines.say(`a message was acknowledged and dropped: ${text}`, { client: device ?? this.#name, reason: code })
    if (device !== undefined) {
      this.#know(device)
      journal.note(device, { kind: 'dropped', code, text })
      report?.(device, { code, message: text, stream: of?.stream ?? null, at: clock.now() })
    }
    decided(verdict)
  }

  /** It has no connection here that could be told of. */
  #know(device: string): void {
    if (this.#devices.has(device)) return
    if (this.#devices.size >= DEVICES_KNOWN_MAX) this.#devices.clear()
    this.#devices.add(device)
    const text = `its messages come over a bridge from ${this.#name}: whether it is connected, that broker knows`
    this.#dependencies.journal.note(device, { kind: 'bridged', code: 'bridged', text })
  }
}

function unmappedText(topic: string): string {
  const shown = shownTopic(topic)
  if (isSparkplug(topic)) return `topic ${shown} is of Sparkplug, whose edge nodes must connect here themselves`
  if (!topic.startsWith('devices/'))
    return `no map takes topic ${shown}: telltale map propose prints one for what has come`
  return `topic ${shown} means nothing: allowed are devices/<device>/telemetry/<stream>, a stream being a-z, 0-9 and _, with nothing or ${FRAMING_LEVELS_SHOWN} behind it, and devices/<device>/status`
}
