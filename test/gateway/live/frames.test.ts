import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CLOSE, mayComeBack } from '../../../gateway/live/close-codes.ts'
import { type Cursor, formatCursor, parseCursor } from '../../../gateway/live/cursor.ts'
import { PlainFeed } from '../../../gateway/live/feed.ts'
import { readingsFrame } from '../../../gateway/live/frames.ts'
import { Message } from '../../../gateway/live/message.ts'
import type { Offset } from '../../../log/position.ts'
import { LIVE_FRAME_CHARS_MAX } from '../../../platform/limits.ts'
import type { Reading } from '../../../schemas/reading.ts'
import { at } from '../../log/only.ts'

const LOG = { id: 'log', shards: [0, 1] }
/** In a log of two shards, of which this is the second. */
const placeAt = (offset: Offset, readings = 0): Cursor => ({
  position: [at(3), offset],
  part: { shard: 1, readings },
  receivedAt: 1,
})
const cursorText = (cursor: Cursor) => formatCursor(LOG, cursor)

interface Frame {
  readonly cursor: string
  readonly readings: readonly Reading[]
}

/** The frames of a batch of messages with so many readings of so many characters each, for one group that wants all. */
function framesOf(messages: readonly { readings: number; chars: number }[]): { frames: Frame[]; sizes: number[] } {
  const frames: Frame[] = []
  const sizes: number[] = []
  const target = { name: 's1', fields: undefined, fieldsKey: '', maxDelayMs: undefined }
  const feed = new PlainFeed(target, {
    cursorText,
    publish: ({ data }, readings) => {
      frames.push(JSON.parse(String(data)))
      sizes.push(data.length)
      assert.equal(frames.at(-1)?.readings.length, readings)
    },
  })
  for (const [index, { readings, chars }] of messages.entries()) {
    const made = Array.from({ length: readings }, (_, part) => ({
      device: 'a',
      stream: 's',
      ts: index * 1e6 + part,
      values: { text: 'x'.repeat(chars) },
    }))
    const offset = at(10 + index)
    const entry = { offset, device: 'a', stream: 's', receivedAt: 1, flags: 0, payload: Buffer.alloc(0) }
    feed.take(new Message(entry, made, { before: (part) => placeAt(offset, part) }, () => new Set()))
  }
  feed.flush(placeAt(at(99)))
  return { frames, sizes }
}

test('frames are split at their limit, and a cursor lies between what was sent and what was not', () => {
  const message = fc.record({ readings: fc.integer({ min: 0, max: 40 }), chars: fc.constantFrom(10, 3000, 30_000) })
  fc.assert(
    fc.property(fc.array(message, { maxLength: 8 }), (messages) => {
      const { frames, sizes } = framesOf(messages)
      const sent = frames.flatMap((frame) => frame.readings.map((reading) => reading.ts))
      assert.deepEqual(
        sent,
        messages.flatMap(({ readings }, index) => Array.from({ length: readings }, (_, part) => index * 1e6 + part)),
      )
      for (const size of sizes) assert.ok(size < LIVE_FRAME_CHARS_MAX + 10_000)
      for (const [index, { cursor }] of frames.entries()) {
        const next = frames[index + 1]?.readings[0]
        if (next === undefined) {
          assert.equal(cursor, cursorText(placeAt(at(99))))
          continue
        }
        const { position, part } = parseCursor(LOG, cursor)
        assert.deepEqual(position, [3, 10 + Math.floor(next.ts / 1e6)])
        assert.equal(part.readings, next.ts % 1e6)
      }
    }),
  )
})

test('a cursor reads back as what it was made of', () => {
  const position = [at(5), at(70)]
  for (const part of [
    { shard: 0, readings: 0 },
    { shard: 0, readings: 7 },
    { shard: 1, readings: 70 },
  ]) {
    for (const cursor of [
      { position, part, receivedAt: 1_763_864_000_000 },
      { position, part, receivedAt: 0, within: 'latest' as const },
      { position, part, receivedAt: 0, within: { since: 1_763_864_000_000 } },
      { position, part, receivedAt: 7, within: { since: 1_763_864_000_000, to: 1_763_864_000_001 } },
      {
        position,
        part,
        receivedAt: 0,
        within: {
          since: 0,
          after: { ts: 1_763_864_000_000.001, device: 'a.b', stream: 'vehicle', tags: { fleet: 'ä "\u{1f600}' } },
        },
      },
    ]) {
      assert.deepEqual(parseCursor(LOG, cursorText(cursor)), cursor)
    }
  }
  const only = { position: [at(70)], part: { shard: 0, readings: 7 }, receivedAt: 36 }
  assert.equal(formatCursor({ id: 'log', shards: [0] }, only), 'log-1y~10~7')
})

test('what is no cursor of this log is refused', () => {
  for (const nonsense of [
    '',
    '~x',
    '~1',
    'log-1',
    'log-1.2.3',
    'other-1.2',
    'log-1.2',
    'log-1.2~',
    'log-1.2~0~x',
    'log-1.2~0~3.2',
    'log-1.2~0~3~4',
    'log-1.2~0!.AAAA',
    'log-1.2~0!-1',
    'log-1.2~0!1.AAAA',
    `log-1.2~0!1.${Buffer.from('[1,"a/b","vehicle",{}]').toString('base64url')}`,
  ]) {
    assert.throws(() => parseCursor(LOG, nonsense), { code: 'bad-position' }, nonsense)
  }
})

test('a frame is JSON whatever is in it', () => {
  const frame = readingsFrame({ name: 's1' }, 'a-1~2', [JSON.stringify({ device: 'a"b' })], 3)
  assert.deepEqual(JSON.parse(String(frame.data)), {
    type: 'readings',
    subscription: 's1',
    cursor: 'a-1~2',
    readings: [{ device: 'a"b' }],
    merged: 3,
  })
})

test('close codes lie in their ranges, differ, and fit a close frame', () => {
  const comeBack = new Set(['draining', 'internal', 'slow', 'silent'])
  for (const [name, { code, text }] of Object.entries(CLOSE)) {
    assert.equal(mayComeBack(code), comeBack.has(name), name)
    assert.ok(code >= 4000 && code < 5000)
    assert.ok(Buffer.byteLength(text) <= 123, name)
  }
  assert.equal(new Set(Object.values(CLOSE).map(({ code }) => code)).size, Object.keys(CLOSE).length)
})
