/**
 * Owns what every log must do with dead letters and the books, whatever it is built on: replay, purge, the ledger of the
 * installation and of each device, against a simple model. Goes with `contract.ts`.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { DeadLetterPlace } from '../../log/dead-letter-place.ts'
import { DELIVERED_LIVE, type Entry, type NewEntry, REPLAYED, readEntries, SET_ASIDE } from '../../log/entry.ts'
import {
  type DeadLetterFilter,
  type DeadLetterLook,
  type DeadLetterLookBack,
  type DeviceProgress,
  INGEST_READER,
  type Log,
  type NewDeadLetter,
} from '../../log/log.ts'
import { append, appendWithCodes, entry, type OpensLog, runOf } from './contract.ts'
import { at, only } from './only.ts'

const DEVICES = ['device-0', 'device-1', 'device-2']
const CODES = ['malformed-avro', 'unknown-schema', 'store-rejected']
/** No store is asked before a message is appended. */
const EARLY_CODES = CODES.slice(0, 2)
/** Of all that `entry` makes. */
const STREAM = 'environment'

async function entriesOf(log: Log): Promise<Entry[]> {
  const entries: Entry[] = []
  let position = await only(log).first()
  for (let batch = await only(log).read(position); batch !== undefined; batch = await only(log).read(position)) {
    entries.push(...readEntries(batch))
    position = batch.next
  }
  return entries
}

/** Stores the next `count` entries, setting aside those for which `codeOf` says a code, and that were not set aside before. */
export async function advance(
  log: Log,
  count: number,
  codeOf: (offset: number) => string | undefined = () => undefined,
): Promise<void> {
  const from = (await only(log).checkpoint(INGEST_READER)) ?? (await only(log).first())
  const entries: Entry[] = []
  // One read may give less than there is.
  while (entries.length < count) {
    const batch = await only(log).read(at(from + entries.length))
    if (batch === undefined) break
    entries.push(...readEntries(batch).slice(0, count - entries.length))
  }
  assert(entries.length > 0)
  const deadLetters: NewDeadLetter[] = []
  const devices: DeviceProgress[] = []
  for (const { offset, device, stream, receivedAt, flags, payload } of entries) {
    const code = codeOf(offset)
    if ((flags & SET_ASIDE) !== 0) devices.push({ device, stored: 0, readings: 0, setAsideBefore: 1 })
    else if (code === undefined) devices.push({ device, stored: 1, readings: 2 })
    else {
      const decoded = code === 'store-rejected' && { decoded: true }
      deadLetters.push({ offset, device, stream, receivedAt, payload, code, reason: 'so', ...decoded })
    }
  }
  const next = at(from + entries.length)
  const stored = devices.reduce((sum, each) => sum + each.stored, 0)
  const setAsideBefore = devices.length - stored
  const counts = { stored, readings: stored * 2, setAsideBefore }
  await only(log).advance(INGEST_READER, { next, ...counts, deadLetters, devices })
}

const sequences = async (log: Log, filter: DeadLetterFilter = {}) =>
  (await log.deadLetters({ limit: 1_000, ...filter })).map(({ sequence }) => sequence)

/** All of them, look by look. */
async function sequencesBack(log: Log, query: DeadLetterLookBack): Promise<number[]> {
  const all: number[] = []
  for (let before: DeadLetterPlace | undefined = [Number.MAX_SAFE_INTEGER]; before !== undefined; ) {
    const { found, next }: DeadLetterLook = await log.lookBack({ ...query, before })
    assert(found.length <= query.limit)
    all.push(...found.map(({ sequence }) => sequence))
    before = next
  }
  return all
}

export function testDeadLetters(name: string, open: OpensLog): void {
  test(`${name}: a replay appends the message again and takes the dead letter out; the books balance`, async (t) => {
    const { log, reopen } = await open(t)
    await append(log, entry(0), entry(1), entry(2))
    await advance(log, 3, (offset) => ['malformed-avro', undefined, 'store-rejected'][offset])
    assert.equal(await log.replay({}), 2)
    const again = await reopen()
    const [, , , first, second] = await entriesOf(again)
    assert(first && second)
    assert.deepEqual([first.flags, second.flags], [REPLAYED, REPLAYED | DELIVERED_LIVE])
    assert.deepEqual(
      { ...first, payload: first.payload.toString() },
      {
        ...entry(0),
        payload: 'payload 0',
        offset: 3,
        flags: REPLAYED,
      },
    )
    assert.deepEqual(await sequences(again), [])
    assert.deepEqual(await again.ledger(INGEST_READER), {
      accepted: 5,
      stored: 1,
      deadLettered: 2,
      pending: 2,
      balanced: true,
      readings: 2,
      superseded: 0,
    })
    assert.deepEqual(await again.deadLetterCounts(), {
      held: 0,
      heldBytes: 0,
      replayed: 2,
      purged: 0,
      expired: 0,
    })
    await advance(again, 2, (offset) => (offset === 3 ? 'malformed-avro' : undefined))
    assert.deepEqual(await sequences(again), [3], 'a sequence is not given twice')
    assert.deepEqual(await again.lastDeadLetter(), [3])
  })

  test(`${name}: what a content type says of a payload stays with it, set aside and appended again`, async (t) => {
    const { log, reopen, setsAsideLater } = await open(t)
    const framing = 2
    await append(log, entry(0, { framing }), entry(1))
    await appendWithCodes(log, [{ entry: entry(2, { framing }), code: 'empty' }])
    const run = runOf([Buffer.from('a'), Buffer.from('b')], { framing: 255 })
    await new Promise<void>((resolve) => log.appendRun(run, () => resolve()))
    const framings = async (of: Log) => (await entriesOf(of)).map(({ framing }) => framing)
    const expected = [framing, undefined, framing, 255, 255]
    assert.deepEqual(await framings(log), expected)
    const batch = await only(log).read(await only(log).first())
    const letters = readEntries(batch ?? assert.fail()).slice(0, 2)
    const deadLetters = letters.map((letter) => ({ ...letter, code: 'empty', reason: 'so' }))
    const passed = setsAsideLater ? { next: at(3), setAsideBefore: 1 } : { next: at(2) }
    await only(log).advance(INGEST_READER, { ...passed, stored: 0, readings: 0, deadLetters })
    const held = setsAsideLater ? [framing, undefined, framing] : [framing, framing, undefined]
    assert.deepEqual(
      (await log.deadLetters({ limit: 9 })).map(({ framing }) => framing),
      held,
    )
    assert.equal(await log.replay({}), 3)
    assert.deepEqual(await framings(await reopen()), [...expected, ...held])
  })

  test(`${name}: a purge takes out what fits the filter, for good, and the books stay`, async (t) => {
    const { log, reopen } = await open(t)
    await append(log, ...Array.from({ length: 6 }, (_, number) => entry(number)))
    await advance(log, 6, (offset) => CODES[offset % 2])
    const before = await log.ledger(INGEST_READER)
    assert.equal(await log.purge({ code: 'unknown-schema', device: 'device-1' }), 1)
    assert.deepEqual(await sequences(log), [1, 3, 4, 5, 6])
    assert.equal(await log.purge({ sequences: [6, 3, 99, 3] }), 2)
    const again = await reopen()
    assert.deepEqual(await sequences(again), [1, 4, 5])
    assert.deepEqual(await again.ledger(INGEST_READER), before)
    const { held, purged } = await again.deadLetterCounts()
    assert.deepEqual([held, purged], [3, 3])
    assert.equal(await again.purge({}), 3)
    assert.deepEqual(
      { ...(await again.deadLetterCounts()) },
      { held: 0, heldBytes: 0, replayed: 0, purged: 6, expired: 0 },
    )
    assert.equal(await again.purge({}), 0)
    assert.equal(await again.replay({}), 0)
  })

  test(`${name}: dead letters are told apart by when they were received`, async (t) => {
    const { log } = await open(t)
    await append(log, ...Array.from({ length: 4 }, (_, number) => entry(number)))
    await advance(log, 4, () => 'empty')
    assert.deepEqual(await sequences(log, { since: 1_001 }), [2, 3, 4])
    assert.deepEqual(await sequences(log, { until: 1_001 }), [1])
    assert.deepEqual(await sequences(log, { since: 1_001, until: 1_003 }), [2, 3])
    assert.equal(await log.replay({ since: 1_003 }), 1)
    assert.deepEqual(await sequences(log), [1, 2, 3])
  })

  test(`${name}: dead letters are looked at from the newest back, a part at a time, and counted by device and code`, async (t) => {
    const { log } = await open(t)
    const letters = 2_500
    await append(log, ...Array.from({ length: letters }, (_, number) => entry(number)))
    await advance(log, letters, (offset) => (offset < 6 ? CODES[offset % 2] : 'empty'))
    const { found, next } = await log.lookBack({ code: 'unknown-schema', limit: 10 })
    assert(found.length === 0 && Number(next?.[0]) > 1_000, 'a look is bounded, whatever it finds')
    assert.deepEqual(await sequencesBack(log, { code: 'unknown-schema', limit: 2 }), [6, 4, 2])
    assert.deepEqual(await sequencesBack(log, { device: 'device-1', until: 1_006, limit: 1 }), [5, 2])
    const within = [{ device: 'device-0', stream: 'nothing' }, { device: 'device-2' }]
    assert.deepEqual(await sequencesBack(log, { within, until: 1_006, limit: 5 }), [6, 3])
    assert.deepEqual(await sequencesBack(log, { within: [], limit: 5 }), [])
    const whole = await log.lookBack({ limit: letters, since: 1_000 + letters - 2 })
    assert.deepEqual(
      whole.found.map(({ sequence, payload }) => [sequence, Buffer.from(payload).toString()]),
      [
        [letters, `payload ${letters - 1}`],
        [letters - 1, `payload ${letters - 2}`],
      ],
    )
    const rows = (await log.keptByCode('device-0')).kept.map(({ device, code, count }) => [device, code, count])
    assert.deepEqual(rows.sort(), [
      ['device-1', 'empty', 831],
      ['device-1', 'malformed-avro', 1],
      ['device-1', 'unknown-schema', 1],
      ['device-2', 'empty', 831],
      ['device-2', 'malformed-avro', 1],
      ['device-2', 'unknown-schema', 1],
    ])
  })

  test(`${name}: counts that do not add up by device are refused and change nothing`, async (t) => {
    const { log } = await open(t)
    await append(log, entry(0), entry(1))
    const next = await only(log).end()
    const devices = [{ device: 'device-0', stored: 1, readings: 2 }]
    await assert.rejects(only(log).advance(INGEST_READER, { next, stored: 2, readings: 2, deadLetters: [], devices }))
    await assert.rejects(only(log).advance(INGEST_READER, { next, stored: 2, readings: 4, deadLetters: [], devices }))
    assert.equal(await only(log).checkpoint(INGEST_READER), undefined)
    assert.equal((await log.deviceLedger(INGEST_READER, 'device-0')).stored, 0)
  })

  test(`${name}: random appends, advances, replays, purges and reopenings keep all books, by a model`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
        const { log, reopen, setsAsideLater = false } = await open(t)
        const model = new Model(setsAsideLater)
        let current = log
        for (const each of steps) {
          if (each.kind === 'reopen') {
            // Only once a run: some implementations can be reopened only so often.
            if (current === log) current = await reopen()
          } else await model.take(each, current)
          await model.check(current)
        }
      }),
      { numRuns: 6 },
    )
  })
}

type Step =
  /** Of each a device's number, and a code's index: set aside at once; or beyond the codes. */
  | { readonly kind: 'append'; readonly messages: readonly { readonly of: number; readonly code: number }[] }
  /** For each entry, a code's index, or beyond the codes: stored. */
  | { readonly kind: 'advance'; readonly codes: readonly number[] }
  | { readonly kind: 'replay' | 'purge'; readonly filter: DeadLetterFilter }
  | { readonly kind: 'reopen' }

const filter: fc.Arbitrary<DeadLetterFilter> = fc.record(
  {
    device: fc.constantFrom(...DEVICES),
    code: fc.constantFrom(...CODES),
    since: fc.nat(40).map((number) => 1_000 + number),
    until: fc.nat(60).map((number) => 1_000 + number),
    sequences: fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 8 }),
    within: fc.array(
      fc.record(
        { device: fc.constantFrom(...DEVICES), stream: fc.constantFrom('environment', 'power') },
        { requiredKeys: [] },
      ),
      { maxLength: 3 },
    ),
  },
  { requiredKeys: [] },
)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      messages: fc.array(fc.record({ of: fc.nat(2), code: fc.nat(9) }), { minLength: 1 }),
    }),
    weight: 3,
  },
  {
    arbitrary: fc.record({
      kind: fc.constant('advance' as const),
      codes: fc.array(fc.nat(5), { minLength: 1, maxLength: 20 }),
    }),
    weight: 4,
  },
  { arbitrary: fc.record({ kind: fc.constantFrom('replay' as const, 'purge' as const), filter }), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constant('reopen' as const) }), weight: 1 },
)

interface ModelEntry {
  readonly device: string
  readonly receivedAt: number
  readonly flags: number
  /** Of one that was appended to be set aside. */
  readonly code?: string
}

class Model {
  readonly #entries: ModelEntry[] = []
  readonly #held = new Map<number, ModelEntry & { readonly code: string }>()
  readonly #stored: Record<string, number> = {}
  readonly #deadLettered: Record<string, number> = {}
  #next = 0
  #last = 0
  #replayed = 0
  #purged = 0
  readonly #setsAsideLater: boolean

  constructor(setsAsideLater: boolean) {
    this.#setsAsideLater = setsAsideLater
  }

  async take(each: Exclude<Step, { kind: 'reopen' }>, log: Log): Promise<void> {
    if (each.kind === 'append') {
      const first = this.#entries.length
      const added = each.messages.map(({ of, code }, index) => {
        return { entry: entry(first + index, { device: `device-${of}` }), code: EARLY_CODES[code] }
      })
      for (const { entry, code } of added) this.#append(entry, code)
      const setAside = await appendWithCodes(log, added)
      assert.deepEqual(
        setAside,
        added.map(({ code }) => code !== undefined),
      )
    } else if (each.kind === 'advance') await this.#advance(each.codes, log)
    else {
      const fitting = [...this.#held].filter(([sequence, letter]) => fits(sequence, letter, each.filter))
      for (const [sequence, { device, receivedAt, code }] of fitting) {
        this.#held.delete(sequence)
        const flags = code === 'store-rejected' ? REPLAYED | DELIVERED_LIVE : REPLAYED
        if (each.kind === 'replay') this.#entries.push({ device, receivedAt, flags })
      }
      if (each.kind === 'replay') this.#replayed += fitting.length
      else this.#purged += fitting.length
      assert.equal(await log[each.kind](each.filter), fitting.length)
    }
  }

  #append({ device, receivedAt }: NewEntry, code: string | undefined): void {
    const message = { device, receivedAt, flags: code === undefined ? 0 : SET_ASIDE, ...(code && { code }) }
    this.#entries.push(message)
    if (!this.#setsAsideLater) this.#setAside(message)
  }

  #setAside({ device, receivedAt, code }: ModelEntry): void {
    if (code === undefined) return
    this.#deadLettered[device] = (this.#deadLettered[device] ?? 0) + 1
    this.#held.set(++this.#last, { device, receivedAt, flags: 0, code })
  }

  async #advance(codes: readonly number[], log: Log): Promise<void> {
    const passed = this.#entries.slice(this.#next, this.#next + codes.length)
    if (passed.length === 0) return
    const first = this.#next
    for (const [index, { device, receivedAt, flags }] of passed.entries()) {
      if (flags === SET_ASIDE) continue
      const code = CODES[codes[index] ?? -1]
      const books = code === undefined ? this.#stored : this.#deadLettered
      books[device] = (books[device] ?? 0) + 1
      if (code !== undefined) this.#held.set(++this.#last, { device, receivedAt, flags, code })
    }
    if (this.#setsAsideLater) for (const each of passed) this.#setAside(each)
    this.#next += passed.length
    await advance(log, passed.length, (offset) => CODES[codes[offset - first] ?? -1])
  }

  async check(log: Log): Promise<void> {
    const entries = await entriesOf(log)
    assert.deepEqual(
      entries.map(({ device, receivedAt, flags }) => [device, receivedAt, flags]),
      this.#entries.map(({ device, receivedAt, flags }) => [device, receivedAt, flags]),
    )
    const ledger = await log.ledger(INGEST_READER)
    const stored = sum(this.#stored)
    const deadLettered = sum(this.#deadLettered)
    const accepted = entries.length
    const waiting = this.#entries.slice(this.#next).filter(({ flags }) => this.#setsAsideLater || flags !== SET_ASIDE)
    const pending = waiting.length
    assert.deepEqual(ledger, {
      accepted,
      stored,
      deadLettered,
      pending,
      balanced: true,
      readings: stored * 2,
      superseded: 0,
    })
    assert.equal(accepted, stored + deadLettered + pending)
    for (const device of DEVICES) {
      const { pendingSince, ...own } = await log.deviceLedger(INGEST_READER, device)
      assert.equal(pendingSince === undefined, own.pending === 0)
      const storedOwn = this.#stored[device] ?? 0
      assert.deepEqual(own, {
        device,
        accepted: entries.filter((each) => each.device === device).length,
        stored: storedOwn,
        deadLettered: this.#deadLettered[device] ?? 0,
        pending: waiting.filter((each) => each.device === device).length,
        balanced: true,
        readings: storedOwn * 2,
        superseded: 0,
      })
      assert.equal(own.accepted, own.stored + own.deadLettered + own.pending)
    }
    const { heldBytes: _, ...counts } = await log.deadLetterCounts()
    assert.deepEqual(counts, { held: this.#held.size, replayed: this.#replayed, purged: this.#purged, expired: 0 })
    assert.equal(deadLettered, counts.held + counts.replayed + counts.purged + counts.expired)
    assert.deepEqual(await sequences(log), [...this.#held.keys()])
    assert.deepEqual(await sequencesBack(log, { limit: 3 }), [...this.#held.keys()].reverse())
    const { kept } = await log.keptByCode('')
    const letters = [...this.#held.values()]
    for (const { device, code, count } of kept) {
      assert.equal(count, letters.filter((letter) => letter.device === device && letter.code === code).length)
    }
    assert.equal(
      kept.reduce((all, { count }) => all + count, 0),
      letters.length,
    )
  }
}

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((total, count) => total + count, 0)

function fits(sequence: number, { device, receivedAt, code }: ModelEntry & { code: string }, filter: DeadLetterFilter) {
  return (
    (filter.device ?? device) === device &&
    (filter.code ?? code) === code &&
    (filter.since ?? receivedAt) <= receivedAt &&
    (filter.until ?? receivedAt + 1) > receivedAt &&
    (filter.sequences ?? [sequence]).includes(sequence) &&
    (filter.within ?? [{}]).some((part) => (part.device ?? device) === device && (part.stream ?? STREAM) === STREAM)
  )
}
