/**
 * Owns the devices that cannot carry a token: a user name and a password each, in `config/devices/*.yaml` (device-files.ts, docs/maps.md),
 * the password as scrypt makes it.
 *
 * Always true: no password is kept, not even in memory. Who was let in by a user that is removed or changed is let in no more. Bounds:
 * `CHECKS_AT_ONCE` passwords are checked at once, `CHECKS_WAITING_MAX` wait; for one more the client is to come again. A password that
 * was right is known again without that, so a fleet that comes back is not held up.
 */

import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import type { ConfigValue } from '../platform/config-file.ts'
import { IdentityError } from './errors.ts'
import type { Principal } from './principal.ts'
import { isDevicePattern } from './scope.ts'
import { isDeviceId, isTopicFilter } from './topics.ts'

const CHECKS_AT_ONCE = 2
const CHECKS_WAITING_MAX = 1_000
const PASSWORD_BYTES_MAX = 1_024
/** As OWASP's password storage cheat sheet has it for scrypt, at the least memory: 16 MiB, about 40 ms. */
const COST = { N: 2 ** 14, r: 8, p: 1 }
const HASH_BYTES = 32
const SALT_BYTES = 16
const HASH = /^scrypt\$(\d{1,8})\$(\d{1,3})\$(\d{1,3})\$([\w-]{8,})\$([\w-]{16,})$/
/** What an entry of a file has of a user; the rest is of its device. */
export const USER_KEYS = ['user', 'password', 'device', 'devices', 'subscribe'] as const
/** The user name of apps. */
const APP = 'app'

interface Hash {
  readonly cost: { readonly N: number; readonly r: number; readonly p: number }
  readonly salt: Buffer
  readonly hash: Buffer
}

export interface User {
  readonly name: string
  readonly hash: Hash
  /** As written, by which a change is seen. */
  readonly text: string
  readonly principal: Principal & { readonly kind: 'device' }
  /** Of the password that was right last. */
  digest: Buffer | undefined
}

export class Users {
  readonly #key = randomBytes(32)
  #users: ReadonlyMap<string, User> = new Map()
  #checking = 0
  readonly #waiting: (() => void)[] = []

  /** Puts these in force, each name there once. */
  use(given: readonly User[]): void {
    const users = new Map<string, User>()
    for (const user of given) {
      const before = this.#users.get(user.name)
      users.set(user.name, before?.text === user.text ? before : user)
    }
    this.#users = users
  }

  /** The ids of those that have a user. */
  get devices(): ReadonlySet<string> {
    return new Set([...this.#users.values()].map(({ principal }) => principal.device))
  }

  has(name: string | undefined): boolean {
    return name !== undefined && this.#users.has(name)
  }

  /** Rejects with an `IdentityError`: `password-wrong`, or `too-many` while too many are being checked. */
  async verify(name: string, password: Buffer | undefined): Promise<Principal & { readonly kind: 'device' }> {
    const user = this.#users.get(name)
    const wrong = () => new IdentityError('password-wrong', `the password of user "${name}" is another`)
    if (user === undefined || password === undefined || password.length > PASSWORD_BYTES_MAX) throw wrong()
    const digest = createHmac('sha256', this.#key).update(password).digest()
    if (user.digest !== undefined && timingSafeEqual(user.digest, digest)) return user.principal
    await this.#turn()
    try {
      const hash = await hashed(password, user.hash)
      if (!timingSafeEqual(hash, user.hash.hash)) throw wrong()
      user.digest = digest
      return user.principal
    } finally {
      this.#checking--
      this.#waiting.shift()?.()
    }
  }

  /** Whether it was let in by a user that is another now, or none. */
  isRevoked(principal: Principal): boolean {
    if (principal.kind !== 'device' || principal.user === undefined) return false
    return this.#users.get(principal.user)?.principal !== principal
  }

  async #turn(): Promise<void> {
    while (this.#checking >= CHECKS_AT_ONCE) {
      if (this.#waiting.length >= CHECKS_WAITING_MAX) {
        throw new IdentityError('too-many', 'too many passwords are being checked: come again')
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#checking++
  }
}

/** What a file is to have of a password. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const bytes = Buffer.from(password)
  if (bytes.length === 0 || bytes.length > PASSWORD_BYTES_MAX) {
    throw new IdentityError('bad-password', `a password has 1 to ${PASSWORD_BYTES_MAX} bytes`)
  }
  const hash = await hashed(bytes, { cost: COST, salt, hash: Buffer.alloc(HASH_BYTES) })
  const { N, r, p } = COST
  return `scrypt$${N}$${r}$${p}$${salt.toString('base64url')}$${hash.toString('base64url')}`
}

function hashed(password: Buffer, { cost, salt, hash }: Hash): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, hash.length, { ...cost, maxmem: 256 * cost.N * cost.r }, (error, made) =>
      error === null ? resolve(made) : reject(error),
    )
  })
}

/** The user that an entry says; `keys` are the entry's. Throws a `ConfigError`. */
export function readUser(item: ConfigValue, keys: ReadonlyMap<string, ConfigValue>): User {
  const userAt = keys.get('user') ?? item.refuse('it has no user')
  const name = userAt.text('user')
  if (name === APP) userAt.refuse('the user name "app" is that of apps')
  const passwordAt = keys.get('password') ?? item.refuse('it has no password')
  const hash = readHash(passwordAt)
  const deviceAt = keys.get('device') ?? userAt
  const device = deviceAt.text('device')
  if (!isDeviceId(device)) {
    deviceAt.refuse(
      `${deviceAt.shown} is no device id: allowed are 1 to 64 of A-Z a-z 0-9 . _ : -; a key device names another`,
    )
  }
  const also = keys
    .get('devices')
    ?.list('devices')
    .map((each) => {
      const pattern = each.text('a device')
      return isDevicePattern(pattern)
        ? pattern
        : each.refuse(`${each.shown} is no device id, nor the beginning of some with a * behind`)
    })
  const subscribes = keys
    .get('subscribe')
    ?.list('subscribe')
    .map((each) => {
      const filter = each.text('a filter')
      return isTopicFilter(filter) && !filter.startsWith('$')
        ? filter
        : each.refuse(`${each.shown} is no MQTT topic filter`)
    })
  const principal = {
    kind: 'device' as const,
    device,
    user: name,
    expiresAt: Number.POSITIVE_INFINITY,
    ...(also && { also }),
    ...(subscribes && { subscribes }),
  }
  return { name, hash, text: JSON.stringify([principal, passwordAt.text('password')]), principal, digest: undefined }
}

function readHash(given: ConfigValue): Hash {
  const [, N, r, p, salt, hash] = HASH.exec(given.text('password')) ?? []
  if (hash === undefined || salt === undefined) {
    return given.refuse('the password is not as `telltale token password` prints it (and is never shown here)')
  }
  const cost = { N: Number(N), r: Number(r), p: Number(p) }
  const isCost = cost.N >= 2 && Number.isInteger(Math.log2(cost.N)) && cost.N * cost.r * cost.p <= 2 ** 20
  if (!isCost)
    given.refuse('the cost of the password is none, or more than the platform spends: N * r * p is at most 2^20')
  return { cost, salt: Buffer.from(salt, 'base64url'), hash: Buffer.from(hash, 'base64url') }
}
