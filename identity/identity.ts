/**
 * Owns identity: one kind of credential, a JWT (RFC 7519) signed by a key of this installation. A device's token names
 * the device; an app's token names the topic filters it may read.
 *
 * Always true: the signing key never leaves its file (mode 0600), made at the first start. Beside it, public keys
 * `*.pem` (SPKI; ES256 or EdDSA) are trusted too, so that tokens can be made elsewhere.
 */

import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import type { Clock } from '../platform/clock.ts'
import { messageOf, TelltaleError } from '../platform/errors.ts'
import { makeFile } from '../platform/files.ts'
import type { Part } from '../platform/lifecycle.ts'
import { TOKEN_CHARS_MAX } from '../platform/limits.ts'
import { ownClaims } from './own-token.ts'
import { isDeviceId, isTopicFilter } from './topics.ts'

/** An app token names at most so many topic filters. */
const APP_FILTERS_MAX = 32

/** `token-missing`, `token-invalid`, `token-expired` for what was shown; `bad-key` for a key file. */
export class IdentityError extends TelltaleError {}

export type Principal =
  | { readonly kind: 'device'; readonly device: string; readonly expiresAt: number }
  | { readonly kind: 'app'; readonly filters: readonly string[]; readonly expiresAt: number }

const AUDIENCE = 'telltale'
const SIGNING_KEY_BYTES = 32

export class Identity implements Part {
  readonly name = 'identity'
  readonly #directory: string
  readonly #clock: Clock
  #signingKey: Uint8Array | undefined
  #hasNewKey = false
  #publicKeys: readonly KeyObject[] = []

  constructor(options: { readonly directory: string }, dependencies: { readonly clock: Clock }) {
    this.#directory = options.directory
    this.#clock = dependencies.clock
  }

  /** Reads the keys; makes the signing key if there is none. Rejects with `bad-key` for a file that is no key. */
  async start(): Promise<void> {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    const file = join(this.#directory, 'signing.key')
    this.#hasNewKey = makeKey(file)
    this.#signingKey = readKey(file)
    const files = readdirSync(this.#directory).filter((file) => file.endsWith('.pem'))
    this.#publicKeys = files.sort().map((file) => readPublicKey(join(this.#directory, file)))
  }

  /** There was no signing key at the start: no token of before is good here. */
  get hasNewKey(): boolean {
    return this.#hasNewKey
  }

  async stop(): Promise<void> {
    this.#signingKey = undefined
  }

  /** A token for the device `device`, good for `ttlMs`. */
  signDevice(device: string, ttlMs: number): Promise<string> {
    if (!isDeviceId(device)) throw new IdentityError('bad-device', `"${device}" is no device id: ${DEVICE_ID_RULE}`)
    return this.#sign({ role: 'device', sub: device }, ttlMs)
  }

  /** A token for an app that reads within `filters`, good for `ttlMs`. */
  signApp(filters: readonly string[], ttlMs: number): Promise<string> {
    const wrong = filters.find((filter) => !isTopicFilter(filter))
    if (wrong !== undefined) throw new IdentityError('bad-filter', `"${wrong}" is no MQTT topic filter`)
    if (filters.length < 1 || filters.length > APP_FILTERS_MAX) {
      throw new IdentityError('bad-filter', `an app has ${filters.length} filters: allowed are 1 to ${APP_FILTERS_MAX}`)
    }
    return this.#sign({ role: 'app', filters: [...filters] }, ttlMs)
  }

  /** Who holds `token`. Rejects with an `IdentityError`. */
  async verify(token: string): Promise<Principal> {
    if (token === '') throw new IdentityError('token-missing', 'no token was given')
    if (token.length > TOKEN_CHARS_MAX) throw new IdentityError('token-invalid', 'the token is too long')
    return principalOf(await this.#payload(token))
  }

  async #payload(token: string): Promise<JWTPayload> {
    const options = { audience: AUDIENCE, requiredClaims: ['exp'], currentDate: new Date(this.#clock.now()) }
    try {
      // No wait on this way: see `own-token.ts`.
      if (decodeProtectedHeader(token).alg === 'HS256')
        return ownClaims(token, this.#key(), AUDIENCE, this.#clock.now())
      return await this.#verifyPublic(token, { ...options, algorithms: ['ES256', 'EdDSA'] })
    } catch (cause) {
      if (cause instanceof errors.JWTExpired)
        throw new IdentityError('token-expired', 'the token has expired', { cause })
      const hint = cause instanceof errors.JWSSignatureVerificationFailed ? FOREIGN : ''
      throw new IdentityError('token-invalid', `the token is not valid: ${messageOf(cause)}${hint}`, { cause })
    }
  }

  async #verifyPublic(token: string, options: Parameters<typeof jwtVerify>[2]): Promise<JWTPayload> {
    let failure: unknown = new Error('no public key is installed that could have signed it')
    for (const key of this.#publicKeys) {
      try {
        return (await jwtVerify(token, key, options)).payload
      } catch (error) {
        if (error instanceof errors.JWTExpired) throw error
        failure = error // Signed by another of the keys, perhaps.
      }
    }
    throw failure
  }

  #sign(claims: JWTPayload, ttlMs: number): Promise<string> {
    const now = Math.floor(this.#clock.now() / 1000)
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setAudience(AUDIENCE)
      .setIssuedAt(now)
      .setExpirationTime(now + Math.ceil(ttlMs / 1000))
      .sign(this.#key())
  }

  #key(): Uint8Array {
    if (this.#signingKey === undefined) throw new IdentityError('bad-key', 'the identity was not started')
    return this.#signingKey
  }
}

const FOREIGN = " (signed by another installation's key?)"
const DEVICE_ID_RULE = 'allowed are 1 to 64 of A-Z a-z 0-9 . _ : -'

function principalOf(payload: JWTPayload): Principal {
  const expiresAt = (payload.exp ?? 0) * 1000
  if (payload.role === 'device' && typeof payload.sub === 'string' && isDeviceId(payload.sub)) {
    return { kind: 'device', device: payload.sub, expiresAt }
  }
  const { filters } = payload
  if (payload.role === 'app' && isFilters(filters)) return { kind: 'app', filters, expiresAt }
  throw new IdentityError('token-invalid', 'the token names neither a device nor the filters of an app')
}

function isFilters(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > APP_FILTERS_MAX) return false
  return value.every((filter) => typeof filter === 'string' && isTopicFilter(filter))
}

/** False if there is a file already. */
function makeKey(file: string): boolean {
  try {
    // Most starts find one; they need not write anything, so they do on a full disk too.
    return !existsSync(file) && makeFile(file, `${randomBytes(SIGNING_KEY_BYTES).toString('base64url')}\n`)
  } catch (cause) {
    throw new IdentityError('bad-key', `the signing key ${file} cannot be made: ${messageOf(cause)}`, { cause })
  }
}

function readKey(file: string): Uint8Array {
  const key = Buffer.from(readFileSync(file, 'utf8').trim(), 'base64url')
  if (key.length !== SIGNING_KEY_BYTES) {
    throw new IdentityError('bad-key', `${file} is no key: it must hold ${SIGNING_KEY_BYTES} bytes in base64url`)
  }
  return key
}

function readPublicKey(file: string): KeyObject {
  try {
    return createPublicKey(readFileSync(file))
  } catch (cause) {
    throw new IdentityError('bad-key', `${file} is no public key in PEM (SPKI): ${messageOf(cause)}`, { cause })
  }
}
