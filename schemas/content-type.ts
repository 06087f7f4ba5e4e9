/**
 * Owns what a content type says of how a payload is framed. It is a number, since the log keeps it with the message, and every reader goes by it.
 *
 * Always true: a number means the same for ever, for it is in logs; one that is not known here, of a later version, says nothing. Nor does a
 * content type that is not listed: a client library may have one of its own for all it sends.
 */

/** The payload's first bytes say it. */
export const NOT_TOLD = 0
export const AVRO = 1
export const JSON_TEXT = 2

const FRAMINGS: ReadonlyMap<string, number> = new Map([
  ['application/avro', AVRO],
  ['avro/binary', AVRO],
  ['application/json', JSON_TEXT],
])

/** Which framing a content type names (RFC 9110 section 8.3: in any case, and parameters may follow); `NOT_TOLD` if none. */
export function framingOf(contentType: string | undefined): number {
  if (contentType === undefined) return NOT_TOLD
  const [type = ''] = contentType.split(';', 1)
  return FRAMINGS.get(type.trim().toLowerCase()) ?? NOT_TOLD
}
