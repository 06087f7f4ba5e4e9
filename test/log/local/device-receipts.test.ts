import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LocalLog } from '../../../log/local/local-log.ts'
import { type DeviceProgress, INGEST_READER, type NewDeadLetter } from '../../../log/log.ts'
import { openEnvironment } from '../../../log/tables/environment.ts'
import { scratchDirectory } from '../../scratch.ts'
import { append, entry } from '../contract.ts'
import { at, only } from '../only.ts'
import { openLocal } from './open-local.ts'

const HOUR = 3_600_000
const T0 = 480_000 * HOUR

/** Passes as many entries as these progresses and dead letters say, which must be there. */
async function pass(log: LocalLog, next: number, devices: DeviceProgress[], deadLetters: NewDeadLetter[] = []) {
  const stored = devices.reduce((sum, { stored }) => sum + stored, 0)
  await only(log).advance(INGEST_READER, { next: at(next), stored, readings: stored, deadLetters, devices })
}

const stored = (device: string, count: number, first: number, last = first): DeviceProgress => ({
  device,
  stored: count,
  readings: count,
  firstReceivedAt: first,
  lastReceivedAt: last,
})

const letter = (offset: number, receivedAt: number, code: string): NewDeadLetter => ({
  offset: at(offset),
  device: 'd',
  stream: 'environment',
  receivedAt,
  code,
  reason: 'so',
  payload: Buffer.alloc(0),
})

async function receiptsOf(log: LocalLog, device = 'd') {
  const receipts = await log.deviceReceipts(INGEST_READER, device)
  assert(receipts)
  return receipts
}

const hoursOf = ({ hours }: Awaited<ReturnType<typeof receiptsOf>>) =>
  hours.map(({ from, stored, setAside }) => [(from - T0) / HOUR, stored, setAside])

test('the messages of a device are counted by the hour of their receipt, late ones in their own, for 48 hours', async (t) => {
  const directory = scratchDirectory(t)
  const log = await openLocal(t, { directory })
  await append(log, ...Array.from({ length: 100 }, (_, number) => entry(number)))
  assert.equal(await log.deviceReceipts(INGEST_READER, 'd'), undefined)
  await pass(log, 5, [stored('d', 2, T0 + 5, T0 + 9), stored('d', 1, T0 + HOUR), stored('other', 2, T0)])
  // Of the hour before, and one that goes on.
  await pass(log, 9, [stored('d', 1, T0 + 1), stored('d', 2, T0 + 2 * HOUR)], [letter(8, T0 + HOUR, 'empty')])
  const receipts = await receiptsOf(log)
  assert.deepEqual(hoursOf(receipts), [
    [0, 3, 0],
    [1, 1, 1],
    [2, 2, 0],
  ])
  assert.deepEqual([receipts.firstReceivedAt, receipts.lastReceivedAt], [T0 + 1, T0 + 2 * HOUR])
  await pass(log, 10, [stored('d', 1, T0 + 49 * HOUR)])
  assert.deepEqual(hoursOf(await receiptsOf(log)), [
    [2, 2, 0],
    [49, 1, 0],
  ])
  // An hour that nobody asks for any more changes none that has its place.
  await pass(log, 11, [stored('d', 1, T0)])
  await pass(log, 12, [stored('d', 1, T0 + 50 * HOUR)])
  await log.stop()
  const later = await openLocal(t, { directory, writer: false })
  const kept = await receiptsOf(later)
  assert.deepEqual(hoursOf(kept), [
    [49, 1, 0],
    [50, 1, 0],
  ])
  assert.deepEqual([kept.stored, kept.deadLettered], [9, 1])
})

test('a message that is replayed is in the hour of its receipt once: stored, or set aside again', async (t) => {
  const log = await openLocal(t, { directory: scratchDirectory(t) })
  await append(log, ...Array.from({ length: 10 }, (_, number) => entry(number)))
  await pass(
    log,
    4,
    [stored('d', 1, T0)],
    [0, 1, 2].map((n) => letter(n, T0 + n * 1_000, 'unknown-schema')),
  )
  await pass(log, 5, [stored('d', 1, T0 + HOUR)])
  const again = { ...stored('d', 2, T0, T0 + 1_000), replayed: 2 }
  await pass(log, 8, [again], [{ ...letter(7, T0 + 2_000, 'invalid-reading'), isReplay: true }])
  const receipts = await receiptsOf(log)
  assert.deepEqual(hoursOf(receipts), [
    [0, 3, 1],
    [1, 1, 0],
  ])
  assert.deepEqual([receipts.stored, receipts.deadLettered], [4, 4], 'the ledger counts each passage')
  assert.deepEqual([receipts.firstReceivedAt, receipts.lastReceivedAt], [T0, T0 + HOUR])
  // Of an hour that nothing is known of, nothing is.
  await pass(log, 9, [{ ...stored('d', 1, T0 + 2 * HOUR), replayed: 1 }])
  assert.deepEqual(hoursOf(await receiptsOf(log)).length, 2)
})

test('what was set aside is counted by code, whatever becomes of the dead letters, and so is what of it is held', async (t) => {
  let now = T0
  const log = await openLocal(t, { directory: scratchDirectory(t) }, { now: () => now })
  await append(log, ...Array.from({ length: 10 }, (_, number) => entry(number)))
  await pass(log, 2, [], [letter(0, T0 - 5, 'empty'), letter(1, T0 - 4, 'unknown-schema')])
  now = T0 + 100
  await pass(log, 4, [], [letter(2, T0, 'empty'), letter(3, T0, 'constructor')])
  const newest = { stream: 'environment', reason: 'so' }
  const codes = [
    { code: 'unknown-schema', count: 1, held: 1, firstAt: T0, lastAt: T0, ...newest },
    { code: 'empty', count: 2, held: 2, firstAt: T0, lastAt: T0 + 100, ...newest },
    { code: 'constructor', count: 1, held: 1, firstAt: T0 + 100, lastAt: T0 + 100, ...newest },
  ]
  assert.deepEqual((await receiptsOf(log)).deadLetters, codes)
  assert.equal(await log.purge({ device: 'd', code: 'constructor' }), 1)
  assert.equal(await log.replay({ device: 'd', code: 'empty' }), 2)
  const heldOf = async () => (await receiptsOf(log)).deadLetters.map(({ code, count, held }) => [code, count, held])
  assert.deepEqual(await heldOf(), [
    ['unknown-schema', 1, 1],
    ['empty', 2, 0],
    ['constructor', 1, 0],
  ])
  assert.equal(await log.purge({ device: 'd' }), 1)
  const none = codes.map((each) => ({ ...each, held: 0 }))
  assert.deepEqual((await receiptsOf(log)).deadLetters, none)
  // What is set aside when it is appended counts at once.
  const appended = { device: 'd', stream: 's', receivedAt: T0, flags: 0, payload: Buffer.alloc(1) }
  await new Promise((resolve) => log.appendSetAside(appended, { code: 'empty', reason: 'so' }, resolve))
  const empty = (await receiptsOf(log)).deadLetters.find(({ code }) => code === 'empty')
  assert.deepEqual([empty?.count, empty?.held], [3, 1])
})

test('of a code it is told what the newest is that is held, though a newer one of another stream is mended', async (t) => {
  let now = T0
  const directory = scratchDirectory(t)
  const log = await openLocal(t, { directory }, { now: () => now })
  await append(log, ...Array.from({ length: 10 }, (_, number) => entry(number)))
  const of = (offset: number, stream: string) => ({ ...letter(offset, T0, 'empty'), stream, reason: `as ${stream}` })
  const told = async () => (await receiptsOf(log)).deadLetters[0]
  await pass(log, 2, [], [of(0, 'environment'), { ...of(1, 'motor'), framing: 7 }])
  now = T0 + 100
  await pass(log, 4, [], [of(2, 'pump'), letter(3, T0, 'other')])
  const ofPump = { lastAt: T0 + 100, stream: 'pump', reason: 'as pump' }
  const rest = { code: 'empty', firstAt: T0 }
  assert.deepEqual(await told(), { ...rest, count: 3, held: 3, ...ofPump })
  await log.replay({ stream: 'pump' })
  const motor = { lastAt: T0, stream: 'motor', reason: 'as motor', framing: 7 }
  assert.deepEqual(await told(), { ...rest, count: 3, held: 2, ...motor, mended: ofPump })
  assert.deepEqual(
    (await log.keptByCode('')).kept.map(({ code, count, lastAt }) => [code, count, lastAt]),
    [
      ['empty', 2, T0],
      ['other', 1, T0 + 100],
    ],
  )
  // Set aside with it, in one step.
  await log.purge({ stream: 'motor' })
  const environment = { lastAt: T0, stream: 'environment', reason: 'as environment' }
  assert.deepEqual(await told(), { ...rest, count: 3, held: 1, ...environment, mended: ofPump })
  now = T0 + 200
  await pass(log, 5, [], [of(4, 'pump')])
  const again = { ...ofPump, lastAt: T0 + 200 }
  const newest = async () => (await receiptsOf(log)).deadLetters.find(({ code }) => code === 'empty')
  assert.deepEqual(await newest(), { ...rest, count: 4, held: 2, ...again })
  await log.purge({ stream: 'environment', code: 'empty' })
  assert.deepEqual(
    await newest(),
    { ...rest, count: 4, held: 1, ...again },
    'an older one that is mended changes it not',
  )
  await log.purge({})
  assert.deepEqual(
    await newest(),
    { ...rest, count: 4, held: 0, ...again },
    'of those that are mended it is the newest',
  )
})

test('what an earlier version said of the newest is mended by what is removed; what is found no more has no words of another', async (t) => {
  const directory = scratchDirectory(t)
  const log = await openLocal(t, { directory, deadLetterBytesMax: 600 }, { now: () => T0 })
  await append(log, ...Array.from({ length: 10 }, (_, number) => entry(number)))
  await pass(log, 2, [], [letter(0, T0, 'empty'), letter(1, T0, 'empty')])
  await log.stop()
  const environment = await openEnvironment(directory)
  await environment.deadLetterCodes.put('d', { empty: [3, T0, T0 + 9, 'pump', 'as pump', 2] })
  await environment.root.close()
  const later = await openLocal(t, { directory, deadLetterBytesMax: 600 }, { now: () => T0 + 20 })
  await later.purge({ sequences: [1] })
  const told = async () => (await receiptsOf(later)).deadLetters.find(({ code }) => code === 'empty')
  const { held, lastAt, stream, mended } = (await told()) ?? {}
  assert.deepEqual([held, lastAt, stream, mended?.stream], [1, T0, 'environment', 'pump'])
  // It has to go for room; then one more comes, and is purged.
  await pass(later, 4, [], [letter(2, T0, 'other'), letter(3, T0, 'other')])
  await pass(later, 5, [], [letter(4, T0, 'empty')])
  await later.purge({ code: 'empty' })
  const lost = await told()
  assert.deepEqual([lost?.held, lost?.lastAt, lost?.stream], [1, T0, ''])
  assert.match(lost?.reason ?? '', /^of the older ones that are left it is not known/)
})

test('a record of an earlier version goes on, with no hours of before', async (t) => {
  const directory = scratchDirectory(t)
  const first = await openLocal(t, { directory })
  await append(first, entry(0), entry(1), entry(2))
  await first.stop()
  const environment = await openEnvironment(directory)
  await environment.ledgers.put(INGEST_READER, { next: 2, stored: 2, deadLettered: 0, readings: 2 })
  const record = Buffer.alloc(32)
  for (const [index, count] of [2, 0, 2, 1].entries()) record.writeDoubleLE(count, index * 8)
  await environment.deviceLedgers.put(`${INGEST_READER}/d`, record)
  await environment.root.close()
  const log = await openLocal(t, { directory })
  const { stored: two, deadLettered, readings, superseded, lastReceivedAt, hours } = await receiptsOf(log)
  assert.deepEqual([two, deadLettered, readings, superseded, lastReceivedAt, hours], [2, 0, 2, 1, undefined, []])
  await pass(log, 3, [stored('d', 1, T0)])
  const receipts = await receiptsOf(log)
  assert.deepEqual([receipts.stored, receipts.superseded, receipts.lastReceivedAt], [3, 1, T0])
  assert.deepEqual(hoursOf(receipts), [[0, 1, 0]])
})
