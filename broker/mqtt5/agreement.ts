/**
 * Owns what a client of MQTT 5 and this broker agree on by CONNECT and CONNACK (sections 3.1.2.11 and 3.2.2.3), and the CONNECT
 * that Aedes sees.
 *
 * Always true: what the client leaves out has the value that the specification gives it. Whether its session outlives the
 * connection is known when it is authenticated, for that depends on whether there is one: see `Sessions` of `mqtt5.ts`.
 */

import { randomUUID } from 'node:crypto'
import type { IConnectPacket } from 'mqtt-packet'
import { framingOf } from '../../schemas/content-type.ts'
import { Disconnect } from '../reports/disconnects.ts'
import { MessageProperties } from './message-properties.ts'
import { type Properties, propertiesOf } from './properties.ts'
import { BAD_AUTHENTICATION_METHOD, PROTOCOL_ERROR } from './reason-codes.ts'

/** Enhanced authentication (section 4.12), in one step: a token, which may be followed by another while the connection lasts. */
export const TOKEN_METHOD = 'telltale-token'

const U16_MAX = 65_535
const U32_MAX = 2 ** 32 - 1
const NOTHING = Buffer.alloc(0)
const LEVEL_311 = 4

/** What an installation asks of clients of MQTT 5. */
export interface Mqtt5Options {
  /** A client with a longer keep alive, or none, is given this one. */
  readonly keepaliveMaxSeconds?: number | undefined
  /** Where clients may connect when this broker stops or is full (section 4.11): hosts, with a space between them. */
  readonly serverReference?: string | undefined
}

export class Agreement {
  readonly cleanStart: boolean
  /** After the connection; `Infinity`: for ever. A DISCONNECT may change it. */
  sessionExpirySeconds: number
  /** Messages of QoS > 0 that the client takes at once. */
  readonly receiveMaximum: number
  readonly maximumPacketSize: number
  readonly topicAliasMaximum: number
  /** Whether acknowledgements may have a Reason String. */
  readonly wantsReasons: boolean
  /** Of a client that has none of its own. */
  readonly assignedClientId: string | undefined
  readonly willDelaySeconds: number
  readonly willExpirySeconds: number | undefined
  /** Whether it named `TOKEN_METHOD`. */
  readonly mayRenew: boolean
  /** In the place of the client's keep alive, where that is longer, or none. */
  readonly serverKeepalive: number | undefined
  /** The CONNECT, as one of level 4. Aedes goes by its `clean`. */
  readonly connect: IConnectPacket

  /** What cannot be agreed on: the client is to be told in words, and how many it takes is agreed on all the same. */
  readonly fault: Disconnect | undefined

  constructor(connect: IConnectPacket, { keepaliveMaxSeconds: longest = U16_MAX + 1 }: Mqtt5Options) {
    const properties = propertiesOf(connect)
    const { authenticationMethod: method, authenticationData: token } = properties
    this.fault = faultOf(method, token)
    this.mayRenew = method !== undefined
    const { keepalive = 0 } = connect
    this.serverKeepalive = (keepalive || U16_MAX) > longest ? longest : undefined
    this.cleanStart = connect.clean === true
    this.sessionExpirySeconds = expiryOf(properties.sessionExpiryInterval ?? 0)
    this.receiveMaximum = properties.receiveMaximum ?? U16_MAX
    this.maximumPacketSize = properties.maximumPacketSize ?? Number.POSITIVE_INFINITY
    this.topicAliasMaximum = properties.topicAliasMaximum ?? 0
    this.wantsReasons = properties.requestProblemInformation !== 0
    this.assignedClientId = connect.clientId === '' ? `assigned-${randomUUID()}` : undefined
    const { properties: _, will, ...rest } = connect
    const willProperties = propertiesOf(will ?? {})
    this.willDelaySeconds = willProperties.willDelayInterval ?? 0
    this.willExpirySeconds = willProperties.messageExpiryInterval
    this.connect = {
      ...rest,
      ...(token !== undefined && { password: token }),
      clientId: this.assignedClientId ?? connect.clientId,
      protocolVersion: LEVEL_311,
      keepalive: this.serverKeepalive ?? keepalive,
      ...(will !== undefined && { will: withProperties(will, willProperties) }),
    }
  }

  changeExpiry(seconds: number): void {
    if (this.sessionExpirySeconds === 0 && seconds > 0) {
      // Section 3.14.2.2.2.
      throw new Disconnect(
        'protocol-error',
        'a session that ends with its connection is to expire later',
        PROTOCOL_ERROR,
      )
    }
    this.sessionExpirySeconds = expiryOf(seconds)
  }
}

function faultOf(method: string | undefined, token: Buffer | undefined): Disconnect | undefined {
  if (method !== undefined && method !== TOKEN_METHOD) {
    const message = `authentication method ${JSON.stringify(method)} is not known here: ${TOKEN_METHOD} is`
    return new Disconnect('protocol-error', message, BAD_AUTHENTICATION_METHOD)
  }
  if (method !== undefined || token === undefined) return undefined
  return new Disconnect('protocol-error', 'authentication data come without a method', PROTOCOL_ERROR)
}

const expiryOf = (seconds: number) => (seconds === U32_MAX ? Number.POSITIVE_INFINITY : seconds)

function withProperties(will: NonNullable<IConnectPacket['will']>, { forwarded, contentType }: Properties) {
  const properties = forwarded === undefined ? undefined : new MessageProperties(forwarded, undefined)
  const framing = framingOf(contentType)
  return { ...will, payload: will.payload ?? NOTHING, properties, framing } as NonNullable<IConnectPacket['will']>
}
