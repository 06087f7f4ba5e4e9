import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { pack } from 'msgpackr'
import { readEntries, SET_ASIDE } from '../../../log/entry.ts'
import { INGEST_READER, type Log } from '../../../log/log.ts'
import { openEnvironment } from '../../../log/tables/environment.ts'
import { readLetter } from '../../../log/tables/letter.ts'
import { scratchDirectory } from '../../scratch.ts'
import { until } from '../../until.ts'
import { append, appendWithCodes, entry, readAll } from '../contract.ts'
import { advance, testDeadLetters } from '../dead-letter-contract.ts'
import { at, only } from '../only.ts'
import { openAgain, openLocal } from './open-local.ts'

const REPLAYER = new URL('./replayer.ts', import.meta.url).pathname

testDeadLetters('local log', (t) => openAgain(t, join(scratchDirectory(t), 'log')))

test('dead letters are bounded: the oldest go, are counted as expired, and the books stay', async (t) => {
  const log = await openLocal(t, { directory: scratchDirectory(t), deadLetterBytesMax: 20_000 })
  const payload = Buffer.alloc(1_000)
  await append(log, ...Array.from({ length: 40 }, (_, number) => entry(number, { payload })))
  await advance(log, 10, () => 'empty')
  await advance(log, 30, () => 'empty')
  const { held, heldBytes, expired, ...others } = await log.deadLetterCounts()
  assert.deepEqual([held + expired, others], [40, { replayed: 0, purged: 0 }])
  assert(heldBytes <= 20_000 && held >= 10, `${held} letters of ${heldBytes} bytes are held`)
  const kept = await log.deadLetters({ limit: 100 })
  assert.equal(kept.length, held)
  const oldest = kept[0]?.sequence ?? 0
  assert(oldest > 40 - held - 3, 'of each of the three devices the oldest went')
  const { deadLettered, balanced } = await log.ledger(INGEST_READER)
  assert.deepEqual([deadLettered, balanced], [40, true])
  assert.equal(await log.replay({}), held)
})

test('a device that floods the dead letters drops its own and those of no other', async (t) => {
  const directory = scratchDirectory(t)
  const log = await openLocal(t, { directory, deadLetterBytesMax: 40_000 })
  const payload = Buffer.alloc(1_000)
  const devices = ['quiet', 'small', ...Array.from({ length: 100 }, () => 'flood'), 'late']
  await append(log, ...devices.map((device, number) => entry(number, { device, payload })))
  for (let rest = devices.length; rest > 0; rest -= 20) await advance(log, 20, () => 'empty')
  const { held, heldBytes, expired, ...others } = await log.deadLetterCounts()
  assert.deepEqual([held + expired, others], [devices.length, { replayed: 0, purged: 0 }])
  assert(heldBytes <= 40_000 && heldBytes > 35_000, `${held} letters of ${heldBytes} bytes are held`)
  const kept = (await log.deadLetters({ limit: 200 })).map(({ sequence, device }) => [sequence, device])
  const floods = kept.filter(([, device]) => device === 'flood')
  assert.deepEqual(kept, [[1, 'quiet'], [2, 'small'], ...floods, [devices.length, 'late']])
  assert.deepEqual(
    floods.map(([sequence]) => sequence),
    Array.from({ length: held - 3 }, (_, index) => devices.length - (held - 3) + index),
    'its newest are kept',
  )
  assert.equal(await log.purge({ device: 'flood' }), held - 3)
  assert.equal(await log.replay({}), 3)
})

test('of what is set aside when it is appended the oldest of the device with most go, too', async (t) => {
  const directory = scratchDirectory(t)
  const log = await openLocal(t, { directory, deadLetterBytesMax: 40_000 })
  const payload = Buffer.alloc(1_000)
  // More than are written with one commit.
  const devices = ['quiet', ...Array.from({ length: 1_100 }, () => 'flood'), 'late']
  const code = 'empty'
  const all = devices.map((device, number) => ({ entry: entry(number, { device, payload }), code }))
  assert((await appendWithCodes(log, all)).every((isSetAside) => isSetAside))
  const { held, heldBytes, expired } = await log.deadLetterCounts()
  assert.equal(held + expired, devices.length)
  assert(heldBytes <= 40_000 && heldBytes > 35_000, `${held} letters of ${heldBytes} bytes are held`)
  const kept = await log.deadLetters({ limit: 200 })
  assert.deepEqual([kept[0]?.device, kept.at(-1)?.device, kept.at(-1)?.offset], ['quiet', 'late', devices.length - 1])
  const { accepted, deadLettered, pending } = await log.ledger(INGEST_READER)
  assert.deepEqual([accepted, deadLettered, pending], [devices.length, devices.length, 0])
})

test('what is set aside at once keeps its place among what is not, and is answered in its turn', async (t) => {
  const log = await openLocal(t, { directory: scratchDirectory(t) })
  const answers: string[] = []
  const payload = Buffer.alloc(100_000)
  await new Promise<void>((resolve) => {
    for (let number = 0; number < 40; number++) {
      const isBad = number % 3 === 1
      const answered = (error: Error | undefined, isSetAside = false) => {
        answers.push(`${number} ${error?.message} ${isSetAside}`)
        if (number === 39) resolve()
      }
      if (isBad) log.appendSetAside(entry(number, { payload }), { code: 'empty', reason: 'so' }, answered)
      else log.append(entry(number, { payload }), answered)
    }
  })
  assert.deepEqual(
    answers,
    Array.from({ length: 40 }, (_, number) => `${number} undefined ${number % 3 === 1}`),
  )
  const batches = (await readAll(log)).batches
  const read = batches.flatMap(readEntries).map(({ receivedAt, flags }) => [receivedAt, flags])
  const expected = Array.from({ length: 40 }, (_, number) => [1_000 + number, number % 3 === 1 ? SET_ASIDE : 0])
  assert.deepEqual(read, expected)
})

test('a version that knows nothing of it sets aside again what was set aside at once, and the books balance', async (t) => {
  const directory = scratchDirectory(t)
  const first = await openLocal(t, { directory })
  const messages = [0, 1, 2, 3].map((number) => ({ entry: entry(number), code: number < 3 ? 'empty' : undefined }))
  await appendWithCodes(first, messages)
  const ahead = { deadLettered: 3, pending: 1 }
  const books = async (log: Log) => {
    const { deadLettered, pending, balanced } = await log.ledger(INGEST_READER)
    assert(balanced)
    return { deadLettered, pending }
  }
  assert.deepEqual(await books(first), ahead)
  await first.stop()
  // As its `advance` would, of the first two entries.
  const environment = await openEnvironment(directory)
  await environment.ledgers.put(INGEST_READER, { next: 2, stored: 0, deadLettered: 2, readings: 0 })
  await environment.root.close()

  const log = await openLocal(t, { directory })
  assert.deepEqual(await books(log), { deadLettered: 2, pending: 2 })
  await appendWithCodes(log, [{ entry: entry(4), code: 'empty' }])
  assert.deepEqual(await books(log), { deadLettered: 3, pending: 2 })
  await advance(log, 1)
  await advance(log, 2)
  assert.deepEqual(await books(log), { deadLettered: 4, pending: 0 })
})

test('dead letters that a version without shares wrote are shared when they are full', async (t) => {
  const directory = scratchDirectory(t)
  const options = { directory, deadLetterBytesMax: 40_000 }
  const payload = Buffer.alloc(1_000)
  const first = await openLocal(t, options)
  const devices = ['quiet', ...Array.from({ length: 60 }, () => 'flood')]
  await append(first, ...devices.map((device, number) => entry(number, { device, payload })))
  await advance(first, 20, () => 'empty')
  await first.stop()
  const environment = await openEnvironment(directory)
  const { shared: _, ...counts } = environment.meta.get('dead-letters') as Record<string, unknown>
  await environment.meta.put('dead-letters', counts)
  await environment.deadLetterShares.clearAsync()
  await environment.root.close()

  const log = await openLocal(t, options)
  await advance(log, 41, () => 'empty')
  const kept = await log.deadLetters({ limit: 200 })
  const { held, expired } = await log.deadLetterCounts()
  assert.deepEqual([kept[0]?.device, kept.length, held + expired], ['quiet', held, devices.length])
})

test('a letter that the disk gives back changed is told as log-damaged, and keeps no other from anything', async (t) => {
  const directory = scratchDirectory(t)
  const options = { directory, deadLetterBytesMax: 20_000 }
  const first = await openLocal(t, options)
  const payload = Buffer.alloc(1_000)
  await append(first, ...Array.from({ length: 40 }, (_, number) => entry(number, { payload })))
  await advance(first, 5, () => 'empty')
  await first.stop()
  const environment = await openEnvironment(directory)
  for (const sequence of [1, 3]) {
    const bytes = environment.deadLetters.get(sequence) ?? assert.fail()
    bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40)
    await environment.deadLetters.put(sequence, bytes)
  }
  const { payload: earlier, ...names } = readLetter(4, environment.deadLetters.get(4) ?? assert.fail())
  await environment.deadLetters.put(4, pack({ ...names, payload: earlier }))
  await environment.root.close()

  const log = await openLocal(t, options)
  const letters = await log.deadLetters({ limit: 10 })
  assert.deepEqual(
    letters.map(({ code, device }) => [code, device]),
    [
      ['log-damaged', ''],
      ['empty', 'device-1'],
      ['log-damaged', ''],
      ['empty', 'device-0'],
      ['empty', 'device-1'],
    ],
    'the fourth is as a version without checksums wrote it',
  )
  assert(Buffer.from(letters[0]?.payload ?? []).includes(payload), 'the bytes of the record are kept')
  assert.equal(await log.purge({ sequences: [1] }), 1)
  assert.equal(await log.replay({ device: 'device-1' }), 2)
  await advance(log, 37, () => 'empty')
  const { held, heldBytes, ...gone } = await log.deadLetterCounts()
  assert.deepEqual([held + gone.expired, gone.purged, gone.replayed], [39, 1, 2])
  assert(held > 10 && heldBytes <= 20_000, `${held} letters of ${heldBytes} bytes are held`)
  assert.equal((await log.ledger(INGEST_READER)).balanced, true)
})

test('of two processes that are the same reader one is told, and the books stay', async (t) => {
  const directory = scratchDirectory(t)
  const one = await openLocal(t, { directory })
  await append(one, ...Array.from({ length: 6 }, (_, number) => entry(number)))
  const other = await openLocal(t, { directory, writer: false })
  await only(other).checkpoint(INGEST_READER)
  await advance(one, 2)
  const progress = { next: at(1), stored: 1, readings: 1, deadLetters: [] }
  await assert.rejects(only(other).advance(INGEST_READER, progress), { code: 'log-locked', message: /another process/ })
  await advance(one, 4)
  assert.deepEqual((await one.ledger(INGEST_READER)).stored, 6)
})

test('a process that does not append asks for a replay, and the one that does carries it out', async (t) => {
  const directory = scratchDirectory(t)
  const writer = await openLocal(t, { directory })
  await append(writer, ...Array.from({ length: 2_500 }, (_, number) => entry(number)))
  await advance(writer, 2_500, () => 'empty')
  const asking = await openLocal(t, { directory, writer: false })
  assert.deepEqual(await Promise.all([asking.replay({ device: 'device-1' }), asking.replay({})]), [833, 1_667])
  assert.equal((await asking.ledger(INGEST_READER)).pending, 2_500)
})

test('a replay asked for while nothing appends is carried out by the next process that does', async (t) => {
  const directory = scratchDirectory(t)
  const writer = await openLocal(t, { directory })
  await append(writer, entry(0))
  await advance(writer, 1, () => 'empty')
  await writer.stop()
  const asking = await openLocal(t, { directory, writer: false })
  const replayed = asking.replay({})
  // Comes after the request: opening the log waits for LMDB's writer, which must not wait for this very thread meanwhile.
  assert.equal(await asking.purge({ device: 'nobody' }), 0)
  const later = await openLocal(t, { directory })
  assert.equal(await replayed, 1)
  assert.equal((await later.ledger(INGEST_READER)).pending, 1)
})

test('the books of a device are true of one moment, whatever ingest and retention do meanwhile', async (t) => {
  const directory = scratchDirectory(t)
  const options = { directory, retentionMs: 60_000 }
  const log = await openLocal(t, options)
  const entries = 30_000
  for (let first = 0; first < entries; first += 1_000) {
    await append(log, ...Array.from({ length: 1_000 }, (_, number) => entry(first + number)))
  }
  let isOver = false
  const advancing = (async () => {
    for (let advanced = 0; advanced < entries; advanced += 1_000)
      await advance(log, 1_000, (offset) => (offset % 7 ? undefined : 'empty'))
  })().finally(() => {
    isOver = true
  })
  while (!isOver) {
    const { accepted, stored, deadLettered, pending } = await log.deviceLedger(INGEST_READER, 'device-1')
    assert.equal(accepted, entries / 3)
    assert.equal(stored + deadLettered + pending, accepted)
    // With nothing pending an answer takes no turn of the event loop, and what `advance` waits for does.
    await nextTurn()
  }
  await advancing
  const settled = await log.deviceLedger(INGEST_READER, 'device-1')
  const ofDevice = Array.from({ length: entries }, (_, offset) => offset).filter((offset) => offset % 3 === 1)
  const deadLettered = ofDevice.filter((offset) => offset % 7 === 0).length
  const stored = entries / 3 - deadLettered
  assert.deepEqual([settled.stored, settled.deadLettered, settled.pending], [stored, deadLettered, 0])
  await log.stop()
  // All of it is of 1970 and stored, so the first pass of retention takes it.
  const later = await openLocal(t, options)
  await until(async () => (await only(later).read(await only(later).first()))?.count !== 1_000)
  assert.deepEqual(await later.deviceLedger(INGEST_READER, 'device-1'), settled)
  assert.equal(await later.replay({ device: 'device-1' }), deadLettered)
  const { accepted, pending } = await later.deviceLedger(INGEST_READER, 'device-1')
  assert.deepEqual([accepted, pending], [entries / 3 + deadLettered, deadLettered])
})

test('the books of a device say since when the oldest of what is pending waits', async (t) => {
  const log = await openLocal(t, { directory: scratchDirectory(t) })
  const since = async (device: string) => (await log.deviceLedger(INGEST_READER, device)).pendingSince
  for (const number of [0, 1, 2, 3, 4]) await append(log, entry(number))
  assert.deepEqual([await since('device-0'), await since('device-1')], [1_000, 1_001])
  await advance(log, 1)
  assert.deepEqual([await since('device-0'), await since('device-1')], [1_003, 1_001])
  await advance(log, 4)
  assert.equal(await since('device-0'), undefined)
})

test('the books of a device in a log with a hole: are refused, and end the question', async (t) => {
  const directory = scratchDirectory(t)
  const log = await openLocal(t, { directory })
  for (const number of [0, 1, 2]) await append(log, entry(number))
  await log.stop()
  const environment = await openEnvironment(directory)
  await environment.commits.remove(0)
  await environment.root.close()
  const later = await openLocal(t, { directory })
  await assert.rejects(later.deviceLedger(INGEST_READER, 'device-1'), { code: 'log-corrupt', message: /past offset 0/ })
})

test('kill -9 in the middle of a replay: each dead letter is held or in the log again, none twice, none lost', async (t) => {
  const directory = scratchDirectory(t)
  const letters = 20_000
  const first = await openLocal(t, { directory })
  await append(first, ...Array.from({ length: letters }, (_, number) => entry(number)))
  for (let left = letters; left > 0; left -= 5_000) await advance(first, 5_000, () => 'empty')
  await first.stop()
  for (const share of [0.1, 0.4, 0.7, 1]) {
    const child = spawn(process.execPath, ['--import', 'tsx', REPLAYER, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
      const held = Number(output.trim().split('\n').at(-1))
      if (held <= letters * (1 - share)) child.kill('SIGKILL')
    })
    await once(child, 'close')
    const log = await openLocal(t, { directory, writer: false })
    const { held, replayed } = await log.deadLetterCounts()
    const kept = (await log.deadLetters({ limit: letters })).map(({ payload }) => Buffer.from(payload).toString())
    const again: string[] = []
    let position = await only(log).checkpoint(INGEST_READER)
    for (let batch = position && (await only(log).read(position)); batch; batch = await only(log).read(batch.next)) {
      for (const { payload } of readEntries(batch)) again.push(payload.toString())
      position = batch.next
    }
    assert.deepEqual([kept.length, again.length], [held, replayed])
    assert.equal(held + replayed, letters)
    assert.equal(new Set([...kept, ...again]).size, letters)
    const ledger = await log.ledger(INGEST_READER)
    assert.deepEqual([ledger.accepted, ledger.deadLettered, ledger.pending], [letters + replayed, letters, replayed])
    assert(ledger.balanced)
    await log.stop()
  }
})
