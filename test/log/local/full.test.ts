/** What becomes of a log that has no room: its lines of the table in `log/FORMAT.md`, a test each. */

import assert from 'node:assert/strict'
import { statfsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { LocalLog } from '../../../log/local/local-log.ts'
import { INGEST_READER } from '../../../log/log.ts'
import type { LogError } from '../../../log/log-error.ts'
import { LOG_ROOM_BYTES, PAYLOAD_BYTES_MAX } from '../../../platform/limits.ts'
import { fileSizeLimit } from '../../file-size-limit.ts'
import { scratchDirectory } from '../../scratch.ts'
import { until } from '../../until.ts'
import { append, appendWithCodes, entry, readAll } from '../contract.ts'
import { at, only } from '../only.ts'
import { openRecorded } from './recording.ts'

const PENDING_LETTERS = 240
/** What the first of LMDB's writes is cut off at. */
const PAGE_BYTES = 4_096

test('a full disk: refuses what it cannot keep, keeps the books, says it once, and takes again when room returns', async (t) => {
  const limit = fileSizeLimit(t)
  if (limit === undefined) return
  const directory = scratchDirectory(t)
  const { log, lines, metric } = await openRecorded(t, { directory })
  await append(log, entry(0))
  limit.set(statSync(join(directory, 'data.mdb')).size)
  const accepted = 1 + (await appendUntilRefused(log, 'log-full'))
  assert.equal((await readAll(log)).payloads.length, accepted)
  assert.equal(log.full?.code, 'log-full')
  assert.equal(await metric('telltale_log_full'), 1)
  const reader = await openRecorded(t, { directory, writer: false })
  await until(() => reader.log.full !== undefined)
  assert.equal(await reader.metric('telltale_log_full'), 1)
  await log.presence.update('device', () => ({ online: true, since: 1 }))
  const status = Buffer.alloc(PAYLOAD_BYTES_MAX)
  await assert.rejects(
    log.presence.update('device', () => ({ online: true, since: 2, status })),
    { code: 'log-full' },
  )
  await log.stop()

  const again = await openRecorded(t, { directory })
  await assert.rejects(append(again.log, entry(1)), { code: 'log-full', message: /no more room.*make room/ })
  await until(() => again.lines.length >= 1)
  limit.lift()
  await until(() => again.log.full === undefined)
  await until(() => reader.log.full === undefined)
  await append(again.log, entry(accepted))
  assert.equal((await again.log.ledger(INGEST_READER)).accepted, accepted + 1)
  assert.equal(again.log.presence.get('device')?.online, true)
  assert.equal(await again.metric('telltale_log_full'), 0)
  for (const said of [lines, again.lines]) {
    assert.equal(said.filter(({ msg }) => /refused.*make room.*wait for the store/.test(msg)).length, 1)
  }
  assert.equal(again.lines.filter(({ msg }) => msg.includes('has room again')).length, 1)
})

test('a disk that stays full: takes again once what is stored has left room in the file', async (t) => {
  const limit = fileSizeLimit(t)
  if (limit === undefined) return
  const directory = scratchDirectory(t)
  const { log } = await openRecorded(t, { directory })
  await append(log, entry(0))
  limit.set(statSync(join(directory, 'data.mdb')).size + 3 * LOG_ROOM_BYTES)
  const accepted = 1 + (await appendUntilRefused(log, 'log-full'))
  await only(log).advance(INGEST_READER, {
    next: await only(log).end(),
    stored: accepted,
    readings: 0,
    deadLetters: [],
  })
  // It may be full again for a moment, until retention has removed more of what is stored.
  for (let number = 0; number < 100; ) {
    await until(() => log.full === undefined)
    const refused = await append(log, large(number)).catch((error: LogError) => error)
    if (refused === undefined) number++
    else assert.equal(refused.code, 'log-full')
  }
  assert.equal((await log.ledger(INGEST_READER)).pending, 100)
})

test('dead letters on a full disk: are refused before they take the last of the room, and taken when some is made', async (t) => {
  const limit = fileSizeLimit(t)
  if (limit === undefined) return
  const directory = scratchDirectory(t)
  const { log } = await openRecorded(t, { directory })
  for (let number = 0; number < PENDING_LETTERS; number++) await append(log, entry(number))
  limit.set(statSync(join(directory, 'data.mdb')).size)
  await appendUntilRefused(log, 'log-full')
  let setAside = 0
  const advance = () => setAsideNext(log, setAside).then(() => setAside++)
  await assert.rejects(
    async () => {
      while (setAside < PENDING_LETTERS) await advance()
    },
    { code: 'log-full', message: /no more room.*make room/ },
  )
  assert(setAside > 5 && setAside < PENDING_LETTERS, `${setAside} were set aside`)
  assert.equal((await log.ledger(INGEST_READER)).deadLettered, setAside)
  // A purge leaves pages, and what they hold is taken though the disk is as full as before.
  await log.purge({})
  await advance()
  await until(async () => {
    if (setAside < 100) await advance().catch(() => log.purge({}))
    return setAside >= 100
  })
  limit.lift()
  while (setAside < PENDING_LETTERS) await advance()
  const { deadLettered, balanced } = await log.ledger(INGEST_READER)
  assert.deepEqual([deadLettered, balanced], [PENDING_LETTERS, true])
  await until(() => log.full === undefined)
})

test('entries that are set aside at once, on a full disk: are refused like others, or left to ingest', async (t) => {
  const limit = fileSizeLimit(t)
  if (limit === undefined) return
  const directory = scratchDirectory(t)
  const { log } = await openRecorded(t, { directory })
  await append(log, entry(0))
  limit.set(statSync(join(directory, 'data.mdb')).size)
  let setAside = 0
  let accepted = 1
  await assert.rejects(
    async () => {
      for (;;) {
        const burst = Array.from({ length: 8 }, (_, number) => ({ entry: large(number), code: 'test' }))
        const answers = await Promise.allSettled(burst.map((each) => appendWithCodes(log, [each])))
        for (const answer of answers) {
          if (answer.status === 'rejected') throw answer.reason
          accepted++
          if (answer.value[0]) setAside++
        }
      }
    },
    { code: 'log-full' },
  )
  assert(setAside > 0)
  const { held } = await log.deadLetterCounts()
  const ledger = await log.ledger(INGEST_READER)
  assert.deepEqual([ledger.accepted >= accepted, ledger.balanced], [true, true])
  assert.equal(ledger.deadLettered, held)
  limit.lift()
})

test('a disk of which the log has taken its share: leaves its reserve to the store and to others', async (t) => {
  const directory = scratchDirectory(t)
  const { bavail, bsize } = statfsSync(directory)
  const { log, lines } = await openRecorded(t, { directory, diskReserveBytes: bavail * bsize - 3 * LOG_ROOM_BYTES })
  const accepted = await appendUntilRefused(log, 'log-full')
  assert(accepted > 0)
  await until(() => lines.length >= 1)
  assert.match(lines[0]?.msg ?? '', /the disk has \d+ MiB left, and \d+ MiB are kept for the store and for others/)
})

test('a first start that a full disk ended: leaves nothing in the way of the next', async (t) => {
  const limit = fileSizeLimit(t)
  if (limit === undefined) return
  const directory = scratchDirectory(t)
  writeFileSync(join(directory, 'data.mdb'), Buffer.alloc(PAGE_BYTES))
  limit.set(PAGE_BYTES)
  await assert.rejects(openRecorded(t, { directory }), { code: 'log-failed' })
  limit.lift()
  const { log } = await openRecorded(t, { directory })
  await append(log, entry(0))
})

test('a log at its byte limit: refuses, says it once, and takes again by itself when the reader has caught up', async (t) => {
  const directory = scratchDirectory(t)
  const { log, lines, metric } = await openRecorded(t, { directory, maxBytes: 8 * 2 ** 20 })
  const accepted = await appendUntilRefused(log, 'log-full')
  await assert.rejects(append(log, entry(0)), { code: 'log-full', message: /TELLTALE_LOG_MAX_BYTES/ })
  assert.equal(await metric('telltale_log_full'), 1)
  await only(log).advance(INGEST_READER, {
    next: await only(log).end(),
    stored: accepted,
    readings: 0,
    deadLetters: [],
  })
  await until(() => log.full === undefined)
  await append(log, entry(accepted))
  await until(() => lines.length >= 2)
  assert.equal(await metric('telltale_log_full'), 0)
  assert.deepEqual(
    lines.map(({ msg }) => msg.split(':')[0]),
    ['messages are refused, devices keep theirs', 'the log has room again'],
  )
})

function large(number: number) {
  return entry(number, { payload: Buffer.alloc(100_000, number) })
}

/** Appends one after another until one is refused with `code`; how many were taken. */
async function appendUntilRefused(log: LocalLog, code: string): Promise<number> {
  for (let accepted = 0; ; accepted++) {
    try {
      await append(log, large(accepted))
    } catch (error) {
      assert.equal((error as LogError).code, code)
      return accepted
    }
  }
}

/** The next message of the log becomes a large dead letter. */
function setAsideNext(log: LocalLog, offset: number): Promise<void> {
  const letter = { device: 'd', stream: 's', receivedAt: 0, code: 'test', reason: 'large', decoded: false }
  return only(log).advance(INGEST_READER, {
    next: at(offset + 1),
    stored: 0,
    readings: 0,
    deadLetters: [{ ...letter, offset: at(offset), payload: Buffer.alloc(PAYLOAD_BYTES_MAX) }],
  })
}
