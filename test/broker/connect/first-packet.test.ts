import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RawClient, startBroker } from '../harness.ts'

const text = (value: string) => Buffer.concat([Buffer.of(0, value.length), Buffer.from(value)])

function connect(first: number, flags: number, protocol = 'MQIsdp', level = 3): Buffer {
  const body = Buffer.concat([text(protocol), Buffer.of(level, flags, 0, 0), text('old')])
  return Buffer.concat([Buffer.of(first, body.length), body])
}

test('bits of a CONNECT that MQTT 3.1 calls unused, or disregards without a will, may be set at that level, and at no other', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const taken = [connect(0x1f, 0x02), connect(0x12, 0x03), connect(0x18, 0x3b), connect(0x10, 0x03)]
  for (const packet of taken) {
    for (const pieces of [[packet], [...packet].map((byte) => Buffer.of(byte))]) {
      const client = await RawClient.open(t, bench.port)
      for (const piece of pieces) client.socket.write(piece)
      assert.equal((await client.next('connack')).returnCode, 0)
      client.socket.destroy()
    }
  }
  for (const packet of [
    connect(0x11, 0x02, 'MQTT', 4),
    connect(0x10, 0x03, 'MQTT', 4),
    connect(0x1f, 0x02, 'MQIsdq'),
  ]) {
    const client = await RawClient.open(t, bench.port)
    client.socket.write(packet)
    await client.untilClosed()
    assert.deepEqual(client.packets, [])
  }
})
