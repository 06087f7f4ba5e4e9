/**
 * Owns what clients show: whether a token is good, or a password; and whether a token may take the place of another while a connection
 * lasts (MQTT 5 section 4.12.1).
 *
 * Always true: a session stays that of its device, or of an app; its end, and an app's filters, are those of the token that was
 * shown last. A token that is refused changes nothing.
 */

import { IdentityError } from '../../identity/errors.ts'
import type { Principal } from '../../identity/principal.ts'
import type { Users } from '../../identity/users.ts'
import { messageOf } from '../../platform/errors.ts'
import { Disconnect } from '../reports/disconnects.ts'
import type { Refusal } from '../reports/metrics.ts'
import { lostFilter } from '../session/access.ts'
import type { Session } from '../session/session.ts'

export interface Verifies {
  verify(token: string): Promise<Principal>
  isRevoked(principal: Principal): boolean
}

export type HasUsers = Pick<Users, 'has' | 'verify' | 'isRevoked'>

/** By the code of an `IdentityError`. */
const REASONS: Readonly<Record<string, Refusal>> = {
  'token-expired': 'expired-token',
  'token-revoked': 'revoked-token',
}

/** Whose token it is. Rejects with what `refuse` makes of the reason. */
export async function verified(
  identity: Verifies,
  token: Buffer | undefined,
  refuse: (reason: Refusal, message: string) => Disconnect,
): Promise<Principal> {
  try {
    return await identity.verify(token?.toString('utf8') ?? '')
  } catch (error) {
    const reason = (error instanceof IdentityError && REASONS[error.code]) || 'bad-token'
    throw refuse(reason, messageOf(error))
  }
}

/** Who has this user name and password; undefined if there is no such user. Rejects with what `refuse` makes of the reason. */
export async function byPassword(
  users: HasUsers | undefined,
  username: string | undefined,
  password: Buffer | undefined,
  refuse: (reason: Refusal, message: string) => Disconnect,
): Promise<Principal | undefined> {
  if (username === undefined || users?.has(username) !== true) return undefined
  try {
    return await users.verify(username, password)
  } catch (error) {
    const isFull = error instanceof IdentityError && error.code === 'too-many'
    throw refuse(isFull ? 'too-many-connects' : 'bad-password', messageOf(error))
  }
}

/** Has a session go on by another token. Rejects with the `Disconnect` with which its connection ends. */
export async function renew(identity: Verifies | undefined, session: Session, token: Buffer): Promise<void> {
  const before = session.holder
  if (identity === undefined || before.kind === 'anyone') return
  // The certificate's end, and its revocation, would be forgotten.
  if (before.proof === undefined)
    throw refused('it was let in by its certificate or its password, and no token takes the place of that')
  const principal = await verified(identity, token, (reason, message) => new Disconnect(reason, message))
  if (!isSame(before, principal)) {
    throw refused(`the new token is of ${nameOf(principal)}, the one before of ${nameOf(before)}`)
  }
  const lost = lostFilter(session, principal)
  if (lost !== undefined) throw refused(`the new token does not allow ${lost}, to which the client has subscribed`)
  session.holder = principal
}

const refused = (message: string) => new Disconnect('bad-token', message)

/** All apps are one to MQTT: they have a user name in common. */
function isSame(one: Principal, other: Principal): boolean {
  return one.kind === 'device' ? other.kind === 'device' && one.device === other.device : other.kind === 'app'
}

function nameOf(principal: Principal): string {
  return principal.kind === 'device' ? `device "${principal.device}"` : 'an app'
}
