/**
 * Owns why a TLS handshake did not come to be, as a reason that is counted and a line that says what would be right. What networks
 * do every day (a client that leaves in the middle, or is too slow) has none.
 */

import type { TLSSocket } from 'node:tls'
import { Disconnect } from '../reports/disconnects.ts'
import type { Refusal } from '../reports/metrics.ts'

/** Of what a certificate calls its owner, which may be anything, so much is shown. */
const SUBJECT_CHARS_MAX = 100

type Told = readonly [reason: Refusal, message: string]

const UNTRUSTED: Told = ['untrusted-certificate', 'its certificate is not of the authority in TELLTALE_TLS_CA']

/** By the codes of OpenSSL and Node; of what has none here the code is told. */
const TOLD: Readonly<Record<string, Told>> = {
  CERT_HAS_EXPIRED: ['expired-certificate', 'its certificate has expired'],
  CERT_NOT_YET_VALID: ['expired-certificate', 'its certificate is not valid yet: is a clock wrong?'],
  CERT_REVOKED: ['revoked-certificate', 'its certificate is in the list of TELLTALE_TLS_CRL'],
  CRL_HAS_EXPIRED: ['revoked-certificate', 'the list of TELLTALE_TLS_CRL has expired: a new one is needed'],
  UNABLE_TO_GET_CRL: ['revoked-certificate', 'TELLTALE_TLS_CRL has no list of the authority of its certificate'],
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  CERT_SIGNATURE_FAILURE: UNTRUSTED,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: ['tls-failed', 'it does not trust the certificate in TELLTALE_TLS_CERT'],
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: ['tls-failed', 'it does not take the certificate in TELLTALE_TLS_CERT'],
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: ['tls-failed', 'to it the certificate in TELLTALE_TLS_CERT has expired'],
  ERR_SSL_HTTP_REQUEST: ['tls-failed', 'it speaks HTTP without TLS'],
  ERR_SSL_WRONG_VERSION_NUMBER: ['tls-failed', 'it does not speak TLS: MQTT without it is for another port'],
}

/** Why a handshake failed with `error`. */
export function whyNoTls(error: NodeJS.ErrnoException): Error {
  const code = error.code ?? ''
  const told = TOLD[code]
  if (told !== undefined) return new Disconnect(told[0], `TLS: ${told[1]}`)
  if (code.startsWith('ERR_SSL_')) return new Disconnect('tls-failed', `TLS: ${error.message.split('\n')[0]}`)
  return error
}

/** Why a client must not come in, whose handshake is done; undefined if it may. */
export function whyUnverified(socket: TLSSocket): Disconnect | undefined {
  // First of all: a session of TLS 1.3 that is resumed without a certificate is `authorized` to Node 20 and 22.
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) {
    return new Disconnect('no-certificate', 'TLS: it shows no certificate, and TELLTALE_TLS_CA asks for one')
  }
  if (socket.authorized) return undefined
  const code = String(socket.authorizationError)
  const [reason, message] = TOLD[code] ?? ['untrusted-certificate', `its certificate: ${code}`]
  // To Node one that is empty is none.
  const { subject = '' } = certificate
  const shown = JSON.stringify(subject.replaceAll('\n', ', ').slice(0, SUBJECT_CHARS_MAX))
  return new Disconnect(reason, `TLS: ${message} (it is of ${shown})`)
}
