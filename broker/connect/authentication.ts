/**
 * Owns who may connect (docs/contract.md, "Identity"). A device shows its id as user name and as client id, and its token as
 * password; an app shows `app` and its token. Anything else gets return code 4 or 5 (MQTT 3.1.1 section 3.2.2.3).
 *
 * Always true: an app's client id lives apart from the devices' (it gets a prefix no device id can have), so that an app
 * cannot take over a device's connection.
 */

import type { AuthenticateError, Client } from 'aedes'
import { IdentityError, type Principal } from '../../identity/identity.ts'
import { messageOf } from '../../platform/errors.ts'
import { renameClient, willOf } from '../aedes/internals.ts'
import { Disconnect } from '../reports/disconnects.ts'
import type { Refusal } from '../reports/metrics.ts'
import type { Rates } from '../session/rate.ts'
import { type Holder, Session, type SessionShares } from '../session/session.ts'

const BAD_USERNAME_OR_PASSWORD = 4
const NOT_AUTHORIZED = 5

export interface Verifies {
  verify(token: string): Promise<Principal>
}

/** A refused connection: the return code for the client, the reason for the metric, the message for the log. */
export class ConnectRefused extends Disconnect implements AuthenticateError {
  readonly returnCode: number
  override readonly what = 'connection refused'

  constructor(returnCode: number, reason: Refusal, message: string) {
    super(reason, message)
    this.returnCode = returnCode
  }
}

/** The session of a client that may connect. Rejects with `ConnectRefused`. */
export async function authenticate(
  client: Client,
  username: string | undefined,
  password: Buffer | undefined,
  identity: Verifies,
  { rates, ...shares }: Omit<SessionShares, 'rate'> & { readonly rates: Rates },
): Promise<Session> {
  const holder = holderOf(client, username, await verified(identity, password))
  const session = new Session(holder, { ...shares, rate: rates.of(client.id) })
  checkWill(client, session)
  if (holder.kind === 'app') renameClient(client, `app/${client.id}`)
  return session
}

async function verified(identity: Verifies, password: Buffer | undefined): Promise<Principal> {
  try {
    return await identity.verify(password?.toString('utf8') ?? '')
  } catch (error) {
    const expired = error instanceof IdentityError && error.code === 'token-expired'
    throw new ConnectRefused(BAD_USERNAME_OR_PASSWORD, expired ? 'expired-token' : 'bad-token', messageOf(error))
  }
}

function holderOf(client: Client, username: string | undefined, principal: Principal): Holder {
  if (principal.kind === 'app') {
    if (username === 'app') return principal
    throw new ConnectRefused(
      NOT_AUTHORIZED,
      'bad-token',
      `an app's token was shown with user name "${username ?? ''}", not "app"`,
    )
  }
  const { device } = principal
  if (username !== device) {
    throw new ConnectRefused(
      NOT_AUTHORIZED,
      'bad-token',
      `the token is of device "${device}", the user name is "${username ?? ''}"`,
    )
  }
  if (client.id !== device) {
    const message = `the client id must be the device id "${device}", and is "${client.id}" (mosquitto_pub: -i ${device})`
    throw new ConnectRefused(NOT_AUTHORIZED, 'wrong-client-id', message)
  }
  return principal
}

/** A will is a message that the broker sends for the client: it must be one that the client may send. */
function checkWill(client: Client, session: Session): void {
  const will = willOf(client)
  if (will === undefined) return
  const topic = session.topic(will.topic)
  const { holder } = session
  const allowed = topic?.kind === 'status' || topic?.kind === 'telemetry'
  if (holder.kind !== 'device' || !allowed || topic.device !== holder.device) {
    throw new ConnectRefused(
      NOT_AUTHORIZED,
      'wrong-will',
      `the will's topic "${will.topic}" is not one this client may publish`,
    )
  }
}
