/** Owns what maps say as a framing: of a message on a foreign topic the topic says which map reads its payload. */

import { isUtf8 } from 'node:buffer'
import { FOREIGN, GATHERED, MEMBER } from '../schemas/content-type.ts'
import { readForeign } from '../schemas/foreign.ts'
import type { Contents, Framing, Message } from '../schemas/framing.ts'
import { type Reading, Rejection } from '../schemas/reading.ts'
import { quote } from '../schemas/values.ts'
import type { Match } from './topic-map.ts'

/** Of a payload that is shown to a person. */
const SHOWN_CHARS_MAX = 8_192

interface HasMaps {
  for(topic: string): Match | undefined
}

interface Found extends Match {
  readonly topic: string
  readonly published: Buffer
}

const NOTHING_MORE: readonly Reading[] = []

export class MapFraming implements Framing {
  readonly key = 'map'
  readonly numbers = [FOREIGN, GATHERED, MEMBER]
  readonly format = 'a map'
  readonly name = 'a foreign payload'
  readonly #maps: HasMaps

  constructor(maps: HasMaps) {
    this.#maps = maps
  }

  /** On the topics of its maps, and on none of the platform's own. */
  publishing(): undefined {
    return undefined
  }

  /** No first byte says so. */
  claims(): boolean {
    return false
  }

  glance(message: Message): Rejection | undefined {
    const found = this.#find(message)
    return found instanceof Rejection ? found : undefined
  }

  decode(message: Message): readonly Reading[] | Rejection {
    const { device, stream, receivedAt, offset, framing } = message
    if (framing === MEMBER) return NOTHING_MORE
    const found = this.#find(message)
    if (found instanceof Rejection) return found
    const { topic, published: payload, map, names } = found
    if (framing === GATHERED) return map.gathered(payload, device, receivedAt)
    const place = map.place(names, payload, false)
    if (place.kind === 'left') return []
    if (place.kind === 'unplaced') return new Rejection('invalid-reading', place.why)
    if (place.device !== device || place.stream !== stream) {
      const now = `${place.device}, ${place.stream}`
      return new Rejection(
        'no-map',
        `when it came it was of ${device}, ${stream}; by its map it would now be of ${now}`,
      )
    }
    return map.read(names, device, { topic, receivedAt, payload, ...(offset !== undefined && { offset }) })
  }

  show(message: Message): Contents {
    const found = readForeign(message.payload)
    if (found === undefined) return { json: { framing: 'map' }, lines: [['contents', 'without a topic']] }
    const { topic, published } = found
    const where = this.#maps.for(topic)?.map.definition.where.where
    const text = isUtf8(published) ? published.toString('utf8').slice(0, SHOWN_CHARS_MAX) : undefined
    const by = where === undefined ? 'of a foreign topic, for which there is no map' : `by the map at ${where}`
    return {
      json: { framing: 'map', topic, ...(where !== undefined && { map: where }), ...(text !== undefined && { text }) },
      lines: [['topic', topic], ['contents', by], ...(text === undefined ? [] : [['', text] as const])],
    }
  }

  #find({ payload }: Message): Found | Rejection {
    const found = readForeign(payload)
    if (found === undefined) return new Rejection('unknown-framing', 'the topic that it came on is not whole')
    const match = this.#maps.for(found.topic)
    if (match === undefined) return new Rejection('no-map', `no map is for ${quote(found.topic)} any more`)
    return { ...found, ...match }
  }
}
