/**
 * Owns the check of tokens signed by this installation: HS256 (RFC 7515 section 5.2, RFC 7518 section 3.2), with what RFC
 * 7519 section 4.1 says of `aud`, `exp` and `nbf`. A header that asks for more by `crit` is refused, for no extension is known here.
 *
 * By `node:crypto` and at once, though `jose` could do it: `jose` answers after a turn of the event loop, and a WebSocket
 * that is upgraded so late meets a bug of uWebSockets.js (`gateway/tokens.ts`).
 */

import { createHmac, timingSafeEqual } from 'node:crypto'
import { errors, type JWTPayload } from 'jose'
import type { OwnKey } from './key-files.ts'

/** Whether each part of `token` is base64url as one would write it: what decodes to the same bytes has one spelling only. */
export function isCanonical(token: string): boolean {
  return token.split('.').every((part) => Buffer.from(part, 'base64url').toString('base64url') === part)
}

/**
 * The claims of `token`, and which of the keys signed it. Throws `JWTExpired` for one that was good, another error for one
 * that never was.
 */
export function ownClaims(
  token: string,
  header: { readonly crit?: unknown },
  keys: Iterable<OwnKey>,
  audience: string,
  nowMs: number,
): { readonly claims: JWTPayload; readonly key: OwnKey } {
  const parts = token.split('.')
  if (parts.length !== 3 || parts.includes('')) throw new errors.JWSInvalid('it does not have three parts in base64url')
  if (header.crit !== undefined) throw new errors.JOSENotSupported('its header asks for extensions by "crit"')
  const [head = '', payload = '', signature = ''] = parts
  const key = signerOf(`${head}.${payload}`, Buffer.from(signature, 'base64url'), keys)
  if (key === undefined) throw new errors.JWSSignatureVerificationFailed()
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as JWTPayload
  const { aud, exp, nbf } = claims
  if (aud !== audience) throw new errors.JWTClaimValidationFailed('it is for another audience', claims, 'aud')
  if (typeof exp !== 'number') throw new errors.JWTClaimValidationFailed('it has no end', claims, 'exp')
  const now = Math.floor(nowMs / 1000)
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf <= now)) {
    throw new errors.JWTClaimValidationFailed('it is not valid yet', claims, 'nbf')
  }
  if (exp <= now) throw new errors.JWTExpired('it has expired', claims, 'exp')
  return { claims, key }
}

function signerOf(text: string, signature: Uint8Array, keys: Iterable<OwnKey>): OwnKey | undefined {
  for (const key of keys) {
    const expected = createHmac('sha256', key.secret).update(text).digest()
    if (signature.length === expected.length && timingSafeEqual(signature, expected)) return key
  }
  return undefined
}
