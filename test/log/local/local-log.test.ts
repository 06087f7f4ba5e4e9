import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { RETENTION_BYTES_MAX } from '../../../log/local/retention.ts'
import { INGEST_READER } from '../../../log/log.ts'
import type { Offset } from '../../../log/position.ts'
import { openEnvironment } from '../../../log/tables/environment.ts'
import { LOG_PENDING_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../../../platform/limits.ts'
import { scratchDirectory } from '../../scratch.ts'
import { until } from '../../until.ts'
import { append, entry, readAll, testLog } from '../contract.ts'
import { at, only } from '../only.ts'
import { openAgain, openLocal } from './open-local.ts'

testLog('local log', (t) => openAgain(t, join(scratchDirectory(t), 'log')))

test('a second writer on one directory is refused by name, a reader is not', async (t) => {
  const directory = scratchDirectory(t)
  const log = await openLocal(t, { directory })
  await append(log, entry(0))
  await assert.rejects(openLocal(t, { directory }), { code: 'log-locked', message: new RegExp(`${process.pid}`) })
  const reader = await openLocal(t, { directory, writer: false })
  assert.deepEqual((await readAll(reader)).payloads, ['payload 0'])
})

test('the lock of a process that was killed is taken over', async (t) => {
  const directory = scratchDirectory(t)
  const child = startWriter(directory)
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  const log = await openLocal(t, { directory })
  await append(log, entry(1))
  assert.equal((await readAll(log)).payloads.at(-1), 'payload 1')
})

test('a follower in this process sees what another process appends, only what it acknowledged and more', async (t) => {
  const directory = scratchDirectory(t)
  const child = startWriter(directory)
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const reader = await openLocal(t, { directory, writer: false })
  const stop = new AbortController()
  let seen = 0
  for await (const batch of only(reader).follow(await only(reader).first(), stop.signal)) {
    assert.equal(batch.firstOffset, seen)
    seen += batch.count
    if (seen > 100) stop.abort()
  }
  assert(seen > 100)
})

test('kill -9 in the middle of appends loses nothing that was acknowledged', async (t) => {
  const directory = scratchDirectory(t)
  for (let round = 0; round < 3; round++) {
    const child = startWriter(directory)
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
      if (output.length > 2_000) child.kill('SIGKILL')
    })
    await once(child, 'close')
    const acknowledged = output.split('\n').slice(0, -1)
    assert(acknowledged.length > 10)
    const log = await openLocal(t, { directory })
    const held = new Set((await readAll(log)).payloads)
    await log.stop()
    assert.deepEqual(
      acknowledged.filter((payload) => !held.has(payload)),
      [],
    )
  }
})

test('retention removes only what is old and stored, and a lagging reader is told what it missed', async (t) => {
  const directory = scratchDirectory(t)
  let now = 1_000_000
  const clock = { now: () => now }
  const options = { directory, retentionMs: 60_000 }
  const log = await openLocal(t, options, clock)
  for (let number = 0; number < 10; number++) await append(log, entry(number, { receivedAt: now }))
  const start = await only(log).first()
  const batch = await only(log).read(start)
  assert(batch !== undefined)
  const progress = { next: at(5), stored: 5, readings: 5, deadLetters: [] }
  await only(log).advance(INGEST_READER, progress)
  await log.stop()

  now += 60_001
  const later = await openLocal(t, options, clock)
  await until(async () => (await only(later).first()) >= progress.next)
  const rest = await only(later).read(start)
  assert.equal(rest?.missed, 5)
  assert.equal(rest?.firstOffset, 5)
  const ledger = await later.ledger(INGEST_READER)
  assert.deepEqual(ledger, {
    accepted: 10,
    stored: 5,
    deadLettered: 0,
    pending: 5,
    balanced: true,
    readings: 5,
    superseded: 0,
  })
})

test('what is known of entries that were set aside undecoded goes with them', async (t) => {
  const directory = scratchDirectory(t)
  let now = 1_000_000
  const clock = { now: () => now }
  const options = { directory, retentionMs: 60_000 }
  const log = await openLocal(t, options, clock)
  const setAside = async (number: number) => {
    const { flags: _, ...letter } = { ...entry(number, { receivedAt: now }), offset: at(number) }
    await append(log, { ...letter, flags: 0 })
    const deadLetters = [{ ...letter, code: 'unknown-schema', reason: 'so' }]
    await only(log).advance(INGEST_READER, { next: at(number + 1), stored: 0, readings: 0, deadLetters })
  }
  for (let number = 0; number < 5; number++) await setAside(number)
  now += 60_001
  for (let number = 5; number < 8; number++) await setAside(number)
  await log.stop()
  const later = await openLocal(t, options, clock)
  await until(async () => (await only(later).first()) === 5)
  assert.deepEqual(await only(later).undecoded(at(0), at(8)), new Set([5, 6, 7]))
  await later.stop()
  const { undecoded, root } = await openEnvironment(directory)
  assert.deepEqual([...undecoded.getKeys()], [5, 6, 7])
  await root.close()
})

test('much that may go at once goes in several steps, with other work in between', async (t) => {
  const directory = scratchDirectory(t)
  const options = { directory, retentionMs: 60_000 }
  const log = await openLocal(t, options, { now: () => 1_000 })
  const count = 3 * (RETENTION_BYTES_MAX / PAYLOAD_BYTES_MAX)
  const payload = Buffer.alloc(PAYLOAD_BYTES_MAX)
  const all = Array.from({ length: count + 1 }, (_, number) => entry(number, { receivedAt: 1_000, payload }))
  for (const each of all) await append(log, each)
  await only(log).advance(INGEST_READER, {
    next: await only(log).end(),
    stored: all.length,
    readings: 0,
    deadLetters: [],
  })
  await log.stop()
  const later = await openLocal(t, options, { now: () => 10_000_000 })
  const seen = new Set<Offset>()
  for (let first = await only(later).first(); first !== count; first = await only(later).first()) {
    seen.add(first)
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert(seen.size >= 2, `first was at ${[...seen]}`)
})

test('the books and the end are kept when retention has removed all it may', async (t) => {
  const directory = scratchDirectory(t)
  const options = { directory, retentionMs: 60_000 }
  const log = await openLocal(t, options, { now: () => 1_000 })
  for (let number = 0; number < 3; number++) await append(log, entry(number, { receivedAt: 1_000 }))
  await only(log).advance(INGEST_READER, { next: await only(log).end(), stored: 3, readings: 3, deadLetters: [] })
  await log.stop()
  const later = await openLocal(t, options, { now: () => 10_000_000 })
  await until(async () => (await only(later).first()) >= at(2))
  assert.equal((await later.ledger(INGEST_READER)).accepted, 3)
  await append(later, entry(3))
  assert.equal((await later.ledger(INGEST_READER)).pending, 1)
})

test('a log that is stored as fast as it fills is never full', async (t) => {
  const log = await openLocal(t, { directory: scratchDirectory(t), maxBytes: 8 * 2 ** 20 })
  const payload = Buffer.alloc(100_000)
  const appending: Promise<unknown>[] = []
  for (let number = 0; number < 300; number++) {
    appending.push(append(log, entry(number, { payload })))
    if (appending.length < 4) continue
    await appending.shift()
    const next = at(number - 3 + 1)
    await only(log).advance(INGEST_READER, { next, stored: 1, readings: 1, deadLetters: [] })
  }
  await Promise.all(appending)
})

test('a full log refuses, keeps what it has, and takes again when the reader has caught up', async (t) => {
  const directory = scratchDirectory(t)
  const options = { directory, maxBytes: 16 * 2 ** 20 }
  const log = await openLocal(t, options)
  const payload = Buffer.alloc(PAYLOAD_BYTES_MAX)
  let accepted = 0
  await assert.rejects(
    async () => {
      for (; accepted < 100; accepted++) await append(log, entry(accepted, { payload }))
    },
    { code: 'log-full' },
  )
  assert(accepted > 50, `${accepted} entries of 256 KiB were accepted`)
  assert.equal(log.full?.code, 'log-full')
  assert.equal((await log.ledger(INGEST_READER)).accepted, accepted)
  await only(log).advance(INGEST_READER, {
    next: await only(log).end(),
    stored: accepted,
    readings: 0,
    deadLetters: [],
  })
  await log.stop()
  const later = await openLocal(t, options)
  await until(() => later.full === undefined)
  await append(later, entry(0, { payload }))
  assert.equal((await later.ledger(INGEST_READER)).pending, 1)
})

test('what waits for the disk is bounded: beyond it an append is refused, and the rest is kept', async (t) => {
  const log = await openLocal(t, { directory: scratchDirectory(t) })
  const payload = Buffer.alloc(PAYLOAD_BYTES_MAX)
  const codes: string[] = []
  const many = Math.ceil(LOG_PENDING_BYTES_MAX / PAYLOAD_BYTES_MAX) + 10
  await new Promise<void>((resolve) => {
    for (let number = 0; number < many; number++) {
      log.append(entry(number, { payload }), (error) => {
        codes.push(error?.code ?? 'ok')
        if (codes.length === many) resolve()
      })
    }
  })
  const refused = codes.filter((code) => code === 'log-busy').length
  assert(refused >= 10 && refused < 20, `${refused} of ${many} refused`)
  assert.equal((await log.ledger(INGEST_READER)).accepted, many - refused)
})

test('presence records survive, by device', async (t) => {
  const directory = scratchDirectory(t)
  const log = await openLocal(t, { directory })
  const status = Buffer.from('{"online":true}')
  await log.presence.update('b', () => ({ online: true, since: 2 }))
  const updates = [
    log.presence.update('b', (known) => ({ online: known?.online ?? false, since: 3 })),
    log.presence.update('b', (known) => ({ online: known?.online ?? false, since: (known?.since ?? 0) + 1, status })),
    log.presence.update('a', (known) => ({ online: known !== undefined, since: 1 })),
  ]
  await Promise.all(updates)
  await log.stop()
  const again = await openLocal(t, { directory })
  const all = [...again.presence.all()]
  assert.deepEqual(
    all.map(({ device, online, since }) => [device, online, since]),
    [
      ['a', false, 1],
      ['b', true, 4],
    ],
  )
  assert.deepEqual(Buffer.from(again.presence.get('b')?.status ?? []), status)
  assert.equal(again.presence.get('c'), undefined)
})

/** A process that appends one entry after another and prints each payload when it is durable. */
function startWriter(directory: string) {
  const script = new URL('./writer.ts', import.meta.url).pathname
  return spawn(process.execPath, ['--import', 'tsx', script, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
}

test('a hole in the log: what is before it is read, and then it is told', async (t) => {
  const directory = scratchDirectory(t)
  const log = await openLocal(t, { directory })
  for (const number of [0, 1, 2, 3]) await append(log, entry(number))
  await log.stop()
  const environment = await openEnvironment(directory)
  await environment.commits.remove(2)
  await environment.root.close()
  const later = await openLocal(t, { directory })
  const before = await only(later).read(await only(later).first())
  assert(before)
  assert.equal(before.count, 2)
  await assert.rejects(only(later).read(before.next), { code: 'log-corrupt', message: /offset 2 of the log is due/ })
})
