/**
 * Owns what the streams of every engine must do. An engine's test calls `testStreams` with a way to open streams that nobody has used
 * before; each call of it makes a log of its own.
 *
 * Always true of these tests: what one process appended is looked for by another one, and nothing is awaited by time alone.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import {
  type NewRecord,
  RECORD_BYTES_MAX,
  type ReadLimits,
  STREAM_KINDS,
  type Stream,
  type StreamRecord,
  type Streams,
} from '../../../log/streams/streams.ts'
import { until } from '../../until.ts'

export interface OpenStreams {
  /** Started, with as many shards as were asked for. */
  readonly streams: Streams
  /** The same streams, started, as another process has them. Stopped when the test ends. */
  another(): Promise<Streams>
}

/** Undefined: the engine is not installed, and the test is skipped. */
export type OpensStreams = (t: TestContext, shards: number) => Promise<OpenStreams | undefined>

/** What not every engine can do. */
export interface Engine {
  /** Whether those before an offset are gone when `removeBefore` has resolved. */
  readonly removes: boolean
}

const NOT_WAITING: ReadLimits = { bytesMax: 1 << 20, recordsMax: 1_000, waitMs: 0 }
/** Longer than a test may take: it ends when a record comes, or by its signal. */
const FOR_EVER_MS = 600_000

export function record(value: string | Uint8Array, key = 'device-1'): NewRecord {
  return { key, value: typeof value === 'string' ? Buffer.from(value) : value }
}

export function records(count: number, name = 'record'): NewRecord[] {
  return Array.from({ length: count }, (_, number) => record(`${name} ${number}`, `device-${number % 3}`))
}

/** Everything from `from` on, as read now; asserts that it is dense. */
export async function readAll(
  stream: Stream,
  from?: number,
  limits: Partial<ReadLimits> = {},
): Promise<StreamRecord[]> {
  const found: StreamRecord[] = []
  let next = from ?? (await stream.first())
  const end = await stream.end()
  while (next < end) {
    const some = await stream.read(next, { ...NOT_WAITING, ...limits })
    // An engine may answer that nothing is there yet before it has looked.
    if (some.length === 0) continue
    if (next < (some[0] as StreamRecord).offset) assert.equal(found.length, 0, 'records are missing between others')
    for (const each of some) {
      if (found.length > 0) assert.equal(each.offset, next)
      next = each.offset + 1
      found.push(each)
    }
  }
  return found
}

export function valuesOf(found: readonly StreamRecord[]): string[] {
  return found.map(({ value }) => value.toString())
}

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, number) => from + number)

export function testStreams(name: string, open: OpensStreams, { removes }: Engine): void {
  const testWith = (shards: number, what: string, body: (opened: OpenStreams, t: TestContext) => Promise<void>) =>
    test(`${name}: ${what}`, async (t) => {
      const opened = await open(t, shards)
      if (opened !== undefined) await body(opened, t)
    })

  testWith(3, 'new streams are empty', async ({ streams }) => {
    assert.equal(streams.shards, 3)
    assert.notEqual(streams.where, '')
    for (const kind of STREAM_KINDS) {
      for (const shard of numbers(3)) {
        const stream = streams.stream(kind, shard)
        assert.deepEqual([await stream.first(), await stream.end(), await stream.at(Date.now())], [0, 0, 0])
        assert.deepEqual(await stream.read(0, NOT_WAITING), [])
      }
    }
  })

  testWith(1, 'records are read in order, whole, with when they came, also by another process', async (opened) => {
    const stream = opened.streams.stream('log', 0)
    const before = Date.now()
    const odd = record(Buffer.from([0, 255, 10, 13]), `~${'k'.repeat(100)}`)
    await stream.append([record('first'), odd, record('')])
    await stream.append([])
    await stream.append([record('last')])
    const after = Date.now()
    for (const streams of [opened.streams, await opened.another()]) {
      const found = await readAll(streams.stream('log', 0))
      assert.deepEqual(
        found.map(({ offset, value }) => [offset, value.toString('latin1')]),
        [
          [0, 'first'],
          [1, '\x00\xff\n\r'],
          [2, ''],
          [3, 'last'],
        ],
      )
      for (const { at } of found) assert(at >= before && at <= after, `appended at ${at}: ${before} to ${after}`)
    }
  })

  testWith(2, 'no stream has records of another', async ({ streams, another }) => {
    const all = STREAM_KINDS.flatMap((kind) => numbers(2).map((shard) => ({ kind, shard })))
    for (const { kind, shard } of all) await streams.stream(kind, shard).append(records(shard + 2, kind))
    const other = await another()
    for (const { kind, shard } of all) {
      const found = await readAll(other.stream(kind, shard))
      assert.deepEqual(
        valuesOf(found),
        numbers(shard + 2).map((number) => `${kind} ${number}`),
      )
    }
  })

  testWith(1, 'an append that overlaps another one of its stream throws, and takes nothing from it', async (opened) => {
    const stream = opened.streams.stream('log', 0)
    const first = stream.append(records(100))
    await assert.rejects(async () => stream.append(records(1, 'too early')))
    await first
    await stream.append(records(1, 'in time'))
    assert.deepEqual(valuesOf(await readAll(stream)), [
      ...numbers(100).map((number) => `record ${number}`),
      'in time 0',
    ])
  })

  testWith(4, '5,000 appends by two processes are there once each, in the order of each, densely', async (opened) => {
    const writers = [opened.streams, await opened.another()].flatMap((streams, process) =>
      STREAM_KINDS.flatMap((kind) => numbers(4).map((shard) => ({ process, kind, shard, streams }))),
    )
    const appends = Math.ceil(5_000 / writers.length)
    const append = async ({ process, kind, shard, streams }: (typeof writers)[number]) => {
      for (const number of numbers(appends)) {
        const count = 1 + (number % 3)
        await streams.stream(kind, shard).append(numbers(count).map((index) => record(`${process} ${number} ${index}`)))
      }
    }
    await Promise.all(writers.map(append))
    const expected = numbers(appends).flatMap((number) =>
      numbers(1 + (number % 3)).map((index) => `${number} ${index}`),
    )
    for (const kind of STREAM_KINDS) {
      for (const shard of numbers(4)) {
        const values = valuesOf(await readAll(opened.streams.stream(kind, shard)))
        assert.equal(values.length, 2 * expected.length)
        for (const process of numbers(2)) {
          const own = values.filter((value) => value.startsWith(`${process} `))
          assert.deepEqual(
            own.map((value) => value.slice(2)),
            expected,
          )
        }
      }
    }
  })

  testWith(1, 'the largest records are whole, and many of them are one append', async ({ streams, another }) => {
    const stream = streams.stream('log', 0)
    const large = numbers(6).map((number) => Buffer.alloc(RECORD_BYTES_MAX - number, `${number}, incompressible? `))
    await stream.append([record('small'), ...large.map((value) => record(value)), record('small')])
    const found = await readAll((await another()).stream('log', 0))
    assert.equal(found.length, large.length + 2)
    for (const [index, value] of large.entries()) assert(found[index + 1]?.value.equals(value), `record ${index + 1}`)
  })

  testWith(1, 'reads are bounded, dense and resumable, whatever the sizes', async ({ streams }) => {
    const stream = streams.stream('log', 0)
    const expected: string[] = []
    const append = async (sizes: number[]) => {
      await stream.append(sizes.map((size, index) => record(Buffer.alloc(size, `${expected.length + index};`))))
      expected.push(...sizes.map((size, index) => Buffer.alloc(size, `${expected.length + index};`).toString()))
    }
    const sizes = fc.array(fc.nat(2_000), { minLength: 1, maxLength: 40 })
    const property = fc.asyncProperty(
      sizes,
      fc.integer({ min: 1, max: 20_000 }),
      fc.integer({ min: 1, max: 50 }),
      fc.nat(),
      async (added, bytesMax, recordsMax, place) => {
        await append(added)
        const from = place % expected.length
        const some = await stream.read(from, { bytesMax, recordsMax, waitMs: FOR_EVER_MS })
        const bytes = some.reduce((sum, { value }) => sum + value.length, 0)
        assert(some.length >= 1 && some.length <= recordsMax, `${some.length} records`)
        assert(bytes <= bytesMax || some.length === 1, `${bytes} bytes in ${some.length} records`)
        assert.equal(some[0]?.offset, from)
        const all = await readAll(stream, from, { bytesMax, recordsMax })
        assert.deepEqual(valuesOf(all), expected.slice(from))
      },
    )
    await fc.assert(property, { numRuns: 15 })
  })

  testWith(1, 'one record is given however large it is', async ({ streams }) => {
    const stream = streams.stream('books', 0)
    const value = Buffer.alloc(200_000, 'large')
    await stream.append([record('small'), record(value), record('small')])
    const [large, ...more] = await stream.read(1, { bytesMax: 1_000, recordsMax: 10, waitMs: FOR_EVER_MS })
    assert.deepEqual([large?.offset, more.length], [1, 0])
    assert(large?.value.equals(value))
  })

  testWith(1, 'reading past the end is refused, and at the end gives nothing', async ({ streams }) => {
    const stream = streams.stream('log', 0)
    await stream.append(records(3))
    assert.deepEqual(await stream.read(3, NOT_WAITING), [])
    await assert.rejects(stream.read(4, NOT_WAITING), { name: 'LogError', code: 'bad-position' })
    await assert.rejects(stream.read(4_000_000_000_000, NOT_WAITING), { name: 'LogError', code: 'bad-position' })
  })

  testWith(1, 'who waits at the end is given what another process appends', async ({ streams, another }) => {
    const stream = streams.stream('log', 0)
    const other = (await another()).stream('log', 0)
    for (const number of numbers(5)) {
      const waiting = stream.read(number, { ...NOT_WAITING, waitMs: FOR_EVER_MS })
      await other.append([record(`record ${number}`)])
      assert.deepEqual(valuesOf(await waiting), [`record ${number}`])
    }
    assert.deepEqual(await stream.read(5, { ...NOT_WAITING, waitMs: 50 }), [])
  })

  testWith(3, 'who waits holds up nobody else, and is let go by its signal', async ({ streams }) => {
    const controller = new AbortController()
    const limits = { ...NOT_WAITING, waitMs: FOR_EVER_MS, signal: controller.signal }
    const waiting = STREAM_KINDS.flatMap((kind) =>
      numbers(3).map((shard) => streams.stream(kind, shard).read(0, limits)),
    )
    // A second one of a stream as well: a follower, and one who looks something up.
    waiting.push(streams.stream('log', 1).read(0, limits))
    await streams.stream('log', 0).append(records(2))
    assert.equal((await readAll(streams.stream('log', 0))).length, 2)
    assert.equal(await streams.stream('books', 2).end(), 0)
    controller.abort()
    await Promise.allSettled(waiting)
    await assert.doesNotReject(streams.stream('log', 1).append(records(2)))
    assert.equal((await readAll(streams.stream('log', 1))).length, 2)
  })

  testWith(1, 'a place by time is before all that came at that time or later, and not long before', async (opened) => {
    const stream = opened.streams.stream('log', 0)
    const times: { readonly time: number; readonly offset: number }[] = []
    for (const number of numbers(5)) {
      const before = Date.now()
      await until(() => Date.now() > before)
      times.push({ time: Date.now(), offset: 2 * number })
      await stream.append(records(2))
    }
    for (const [index, { time, offset }] of times.entries()) {
      const place = await stream.at(time)
      assert(place <= offset, `${place} is not before ${offset}`)
      assert(place >= (times[index - 1]?.offset ?? 0), `${place} is long before ${offset}`)
    }
    assert.equal(await stream.at(0), 0)
    const later = await stream.at(Date.now() + 3_600_000)
    assert(later >= 8 && later <= 10, `${later} is not near the end`)
  })

  testWith(2, 'what is removed is no more, and the rest stays where it is', async ({ streams, another }) => {
    const stream = streams.stream('log', 1)
    for (const _ of numbers(10)) await stream.append(records(10))
    await stream.removeBefore(37)
    for (const each of [stream, (await another()).stream('log', 1)]) {
      const first = await each.first()
      assert(first <= 37)
      if (removes) assert.equal(first, 37)
      assert.equal(await each.end(), 100)
      const [oldest] = await each.read(0, { ...NOT_WAITING, waitMs: FOR_EVER_MS })
      assert.equal(oldest?.offset, first)
      assert.deepEqual(
        (await readAll(each, 37)).map(({ offset }) => offset),
        numbers(63, 37),
      )
    }
    // Again, of less, and of all.
    await stream.removeBefore(12)
    await stream.removeBefore(100)
    if (removes) assert.equal(await stream.first(), 100)
    await stream.append(records(1, 'later'))
    assert.deepEqual(valuesOf(await readAll(stream, 100)), ['later 0'])
  })

  testWith(1, 'what is appended takes room', async ({ streams }) => {
    const before = await streams.sizeOf('log')
    const value = Buffer.from(numbers(50_000).map((number) => (number * number * 31) % 251))
    await streams.stream('log', 0).append(numbers(20).map(() => record(value)))
    await until(async () => (await streams.sizeOf('log')).bytes >= before.bytes + value.length)
    assert((await streams.sizeOf('books')).bytes <= 1_000_000)
  })

  testWith(2, 'who stops lets go of those that wait, and takes nothing from others', async ({ streams, another }) => {
    const other = await another()
    const waiting = numbers(2).map((shard) =>
      streams.stream('log', shard).read(0, { ...NOT_WAITING, waitMs: FOR_EVER_MS }),
    )
    await Promise.all([streams.stop(), streams.stop(), Promise.allSettled(waiting)])
    await streams.stop()
    await assert.rejects(async () => streams.stream('log', 0).append(records(1)))
    await other.stream('log', 0).append(records(1))
    assert.equal((await readAll(other.stream('log', 0))).length, 1)
  })
}
