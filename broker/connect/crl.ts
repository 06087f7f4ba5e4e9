/**
 * Owns reading a list of revoked certificates (RFC 5280 section 5.1), which Node hands to OpenSSL and does not show: who is connected
 * was checked against the list of that time. Of DER no more than its tags and lengths (X.690 section 8.1) is needed for that.
 */

const INTEGER = 0x02
const SEQUENCE = 0x30
/** Of a certificate, before its serial number. */
const VERSION = 0xa0

interface Element {
  readonly tag: number
  readonly content: Buffer
  /** With tag and length. */
  readonly whole: Buffer
}

/** By what a certificate is known: its issuer and its serial number. */
export function certificateId(der: Uint8Array): string {
  const [serial, , issuer] = bodyOf(Buffer.from(der)).filter(({ tag }) => tag !== VERSION)
  return idOf(issuer, serial)
}

/** The ids of those in a list, as PEM. */
export function revokedIds(pem: string): string[] {
  const fields = bodyOf(Buffer.from(pem.replaceAll(/-----[^-]+-----/g, ''), 'base64')).filter(
    ({ tag }) => tag !== INTEGER,
  )
  const [, issuer] = fields
  // Behind the issuer come one or two times, which are no sequences; then perhaps the list.
  const list = fields.slice(2).find(({ tag }) => tag === SEQUENCE)
  return list === undefined ? [] : elements(list.content).map((entry) => idOf(issuer, elements(entry.content)[0]))
}

const idOf = (issuer: Element | undefined, serial: Element | undefined) =>
  `${issuer?.whole.toString('hex')}:${serial?.content.toString('hex')}`

/** What is signed of something signed: the first in the one element that `bytes` are. */
function bodyOf(bytes: Buffer): Element[] {
  const [whole] = elements(bytes)
  const [body] = elements(whole?.content ?? Buffer.alloc(0))
  return elements(body?.content ?? Buffer.alloc(0))
}

function elements(bytes: Buffer): Element[] {
  const found: Element[] = []
  for (let at = 0; at + 2 <= bytes.length; ) {
    const first = bytes[at + 1] ?? 0
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f
    const begin = at + 2 + lengthBytes
    const length = lengthBytes === 0 ? first : bytes.readUIntBE(at + 2, Math.min(lengthBytes, 6))
    found.push({
      tag: bytes[at] ?? 0,
      content: bytes.subarray(begin, begin + length),
      whole: bytes.subarray(at, begin + length),
    })
    at = begin + length
  }
  return found
}
