import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Batch } from '../../../log/entry.ts'
import { readEntries } from '../../../log/entry.ts'
import { RecentCommits } from '../../../log/tables/recent-commits.ts'
import { LOG_READ_BYTES_MAX, LOG_READ_ENTRIES_MAX } from '../../../platform/limits.ts'
import { scratchDirectory } from '../../scratch.ts'
import { append, entry } from '../contract.ts'
import { only } from '../only.ts'
import { openLocal } from './open-local.ts'

function recent(): RecentCommits {
  const commits = new RecentCommits()
  commits.join()
  return commits
}

test('commits are handed on as one piece from whichever of them, and from nowhere else', () => {
  const commits = recent()
  commits.add(5, 2, Buffer.from('ab'))
  commits.add(7, 1, Buffer.from('c'))
  commits.add(8, 3, Buffer.from('def'))
  const at = (offset: number) => {
    const batch = commits.from(offset)
    return batch && [batch.bytes.toString(), batch.firstOffset, batch.count, batch.next, batch.missed]
  }
  assert.deepEqual(at(5), ['abcdef', 5, 6, 11, 0])
  assert.deepEqual(at(7), ['cdef', 7, 4, 11, 0])
  assert.deepEqual(at(8), ['def', 8, 3, 11, 0])
  for (const offset of [0, 4, 6, 9, 11]) assert.equal(at(offset), undefined)
})

test('what is handed on is a copy: the memory of a commit is used again', () => {
  const commits = recent()
  const bytes = Buffer.from('ab')
  commits.add(0, 1, bytes)
  bytes.fill(0)
  assert.equal(commits.from(0)?.bytes.toString(), 'ab')
})

test('no more is kept than one read returns, and nothing while nobody follows', () => {
  const commits = recent()
  const half = Buffer.alloc(LOG_READ_BYTES_MAX / 2)
  for (let offset = 0; offset < 3; offset++) commits.add(offset, 1, half)
  assert.equal(commits.from(0), undefined)
  assert.equal(commits.from(1)?.bytes.length, LOG_READ_BYTES_MAX)

  commits.add(3, LOG_READ_ENTRIES_MAX, Buffer.alloc(1))
  assert.equal(commits.from(2), undefined)
  assert.equal(commits.from(3)?.count, LOG_READ_ENTRIES_MAX)

  const afterLargest = 3 + LOG_READ_ENTRIES_MAX
  commits.add(afterLargest, LOG_READ_ENTRIES_MAX + 1, Buffer.alloc(1))
  assert.equal(commits.from(afterLargest), undefined)

  const last = afterLargest + LOG_READ_ENTRIES_MAX + 1
  commits.add(last, 1, Buffer.alloc(1))
  assert.equal(commits.from(last)?.count, 1)
  commits.leave()
  assert.equal(commits.from(last), undefined)
  commits.add(last + 1, 1, Buffer.alloc(1))
  assert.equal(commits.from(last + 1), undefined)
})

test('followers that come, fall behind and go get what whoever reads from the disk gets', async (t) => {
  const log = await openLocal(t, { directory: scratchDirectory(t) })
  const shard = only(log)
  const ENTRIES = 3_000
  const stop = new AbortController()

  async function follow(waitEach: number): Promise<Batch[]> {
    const batches: Batch[] = []
    for await (const batch of shard.follow(await shard.first(), stop.signal)) {
      batches.push(batch)
      if (batch.next === ENTRIES) break
      // Others commit meanwhile: more than is kept, for the slowest.
      for (let turn = 0; turn < waitEach; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
    return batches
  }
  const following = [follow(0), follow(1), follow(50)]
  for (let n = 0; n < ENTRIES; n += 10) {
    const size = (n * 37) % 9_000
    await append(log, ...Array.from({ length: 10 }, (_, i) => entry(n + i, { payload: Buffer.alloc(size, n + i) })))
  }
  const late = follow(0)
  const entries = (batches: readonly Batch[]) => batches.flatMap((batch) => readEntries(batch))
  const expected: unknown[] = []
  let from = await shard.first()
  while (from < ENTRIES) {
    const batch = await shard.read(from)
    assert(batch)
    expected.push(...readEntries(batch))
    from = batch.next
  }
  assert.equal(expected.length, ENTRIES)
  for (const each of [...following, late]) assert.deepEqual(entries(await each), expected)
})

test('a follower that waits is let go by its signal, at once', async (t) => {
  const log = await openLocal(t, { directory: scratchDirectory(t) })
  const stop = new AbortController()
  const batches = only(log)
    .follow(await only(log).end(), stop.signal)
    [Symbol.asyncIterator]()
  const next = batches.next()
  stop.abort()
  assert.equal((await next).done, true)
})
