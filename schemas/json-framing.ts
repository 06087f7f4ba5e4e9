/**
 * Owns JSON as a framing: a payload that begins as an object or an array, read by the newest schema of the topic's stream
 * (json-mapper.ts). Before it there may be a byte order mark and white space, as editors and templates leave, and behind it the
 * NUL that ends a string in C. Bound: `SHOWN_LEVELS_MAX` levels are shown to a person.
 */

import { isUtf8 } from 'node:buffer'
import { JSON_TEXT } from './content-type.ts'
import type { Contents, Framing, Message } from './framing.ts'
import { jsonFault } from './json-fault.ts'
import { JsonMapper } from './json-mapper.ts'
import { type Reading, Rejection } from './reading.ts'
import type { Registry } from './registry.ts'

/** Levels of a payload that are shown to a person who looks at it; what lies deeper is left out, and said to be. */
const SHOWN_LEVELS_MAX = 32

/** U+FEFF in UTF-8. */
const BYTE_ORDER_MARK = Buffer.of(0xef, 0xbb, 0xbf)
/** RFC 8259 section 2. */
const WHITE_SPACE: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d])

export class JsonFraming implements Framing {
  readonly number = JSON_TEXT
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
    let at = hasMark(payload) ? BYTE_ORDER_MARK.length : 0
    while (WHITE_SPACE.has(payload[at] ?? 0)) at++
    return payload[at] === 0x7b || payload[at] === 0x5b
  }

  glance({ stream }: Message): Rejection | undefined {
    return this.#mappers.has(stream) ? undefined : this.#unknown(stream)
  }

  decode(message: Message): readonly Reading[] | Rejection {
    const { stream } = message
    const payload = unwrapped(message.payload)
    const mapper = this.#mappers.get(stream)
    if (mapper === undefined) return this.#unknown(stream)
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

  #unknown(stream: string): Rejection {
    return new Rejection('unknown-schema', this.#registry.unknownStream(stream))
  }

  show(message: Message): Contents {
    const payload = unwrapped(message.payload)
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

const hasMark = (payload: Buffer) => BYTE_ORDER_MARK.equals(payload.subarray(0, BYTE_ORDER_MARK.length))

/** What is JSON of a payload; `JSON.parse` takes white space, and neither of these. */
function unwrapped(payload: Buffer): Buffer {
  let end = payload.length
  while (payload[end - 1] === 0) end--
  return payload.subarray(hasMark(payload) ? BYTE_ORDER_MARK.length : 0, end)
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
