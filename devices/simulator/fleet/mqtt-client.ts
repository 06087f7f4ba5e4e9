/**
 * Owns how the `mqtt` package is asked for the connection of a simulated device, and in what it is made to do what it does not by itself:
 * resends carry DUP, acknowledgements can be held back, and what one turn of the event loop sends leaves at once.
 */

import { type IClientOptions, type MqttClient, Store } from 'mqtt'
import { statusTopic } from '../../../identity/topics.ts'
import type { Level } from '../scenario/scenario.ts'
import { brokerAddress } from './broker-address.ts'

/** No CONNACK within this time: the attempt has failed and is repeated. */
const SIMULATOR_CONNACK_MS = 10_000
/** Of a session whose QoS 2 messages are half-way (MQTT 5; in 3.1.1 it is the broker's to say). */
const SESSION_EXPIRY_SECONDS = 3_600

/** What of TLS is not the system's own. PEM. */
export interface TlsOptions {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

export interface ConnectionOptions {
  readonly url: string
  readonly tls: TlsOptions
  readonly id: string
  readonly token: string
  readonly mqtt: Level
  readonly keepaliveSeconds: number
  /** It needs the broker's half of the session: of QoS 2. For QoS 1 our store alone is enough, and the broker keeps nothing. */
  readonly keepsSession: boolean
}

/** As whom it connects the next time, in place of itself; undefined: as itself. */
export type Disguise = { readonly clientId: string } | { readonly token: string }

/** Of the device's retained status. */
export const ONLINE = JSON.stringify({ online: true })
export const OFFLINE = JSON.stringify({ online: false })

export function clientOptions(
  options: ConnectionOptions,
  disguise: Disguise | undefined,
  reconnectPeriod: number,
): IClientOptions {
  const { keepaliveSeconds, tls, id, url } = options
  return {
    ...brokerAddress(url),
    ...identityOf(options, disguise),
    ...sessionOptions(options),
    username: id,
    keepalive: keepaliveSeconds,
    will: { topic: statusTopic(id), payload: Buffer.from(OFFLINE), qos: 1, retain: true },
    connectTimeout: SIMULATOR_CONNACK_MS,
    reconnectPeriod,
    reconnectOnConnackError: true,
    outgoingStore: new ResendStore({ clean: true }),
    ...tls,
    log: () => {},
  }
}

/** As whom it connects: a token that is over, or another's id, in place of its own. */
export function identityOf({ id, token }: ConnectionOptions, disguise: Disguise | undefined) {
  return { clientId: id, password: token, ...renamed(disguise) }
}

export function sessionOptions({ mqtt, keepsSession }: Pick<ConnectionOptions, 'mqtt' | 'keepsSession'>) {
  return {
    protocolVersion: mqtt === '5' ? 5 : 4,
    clean: !keepsSession,
    ...(mqtt === '5' && keepsSession && { properties: { sessionExpiryInterval: SESSION_EXPIRY_SECONDS } }),
  } as const
}

/** What is in the store is only ever sent again, so it carries DUP [MQTT-3.3.1-1], which `mqtt` 5.16 leaves out. */
class ResendStore extends Store {
  override put(...[packet, done]: Parameters<Store['put']>): this {
    if (packet.cmd === 'publish') packet.dup = true
    return super.put(packet, done)
  }

  /** A connection that comes up while its client ends reads it once more, which of a closed one throws (`mqtt` 5.16). */
  override close(done: () => void): void {
    done()
  }
}

/** While it is to acknowledge nothing. `mqtt` has no option for it: what `customHandleAcks` holds back holds back all that comes behind. */
export function holdPubacks(client: MqttClient, areHeld: () => boolean): void {
  const own = client as unknown as { _sendPacket: Send }
  const send = own._sendPacket
  own._sendPacket = (packet, done, ...more) => {
    if (packet.cmd === 'puback' && areHeld()) done?.()
    else send.call(client, packet, done, ...more)
  }
}

/** What is sent in one turn of the event loop leaves by one system call: acknowledgements come many at once. */
export class Gathering {
  /** It is corked until the end of this turn. */
  #corked: MqttClient['stream'] | undefined

  begin(stream: MqttClient['stream']): void {
    if (this.#corked === stream) return
    this.#corked = stream
    stream.cork()
    setImmediate(() => {
      this.#corked = undefined
      stream.uncork()
    })
  }
}

const renamed = (disguise: Disguise | undefined) =>
  disguise && ('token' in disguise ? { password: disguise.token } : disguise)

type Send = (packet: { readonly cmd: string }, done?: () => void, ...more: unknown[]) => void
