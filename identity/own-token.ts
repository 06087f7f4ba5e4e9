/**
 * Owns the check of tokens signed by this installation: HS256 (RFC 7515 section 5.2, RFC 7518 section 3.2), with what RFC
 * 7519 section 4.1 says of `aud`, `exp` and `nbf`.
 *
 * By `node:crypto` and at once, though `jose` could do it: `jose` answers after a turn of the event loop, and a WebSocket
 * that is upgraded so late meets a bug of uWebSockets.js (`gateway/tokens.ts`).
 */

import { createHmac, timingSafeEqual } from 'node:crypto'
import { errors, type JWTPayload } from 'jose'

const BASE64URL = /^[A-Za-z0-9_-]+$/

/** The claims of `token`. Throws `JWTExpired` for one that was good, another error for one that never was. */
export function ownClaims(token: string, key: Uint8Array, audience: string, nowMs: number): JWTPayload {
  const [header = '', payload = '', signature = '', ...more] = token.split('.')
  if (more.length > 0 || ![header, payload, signature].every((part) => BASE64URL.test(part))) {
    throw new errors.JWSInvalid('it does not have three parts in base64url')
  }
  const expected = createHmac('sha256', key).update(`${header}.${payload}`).digest()
  const given = Buffer.from(signature, 'base64url')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new errors.JWSSignatureVerificationFailed()
  }
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as JWTPayload
  const { aud, exp, nbf } = claims
  if (aud !== audience) throw new errors.JWTClaimValidationFailed('it is for another audience', claims, 'aud')
  if (typeof exp !== 'number') throw new errors.JWTClaimValidationFailed('it has no end', claims, 'exp')
  const now = Math.floor(nowMs / 1000)
  if (nbf !== undefined && nbf > now) throw new errors.JWTClaimValidationFailed('it is not valid yet', claims, 'nbf')
  if (exp <= now) throw new errors.JWTExpired('it has expired', claims, 'exp')
  return claims
}
