/**
 * Owns what all sources of a process share: the registered schemas, and what a platform with these schemas makes of a payload. Always true:
 * it is the platform's own decoder that says so, with whatever columns a message has shown of streams that maps make.
 */

import { parseTopic } from '../../../identity/topics.ts'
import { MapSet } from '../../../maps/maps.ts'
import { FOREIGN, SPARKPLUG } from '../../../schemas/content-type.ts'
import { Decoder } from '../../../schemas/decoder.ts'
import type { Definition } from '../../../schemas/definition.ts'
import { foreignPayload, NewColumns } from '../../../schemas/foreign.ts'
import type { Message } from '../../../schemas/framing.ts'
import { type Reading, Rejection } from '../../../schemas/reading.ts'
import type { RegisteredSchema, Registry } from '../../../schemas/registry.ts'
import { SimulatorError } from '../simulator-error.ts'

/** A version of a stream, as a device sends it. */
export interface SentVersion {
  readonly registered: RegisteredSchema
  readonly definition: Definition
}

/** A payload that is not empty. */
const SOMETHING = Buffer.of(0)

export class SimulatorSchemas {
  #registry: Registry
  #decoder: Decoder
  /** By version, and by what makes it. */
  readonly #made = new WeakMap<Definition, Map<unknown, object>>()

  constructor(registry: Registry) {
    this.#registry = registry
    this.#decoder = new Decoder(registry)
  }

  get registry(): Registry {
    return this.#registry
  }

  /** The newest unless told. Throws a `SimulatorError` `unknown-stream` or `unknown-version`. */
  version(name: string, version?: number): SentVersion {
    const versions = this.#registry.versions(name)
    if (versions.length === 0) {
      const known = this.#registry.streams.filter((each) => this.#registry.versions(each.name).length > 0)
      const names = known.map((each) => each.name).join(', ')
      throw new SimulatorError('unknown-stream', `there is no stream "${name}": registered are ${names}`)
    }
    const index = (version ?? versions.length) - 1
    const [registered, definition] = [versions[index], this.#registry.definitions(name)[index]]
    if (registered === undefined || definition === undefined) {
      const allowed = versions.map((each) => each.version).join(', ')
      throw new SimulatorError('unknown-version', `${name} has no version ${version}: allowed are ${allowed}`)
    }
    return { registered, definition }
  }

  /** What becomes of a payload on a topic, the platform's own or one of a map. */
  read(topic: string, payload: Buffer, receivedAt: number): readonly Reading[] | Rejection {
    const own = parseTopic(topic)
    if (own?.kind === 'telemetry') return this.decode({ ...own, receivedAt, payload })
    return this.#readForeign(topic, payload, foreignPayload(topic, payload), FOREIGN, receivedAt)
  }

  /** `inLog` is what was published with what births said before. */
  readSparkplug(topic: string, inLog: Buffer, receivedAt: number): readonly Reading[] | Rejection {
    return this.#readForeign(topic, inLog, inLog, SPARKPLUG, receivedAt)
  }

  /** Of which device a map has messages on a topic be, as far as the topic says it. */
  deviceOn(topic: string): string | undefined {
    const { foreign } = this.#registry
    const match = foreign instanceof MapSet ? foreign.for(topic) : undefined
    const place = match?.map.place(match.names, SOMETHING, false)
    return place?.kind === 'taken' ? place.device : undefined
  }

  #readForeign(topic: string, payload: Buffer, inLog: Buffer, framing: number, receivedAt: number) {
    const { foreign } = this.#registry
    const match = foreign instanceof MapSet ? foreign.for(topic) : undefined
    const place = match?.map.place(match.names, payload, false)
    if (place?.kind === 'left') return []
    if (place === undefined) return new Rejection('no-map', `no telemetry comes on ${topic}`)
    if (place.kind === 'unplaced') return new Rejection('no-map', place.why)
    const { device, stream } = place
    return this.decode({ device, stream, receivedAt, payload: inLog, framing })
  }

  /** What is made of a version is made once, for all devices that send it. */
  once<Made extends object>(version: SentVersion, make: (version: SentVersion) => Made): Made {
    const { definition } = version
    const made = this.#made.get(definition) ?? new Map<unknown, object>()
    this.#made.set(definition, made)
    const known = made.get(make) ?? make(version)
    made.set(make, known)
    return known as Made
  }

  decode(message: Message): readonly Reading[] | Rejection {
    for (;;) {
      const decoded = this.#decoder.decode(message)
      if (!(decoded instanceof NewColumns)) return decoded
      this.#registry = this.#registry.learn(decoded)
      this.#decoder = new Decoder(this.#registry)
    }
  }
}
