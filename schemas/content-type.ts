/**
 * Owns what is known of how a payload is framed: its sender says it by the last level of its topic or by a content type of MQTT 5, or it came on a
 * foreign topic. It is a number, since
 * the log keeps it with the message, and every reader goes by it.
 *
 * Always true: a number means the same for ever, for it is in logs; one that is not known here, of a later version, says nothing. Nor does a
 * content type that is not listed: a client library may have one of its own for all it sends.
 */

/** The payload's first bytes say it. */
export const NOT_TOLD = 0
export const AVRO = 1
export const JSON_TEXT = 2
export const MSGPACK = 3
export const CBOR = 4
export const PROTOBUF = 5
export const PROTOBUF_BATCH = 6
/** A map knows: the topic stands before what was published (foreign.ts). */
export const FOREIGN = 7
/** Likewise, and in place of it stands what ingest has gathered from several messages, of which it is the first. */
export const GATHERED = 8
/** Likewise, and what it says is in the reading of one before it, which is `GATHERED`. In no log. */
export const MEMBER = 9

/** Sparkplug B: the topic stands before it, and what births said of its metrics (maps/sparkplug/context.ts). */
export const SPARKPLUG = 10

export const isForeign = (framing: number): boolean => framing >= FOREIGN && framing <= SPARKPLUG

const FRAMINGS: ReadonlyMap<string, number> = new Map([
  ['application/avro', AVRO],
  ['avro/binary', AVRO],
  ['application/json', JSON_TEXT],
  ['application/msgpack', MSGPACK],
  ['application/vnd.msgpack', MSGPACK],
  ['application/x-msgpack', MSGPACK],
  ['application/cbor', CBOR],
  ['application/protobuf', PROTOBUF],
  ['application/x-protobuf', PROTOBUF],
  ['application/vnd.google.protobuf', PROTOBUF],
])

/** What may stand behind the stream in a topic, of payloads that do not say by their first bytes what they are. */
export const FRAMING_LEVELS: ReadonlyMap<string, number> = new Map([
  ['msgpack', MSGPACK],
  ['cbor', CBOR],
  ['protobuf', PROTOBUF],
  ['protobuf-batch', PROTOBUF_BATCH],
])
const anyOf = (names: readonly string[]) => `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`

/** The same for a person: `/msgpack, /cbor or ...`. */
export const FRAMING_LEVELS_SHOWN = anyOf([...FRAMING_LEVELS.keys()].map((level) => `/${level}`))
/** Likewise the content types, one of each framing: `application/avro, json or ...`. A Reason String is short. */
export const CONTENT_TYPES_SHOWN = `application/${anyOf(
  [...FRAMINGS]
    .filter(([, number], index, all) => all.findIndex(([, other]) => other === number) === index)
    .map(([type]) => type.replace('application/', '')),
)}`

/** What a topic ends with, and the content types, by which senders name a framing. */
export function namesOf(framing: number): { readonly level?: string; readonly contentTypes: readonly string[] } {
  const [level] = namesIn(FRAMING_LEVELS, framing)
  return { ...(level !== undefined && { level }), contentTypes: namesIn(FRAMINGS, framing) }
}

const namesIn = (names: ReadonlyMap<string, number>, framing: number): string[] =>
  [...names].filter(([, number]) => number === framing).map(([name]) => name)

/** Which framing a content type names (RFC 9110 section 8.3: in any case, and parameters may follow); `NOT_TOLD` if none. */
export function framingOf(contentType: string | undefined): number {
  if (contentType === undefined) return NOT_TOLD
  const [type = ''] = contentType.split(';', 1)
  return FRAMINGS.get(type.trim().toLowerCase()) ?? NOT_TOLD
}
