/**
 * Owns JSON as a framing: a payload that begins as an object or an array, read by the newest schema of the topic's stream
 * (json-mapper.ts). Bound: `SHOWN_LEVELS_MAX` levels are shown to a person.
 */

import { isUtf8 } from 'node:buffer'
import type { Contents, Framing, Message } from './framing.ts'
import { jsonFault } from './json-fault.ts'
import { JsonMapper } from './json-mapper.ts'
import { type Reading, Rejection } from './reading.ts'
import type { Registry } from './registry.ts'

/** Levels of a payload that are shown to a person who looks at it; what lies deeper is left out, and said to be. */
const SHOWN_LEVELS_MAX = 32

export class JsonFraming implements Framing {
  readonly format = 'JSON'
  readonly name = 'JSON'
  readonly start = '{ or ['
  readonly #registry: Registry
  readonly #mappers = new Map<string, JsonMapper>()

  constructor(registry: Registry) {
    this.#registry = registry
    for (const { name } of registry.streams) {
      const newest = registry.newest(name)
      if (newest !== undefined) this.#mappers.set(name, new JsonMapper(newest, registry.readingTimeMinMs))
    }
  }

  claims({ payload }: Message): boolean {
    return payload[0] === 0x7b || payload[0] === 0x5b
  }

  decode(message: Message): readonly Reading[] | Rejection {
    const { payload, stream } = message
    const mapper = this.#mappers.get(stream)
    if (mapper === undefined) return new Rejection('unknown-schema', this.#registry.unknownStream(stream))
    if (!isUtf8(payload)) return new Rejection('malformed-json', 'the JSON is not UTF-8')
    const text = payload.toString('utf8')
    let parsed: unknown
    try {
      parsed = JSON.parse(text)
    } catch {
      return new Rejection('malformed-json', () => jsonFault(text))
    }
    return mapper.map(parsed, message)
  }

  show({ payload }: Message): Contents {
    if (!isUtf8(payload)) return malformed('it is not UTF-8')
    const text = payload.toString('utf8')
    let json: unknown
    try {
      json = cut(JSON.parse(text), SHOWN_LEVELS_MAX)
    } catch {
      return malformed(jsonFault(text))
    }
    return {
      json: { framing: 'json', json },
      lines: [
        ['contents', 'JSON'],
        ['', JSON.stringify(json, null, 2)],
      ],
    }
  }
}

function malformed(fault: string): Contents {
  return { json: { framing: 'json', fault }, lines: [['contents', `JSON: ${fault}`]] }
}

/** `value` down to so many levels of objects and arrays: `JSON.stringify` has no stack for all that fits in a payload. */
function cut(value: unknown, levels: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (levels === 0) return `... deeper than ${SHOWN_LEVELS_MAX} levels`
  if (Array.isArray(value)) return value.map((item) => cut(item, levels - 1))
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, cut(item, levels - 1)]))
}
