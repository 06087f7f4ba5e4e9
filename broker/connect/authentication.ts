/**
 * Owns who may connect (docs/contract.md, "Identity"), and how often. A device shows its id as user name and as client id, and its
 * token as password; an app shows `app` and its token. By settings a certificate stands for a device's token. Anything else gets return code 4 or 5 (MQTT 3.1.1 section 3.2.2.3).
 *
 * Always true: an app's client id lives apart from the devices' (it gets a prefix no device id can have), so that an app
 * cannot take over a device's connection.
 * Bound: `CONNECTS_PER_CLIENT`. Full: who connects with that id waits; one more gets return code 3.
 */

import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { AuthenticateError, Client } from 'aedes'
import type { Principal } from '../../identity/principal.ts'
import type { ReceiveWindow } from '../../intake/receive-window.ts'
import type { Clock } from '../../platform/clock.ts'
import { CONNECTS_PER_CLIENT } from '../../platform/limits.ts'
import { Throttle } from '../../platform/throttle.ts'
import { renameClient, willOf } from '../aedes/internals.ts'
import { Disconnect } from '../reports/disconnects.ts'
import type { BrokerMetrics, Refusal } from '../reports/metrics.ts'
import type { ForeignTopics } from '../session/foreign-topics.ts'
import { HeldBack } from '../session/held-back.ts'
import { type RateLimits, Rates } from '../session/rate.ts'
import { type Holder, Session } from '../session/session.ts'
import { SubscriptionsTotal } from '../session/subscriptions.ts'
import { ClientCertificates, NoDevice } from './client-certificates.ts'
import { byPassword, type HasUsers, renew, type Verifies, verified } from './tokens.ts'

/** The user name of apps. */
const APP = 'app'
export const SERVER_UNAVAILABLE = 3
const BAD_USERNAME_OR_PASSWORD = 4
const NOT_AUTHORIZED = 5

/** A refused connection: the return code for the client, the reason for the metric, the message for the log. */
export class ConnectRefused extends Disconnect implements AuthenticateError {
  readonly returnCode: number
  override readonly what = 'connection refused'

  constructor(returnCode: number, reason: Refusal, message: string) {
    super(reason, message)
    this.returnCode = returnCode
  }
}

export interface AuthenticationOptions {
  /** Who shows a certificate is the device that it names, and needs no token; an app shows a token all the same. */
  readonly byCertificate?: boolean
  /** What one device may publish. */
  readonly deviceRate: RateLimits
  /** A device may connect at several brokers, one after the other: its connections are told apart. */
  readonly hasEpochs?: boolean
}

export interface AuthenticationDependencies {
  /** Undefined: anyone may connect. */
  readonly identity: Verifies | undefined
  /** Devices with a user name and a password; there are none if it is not given. */
  readonly users?: HasUsers | undefined
  /** There are no foreign topics if it is not given. */
  readonly foreign?: ForeignTopics | undefined
  readonly clock: Clock
  readonly metrics: BrokerMetrics
}

export class Authentication {
  readonly certificates = new ClientCertificates()
  readonly #byCertificate: boolean
  readonly #hasEpochs: boolean
  readonly #dependencies: AuthenticationDependencies
  readonly #rates: Rates
  readonly #subscriptionsTotal = new SubscriptionsTotal()
  readonly #throttle = new Throttle(CONNECTS_PER_CLIENT)

  constructor(
    { deviceRate, byCertificate = false, hasEpochs = false }: AuthenticationOptions,
    dependencies: AuthenticationDependencies,
  ) {
    this.#byCertificate = byCertificate
    this.#hasEpochs = hasEpochs
    this.#dependencies = dependencies
    this.#rates = new Rates(deviceRate)
  }

  /** The session of a client that may connect, when it is time for it. Rejects with `ConnectRefused`. */
  async authenticate(
    client: Client,
    receiveWindow: ReceiveWindow,
    username: string | undefined,
    password: Buffer | undefined,
  ): Promise<Session> {
    const { identity, users } = this.#dependencies
    const certified = this.#certified(client, username)
    const unknown = refusalFor(username, password)
    const holder: Holder =
      identity === undefined
        ? { kind: 'anyone' }
        : ((await byPassword(users, username, password, unknown)) ??
          holderOf(client, username ?? certified?.device, certified ?? (await verified(identity, password, unknown))))
    // Its client id is whatever its firmware makes of itself: it must not be another's.
    if (holder.kind === 'device' && holder.user !== undefined) renameClient(client, `user/${holder.user}/${client.id}`)
    // An app publishes nothing, and its client id may be a device's: it must not use up what that one may publish.
    const rate = holder.kind === 'app' ? undefined : this.#rates.of(client.id)
    const session = new Session(holder, willOf(client), {
      receiveWindow,
      heldBack: rate && new HeldBack(rate, { client: client.id, receiveWindow, clock: this.#dependencies.clock }),
      subscriptionsTotal: this.#subscriptionsTotal,
      // Who has a password may have several connections, with client ids of its own.
      hasEpoch: this.#hasEpochs && holder.kind === 'device' && holder.user === undefined,
    })
    this.#checkWill(session)
    if (holder.kind === 'app') renameClient(client, `app/${client.id}`)
    await this.#waitForItsTime(client)
    return session
  }

  /** Has a session go on by another token. Rejects with the `Disconnect` with which its connection ends. */
  renew(session: Session, token: Buffer): Promise<void> {
    return renew(this.#dependencies.identity, session, token)
  }

  /** Whether what a client showed when it connected is good no more. */
  isRevoked(principal: Principal): boolean {
    const { identity, users } = this.#dependencies
    if (users?.isRevoked(principal) === true) return true
    return identity?.isRevoked(principal) === true || this.certificates.isRevoked(principal)
  }

  /** The device that the client's certificate names, where that is asked. */
  #certified(client: Client, username: string | undefined) {
    if (!this.#byCertificate || username === APP) return undefined
    const certified = this.certificates.of(client.conn as Duplex)
    if (certified instanceof NoDevice) throw new ConnectRefused(NOT_AUTHORIZED, 'wrong-certificate', certified.message)
    return certified
  }

  /** After its token was checked: who only has somebody's id must not keep that one waiting. */
  async #waitForItsTime(client: Client): Promise<void> {
    const { clock, metrics } = this.#dependencies
    const waitMs = this.#throttle.wait(clock.now(), client.id)
    if (waitMs === undefined) {
      throw new ConnectRefused(SERVER_UNAVAILABLE, 'too-many-connects', 'this client id connects again and again')
    }
    if (waitMs === 0) return
    metrics.connectDelayed('client')
    await delay(waitMs, undefined, { ref: false })
  }

  /** A will is a message that the broker sends for the client: it must be one that the client may send. */
  #checkWill(session: Session): void {
    const { holder, will } = session
    if (will === undefined || holder.kind === 'anyone') return
    const topic = session.topic(will.topic)
    const allowed = topic?.kind === 'status' || topic?.kind === 'telemetry'
    if (holder.kind !== 'device' || !allowed || topic.device !== holder.device) {
      const foreign =
        topic === undefined &&
        this.#dependencies.foreign?.mayWill(holder, { ...will, payload: Buffer.from(will.payload) })
      if (foreign) return
      const hint = will.topic.startsWith('$SYS/broker/connection/') ? ' (a Mosquitto bridge: notifications false)' : ''
      const message = `the will's topic "${will.topic}" is not one this client may publish${hint}`
      throw new ConnectRefused(NOT_AUTHORIZED, 'wrong-will', message)
    }
  }
}

/** What looks like no token is a password, and no user has the name, or it would have been checked: what a token lacks says nothing of it. */
function refusalFor(username = '', password: Buffer | undefined) {
  const isToken = password === undefined || password.toString('latin1').split('.').length === 3
  return (reason: Refusal, text: string) => {
    const code = reason === 'too-many-connects' ? SERVER_UNAVAILABLE : BAD_USERNAME_OR_PASSWORD
    const isAsTold = isToken || reason !== 'bad-token'
    const name = JSON.stringify(username)
    const what = isAsTold ? text : `the password is not the token of ${name}, and config/devices has no user ${name}`
    return new ConnectRefused(code, reason, what)
  }
}

function holderOf(client: Client, username: string | undefined, principal: Principal): Holder {
  if (principal.kind === 'app') {
    if (username === APP) return principal
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
      `what was shown is of device "${device}", the user name is "${username ?? ''}"`,
    )
  }
  if (client.id !== device) {
    const message = `the client id must be the device id "${device}", and is "${client.id}" (mosquitto_pub: -i ${device})`
    throw new ConnectRefused(NOT_AUTHORIZED, 'wrong-client-id', message)
  }
  return principal
}
