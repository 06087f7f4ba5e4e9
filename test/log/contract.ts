/**
 * Owns what every log must do, whatever it is built on. An implementation's test calls `testLog` with a way to open it.
 *
 * `open` gives a started log on the same storage each time within one test; `reopen` closes and opens it again.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { type Batch, type NewEntry, type NewRun, readEntries } from '../../log/entry.ts'
import { type EntryTime, INGEST_READER, type Log, type NewDeadLetter } from '../../log/log.ts'
import { formatPosition, type Offset, parsePosition } from '../../log/position.ts'
import { LOG_READ_ENTRIES_MAX, PAYLOAD_BYTES_MAX } from '../../platform/limits.ts'
import { at, only } from './only.ts'

export interface OpenLog {
  readonly log: Log
  /** What is appended to be set aside is so when ingest passes it, and pending until then: the log cannot do both in one step. */
  readonly setsAsideLater?: true
  reopen(): Promise<Log>
}

export type OpensLog = (t: TestContext) => Promise<OpenLog>

export function entry(number: number, more: Partial<NewEntry> = {}): NewEntry {
  const payload = Buffer.from(`payload ${number}`)
  return {
    device: `device-${number % 3}`,
    stream: 'environment',
    receivedAt: 1_000 + number,
    flags: 0,
    payload,
    ...more,
  }
}

/** Entries of one device, as they would be received together, with other bytes around their payloads. */
export function runOf(payloads: readonly Buffer[], more: Partial<NewRun> = {}): NewRun {
  const between = Buffer.from('between')
  const bytes = Buffer.concat(payloads.flatMap((payload) => [between, payload]))
  const spans: number[] = []
  for (const { length } of payloads) {
    const start = (spans.at(-1) ?? 0) + between.length
    spans.push(start, start + length)
  }
  const payloadBytes = payloads.reduce((sum, { length }) => sum + length, 0)
  return { device: 'device-1', stream: 'environment', receivedAt: 1_000, bytes, spans, payloadBytes, ...more }
}

/** Resolves when all are durable; rejects with the first refusal. */
export async function append(log: Log, ...entries: NewEntry[]): Promise<void> {
  const appendOne = (each: NewEntry) =>
    new Promise<void>((resolve, reject) => log.append(each, (error) => (error ? reject(error) : resolve())))
  await Promise.all(entries.map(appendOne))
}

/** Likewise, and sets aside each that has a code; resolves with whether it was. */
export function appendWithCodes(
  log: Log,
  entries: readonly { readonly entry: NewEntry; readonly code: string | undefined }[],
): Promise<boolean[]> {
  const appendOne = ({ entry, code }: (typeof entries)[number]) =>
    new Promise<boolean>((resolve, reject) => {
      if (code === undefined) log.append(entry, (error) => (error ? reject(error) : resolve(false)))
      else {
        const answered = (error: Error | undefined, isSetAside: boolean) =>
          error ? reject(error) : resolve(isSetAside)
        log.appendSetAside(entry, { code, reason: 'so' }, answered)
      }
    })
  return Promise.all(entries.map(appendOne))
}

/** Everything from `from` to the end, as read now. */
export async function readAll(log: Log, from?: Offset): Promise<{ batches: Batch[]; payloads: string[] }> {
  const batches: Batch[] = []
  const payloads: string[] = []
  let position = from ?? (await only(log).first())
  for (let batch = await only(log).read(position); batch !== undefined; batch = await only(log).read(position)) {
    batches.push(batch)
    for (const { payload } of readEntries(batch)) payloads.push(payload.toString())
    position = batch.next
  }
  return { batches, payloads }
}

function deadLetter(offset: number, more: Partial<NewDeadLetter> = {}): NewDeadLetter {
  const payload = Buffer.from([0xc3, 0x01, offset])
  return {
    offset: at(offset),
    device: `device-${offset}`,
    stream: 'environment',
    receivedAt: 5,
    code: 'malformed-avro',
    reason: 'cut short',
    payload,
    ...more,
  }
}

export function testLog(name: string, open: OpensLog): void {
  test(`${name}: an empty log has nothing to read and balanced books`, async (t) => {
    const { log } = await open(t)
    assert.equal(await only(log).read(await only(log).first()), undefined)
    assert.equal(await only(log).first(), await only(log).end())
    assert.equal(await only(log).checkpoint(INGEST_READER), undefined)
    const ledger = await log.ledger(INGEST_READER)
    assert.deepEqual(ledger, {
      accepted: 0,
      stored: 0,
      deadLettered: 0,
      pending: 0,
      balanced: true,
      readings: 0,
      superseded: 0,
    })
  })

  test(`${name}: what was appended is read in order, whole, also after reopening`, async (t) => {
    const { log, reopen } = await open(t)
    const odd = entry(1, { device: 'A-z.0_9:', stream: 's'.repeat(64), flags: 7, payload: Buffer.from([0, 255, 10]) })
    await append(log, entry(0), odd, entry(2, { payload: Buffer.alloc(0) }))
    const again = await reopen()
    const batch = await only(again).read(await only(again).first())
    assert(batch !== undefined)
    const entries = readEntries(batch)
    assert.deepEqual(
      entries.map(({ offset, ...rest }) => [offset, { ...rest, payload: Buffer.from(rest.payload) }]),
      [
        [0, entry(0)],
        [1, odd],
        [2, entry(2, { payload: Buffer.alloc(0) })],
      ],
    )
  })

  test(`${name}: callbacks come in append order and only once`, async (t) => {
    const { log } = await open(t)
    const called: number[] = []
    await Promise.all(
      Array.from({ length: 1_000 }, (_, number) => {
        return new Promise<void>((resolve) =>
          log.append(entry(number), () => {
            called.push(number)
            resolve()
          }),
        )
      }),
    )
    assert.deepEqual(
      called,
      Array.from({ length: 1_000 }, (_, number) => number),
    )
  })

  test(`${name}: a run is in the log as its entries would be, appended one by one`, async (t) => {
    const { log } = await open(t)
    const payload = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
    const runs = fc.array(fc.array(payload, { minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 60 })
    let read = await only(log).first()
    const property = fc.asyncProperty(runs, async (payloads) => {
      const expected: unknown[] = []
      const appended = payloads.map((each, index) => {
        const { device, stream, receivedAt } = entry(index)
        expected.push(...each.map((payload) => ({ device, stream, receivedAt, flags: 0, payload })))
        return new Promise<void>((resolve, reject) => {
          const onDurable = (error?: Error) => (error ? reject(error) : resolve())
          // Both ways of appending follow one another.
          if (each.length === 1) log.append({ ...entry(index), payload: each[0] as Buffer }, onDurable)
          else log.appendRun(runOf(each, { device, receivedAt }), onDurable)
        })
      })
      await Promise.all(appended)
      const { batches } = await readAll(log, read)
      const found = batches.flatMap((batch) => readEntries(batch))
      assert.deepEqual(
        found.map(({ offset, payload, ...rest }) => ({ ...rest, payload: Buffer.from(payload) })),
        expected,
      )
      assert.deepEqual(
        found.map(({ offset }) => offset),
        expected.map((_, index) => read + index),
      )
      read = await only(log).end()
    })
    await fc.assert(property, { numRuns: 15 })
  })

  test(`${name}: a run larger than what is left of a commit begins the next, and stays together`, async (t) => {
    const { log } = await open(t)
    const large = Buffer.alloc(PAYLOAD_BYTES_MAX, 1)
    const small = Buffer.from('small')
    const durable: string[] = []
    await Promise.all([
      ...[1, 2, 3].map((number) => append(log, entry(number, { payload: large })).then(() => durable.push('entry'))),
      new Promise<void>((resolve, reject) => {
        log.appendRun(runOf([large, small, large]), (error) => {
          durable.push('run')
          if (error) reject(error)
          else resolve()
        })
      }),
    ])
    assert.deepEqual(durable, ['entry', 'entry', 'entry', 'run'])
    const { payloads } = await readAll(log)
    assert.deepEqual(
      payloads.map(({ length }) => length),
      [large, large, large, large, small, large].map(({ length }) => length),
    )
  })

  test(`${name}: an entry is readable when its callback is called`, async (t) => {
    const { log } = await open(t)
    for (let number = 0; number < 20; number++) {
      await append(log, entry(number))
      assert.equal((await readAll(log)).payloads.length, number + 1)
    }
  })

  test(`${name}: reads are bounded, dense and resumable, whatever the sizes`, async (t) => {
    const { log } = await open(t)
    const expected: string[] = []
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(3_000), { minLength: 4, maxLength: 200 }), async (sizes) => {
        const entries = sizes.map((size, index) =>
          entry(index, { payload: Buffer.alloc(size, expected.length + index) }),
        )
        await append(log, ...entries)
        expected.push(...entries.map(({ payload }) => payload.toString()))
        const { batches, payloads } = await readAll(log)
        assert.deepEqual(payloads, expected)
        let next = 0
        for (const batch of batches) {
          assert.equal(batch.firstOffset, next)
          assert.equal(batch.missed, 0)
          assert(batch.count <= LOG_READ_ENTRIES_MAX)
          next += batch.count
        }
        const third = await readAll(log, at(3))
        assert.deepEqual(third.payloads, expected.slice(3))
      }),
      { numRuns: 15 },
    )
  })

  test(`${name}: the largest payload goes in and comes out`, async (t) => {
    const { log } = await open(t)
    const large = Buffer.alloc(PAYLOAD_BYTES_MAX, 0xab)
    await append(log, ...Array.from({ length: 9 }, (_, number) => entry(number, { payload: large })))
    const { batches } = await readAll(log)
    const sizes = batches.flatMap((batch) => readEntries(batch).map((each) => each.payload.length))
    assert.deepEqual(sizes, Array(9).fill(PAYLOAD_BYTES_MAX))
  })

  test(`${name}: a follower sees the past, then what comes, and ends when told`, async (t) => {
    const { log } = await open(t)
    await append(log, entry(0), entry(1))
    const stop = new AbortController()
    const seen: number[] = []
    const following = (async () => {
      for await (const batch of only(log).follow(await only(log).first(), stop.signal)) {
        for (const { offset } of readEntries(batch)) seen.push(offset)
        if (seen.length === 2) void append(log, entry(2))
        if (seen.length === 3) void append(log, entry(3), entry(4))
        if (seen.length === 5) stop.abort()
      }
    })()
    await following
    assert.deepEqual(seen, [0, 1, 2, 3, 4])
  })

  test(`${name}: offsets rise, a position reads back from its text, and nonsense is refused`, async (t) => {
    const { log, reopen } = await open(t)
    const before = await only(log).end()
    await append(log, entry(0))
    assert(before < (await only(log).end()))
    const position = await Promise.all(log.shards.map((shard) => shard.end()))
    const text = formatPosition(log, position)
    const again = await reopen()
    assert.deepEqual(parsePosition(again, text), position)
    for (const nonsense of ['', 'x', '00000000-1', `${text}-`, `${text}.`, `${text}.0`, text.slice(0, -1)]) {
      assert.throws(() => parsePosition(again, nonsense), { code: 'bad-position' })
    }
    await assert.rejects(only(again).read(at(2)), { code: 'bad-position' })
  })

  test(`${name}: checkpoint, counts and dead letters change together and survive`, async (t) => {
    const { log, reopen } = await open(t)
    await append(log, entry(0), entry(1), entry(2), entry(3))
    const batch = await only(log).read(await only(log).first())
    assert(batch !== undefined)
    const next = at(3)
    await only(log).advance(INGEST_READER, { next, stored: 2, readings: 5, deadLetters: [deadLetter(1)] })
    const again = await reopen()
    assert.equal(await only(again).checkpoint(INGEST_READER), next)
    const ledger = await again.ledger(INGEST_READER)
    assert.deepEqual(ledger, {
      accepted: 4,
      stored: 2,
      deadLettered: 1,
      pending: 1,
      balanced: true,
      readings: 5,
      superseded: 0,
    })
    const letter = await again.deadLetter(1)
    const { setAsideAt, payload, ...rest } = letter ?? assert.fail('no dead letter')
    const { payload: expected, ...others } = deadLetter(1)
    assert.deepEqual({ ...rest }, { ...others, sequence: 1 })
    assert.deepEqual(Buffer.from(payload), expected)
    assert(setAsideAt > 0)
  })

  test(`${name}: which entries ingest has set aside undecoded is known, whatever becomes of their letters`, async (t) => {
    const { log, reopen } = await open(t)
    await append(log, ...Array.from({ length: 10 }, (_, number) => entry(number)))
    const undecoded = async (from: number, before: number, of = log) =>
      [...(await only(of).undecoded(at(from), at(before)))].sort((a, b) => a - b)
    assert.deepEqual(await undecoded(0, 10), [])
    const letters = [deadLetter(3), deadLetter(1), deadLetter(2, { code: 'store-rejected', decoded: true })]
    await only(log).advance(INGEST_READER, { next: at(4), stored: 1, readings: 1, deadLetters: letters })
    await only(log).advance(INGEST_READER, { next: at(6), stored: 2, readings: 2, deadLetters: [] })
    await only(log).advance(INGEST_READER, { next: at(8), stored: 1, readings: 1, deadLetters: [deadLetter(7)] })
    await only(log).advance('other', { next: at(1), stored: 0, readings: 0, deadLetters: [deadLetter(0)] })
    assert.deepEqual(await undecoded(0, 10), [1, 3, 7])
    for (let from = 0; from <= 10; from++) {
      for (let before = from; before <= 10; before++) {
        const expected = [1, 3, 7].filter((offset) => offset >= from && offset < before)
        assert.deepEqual(await undecoded(from, before), expected, `from ${from} before ${before}`)
      }
    }
    assert.equal(await log.replay({ device: 'device-1' }), 1)
    assert.equal(await log.purge({ device: 'device-7' }), 1)
    assert.deepEqual(await undecoded(0, 20, await reopen()), [1, 3, 7])
  })

  test(`${name}: of an entry it is known when it was committed, and when ingest accounted for it`, async (t) => {
    const { log, reopen } = await open(t)
    const before = Date.now()
    await append(log, ...Array.from({ length: 6 }, (_, number) => entry(number)))
    const committedBy = Date.now()
    const isBetween = (time: EntryTime | undefined, from: number, to: number) =>
      assert(time !== undefined && 'at' in time && time.at >= from && time.at <= to, JSON.stringify([time, from, to]))
    for (let offset = 0; offset < 6; offset++) {
      const { committed, accounted } = await only(log).timesOf(at(offset))
      isBetween(committed, before, committedBy)
      assert.equal(accounted, undefined)
    }
    await only(log).advance(INGEST_READER, { next: at(2), stored: 2, readings: 2, deadLetters: [] })
    const afterTwo = Date.now()
    await only(log).advance(INGEST_READER, { next: at(5), stored: 2, readings: 2, deadLetters: [deadLetter(4)] })
    const times = await Promise.all([0, 1, 2, 4, 5].map((offset) => only(log).timesOf(at(offset))))
    for (const { accounted } of times.slice(0, 2)) isBetween(accounted, committedBy, afterTwo)
    for (const { accounted } of times.slice(2, 4)) isBetween(accounted, afterTwo, Date.now())
    assert.equal(times[4]?.accounted, undefined)

    const again = await only(await reopen()).timesOf(at(1))
    assert.deepEqual(again.accounted, times[1]?.accounted, 'a restart changes nothing')
  })

  test(`${name}: a progress that does not add up is refused and changes nothing`, async (t) => {
    const { log } = await open(t)
    await append(log, entry(0), entry(1))
    const next = await only(log).end()
    await assert.rejects(only(log).advance(INGEST_READER, { next, stored: 1, readings: 1, deadLetters: [] }))
    assert.equal(await only(log).checkpoint(INGEST_READER), undefined)
    await only(log).advance(INGEST_READER, { next, stored: 2, readings: 2, deadLetters: [] })
    const first = await only(log).first()
    await assert.rejects(only(log).advance(INGEST_READER, { next: first, stored: 0, readings: 0, deadLetters: [] }))
    assert.equal(await only(log).checkpoint(INGEST_READER), next)
  })

  test(`${name}: readers keep checkpoints of their own`, async (t) => {
    const { log } = await open(t)
    await append(log, entry(0))
    await only(log).advance('other', { next: await only(log).end(), stored: 1, readings: 1, deadLetters: [] })
    assert.equal(await only(log).checkpoint(INGEST_READER), undefined)
    assert.equal((await log.ledger(INGEST_READER)).pending, 1)
  })

  test(`${name}: dead letters are listed by device, stream, code and page, and followed`, async (t) => {
    const { log } = await open(t)
    await append(log, ...Array.from({ length: 6 }, (_, number) => entry(number)))
    const batch = await only(log).read(await only(log).first())
    assert(batch !== undefined)
    const letters = [deadLetter(0), deadLetter(1, { code: 'empty' }), deadLetter(2, { stream: 'power' })]
    await only(log).advance(INGEST_READER, {
      next: at(3),
      stored: 0,
      readings: 0,
      deadLetters: letters,
    })
    const sequences = async (query: object) =>
      (await log.deadLetters({ limit: 10, ...query })).map(({ sequence }) => sequence)
    assert.deepEqual(await sequences({}), [1, 2, 3])
    assert.deepEqual(await sequences({ limit: 2 }), [1, 2])
    assert.deepEqual(await sequences({ after: [1] }), [2, 3])
    assert.deepEqual(await sequences({ device: 'device-1' }), [2])
    assert.deepEqual(await sequences({ code: 'empty' }), [2])
    assert.deepEqual(await sequences({ stream: 'power' }), [3])
    assert.deepEqual(await log.lastDeadLetter(), [3])
    assert.equal(await log.deadLetter(4), undefined)

    const stop = new AbortController()
    const followed: number[] = []
    for await (const { offset } of log.followDeadLetters([2], stop.signal)) {
      followed.push(offset)
      if (offset === 2) {
        const more = { stored: 0, readings: 0, deadLetters: [deadLetter(3)] }
        await only(log).advance(INGEST_READER, { next: at(4), ...more })
      } else stop.abort()
    }
    assert.deepEqual(followed, [2, 3])
  })
}
