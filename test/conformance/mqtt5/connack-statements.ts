/** Owns the statements about CONNACK and DISCONNECT: sections 3.2 and 3.14 of MQTT 5.0. */

import assert from 'node:assert/strict'
import type { Statement } from '../statement.ts'
import { CONNACK, CONNECT, DISCONNECT, PUBREC, packet, text, type WireClient } from '../wire.ts'
import {
  type Bed5,
  both,
  client,
  duty,
  endsWith,
  fits,
  KEPT,
  received,
  receivedNow,
  server,
  subscribe,
  untried,
} from './bed5.ts'
import {
  ALIAS,
  ALIAS_MAXIMUM,
  ASSIGNED_CLIENT_ID,
  AUTHENTICATION_METHOD,
  type ConnectFields5,
  connect5,
  disconnect5,
  type Goodbye,
  MAXIMUM_PACKET_SIZE,
  MAXIMUM_QOS,
  properties,
  publish5,
  RECEIVE_MAXIMUM,
  readConnack,
  readDisconnect,
  SERVER_KEEP_ALIVE,
  SESSION_EXPIRY,
} from './wire5.ts'

const ALL_QOS = 'both brokers take messages of every QoS, and retained ones'
/** Mosquitto looks for silent clients once in several seconds. */
const SILENCE_MS = 60_000
/** Table 3-1. */
const CONNECT_CODES = [
  0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c,
  0x9d, 0x9f,
]
/** Table 3-10, of a server. */
const DISCONNECT_CODES = [
  0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
  0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
]

/** A CONNACK with what it must have fits. */
const MOST = 40
const SMALL: ConnectFields5 = { properties: [[MAXIMUM_PACKET_SIZE, MOST]] }

/** CONNECTs that are refused, for different reasons. */
const refusedBy = (id: string, more: Parameters<typeof connect5>[1] = {}) => {
  const list = more.properties ?? []
  const having = (...added: typeof list) => connect5(id, { ...more, properties: [...list, ...added] })
  return {
    'a Receive Maximum of 0': having([RECEIVE_MAXIMUM, 0]),
    'an unknown method': having([AUTHENTICATION_METHOD, 'none-such']),
    'a wildcard in the will topic': connect5(id, { ...more, will: { topic: 'a/#', payload: 'gone' } }),
    'a session expiry twice': having([SESSION_EXPIRY, 1], [SESSION_EXPIRY, 1]),
  }
}

const WRONG = {
  'a wildcard in a topic': publish5('a/#', 'x'),
  'an alias of 0': publish5('a', 'x', { properties: [[ALIAS, 0]] }),
  'a property that there is not': packet(3, 0, text('a'), Buffer.of(2, 0x7f, 0)),
  'a SUBSCRIBE without filters': packet(8, 2, Buffer.of(0, 1, 0)),
}

/** What clients are told that do something wrong, or are taken over. Nothing comes after it, and the connection is closed. */
async function disconnects(bed: Bed5, fields: ConnectFields5): Promise<Goodbye[]> {
  const told: Goodbye[] = []
  const hear = async (leaving: WireClient) => {
    const frames = await leaving.closes()
    const at = frames.findIndex(({ type }) => type === DISCONNECT)
    assert(at === -1 || at === frames.length - 1, 'a packet came after the DISCONNECT')
    if (frames[at] !== undefined) told.push(readDisconnect(frames[at]))
  }
  for (const bytes of Object.values(WRONG)) {
    const violating = await bed.client('v', fields)
    violating.send(bytes)
    await hear(violating)
  }
  const first = await bed.subscriber(bed.name('t'), 0, 'v', fields)
  await bed.client('v', fields)
  await bed.post(bed.name('t'), 'x')
  await hear(first)
  return told
}

export const connackStatements: readonly Statement[] = [
  server('3.2.0-1', 'CONNACK is the first packet, also of a session that is owed messages', async (bed) => {
    const [first] = await bed.session('c')
    await subscribe(first, bed.name('t'), 1)
    await first.cut()
    await bed.post(bed.name('t'), 'stored')
    const again = await bed.sending(connect5(bed.name('c'), KEPT))
    assert.equal(readConnack(await again.next(CONNACK)).code, 0)
    await received(again)
  }),
  server('3.2.0-2', 'there is one CONNACK a connection', async (bed) => {
    const twice = await bed.sending(connect5(bed.name('c')), connect5(bed.name('c')))
    const types = (await twice.closes()).map(({ type }) => type)
    assert.equal(types.filter((type) => type === CONNACK).length, 1)
  }),
  server('3.2.2-1', 'the reserved flags of CONNACK are 0', async (bed) => {
    for (const fields of [{}, KEPT, KEPT]) {
      const [connected, { flags }] = await bed.connect('c', fields)
      assert.equal(flags & 0xfe, 0)
      await connected.cut()
    }
  }),
  server('3.2.2-2', 'with Clean Start, Session Present is 0', async (bed) => {
    const [first] = await bed.session('c')
    await first.cut()
    assert.equal((await bed.session('c', { ...KEPT, clean: true }))[1], 0)
  }),
  server('3.2.2-3', 'without Clean Start, Session Present tells whether there is a session', async (bed) => {
    const [first, before] = await bed.session('c')
    await first.cut()
    assert.deepEqual([before, (await bed.session('c'))[1]], [0, 1])
  }),
  duty('3.2.2-4', 'a client without a session that is told of one closes'),
  duty('3.2.2-5', 'a client with a session that the server has not discards it'),
  server('3.2.2-6', 'with a reason code other than 0, Session Present is 0', async (bed) => {
    const [first] = await bed.session('c')
    await first.cut()
    for (const { flags } of (await bed.refusals(refusedBy(bed.name('c'), { clean: false }))).values()) {
      assert.equal(flags, 0)
    }
  }),
  server('3.2.2-7', 'after a reason code of 0x80 or more the server closes', async (bed) => {
    await bed.refusals(refusedBy(bed.name('c')))
  }),
  server('3.2.2-8', 'the reason codes of a CONNACK are those for it', async (bed) => {
    for (const [name, { code }] of await bed.refusals(refusedBy(bed.name('c')))) {
      assert(CONNECT_CODES.includes(code), `${name}: reason code ${code}`)
    }
  }),
  server('3.2.2-9', 'a server that does not take QoS 1 or 2 says so', async (bed) => {
    const [publisher, connack] = await bed.connect('c')
    const announced = connack.properties.number(MAXIMUM_QOS)
    if (announced !== undefined) return assert(announced < 2, `Maximum QoS ${announced}`)
    publisher.send(publish5(bed.name('t'), 'x', { qos: 2 }))
    await publisher.next(PUBREC)
  }),
  untried('3.2.2-10', 'server', 'a server that does not take QoS 1 or 2 takes such SUBSCRIBEs', ALL_QOS),
  duty('3.2.2-11', 'a client goes by the Maximum QoS'),
  untried('3.2.2-12', 'server', 'a will of a QoS that is not taken is refused', ALL_QOS),
  untried('3.2.2-13', 'server', 'a will with retain is refused where retained messages are', ALL_QOS),
  duty('3.2.2-14', 'a client goes by Retain Available'),
  duty('3.2.2-15', "a client sends nothing larger than the server's Maximum Packet Size"),
  server('3.2.2-16', 'a client without id is told a new one that no other session has', async (bed) => {
    const ids = new Set<string>()
    for (let count = 0; count < 4; count++) {
      const nameless = await bed.sending(connect5('', KEPT))
      ids.add(readConnack(await nameless.next(CONNACK)).properties.string(ASSIGNED_CLIENT_ID) ?? '')
    }
    assert(ids.size === 4 && !ids.has(''), `${[...ids]}`)
  }),
  client('3.2.2-17', 'a client sends no alias beyond the Topic Alias Maximum; one ends the connection', async (bed) => {
    const [, connack] = await bed.connect('c')
    const beyond = (connack.properties.number(ALIAS_MAXIMUM) ?? 0) + 1
    const told = await bed.violations({ alias: publish5('a', 'x', { properties: [[ALIAS, beyond]] }) })
    for (const code of told.values()) assert.equal(code, 0x94)
  }),
  untried(
    '3.2.2-18',
    'client',
    'a client sends no alias to a server without Topic Alias Maximum',
    'both brokers have one',
  ),
  server('3.2.2-19', 'a CONNACK has a Reason String only if it fits', async (bed) => {
    const small = { properties: [[MAXIMUM_PACKET_SIZE, 20]] as const }
    for (const { bytes } of (await bed.refusals(refusedBy(bed.name('c'), small))).values()) fits(bytes, 20)
  }),
  server('3.2.2-20', 'a CONNACK has user properties only if they fit', async (bed) => {
    const [, { bytes }] = await bed.connect('c', { properties: [[MAXIMUM_PACKET_SIZE, 40]] })
    fits(bytes, 40)
  }),
  duty('3.2.2-21', "a client goes by the server's keep alive"),
  server('3.2.2-22', "without Server Keep Alive the client's holds", async (bed) => {
    const [silent, connack] = await bed.connect('c', { keepalive: 1 })
    assert.deepEqual(connack.properties.values(SERVER_KEEP_ALIVE), [])
    await endsWith(silent, SILENCE_MS)
  }),
  server('3.14.0-1', 'no DISCONNECT is sent before a CONNACK of less than 0x80', async (bed) => {
    await bed.refusals({ ...refusedBy(bed.name('c')), 'cut off': packet(CONNECT, 0, text('MQTT'), Buffer.of(5)) })
  }),
  both('3.14.1-1', "DISCONNECT's reserved bits are 0; others are malformed", async (bed) => {
    const told = await bed.violations({ DISCONNECT: packet(DISCONNECT, 1) })
    for (const code of told.values()) assert.equal(code, 0x81)
  }),
  both('3.14.2-1', 'the reason codes of a DISCONNECT are those for it', async (bed) => {
    for (const [name, code] of await bed.violations(WRONG)) {
      assert(DISCONNECT_CODES.includes(code), `${name}: reason code ${code}`)
    }
    await bed.violations({ 'one that there is not': disconnect5(0x05) })
  }),
  server('3.14.2-2', "a server's DISCONNECT has no Session Expiry Interval", async (bed) => {
    for (const { properties } of await disconnects(bed, KEPT)) assert.deepEqual(properties.values(SESSION_EXPIRY), [])
  }),
  both('3.14.2-3', 'a DISCONNECT has a Reason String only if it fits', async (bed) => {
    for (const { bytes } of await disconnects(bed, SMALL)) fits(bytes, MOST)
  }),
  both('3.14.2-4', 'a DISCONNECT has user properties only if they fit', async (bed) => {
    for (const { bytes } of await disconnects(bed, SMALL)) fits(bytes, MOST)
  }),
  both('3.14.4-1', 'after a DISCONNECT its sender sends nothing more', async (bed) => {
    await disconnects(bed, {})
  }),
  both('3.14.4-2', 'after a DISCONNECT its sender closes', async (bed) => {
    await disconnects(bed, {})
  }),
  server('3.14.4-3', 'a DISCONNECT of reason code 0 discards the will', async (bed) => {
    const witness = await bed.subscriber(bed.name('w'))
    for (const goodbye of [
      disconnect5(),
      packet(DISCONNECT, 0, Buffer.of(0)),
      packet(DISCONNECT, 0, Buffer.of(0), properties()),
    ]) {
      const leaving = await bed.client('c', { will: { topic: bed.name('w'), payload: 'gone' } })
      leaving.send(goodbye)
      await leaving.closes()
    }
    assert.deepEqual(await receivedNow(witness), [])
  }),
]
