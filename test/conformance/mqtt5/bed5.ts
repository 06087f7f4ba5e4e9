/**
 * Owns a check's place at a broker that speaks MQTT 5.0: clients, and what most checks do with them. How a statement is written
 * down is `../statement.ts`'s.
 */

import assert from 'node:assert/strict'
import type { Bed, Statement, Subject } from '../statement.ts'
import {
  CONNACK,
  DISCONNECT,
  type Frame,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  SUBACK,
  UNSUBACK,
  type WireClient,
} from '../wire.ts'
import {
  type Answer,
  type Asked,
  answer5,
  type Connack,
  type ConnectFields5,
  connect5,
  disconnect5,
  type Property,
  type Publish5,
  type PublishFields5,
  publish5,
  readAnswer,
  readCodes,
  readConnack,
  readDisconnect,
  readPublish5,
  SESSION_EXPIRY,
  subscribe5,
  unsubscribe5,
  WILL_DELAY,
} from './wire5.ts'

/** A session that outlives its connection. */
export const KEPT: ConnectFields5 = { clean: false, properties: [[SESSION_EXPIRY, 1_000]] }
/** From here on a reason code says that something was refused. */
export const FAILURE_MIN = 0x80

export class Bed5 {
  readonly #bed: Bed

  constructor(bed: Bed) {
    this.#bed = bed
  }

  get ports() {
    return this.#bed.ports
  }

  /** A client id or topic of this check's own. */
  name(suffix: string): string {
    return this.#bed.name(suffix)
  }

  /** A connection on which these bytes were sent. */
  sending(...packets: readonly Buffer[]): Promise<WireClient> {
    return this.#bed.sending(...packets)
  }

  async connect(suffix: string, fields: ConnectFields5 = {}): Promise<[WireClient, Connack]> {
    const connected = await this.sending(connect5(this.name(suffix), fields))
    const connack = readConnack(await connected.next(CONNACK))
    assert.equal(connack.code, 0, `CONNACK with reason code ${connack.code}`)
    return [connected, connack]
  }

  async client(suffix = 'c', fields: ConnectFields5 = {}): Promise<WireClient> {
    const [connected] = await this.connect(suffix, fields)
    return connected
  }

  /** A client that is connected, and whether its session was there. */
  async session(suffix: string, fields: ConnectFields5 = KEPT): Promise<[WireClient, number]> {
    const [connected, { flags }] = await this.connect(suffix, fields)
    return [connected, flags]
  }

  /** A connected client with one subscription. */
  async subscriber(
    filter: string,
    options = 0,
    suffix = 's',
    fields: ConnectFields5 = {},
    list: readonly Property[] = [],
  ): Promise<WireClient> {
    const connected = await this.client(suffix, fields)
    await subscribe(connected, filter, options, list)
    return connected
  }

  /** Publishes from a client of its own, at QoS 1 unless told; it has been acknowledged when this resolves. */
  async post(topic: string, payload: string, fields: PublishFields5 = {}): Promise<void> {
    const publisher = await this.client('post')
    await publishAcknowledged(publisher, topic, payload, fields)
    publisher.send(disconnect5())
    await publisher.closes()
  }

  /** Each of these ends the connection of a client that is connected; the codes of the DISCONNECTs that came before. */
  async violations(packets: Readonly<Record<string, Buffer | readonly Buffer[]>>): Promise<Map<string, number>> {
    const told = new Map<string, number>()
    for (const [name, bytes] of Object.entries(packets)) {
      const violating = await this.client('v')
      violating.send(...[bytes].flat())
      const code = await endsWith(violating).catch((error: Error) => {
        throw new Error(`${name}: ${error.message}`)
      })
      if (code !== undefined) told.set(name, code)
    }
    return told
  }

  /** Each of these CONNECTs is refused; the codes of the CONNACKs that came. */
  async refusals(packets: Readonly<Record<string, Buffer>>): Promise<Map<string, Connack>> {
    const told = new Map<string, Connack>()
    for (const [name, bytes] of Object.entries(packets)) {
      const frames = await (await this.sending(bytes)).closes().catch((error: Error) => {
        throw new Error(`${name}: ${error.message}`)
      })
      for (const frame of frames) {
        assert.equal(frame.type, CONNACK, `${name}: a packet of type ${frame.type}`)
        const connack = readConnack(frame)
        assert(connack.code >= FAILURE_MIN, `${name} is taken`)
        told.set(name, connack)
      }
    }
    return told
  }

  /** Time goes by at the broker: a will that it was to hold back so long has come. */
  async seconds(count: number): Promise<void> {
    const topic = this.name('/clock')
    const witness = await this.subscriber(topic, 0, 'clock')
    const will = { topic, payload: 'tick', properties: [[WILL_DELAY, count]] as const }
    const dying = await this.client('dying', { ...KEPT, will })
    await dying.cut()
    await received(witness)
    witness.socket.destroy()
  }
}

export async function subscribe(
  on: WireClient,
  filter: string | Buffer,
  options = 0,
  list: readonly Property[] = [],
): Promise<number> {
  const [code = FAILURE_MIN] = await subscribeAll(on, [[filter, options]], list)
  return code
}

export async function subscribeAll(on: WireClient, asked: readonly Asked[], list: readonly Property[] = []) {
  on.send(subscribe5(10, asked, list))
  const { id, codes } = readCodes(await on.later(SUBACK))
  assert.equal(id, 10)
  return codes
}

export async function unsubscribe(on: WireClient, ...filters: readonly string[]): Promise<readonly number[]> {
  on.send(unsubscribe5(11, ...filters))
  const { id, codes } = readCodes(await on.later(UNSUBACK))
  assert.equal(id, 11)
  return codes
}

/** The next packet; it must be a PUBLISH. */
export async function received(on: WireClient): Promise<Publish5> {
  return readPublish5(await on.next(PUBLISH))
}

/** So many messages at least, and all until the answer to a PINGREQ sent then. */
export async function receivedNow(on: WireClient, atLeast = 0): Promise<Publish5[]> {
  const frames: Frame[] = []
  while (frames.length < atLeast) frames.push(await on.later(PUBLISH))
  frames.push(...(await on.untilPong()))
  return frames.filter(({ type }) => type === PUBLISH).map(readPublish5)
}

export async function publishAcknowledged(
  on: WireClient,
  topic: string,
  payload: string,
  fields: PublishFields5 = {},
): Promise<Answer | undefined> {
  const { id = 1, qos = 1 } = fields
  on.send(publish5(topic, payload, { ...fields, qos, id }))
  if (qos === 0) {
    await on.untilPong()
    return undefined
  }
  const answered = readAnswer(await on.next(qos === 1 ? PUBACK : PUBREC))
  assert.equal(answered.id, id)
  if (qos === 1 || answered.code >= FAILURE_MIN) return answered
  on.send(answer5(PUBREL, id))
  assert.equal(readAnswer(await on.next(PUBCOMP)).id, id)
  return answered
}

/** The connection ends, and before it at most one DISCONNECT comes: its code. */
export async function endsWith(on: WireClient, waitMs?: number): Promise<number | undefined> {
  return codeOf(await on.closes(waitMs))
}

/** An `assert` without words of its own has Node read the sources for some, which takes minutes where tsx has packed them. */
export function fits(bytes: number, most: number): void {
  assert(bytes <= most, `${bytes} bytes, where ${most} fit`)
}

function codeOf(frames: readonly Frame[]): number | undefined {
  if (frames.length === 0) return undefined
  assert.deepEqual(
    frames.map(({ type }) => type),
    [DISCONNECT],
    'other packets came before the connection was closed',
  )
  const { code } = readDisconnect(frames[0] as Frame)
  assert(code >= FAILURE_MIN, `DISCONNECT with reason code ${code}`)
  return code
}

type Check5 = (bed: Bed5) => Promise<void>

const tried =
  (binds: Subject) =>
  (id: string, text: string, check: Check5): Statement => ({
    id: `MQTT5-${id}`,
    text,
    binds,
    check: (bed) => check(new Bed5(bed)),
  })

export const server = tried('server')
export const both = tried('both')
/** What binds clients, where the broker's answer to one that breaks it is tried. */
export const client = tried('client')

export const untried = (id: string, binds: Subject, text: string, untested: string): Statement => ({
  id: `MQTT5-${id}`,
  text,
  binds,
  untested,
})

/** What binds clients, and a broker has no part in. */
export const duty = (id: string, text: string): Statement => untried(id, 'client', text, "the client's duty")
