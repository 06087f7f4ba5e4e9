/**
 * Owns what a statement of the specification is here: its id in appendix B, our words for it, whom it binds, and the check that
 * tries a broker on it. A `Bed` is of MQTT 3.1.1; that of 5.0 is `mqtt5/bed5.ts`.
 *
 * A check passes or throws. It gets a `Bed`: a broker's port, and names that no other check uses, since all share a broker.
 */

import assert from 'node:assert/strict'
import {
  answer,
  CONNACK,
  type ConnectFields,
  connectPacket,
  idOf,
  PUBACK,
  PUBCOMP,
  PUBREC,
  PUBREL,
  type PublishFields,
  publishPacket,
  SUBACK,
  subscribePacket,
  UNSUBACK,
  unsubscribePacket,
  WireClient,
} from './wire.ts'

export type Check = (bed: Bed) => Promise<void>

/** Whose conduct a statement is about; `both` when client and server are bound alike. */
export type Subject = 'server' | 'client' | 'both'

export interface Statement {
  /** As in the specification: `MQTT-3.1.2-24`, which is written `MQTT5-3.1.2-24` for MQTT 5.0. */
  readonly id: string
  /** What it demands, in our own words. */
  readonly text: string
  readonly binds: Subject
  /** Missing where a server cannot be tried on it; `untested` says why. */
  readonly check?: Check
  readonly untested?: string
}

export const server = (id: string, text: string, check: Check): Statement => ({ id, text, binds: 'server', check })
export const both = (id: string, text: string, check: Check): Statement => ({ id, text, binds: 'both', check })
export const client = (id: string, text: string, untested: string): Statement => ({
  id,
  text,
  binds: 'client',
  untested,
})

export interface Ports {
  readonly mqtt: number
  readonly webSocket: number
}

/** One check's place at a broker. */
export class Bed {
  readonly ports: Ports
  readonly #name: string
  readonly #clients: WireClient[] = []

  constructor(ports: Ports, name: string) {
    this.ports = ports
    this.#name = name
  }

  /** A client id or topic of this check's own. */
  name(suffix: string): string {
    return `${this.#name}${suffix}`
  }

  async open(): Promise<WireClient> {
    const opened = await WireClient.open(this.ports.mqtt)
    this.#clients.push(opened)
    return opened
  }

  /** A connection on which these bytes were sent. */
  async sending(...packets: readonly Buffer[]): Promise<WireClient> {
    const opened = await this.open()
    opened.send(...packets)
    return opened
  }

  /** A client that is connected. */
  async client(suffix = 'c', fields: ConnectFields = {}): Promise<WireClient> {
    const [connected] = await this.session(suffix, fields)
    return connected
  }

  /** A client that is connected, and the Session Present flag of its CONNACK. */
  async session(suffix: string, fields: ConnectFields = { clean: false }): Promise<[WireClient, number]> {
    const connected = await this.sending(connectPacket(this.name(suffix), fields))
    const { body } = await connected.next(CONNACK)
    assert.equal(body.readUInt8(1), 0, `CONNACK with return code ${body.readUInt8(1)}`)
    return [connected, body.readUInt8(0)]
  }

  /** A connected client with one subscription. */
  async subscriber(filter: string, qos = 0, suffix = 's', fields: ConnectFields = {}): Promise<WireClient> {
    const connected = await this.client(suffix, fields)
    await subscribe(connected, filter, qos)
    return connected
  }

  /** Publishes from a client of its own, at QoS 1 unless told; it has been acknowledged when this resolves. */
  async post(topic: string, payload: string, fields: PublishFields = {}): Promise<void> {
    const publisher = await this.client('post')
    await publishAcknowledged(publisher, topic, payload, fields)
    await publisher.disconnect()
  }

  end(): void {
    for (const each of this.#clients) each.socket.destroy()
  }
}

export async function subscribe(on: WireClient, filter: string | Buffer, qos = 0, id = 10): Promise<Buffer> {
  on.send(subscribePacket(id, [filter, qos]))
  const frame = await on.later(SUBACK)
  assert.equal(idOf(frame), id)
  return frame.body.subarray(2)
}

export async function unsubscribe(on: WireClient, filter: string, id = 11): Promise<void> {
  on.send(unsubscribePacket(id, filter))
  assert.equal(idOf(await on.later(UNSUBACK)), id)
}

export async function publishAcknowledged(
  on: WireClient,
  topic: string,
  payload: string,
  fields: PublishFields = {},
): Promise<void> {
  const { id = 1, qos = 1 } = fields
  on.send(publishPacket(topic, payload, { ...fields, qos, id }))
  if (qos === 0) await on.untilPong()
  else if (qos === 1) assert.equal(idOf(await on.next(PUBACK)), id)
  else {
    assert.equal(idOf(await on.next(PUBREC)), id)
    on.send(answer(PUBREL, id))
    assert.equal(idOf(await on.next(PUBCOMP)), id)
  }
}
