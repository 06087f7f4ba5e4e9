import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { readBuffered } from '../../../broker/inbound/buffered.ts'

const streamOf = (...pieces: (string | null)[]) => {
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })
  for (const piece of pieces) stream.push(piece === null ? null : Buffer.from(piece))
  return stream
}

test('all that is buffered comes at once, in however many pieces it came', () => {
  for (const pieces of [[], ['a'], ['a', 'bc'], ['a', 'b', 'c', 'd']]) {
    const stream = streamOf(...pieces)
    assert.equal(String(readBuffered(stream) ?? ''), pieces.join(''))
    assert.equal(stream.readableLength, 0)
    assert.equal(readBuffered(stream), null)
  }
})

test('a stream whose last bytes were read ends', async () => {
  const stream = streamOf('a', 'b', null)
  const ended = once(stream, 'end')
  assert.equal(String(readBuffered(stream)), 'ab')
  await ended
})
