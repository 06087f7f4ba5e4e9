import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import mqttPacket, { type IPublishPacket } from 'mqtt-packet'
import { Frames } from '../../bridge/frames.ts'
import { FRAME_BYTES_MAX } from '../../platform/limits.ts'

const publish = (payload: Buffer): Buffer =>
  mqttPacket.generate({ cmd: 'publish', topic: 'a/b', messageId: 7, payload, qos: 1, retain: false, dup: false })

test('however the bytes are cut, the packets are the same', () => {
  const sizes = fc.array(fc.oneof(fc.nat(300), fc.nat(70_000)), { minLength: 1, maxLength: 8 })
  const pieces = fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1 })
  const seed = Date.now() % 2 ** 31
  const check = fc.property(sizes, pieces, (payloads, cuts) => {
    const packets = payloads.map((bytes, index) => publish(Buffer.alloc(bytes, index)))
    const bytes = Buffer.concat(packets)
    const frames = new Frames()
    const taken: Buffer[] = []
    for (let at = 0, piece = 0; at < bytes.length; piece++) {
      const end = at + (cuts[piece % cuts.length] ?? 1)
      frames.push(bytes.subarray(at, end), (frame) => taken.push(Buffer.from(frame)))
      at = end
    }
    assert(Buffer.concat(taken).equals(bytes) && taken.length === packets.length)
  })
  fc.assert(check, { seed, numRuns: 60 })
})

test('of a packet that is too large comes the beginning, with how long it was, and the next one is whole', () => {
  const parser = mqttPacket.parser()
  const packets: IPublishPacket[] = []
  parser.on('packet', (packet) => packets.push(packet as IPublishPacket))
  const lengths: number[] = []
  const frames = new Frames()
  const large = publish(Buffer.alloc(5 * FRAME_BYTES_MAX))
  const bytes = Buffer.concat([large, publish(Buffer.from('next'))])
  for (let at = 0; at < bytes.length; at += 65_536) {
    frames.push(bytes.subarray(at, at + 65_536), (frame, length) => {
      lengths.push(length)
      parser.parse(frame)
    })
  }
  assert.deepEqual(
    packets.map(({ topic, messageId }) => [topic, messageId]),
    [
      ['a/b', 7],
      ['a/b', 7],
    ],
  )
  assert.equal(String(packets[1]?.payload), 'next')
  assert.deepEqual(lengths, [large.length - 5, 11])
})

test('what is no MQTT is refused', () => {
  assert.throws(() => new Frames().push(Buffer.alloc(6, 0xff), () => undefined), /no MQTT/)
})
