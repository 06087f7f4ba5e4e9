/**
 * Owns identity: one kind of credential, a JWT (RFC 7519) signed by a key of this installation. A device's token names
 * the device; an app's token names the topic filters it may read, and has an id (`jti`) by which it can be revoked.
 *
 * The keys and what was revoked are files (`key-files.ts`, `revocations.ts`). Every process that has a role looks at them each
 * `REFRESH_MS`, so whatever a command changes holds everywhere soon, for those too that are connected (`isRevoked`).
 *
 * Always true: a secret never leaves its file (mode 0600). Files that cannot be used stop a start; while running they change nothing,
 * and are told once; bad keys keep no revocation from taking effect.
 */

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import {
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
  type ProtectedHeaderParameters,
  SignJWT,
} from 'jose'
import type { Clock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import type { Part } from '../platform/lifecycle.ts'
import { TOKEN_CHARS_MAX, TOKEN_TTL_MS_MAX } from '../platform/limits.ts'
import type { Logger } from '../platform/logger.ts'
import { IdentityError } from './errors.ts'
import { type AddedKey, KeyFiles, type Keys, type OwnKey } from './key-files.ts'
import { isCanonical, ownClaims } from './own-token.ts'
import {
  APP_FILTERS_MAX,
  DEAD_LETTERS_SCOPE,
  DEVICE_PATTERNS_MAX,
  type DevicePrincipal,
  isDevicePatterns,
  type Principal,
  principalOf,
  SCHEMAS_SCOPE,
} from './principal.ts'
import { Revocations } from './revocations.ts'
import { allowsDevice, allowsFilters, allowsPattern, type Scope } from './scope.ts'
import { isDeviceId, isTopicFilter } from './topics.ts'

/** How often the files are looked at; those who are connected are looked over each second, and two are promised in all. */
const REFRESH_MS = 500
const AUDIENCE = 'telltale'
const TOKEN_ID_BYTES = 12

export interface IdentityOptions {
  readonly directory: string
  /** A token of an added key that is good for longer is refused. */
  readonly addedKeyTtlMaxMs?: number
}

/** What an app's token allows besides reading. */
export interface AppMay {
  readonly schemas?: boolean
  readonly deadLetters?: boolean
  /** Devices, as patterns (`scope.ts`). */
  readonly commands?: readonly string[]
}

export class Identity implements Part {
  readonly name = 'identity'
  readonly files: KeyFiles
  readonly revocations: Revocations
  readonly #ttlMaxMs: number
  readonly #clock: Clock
  #keys: Keys | undefined
  #hasNewKey = false
  #refreshing: NodeJS.Timeout | undefined
  #logger: Logger | undefined
  #told = ''

  constructor(options: IdentityOptions, dependencies: { readonly clock: Clock }) {
    this.files = new KeyFiles(options.directory)
    this.revocations = new Revocations(join(options.directory, 'revoked'))
    this.#ttlMaxMs = options.addedKeyTtlMaxMs ?? TOKEN_TTL_MS_MAX
    this.#clock = dependencies.clock
  }

  /** Reads the keys; makes the signing key if there is none. Rejects with `bad-key` for a file that is no key. */
  async start(): Promise<void> {
    this.#hasNewKey = this.files.prepare()
    this.refresh()
  }

  /** Looks at the files; `watch` does it all the time. Throws an `IdentityError` for one that cannot be used. */
  refresh(): void {
    // Whichever of the two cannot be used, the other holds.
    try {
      this.#keys = this.files.read()
    } finally {
      this.revocations.read(this.#clock.now())
    }
  }

  /** Looks at the files from now on, and tells of one that cannot be used. Does not keep the process alive. */
  watch(logger: Logger): void {
    this.#logger = logger
    this.#refreshing ??= setInterval(() => this.look(), REFRESH_MS).unref()
  }

  /** As `watch` does it. */
  look(): void {
    let problem = ''
    try {
      this.refresh()
    } catch (error) {
      problem = messageOf(error)
      if (problem !== this.#told) this.#logger?.error(`${problem}; what they were before stays in force`)
    }
    this.#told = problem
  }

  /** There was no signing key at the start: no token of before is good here. */
  get hasNewKey(): boolean {
    return this.#hasNewKey
  }

  async stop(): Promise<void> {
    clearInterval(this.#refreshing)
    this.#keys = undefined
  }

  /** A token for the device `device`, good for `ttlMs`; `also` are devices for which it speaks on foreign topics. */
  signDevice(device: string, ttlMs: number, also: readonly string[] = []): Promise<string> {
    if (!isDeviceId(device)) throw new IdentityError('bad-device', `"${device}" is no device id: ${DEVICE_ID_RULE}`)
    if (also.length === 0) return this.#sign({ role: 'device', sub: device }, ttlMs)
    if (!isDevicePatterns(also)) {
      const right = `1 to ${DEVICE_PATTERNS_MAX} ids, or beginnings of ids with a * behind`
      throw new IdentityError('bad-device', `"${also.join(' ')}" names no devices to speak for: allowed are ${right}`)
    }
    return this.#sign({ role: 'device', sub: device, also }, ttlMs)
  }

  /**
   * A token for an app that reads within `filters`, good for `ttlMs`; with `schemas` it registers schemas, with `deadLetters` it replays and purges
   * dead letters within its filters; `commands` are the devices it commands.
   */
  signApp(
    filters: readonly string[],
    ttlMs: number,
    { schemas = false, deadLetters = false, commands = [] }: AppMay = {},
  ): Promise<string> {
    const wrong = filters.find((filter) => !isTopicFilter(filter))
    if (wrong !== undefined) throw new IdentityError('bad-filter', `"${wrong}" is no MQTT topic filter`)
    if (filters.length < 1 || filters.length > APP_FILTERS_MAX) {
      throw new IdentityError('bad-filter', `an app has ${filters.length} filters: allowed are 1 to ${APP_FILTERS_MAX}`)
    }
    if (commands.length > 0 && !isDevicePatterns(commands)) {
      const right = `1 to ${DEVICE_PATTERNS_MAX} ids, or beginnings of ids with a * behind`
      throw new IdentityError('bad-device', `"${commands.join(' ')}" names no devices to command: allowed are ${right}`)
    }
    const jti = `app-${randomBytes(TOKEN_ID_BYTES).toString('base64url')}`
    const scope = [schemas && SCHEMAS_SCOPE, deadLetters && DEAD_LETTERS_SCOPE].filter(Boolean).join(' ')
    const more = { ...(scope !== '' && { scope }), ...(commands.length > 0 && { commands: [...commands] }) }
    return this.#sign({ role: 'app', filters: [...filters], ...more, jti }, ttlMs)
  }

  /** Who holds `token`. Rejects with an `IdentityError`. */
  async verify(token: string): Promise<Principal> {
    if (token === '') throw new IdentityError('token-missing', 'no token was given')
    if (token.length > TOKEN_CHARS_MAX) throw new IdentityError('token-invalid', 'the token is too long')
    const principal = await this.#principal(token)
    const refusal = this.#lost(principal)
    if (refusal !== undefined) throw refusal
    return principal
  }

  /** Whether what was verified is good no more: it was revoked, or its key has gone or may name it no more. */
  isRevoked(principal: Principal): boolean {
    return this.#lost(principal) !== undefined
  }

  #lost(principal: Principal): IdentityError | undefined {
    const { proof } = principal
    if (proof === undefined) return undefined
    const { own, added } = this.#known
    const key = own.get(proof.key) ?? added.get(proof.key)
    if (key === undefined) return new IdentityError('token-revoked', 'the key that signed the token was removed')
    if (proof.id !== undefined && this.revocations.has(proof.id, proof.issuedAt)) {
      return new IdentityError('token-revoked', `the token was revoked, as one of ${proof.id}`)
    }
    if ('until' in key) {
      if (this.#clock.now() < key.until) return undefined
      return new IdentityError('token-revoked', 'the time of the key that signed the token is over')
    }
    const { scope } = key
    if (scope === undefined) return undefined
    if (principal.kind === 'app' && principal.schemas) {
      return new IdentityError(
        'token-invalid',
        'the token may register schemas: that is not allowed to a key with a scope',
      )
    }
    if (principal.kind === 'app' && principal.deadLetters) {
      return new IdentityError(
        'token-invalid',
        'the token may replay and purge dead letters: that is not allowed to a key with a scope',
      )
    }
    if (principal.kind === 'app' && principal.commands !== undefined) {
      return new IdentityError(
        'token-invalid',
        'the token may command devices: that is not allowed to a key with a scope',
      )
    }
    if (principal.kind === 'device' ? allowsAll(scope, principal) : allowsFilters(scope, principal.filters))
      return undefined
    const named =
      principal.kind === 'device'
        ? `the device ${[principal.device, ...(principal.also ?? [])].join(', ')}`
        : principal.filters.join(', ')
    const allowed = [...scope.devices, ...scope.filters].join(', ') || 'nothing'
    return new IdentityError('token-invalid', `the token names ${named}: allowed to its key is ${allowed}`)
  }

  async #principal(token: string): Promise<Principal> {
    try {
      if (token.split('.').length !== 3) throw new errors.JWSInvalid('it does not have three parts')
      if (!isCanonical(token)) throw new errors.JWSInvalid('a part of it is no base64url: was it copied whole?')
      const header = decodeProtectedHeader(token)
      if (header.alg !== 'HS256') return await this.#verifyAdded(token, header)
      // No wait on this way: see `own-token.ts`.
      const { claims, key } = ownClaims(token, header, this.#ownKeys(header), AUDIENCE, this.#clock.now())
      return principalOf(claims, key.kid)
    } catch (cause) {
      if (cause instanceof IdentityError) throw cause
      if (cause instanceof errors.JWTExpired)
        throw new IdentityError('token-expired', 'the token has expired', { cause })
      const hint = cause instanceof errors.JWSSignatureVerificationFailed ? FOREIGN : ''
      throw new IdentityError('token-invalid', `the token is not valid: ${messageOf(cause)}${hint}`, { cause })
    }
  }

  /** Those that could have signed it: earlier versions did not say which. */
  #ownKeys({ kid }: ProtectedHeaderParameters): readonly OwnKey[] {
    const { own } = this.#known
    if (kid === undefined) return [...own.values()]
    const key = own.get(kid)
    if (key !== undefined) return [key]
    throw new Error(`there is no key ${JSON.stringify(kid)} here: it was removed, or is another installation's`)
  }

  async #verifyAdded(token: string, { alg, kid }: ProtectedHeaderParameters): Promise<Principal> {
    const currentDate = new Date(this.#clock.now())
    const options = { audience: AUDIENCE, requiredClaims: ['exp'], currentDate, algorithms: ['ES256', 'EdDSA'] }
    let failure: unknown = new Error('no public key is installed that could have signed it')
    for (const each of this.#addedKeys(alg, kid)) {
      try {
        const { payload } = await jwtVerify(token, each.key, options)
        this.#requireShort(payload)
        return principalOf(payload, each.kid)
      } catch (error) {
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error
        failure = error // Signed by another of the keys, perhaps.
      }
    }
    throw failure
  }

  /** Those that could have signed it: whoever made the token may have names of his own for them. */
  #addedKeys(alg: string | undefined, kid: string | undefined): readonly AddedKey[] {
    const { added } = this.#known
    const named = added.get(kid ?? '')
    if (named !== undefined) return [named]
    return [...added.values()].filter(({ algorithm }) => algorithm === alg)
  }

  /** Who has an added key cannot make himself a token for ever. */
  #requireShort({ exp = 0, iat }: JWTPayload): void {
    const now = this.#clock.now()
    const ttlMs = exp * 1000 - Math.min(now, iat === undefined ? now : iat * 1000)
    if (ttlMs <= this.#ttlMaxMs) return
    const days = (ms: number) => Math.round((ms / 86_400_000) * 10) / 10
    const allowed = `allowed to added keys are ${days(this.#ttlMaxMs)} (TELLTALE_ADDED_KEYS_TTL_MAX)`
    throw new IdentityError('token-invalid', `the token is good for ${days(ttlMs)} days: ${allowed}`)
  }

  #sign(claims: JWTPayload, ttlMs: number): Promise<string> {
    const now = Math.floor(this.#clock.now() / 1000)
    const { kid, secret } = this.#known.signing
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid })
      .setAudience(AUDIENCE)
      .setIssuedAt(now)
      .setExpirationTime(now + Math.ceil(ttlMs / 1000))
      .sign(secret)
  }

  get #known(): Keys {
    if (this.#keys === undefined) throw new IdentityError('bad-key', 'the identity was not started')
    return this.#keys
  }
}

const allowsAll = (scope: Scope, { device, also = [] }: DevicePrincipal) =>
  allowsDevice(scope, device) && also.every((pattern) => allowsPattern(scope, pattern))

const FOREIGN = " (signed by another installation's key, or not copied as it is?)"
const DEVICE_ID_RULE = 'allowed are 1 to 64 of A-Z a-z 0-9 . _ : -'
