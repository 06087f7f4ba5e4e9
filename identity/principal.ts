/** Owns who somebody is, as a token says it: the claims of a JWT become a `Principal`, or are refused. */

import type { JWTPayload } from 'jose'
import { IdentityError } from './errors.ts'
import { isDevicePattern } from './scope.ts'
import { isDeviceId, isTopicFilter } from './topics.ts'

/** An app token names at most so many topic filters. */
export const APP_FILTERS_MAX = 32
/** A device's token names at most so many others for which it speaks, and an app's so many to which it may send commands. */
export const DEVICE_PATTERNS_MAX = 32

/** In the claim `scope` (RFC 8693 section 4.2), words with spaces between: its app may register schemas. */
export const SCHEMAS_SCOPE = 'schemas'
/** Likewise: its app may replay and purge dead letters within its filters. */
export const DEAD_LETTERS_SCOPE = 'dead-letters'

/** By what a principal can lose what it was given. */
export interface Proof {
  /** The id of the key that signed. */
  readonly key: string
  /** What it is revoked by: the device's id, or that of the app's token. */
  readonly id: string | undefined
  /** Milliseconds since 1970-01-01T00:00Z; 0 if the token does not say. */
  readonly issuedAt: number
}

export interface DevicePrincipal {
  readonly kind: 'device'
  readonly device: string
  readonly expiresAt: number
  readonly proof?: Proof
  /** Other devices for which it speaks on foreign topics, as a gateway does: ids; with a `*` at the end all that begin so. */
  readonly also?: readonly string[]
  /** Who was let in by a user name and a password. */
  readonly user?: string
  /** What it may subscribe to besides its own. */
  readonly subscribes?: readonly string[]
}

export type Principal =
  | DevicePrincipal
  | {
      readonly kind: 'app'
      readonly filters: readonly string[]
      /** Whether it may register schemas. */
      readonly schemas?: boolean
      /** Whether it may replay and purge dead letters within its filters. */
      readonly deadLetters?: boolean
      /** Devices to which it may send commands: ids; with a `*` at the end all that begin so. */
      readonly commands?: readonly string[]
      readonly expiresAt: number
      readonly proof?: Proof
    }

/** Throws an `IdentityError` `token-invalid` for claims that name nobody. */
export function principalOf(claims: JWTPayload, key: string): Principal {
  const { role, sub, jti, iat, filters, also, scope, commands } = claims
  const expiresAt = (claims.exp ?? 0) * 1000
  const issuedAt = typeof iat === 'number' ? iat * 1000 : 0
  if (role === 'device' && typeof sub === 'string' && isDeviceId(sub)) {
    const proof = { key, id: sub, issuedAt }
    if (also === undefined) return { kind: 'device', device: sub, expiresAt, proof }
    if (isDevicePatterns(also)) return { kind: 'device', device: sub, expiresAt, proof, also }
  }
  if (role === 'app' && isFilters(filters) && (commands === undefined || isDevicePatterns(commands))) {
    const id = typeof jti === 'string' ? jti : undefined
    const words = typeof scope === 'string' ? scope.split(' ') : []
    const may = {
      ...(words.includes(SCHEMAS_SCOPE) && { schemas: true }),
      ...(words.includes(DEAD_LETTERS_SCOPE) && { deadLetters: true }),
      ...(commands && { commands }),
    }
    return { kind: 'app', filters, ...may, expiresAt, proof: { key, id, issuedAt } }
  }
  throw new IdentityError('token-invalid', 'the token names neither a device nor the filters of an app')
}

export function isDevicePatterns(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > DEVICE_PATTERNS_MAX) return false
  return value.every((pattern) => typeof pattern === 'string' && isDevicePattern(pattern))
}

function isFilters(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > APP_FILTERS_MAX) return false
  return value.every((filter) => typeof filter === 'string' && isTopicFilter(filter))
}
