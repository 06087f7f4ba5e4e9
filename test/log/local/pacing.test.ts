import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pacing } from '../../../log/local/pacing.ts'
import { scratchDirectory } from '../../scratch.ts'
import { until } from '../../until.ts'
import { entry, readAll } from '../contract.ts'
import { at, only } from '../only.ts'
import { openLocal } from './open-local.ts'

const WAIT_MAX_MS = 2
const COMMITS = 2_000

interface Load {
  readonly flushMs: number
  /** Between the end of a flush and the next entry. */
  readonly gapMs: number
  /** What part of a wait passes after its last entry. */
  readonly quietRatio: number
}

/** The waits of commits one after another, and the times between their beginnings. */
function pace({ flushMs, gapMs, quietRatio }: Load, waitMaxMs = WAIT_MAX_MS): { waits: number[]; apart: number[] } {
  const pacing = new Pacing(waitMaxMs)
  const begun: number[] = []
  const waits: number[] = []
  for (let now = 0; waits.length < COMMITS; now += flushMs + gapMs) {
    const wait = pacing.wait(now)
    waits.push(wait)
    now += wait
    if (wait > 0) pacing.waited(wait, wait * quietRatio)
    pacing.began(now)
    begun.push(now)
  }
  return { waits, apart: begun.slice(1).map((time, index) => time - (begun[index] ?? 0)) }
}

const waited = (waits: readonly number[]) => waits.filter((wait) => wait > 0).length

test('under load commits begin twice the wait apart, and none waits longer than that', () => {
  const { waits, apart } = pace({ flushMs: 0.5, gapMs: 0, quietRatio: 0.1 })
  assert(waited(waits) > COMMITS / 2)
  assert.equal(Math.max(...waits), WAIT_MAX_MS)
  assert(waits.slice(COMMITS / 2).every((wait) => wait === WAIT_MAX_MS))
  assert(apart.slice(COMMITS / 2).every((ms) => ms <= 2 * WAIT_MAX_MS))
})

test('a flush that takes as long as commits should lie apart leaves nothing to wait for', () => {
  assert.equal(waited(pace({ flushMs: 4, gapMs: 0, quietRatio: 0 }).waits), 0)
})

test('an entry that comes alone is not delayed', () => {
  assert.equal(waited(pace({ flushMs: 0.5, gapMs: 4, quietRatio: 0 }).waits), 0)
})

test('where all who send wait for their acknowledgement, a wait is tried once in a while only', () => {
  assert(waited(pace({ flushMs: 0.5, gapMs: 0.1, quietRatio: 0.9 }).waits) <= COMMITS / 100)
})

test('no wait is allowed: there is none', () => {
  assert.equal(waited(pace({ flushMs: 0.5, gapMs: 0, quietRatio: 0 }, 0).waits), 0)
})

test('messages that wait for others are flushed at a stop', { timeout: 60_000 }, async (t) => {
  const directory = scratchDirectory(t)
  const log = await openLocal(t, { directory, commitWaitMaxMs: 100 })
  const stop = new AbortController()
  const following = (async () => {
    for await (const { count } of only(log).follow(at(0), stop.signal)) if (count > 20) return
  })()
  let isPaced = false
  void following.then(() => {
    isPaced = true
  })
  const outcomes: (Error | undefined)[] = []
  let appended = 0
  const append = () => log.append(entry(appended++), (error) => outcomes.push(error))
  // Like devices that do not wait for one another.
  const appending = setInterval(append, 1)
  await until(() => isPaced).finally(() => clearInterval(appending))
  append()
  await log.stop()
  assert.deepEqual(
    outcomes,
    Array.from({ length: appended }, () => undefined),
  )
  const again = await openLocal(t, { directory })
  assert.equal((await readAll(again)).payloads.length, appended)
})
