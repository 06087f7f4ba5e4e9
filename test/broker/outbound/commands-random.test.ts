/** Commands to a device that comes and goes, takes over its own connection, keeps its session or not, and acknowledges when it likes. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IPublishPacket, Packet } from 'mqtt-packet'
import { seededRandom } from '../../../devices/simulator/signals/random.ts'
import { commandsTopic } from '../../../identity/topics.ts'
import { add } from '../../log/command-contract.ts'
import { until } from '../../until.ts'
import { connect5, RawClient, startBroker } from '../harness.ts'

const DEVICE = 'truck-7'
const STEPS = 80

for (const seed of [1, 2, 3, 4]) {
  test(`each command arrives that was not taken back, once a connection, and not again once it is acknowledged (seed ${seed})`, async (t) => {
    const random = seededRandom(seed, 0)
    const bench = await startBroker(t, { auth: 'off' })
    t.after(bench.stop)
    const { commands } = bench.log
    const known = (id: string) => commands.of(DEVICE).find((each) => each.id === id)
    const ids = new Map<string, string>()
    /** Payloads that were acknowledged as far as the log knows, and those that must not come. */
    const done = new Set<string>()
    let client: RawClient | undefined
    let unacknowledged: IPublishPacket[] = []
    let gotHere = new Map<string, number>()

    const take = () => {
      for (const packet of client?.packets.splice(0) ?? []) {
        if (packet.cmd !== 'publish') continue
        const text = String(packet.payload)
        assert(!done.has(text), `${text} came again`)
        assert(!gotHere.has(text), `${text} came twice on a connection`)
        gotHere.set(text, packet.messageId ?? 0)
        unacknowledged.push(packet)
      }
    }
    const connect = async () => {
      const level = random.below(2) === 0 ? 4 : 5
      const clean = random.below(2) === 0
      const kept = level === 5 && !clean ? { properties: { sessionExpiryInterval: 600 } } : {}
      const before = client
      const next = await RawClient.open(t, bench.port, level)
      next.send({ ...connect5(DEVICE, { clean, ...kept }), protocolVersion: level } as Packet)
      await next.next('connack')
      await before?.untilClosed()
      take()
      client = next
      unacknowledged = []
      gotHere = new Map()
      next.send({ cmd: 'subscribe', messageId: 7, subscriptions: [{ topic: commandsTopic(DEVICE), qos: 1 }] })
      await next.until(() => next.packets.some(({ cmd }) => cmd === 'suback'))
    }
    const acknowledge = async () => {
      take()
      const packet = unacknowledged.splice(random.below(unacknowledged.length + 1), 1)[0]
      if (packet === undefined || client === undefined) return
      client.send({ cmd: 'puback', messageId: packet.messageId } as Packet)
      if (random.below(2) === 0) return
      const text = String(packet.payload)
      await until(
        () => known(ids.get(text) ?? '')?.state === 'acknowledged' || known(ids.get(text) ?? '') === undefined,
      )
      done.add(text)
    }
    const takeBack = async () => {
      const waiting = commands.of(DEVICE).filter(({ state }) => state === 'waiting')
      const one = waiting[random.below(waiting.length || 1)]
      if (one === undefined) return
      const [cancelled] = await commands.change(DEVICE, [{ id: one.id, state: 'cancelled' }])
      if (cancelled?.sentAt === undefined && cancelled !== undefined) done.add(Buffer.from(one.payload).toString())
    }

    for (let step = 0; step < STEPS; step++) {
      const what = random.below(10)
      if (what < 4) ids.set(String(step), (await add(commands, DEVICE, String(step))).id)
      else if (what < 7) await acknowledge()
      else if (what === 7) await takeBack()
      else if (what === 8) await connect()
      else {
        take()
        client?.socket.destroy()
        unacknowledged = []
      }
    }
    await connect()
    await until(async () => {
      take()
      for (const packet of unacknowledged.splice(0))
        client?.send({ cmd: 'puback', messageId: packet.messageId } as Packet)
      return commands.counts().open === 0
    })
    const { acknowledged, cancelled, expired, refused } = commands.counts()
    assert.equal(acknowledged + cancelled, ids.size)
    assert.deepEqual([expired, refused], [0, 0])
  })
}
