/**
 * Owns JSON as a framing: a payload that begins as an object or an array, read by the newest schema of the topic's stream
 * (json-mappers.ts). Before it there may be a byte order mark and white space, as editors and templates leave, and behind it the
 * NUL that ends a string in C.
 */

import { isUtf8 } from 'node:buffer'
import { JSON_TEXT } from './content-type.ts'
import type { Contents, Framing, Message, Publishing } from './framing.ts'
import { jsonFault } from './json-fault.ts'
import { JsonMappers } from './json-mappers.ts'
import { parseJson } from './json-text.ts'
import { type Reading, Rejection } from './reading.ts'
import type { Registry } from './registry.ts'
import { showJson, showMalformed } from './show-json.ts'

/** U+FEFF in UTF-8. */
const BYTE_ORDER_MARK = Buffer.of(0xef, 0xbb, 0xbf)
/** RFC 8259 section 2. */
const WHITE_SPACE: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d])

export class JsonFraming implements Framing {
  readonly key = 'json'
  readonly numbers = [JSON_TEXT]
  readonly isForApps = true
  readonly format = 'JSON'
  readonly name = 'JSON'
  readonly start = '{ or ['
  readonly #mappers: JsonMappers

  constructor(registry: Registry) {
    this.#mappers = new JsonMappers(registry)
  }

  publishing(stream: string): Publishing | undefined {
    return this.#mappers.knows(stream) ? {} : undefined
  }

  claims({ payload }: Message): boolean {
    let at = hasMark(payload) ? BYTE_ORDER_MARK.length : 0
    while (WHITE_SPACE.has(payload[at] ?? 0)) at++
    return payload[at] === 0x7b || payload[at] === 0x5b
  }

  glance(message: Message): Rejection | undefined {
    return this.#mappers.glance(message)
  }

  decode(message: Message): readonly Reading[] | Rejection {
    return this.#mappers.map(message, () => parse(unwrapped(message.payload)))
  }

  show(message: Message): Contents {
    const payload = unwrapped(message.payload)
    if (!isUtf8(payload)) return showMalformed('JSON', 'it is not UTF-8')
    const text = payload.toString('utf8')
    try {
      return showJson('JSON', JSON.parse(text))
    } catch {
      return showMalformed('JSON', jsonFault(text))
    }
  }
}

function parse(payload: Buffer): unknown {
  if (!isUtf8(payload)) return new Rejection('malformed-json', 'the JSON is not UTF-8')
  return parseJson(payload.toString('utf8'))
}

const hasMark = (payload: Buffer) => BYTE_ORDER_MARK.equals(payload.subarray(0, BYTE_ORDER_MARK.length))

/** What is JSON of a payload; `JSON.parse` takes white space, and neither of these. */
function unwrapped(payload: Buffer): Buffer {
  let end = payload.length
  while (payload[end - 1] === 0) end--
  return payload.subarray(hasMark(payload) ? BYTE_ORDER_MARK.length : 0, end)
}
