/** Owns what maps say as a framing: of a message on a foreign topic the topic says which map reads its payload. */

import { isUtf8 } from 'node:buffer'
import { FOREIGN, GATHERED, MEMBER, SPARKPLUG } from '../schemas/content-type.ts'
import { readForeign } from '../schemas/foreign.ts'
import type { Contents, Framing, Message } from '../schemas/framing.ts'
import { type Reading, Rejection } from '../schemas/reading.ts'
import { quote } from '../schemas/values.ts'
import { type Context, NO_CONTEXT, readContext } from './sparkplug/context.ts'
import { readSparkplug, type WireValue } from './sparkplug/payload.ts'
import { isSparkplug } from './sparkplug/topic.ts'
import type { Match } from './topic-map.ts'

/** Of a payload that is shown to a person. */
const SHOWN_CHARS_MAX = 8_192
const METRICS_SHOWN = 100

interface HasMaps {
  for(topic: string): Match | undefined
}

interface Found extends Match {
  readonly sender: string
  readonly topic: string
  readonly published: Buffer
  readonly context: Context
}

const NOTHING_MORE: readonly Reading[] = []

export class MapFraming implements Framing {
  readonly key = 'map'
  readonly numbers = [FOREIGN, GATHERED, MEMBER, SPARKPLUG]
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
    const { topic, published: payload, map, names, context } = found
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
    return map.read(names, device, { topic, receivedAt, payload, context, ...(offset !== undefined && { offset }) })
  }

  show(message: Message): Contents {
    const found = inMessage(message)
    if (found === undefined) return { json: { framing: 'map' }, lines: [['contents', 'without a topic']] }
    const { sender, topic, published } = found
    const where = this.#maps.for(topic)?.map.definition.where.where
    if (isSparkplug(topic)) return showSparkplug(topic, published, found.context)
    const text = isUtf8(published) ? published.toString('utf8').slice(0, SHOWN_CHARS_MAX) : undefined
    const from = sender === '' ? [] : [['sender', sender] as const]
    const by = where === undefined ? 'of a foreign topic, for which there is no map' : `by the map at ${where}`
    return {
      json: {
        framing: 'map',
        ...(sender !== '' && { sender }),
        topic,
        ...(where !== undefined && { map: where }),
        ...(text !== undefined && { text }),
      },
      lines: [...from, ['topic', topic], ['contents', by], ...(text === undefined ? [] : [['', text] as const])],
    }
  }

  #find(message: Message): Found | Rejection {
    const found = inMessage(message)
    if (found === undefined) return new Rejection('unknown-framing', 'the topic that it came on is not whole')
    const match = this.#maps.for(found.topic)
    if (match === undefined) return new Rejection('no-map', `no map is for ${quote(found.topic)} any more`)
    return { ...found, ...match }
  }
}

function inMessage({ payload, framing }: Message): Omit<Found, keyof Match> | undefined {
  const found = readForeign(payload)
  if (found === undefined || framing !== SPARKPLUG) return found && { ...found, context: NO_CONTEXT }
  const read = readContext(found.published)
  return read && { ...found, ...read }
}

/** Names and what they say, as far as it was known. */
function showSparkplug(topic: string, published: Buffer, { m = [] }: Context): Contents {
  const payload = readSparkplug(published)
  if (payload instanceof Rejection) return { json: { framing: 'sparkplug', topic }, lines: [['topic', topic]] }
  const metrics = payload.metrics.slice(0, METRICS_SHOWN).map(({ name, alias, value }, index) => {
    const told = m[index] || undefined
    return { name: name ?? told?.[0] ?? `alias ${alias}`, value: shown(value) }
  })
  const { timestamp, seq } = payload
  const lines = metrics.map(({ name, value }) => [name, value] as const)
  return {
    json: { framing: 'sparkplug', topic, timestamp, seq, metrics },
    lines: [['topic', topic], ['contents', `Sparkplug B, seq ${seq}, ${payload.metrics.length} metrics`], ...lines],
  }
}

function shown(value: WireValue | undefined): string {
  switch (value?.in) {
    case 'float':
    case 'double':
      return String(value.number)
    case 'boolean':
      return String(value.truth)
    case 'string':
      return quote(value.text)
    case 'int':
    case 'long':
      return String(value.high * 2 ** 32 + value.low)
    default:
      return value === undefined ? 'none' : 'not looked into'
  }
}
