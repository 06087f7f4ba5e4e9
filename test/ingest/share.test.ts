/** Which entries of a group are a worker's share, and what becomes of them when its batch is written. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeShare, type Share, settleShare } from '../../ingest/share.ts'
import { entryBytes, shardOf, writeEntry } from '../../log/entry.ts'
import type { Offset } from '../../log/position.ts'
import { Decoder } from '../../schemas/decoder.ts'
import { environment, registry } from './log-fixture.ts'
import { entryOf, reading, T0, weather } from './streams.ts'

test('a store that refuses all of a stream sets no message aside that has no reading: its value is in another', () => {
  const whole = entryOf(reading(weather, 'a', T0, { temperature: 1 }))
  const share: Share = {
    batch: { entries: [whole, { ...whole, readings: [] }] },
    devices: ['a', 'a'],
    starts: [0, 100],
    offsets: [7 as Offset, 8 as Offset],
    replays: new Set(),
    setAside: [],
    setAsideBefore: [],
    remarks: [],
  }
  const rejected = [
    { index: 0, refused: 1, reason: 'x' },
    { index: 1, refused: 0, reason: 'x' },
  ]
  const { stored, readings, setAside, devices } = settleShare(share, { rejected, superseded: [] })
  assert.deepEqual([stored, readings], [1, 0])
  assert.deepEqual(
    setAside.map(({ offset }) => offset),
    [7],
  )
  assert.deepEqual(
    devices.map(({ device, stored, readings }) => [device, stored, readings]),
    [['a', 1, 0]],
  )
})

test('the devices of one shard are divided among all workers, whatever the numbers of both', () => {
  const decoder = new Decoder(registry)
  const schemas = { decode: decoder.decode.bind(decoder), remark: () => undefined, registry }
  for (const [shards, workers] of [
    [1, 4],
    [4, 4],
    [4, 2],
    [12, 8],
  ] as const) {
    const devices = Array.from({ length: 4_000 }, (_, number) => `device-${number}`)
    const own = devices.filter((device) => shardOf(device, shards) === 1 % shards)
    const entries = own.map((device) => {
      return { device, stream: 'environment', receivedAt: T0, flags: 0, payload: environment(T0, 1) }
    })
    const bytes = new SharedArrayBuffer(entries.reduce((sum, entry) => sum + entryBytes(entry), 0))
    let at = 0
    for (const entry of entries) at = writeEntry(Buffer.from(bytes), at, entry)
    const place = { shard: 1 % shards, firstOffset: 0 as Offset, checkpoint: '' }
    const group = { kind: 'group', sequence: 0, bytes, ...place, isRepeat: false, isOtherLog: false } as const
    const shares = Array.from({ length: workers }, (_, index) =>
      decodeShare(group, schemas, { index, workers, shards }),
    )
    assert.deepEqual(shares.flatMap((share) => share.devices).sort(), own.sort(), 'each is of one worker')
    const fair = own.length / workers
    for (const share of shares) {
      const [count, numbers] = [share.devices.length, `${shards} shards, ${workers} workers`]
      assert(count > fair / 2 && count < fair * 2, `${numbers}: one has ${count} devices of ${own.length}`)
    }
  }
})
