/** Owns the words for why a device cannot connect, and what to look at. Always true: whether anybody is there is only asked if nobody has answered. */

/** OpenSSL's, of the broker's certificate. */
const NOT_TRUSTED: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
])

const NOT_TAKEN = 'somebody is there: is it the port for TLS, and is taken what the devices show (--cert, --key)?'

const HINTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it is up, and its certificate has expired',
  CERT_NOT_YET_VALID: 'it is up, and its certificate is not valid yet: is a clock wrong?',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is up, and its certificate is of another name than the one in --url',
  ERR_SSL_WRONG_VERSION_NUMBER: 'somebody is there who does not speak TLS: is the port of --url that of TLS?',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'somebody is there who does not speak TLS: is the port of --url that of TLS?',
}

export class ClosedUnanswered extends Error {
  constructor() {
    super('the connection was closed before an answer came')
  }
}

/** Node reports a host that refused on each of its addresses as an `AggregateError` without a message. */
export const errorText = (error: Error): string => error.message || codeOf(error) || error.name

/** What comes behind why it is so. */
export function hintOf(error: Error | undefined, url: string): string {
  const code = error === undefined ? '' : codeOf(error)
  if (NOT_TRUSTED.has(code))
    return 'it is up, and its certificate is not trusted: --ca names the authority that made it'
  if (error instanceof ClosedUnanswered || code === 'ECONNRESET') {
    const isByTls = /^(mqtts|wss):/.test(url)
    return isByTls ? NOT_TAKEN : 'somebody is there: is it a broker, and does it speak TLS at this port?'
  }
  if (/^ERR_SSL_.*ALERT/.test(code)) return NOT_TAKEN
  return HINTS[code] ?? 'is it up?'
}

const codeOf = (error: Error): string => ('code' in error ? String(error.code) : '')
