/**
 * Random histories of a local log against a model of a few lines: appends, reads, checkpoints, dead letters, time that
 * passes, reopening, kill -9 of the process that appends, damage. `TELLTALE_TEST_RUNS=500` for the long form; fast-check
 * prints the seed of a failure, and `TELLTALE_TEST_SEED` repeats it.
 */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { NewEntry } from '../../../log/entry.ts'
import { LocalLog } from '../../../log/local/local-log.ts'
import { INGEST_READER, type NewDeadLetter } from '../../../log/log.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import { scratchDirectory } from '../../scratch.ts'
import { append, entry, readAll } from '../contract.ts'
import { at, only } from '../only.ts'

const RUNS = Number(process.env.TELLTALE_TEST_RUNS ?? 40)
const SEED = process.env.TELLTALE_TEST_SEED
const ACTIONS_MAX = 30
const RETENTION_MS = 60_000
const WRITER = new URL('./writer.ts', import.meta.url).pathname
const TIME_LIMIT_MS = 3_600_000

type Action =
  | { readonly do: 'append'; readonly sizes: readonly number[] }
  | { readonly do: 'read'; readonly from: number }
  | { readonly do: 'advance'; readonly share: number; readonly deadEvery: number }
  | { readonly do: 'later' | 'reopen' | 'kill' | 'cut' | 'flip' }

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('append' as const), sizes: sizes() }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('read' as const), from: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      deadEvery: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'later' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'reopen' as const }) },
  { weight: 1, arbitrary: fc.constantFrom({ do: 'kill' as const }, { do: 'cut' as const }, { do: 'flip' as const }) },
)

function sizes() {
  const size = fc.oneof({ weight: 9, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(150_000) })
  return fc.array(size, { minLength: 1, maxLength: 40 })
}

test('whatever is done to it, the log holds what the model says', { timeout: TIME_LIMIT_MS }, async () => {
  const property = fc.asyncProperty(fc.array(action, { maxLength: ACTIONS_MAX }), async (actions) => {
    // Each history takes its disk space ahead: it goes with the history, not with the test.
    const cleanUp: (() => void)[] = []
    const run = new Run(scratchDirectory({ after: (fn) => cleanUp.push(fn as () => void) }))
    try {
      await run.open()
      for (const each of actions) {
        await run.take(each)
        await run.check()
      }
    } finally {
      await run.close()
      for (const each of cleanUp) each()
    }
  })
  await fc.assert(property, { numRuns: RUNS, ...(SEED !== undefined && { seed: Number(SEED) }) })
})

/** The model (`accepted`, `next`, `stored`, `letters`) beside the log. */
class Run {
  readonly #directory: string
  readonly #accepted: string[] = []
  readonly #letters: string[] = []
  #next = 0
  #stored = 0
  #now = 1_000_000
  #log: LocalLog | undefined

  constructor(directory: string) {
    this.#directory = directory
  }

  get log(): LocalLog {
    return this.#log ?? assert.fail('not open')
  }

  async open(): Promise<void> {
    const options = { directory: this.#directory, writer: true, maxBytes: 2 ** 30, retentionMs: RETENTION_MS }
    const clock = { now: () => this.#now }
    this.#log = new LocalLog(options, { clock, logger: silentLogger(), metrics: createMetrics() })
    await this.#log.start()
  }

  async close(): Promise<void> {
    await this.#log?.stop()
  }

  async take(action: Action): Promise<void> {
    if (action.do === 'append') await this.#append(action.sizes)
    else if (action.do === 'read') await this.#read(Math.floor(action.from * this.#accepted.length))
    else if (action.do === 'advance') await this.#advance(action.share, action.deadEvery)
    else if (action.do === 'later') this.#now += RETENTION_MS
    else {
      await this.close()
      if (action.do === 'kill') await this.#killWriter()
      if (action.do === 'cut') await this.#damage((file, bytes) => truncateSync(file, Math.min(bytes.length, 9_000)))
      if (action.do === 'flip') await this.#damage((file, bytes) => writeFileSync(file, bytes.fill(0x5a, 4_096, 4_200)))
      await this.open()
    }
  }

  /** All that must be true after each action. */
  async check(): Promise<void> {
    const first = await only(this.log).first()
    assert(first <= this.#next, `retention removed from ${first} past the checkpoint ${this.#next}`)
    const { payloads } = await readAll(this.log)
    assert.deepEqual(payloads.map(digest), this.#accepted.slice(first).map(digest))
    assert.equal(await only(this.log).end(), this.#accepted.length)
    const deadLettered = this.#letters.length
    assert.deepEqual(await this.log.ledger(INGEST_READER), {
      accepted: this.#accepted.length,
      stored: this.#stored,
      deadLettered,
      pending: this.#accepted.length - this.#next,
      balanced: true,
      readings: this.#stored * 2,
      superseded: 0,
    })
    const held = await this.log.deadLetters({ limit: deadLettered + 1 })
    assert.deepEqual(
      held.map(({ payload, sequence }) => [sequence, digest(Buffer.from(payload).toString())]),
      this.#letters.map((payload, index) => [index + 1, digest(payload)]),
    )
  }

  async #append(sizes: readonly number[]): Promise<void> {
    const entries = sizes.map((size, index): NewEntry => {
      const number = this.#accepted.length + index
      const payload = Buffer.from(`${number} `.repeat(Math.ceil(size / 4)))
      return entry(number, { payload, receivedAt: this.#now })
    })
    await append(this.log, ...entries)
    for (const { payload } of entries) this.#accepted.push(Buffer.from(payload).toString())
  }

  async #read(from: number): Promise<void> {
    const batch = await only(this.log).read(at(from))
    if (batch === undefined) {
      assert.equal(from, this.#accepted.length)
      return
    }
    assert.equal(batch.firstOffset, Math.max(from, await only(this.log).first()))
    assert.equal(batch.missed, batch.firstOffset - from)
    const { payloads } = await readAll(this.log, at(from))
    assert.deepEqual(payloads.map(digest), this.#accepted.slice(batch.firstOffset).map(digest))
  }

  async #advance(share: number, deadEvery: number): Promise<void> {
    const passed = Math.floor((this.#accepted.length - this.#next) * share)
    const deadLetters: NewDeadLetter[] = []
    for (let offset = this.#next; offset < this.#next + passed; offset++) {
      if (offset % deadEvery !== 0) continue
      const payload = Buffer.from(this.#accepted[offset] ?? assert.fail())
      const { device, stream, receivedAt } = entry(offset)
      deadLetters.push({
        offset: at(offset),
        device,
        stream,
        receivedAt,
        code: 'empty',
        reason: 'the model says so',
        payload,
      })
    }
    const next = at(this.#next + passed)
    const stored = passed - deadLetters.length
    await only(this.log).advance(INGEST_READER, { next, stored, readings: stored * 2, deadLetters })
    this.#next += passed
    this.#stored += stored
    for (const { payload } of deadLetters) this.#letters.push(Buffer.from(payload).toString())
  }

  /** Another process appends and is killed: all that it acknowledged is there, and what came after it may be. */
  async #killWriter(): Promise<void> {
    const child = spawn(process.execPath, ['--import', 'tsx', WRITER, this.#directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
      child.kill('SIGKILL')
    })
    await once(child, 'close')
    const acknowledged = output.split('\n').slice(0, -1)
    await this.open()
    const first = await only(this.log).first()
    const { payloads } = await readAll(this.log)
    const known = this.#accepted.length
    assert.deepEqual(payloads.slice(known - first, known - first + acknowledged.length), acknowledged)
    this.#accepted.push(...payloads.slice(known - first))
    await this.close()
  }

  /** Damages the file, sees the start refused, and puts back the copy. */
  async #damage(damage: (file: string, bytes: Buffer) => void): Promise<void> {
    const file = join(this.#directory, 'data.mdb')
    const copy = readFileSync(file)
    damage(file, Buffer.from(copy))
    await assert.rejects(this.open(), { code: 'log-corrupt' })
    writeFileSync(file, copy)
  }
}

/** A long payload is told by its length and its ends: a failure must stay readable. */
function digest(payload: string): string {
  return payload.length < 60 ? payload : `${payload.length}: ${payload.slice(0, 20)}…${payload.slice(-20)}`
}
