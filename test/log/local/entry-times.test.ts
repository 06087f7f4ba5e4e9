/** When entries were committed and accounted for: what the local log keeps of it, and what it says of older ones. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommitTimes } from '../../../log/local/commit-times.ts'
import type { EntryTime } from '../../../log/log.ts'
import { CheckpointTimes } from '../../../log/tables/checkpoint-times.ts'
import { openEnvironment } from '../../../log/tables/environment.ts'
import { scratchDirectory } from '../../scratch.ts'
import { append, entry } from '../contract.ts'
import { at, only } from '../only.ts'
import { openLocal } from './open-local.ts'

const why = (time: EntryTime | undefined) => (time !== undefined && 'unknown' in time ? time.unknown : '')

test('of the newest commits the time is known, of older ones how many are kept is said', () => {
  const times = new CommitTimes()
  assert.match(why(times.of(0)), /only the broker knows it/)
  times.beginAt(100)
  assert.match(why(times.of(99)), /last 8192 commits since its start/)
  assert.match(why(times.of(100)), /being committed/)
  // Of three entries each.
  for (let commit = 0; commit < 10_000; commit++) times.add(100 + 3 * (commit + 1), commit)
  for (const commit of [9_999, 9_000, 10_000 - 8_192]) {
    for (const index of [0, 1, 2]) assert.deepEqual(times.of(100 + 3 * commit + index), { at: commit })
  }
  assert.match(why(times.of(100 + 3 * (10_000 - 8_192) - 1)), /last 8192 commits$/)
})

test('of the newest moves of the checkpoint the time is known; what a version without rows moved it over is in none', async (t) => {
  const environment = await openEnvironment(scratchDirectory(t))
  t.after(() => environment.root.close())
  const times = new CheckpointTimes(environment)
  assert.match(why(times.of(0)), /last 50000 moves/)
  await environment.root.transaction(() => {
    for (let move = 0; move < 50_010; move++) times.add(2 * move, 2 * move + 2, 1_000 + move)
    times.add(200_000, 200_005, 7)
    times.add(200_005, 200_005, 8)
  })
  assert.deepEqual([...environment.checkpointTimes.getKeys()].length, 50_000)
  assert.match(why(times.of(0)), /last 50000 moves/)
  for (const offset of [22, 23, 5_001, 100_019]) assert.deepEqual(times.of(offset), { at: 1_000 + (offset >> 1) })
  assert.match(why(times.of(150_000)), /last 50000 moves/)
  assert.deepEqual(times.of(200_004), { at: 7 })
})

test('a process that does not append says who knows when entries were committed', async (t) => {
  const directory = scratchDirectory(t)
  const log = await openLocal(t, { directory })
  await append(log, entry(0))
  const reader = await openLocal(t, { directory, writer: false })
  assert.match(why((await only(reader).timesOf(at(0))).committed), /only the broker knows it/)
})
