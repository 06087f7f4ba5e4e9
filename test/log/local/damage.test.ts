/**
 * What becomes of the log under all that happens to a machine: one test for each line of the table in `log/FORMAT.md`. Those about
 * the want of room are in `full.test.ts`.
 */

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { type Batch, DAMAGED, readEntries } from '../../../log/entry.ts'
import { CommitBuilder } from '../../../log/local/commit.ts'
import { INGEST_READER } from '../../../log/log.ts'
import type { LogError } from '../../../log/log-error.ts'
import { checkDataFile } from '../../../log/tables/data-file.ts'
import { openEnvironment } from '../../../log/tables/environment.ts'
import { scratchDirectory } from '../../scratch.ts'
import { requireProgram } from '../../servers/server.ts'
import { until } from '../../until.ts'
import { append, appendWithCodes, entry, readAll } from '../contract.ts'
import { at, only } from '../only.ts'
import { openRecorded } from './recording.ts'

const PAGE_BYTES = 4_096
const META_PAGES = 2
const POWER_CUTS = 60
const FLIPS = 500
const HANG_MS = 120_000
const NOBODY = 65_534
const ENTRY_HEADER_BYTES = 16
const NOTHING = { bytes: Buffer.alloc(0), firstOffset: at(0) }

interface Case {
  readonly what: string
  readonly outcome: string
  readonly run: (t: TestContext) => Promise<void>
}

const CASES: readonly Case[] = [
  {
    what: 'a power cut at any moment of a commit',
    outcome: 'the log is as before that commit, whichever of its writes reached the disk',
    run: async (t) => {
      const images = await commitImages(t)
      const directory = join(scratchDirectory(t), 'log')
      const cut = fc.record({
        at: fc.integer({ min: 0, max: images.length - 2 }),
        kept: fc.infiniteStream(fc.constantFrom('none', 'all', 'half')),
        isLonger: fc.boolean(),
      })
      const property = fc.asyncProperty(cut, async ({ at, kept, isLonger }) => {
        const before = images[at] ?? assert.fail()
        const after = images[at + 1] ?? assert.fail()
        mkdirSync(directory, { recursive: true })
        writeFileSync(join(directory, 'data.mdb'), tear(before.bytes, after.bytes, kept, isLonger))
        const { log } = await openRecorded(t, { directory, writer: false })
        const { payloads } = await readAll(log)
        const ledger = await log.ledger(INGEST_READER)
        await log.stop()
        assert.deepEqual(payloads, before.payloads)
        assert.deepEqual(ledger, before.ledger)
      })
      await fc.assert(property, { numRuns: POWER_CUTS })
    },
  },
  {
    what: 'a log deleted while it is in use',
    outcome: 'fails, and says so, instead of acknowledging what nobody can find',
    run: async (t) => {
      const directory = scratchDirectory(t)
      const { log } = await openRecorded(t, { directory })
      await append(log, entry(0))
      rmSync(join(directory, 'data.mdb'))
      await assert.rejects(log.failed, { code: 'log-failed', message: /data\.mdb was deleted/ })
      await assert.rejects(append(log, entry(1)), { code: 'log-failed' })
    },
  },
  {
    what: 'a commit that the disk refuses',
    outcome: 'acknowledges none of it, and the process ends and says why',
    run: async (t) => {
      const program = requireProgram(t, 'prlimit', 'apt install util-linux')
      if (program === undefined) return
      const directory = scratchDirectory(t)
      const child = spawnScript('writer.ts', [directory], 'pipe')
      const closed = once(child, 'close')
      const acknowledged: string[] = []
      let errors = ''
      child.stderr?.on('data', (chunk) => {
        errors += chunk
      })
      for await (const payload of createInterface({ input: child.stdout })) {
        // Below what the file has already: not the want of room, but writes that fail.
        if (acknowledged.push(payload) === 100) execFileSync(program, ['--pid', `${child.pid}`, '--fsize=8192:'])
      }
      const [code, signal] = await closed
      assert(code === 1 || signal === 'SIGABRT', `ended with ${code} ${signal}`)
      assert.match(errors, /did not take a commit of the log: (Input\/output error|File too large)/)
      const { log } = await openRecorded(t, { directory })
      assert.deepEqual((await readAll(log)).payloads.slice(0, acknowledged.length), acknowledged)
    },
  },
  {
    what: 'a flipped byte in a commit whose entries were set aside with it',
    outcome: 'flags them as damaged, no less and no more, and the books go on',
    run: async (t) => {
      const directory = scratchDirectory(t)
      const { log } = await openRecorded(t, { directory })
      await appendWithCodes(
        log,
        [0, 1].map((number) => ({ entry: entry(number), code: 'empty' })),
      )
      await append(log, entry(2))
      await log.stop()
      // Dead letters do not have it in one piece.
      damage(directory, `device-1environmentpayload 1`, (bytes, at) =>
        bytes.write('P', at + 'device-1environment'.length),
      )
      const again = await openRecorded(t, { directory })
      const first = await only(again.log).read(at(0))
      const damaged = readEntries(first ?? assert.fail()).filter(({ flags }) => flags === DAMAGED)
      assert.equal(damaged.length, 2)
      const deadLetters = damaged.map((letter) => ({ ...letter, code: 'log-damaged', reason: 'so' }))
      await only(again.log).advance(INGEST_READER, { next: at(2), stored: 0, readings: 0, deadLetters })
      await only(again.log).advance(INGEST_READER, { next: at(3), stored: 1, readings: 1, deadLetters: [] })
      await append(again.log, entry(3))
      const { accepted, stored, deadLettered, pending } = await again.log.ledger(INGEST_READER)
      assert.deepEqual([accepted, stored, deadLettered, pending], [4, 1, 2, 1])
    },
  },
  {
    what: 'a directory that may not be written',
    outcome: 'fails the start and names it',
    run: async (t) => {
      const directory = scratchDirectory(t)
      chmodSync(directory, 0o500)
      const isNamed = ({ code, message }: LogError) => {
        assert.deepEqual([code, message.includes(directory)], ['log-failed', true], message)
        return /permission denied/i.test(message)
      }
      await asNobody(() => assert.rejects(openRecorded(t, { directory }), isNamed))
    },
  },
  {
    what: 'a lock file that may not be written',
    outcome: 'fails the start and names it, where LMDB would end the process',
    run: async (t) => {
      const { directory } = await smallLog(t)
      chmodSync(directory, 0o777)
      chmodSync(join(directory, 'data.mdb'), 0o666)
      chmodSync(join(directory, 'lock.mdb'), 0o444)
      const named = { code: 'log-failed', message: /lock\.mdb cannot be written.*permission denied/i }
      await asNobody(() => assert.rejects(openRecorded(t, { directory }), named))
    },
  },
  ...['deleted', 'empty', 'cut to its first page'].map((what) => ({
    what: `a file ${what} though the log had begun`,
    outcome: 'fails the start and says what to do, and is no new log',
    run: async (t: TestContext) => {
      const { directory } = await smallLog(t)
      const file = join(directory, 'data.mdb')
      if (what === 'deleted') rmSync(file)
      else truncateSync(file, what === 'empty' ? 0 : PAGE_BYTES)
      await assert.rejects(openRecorded(t, { directory }), {
        code: 'log-corrupt',
        message: /(gone|cut off).*restore it/,
      })
    },
  })),
  ...[0.3, 0.9].map((share) => ({
    what: `a file cut to ${share * 100}% of its pages in use`,
    outcome: 'fails the start, says what to do, and leaves the file as it is',
    run: async (t: TestContext) => {
      const { directory, lastPage } = await smallLog(t)
      const file = join(directory, 'data.mdb')
      truncateSync(file, Math.floor(lastPage * share) * PAGE_BYTES)
      const before = readFileSync(file)
      await assert.rejects(openRecorded(t, { directory }), { code: 'log-corrupt', message: /cut off.*restore it/ })
      assert.deepEqual(readFileSync(file), before)
    },
  })),
  ...[0, 1].map((page) => ({
    what: `meta page ${page} damaged`,
    outcome: 'fails the start and says what to do',
    run: async (t: TestContext) => {
      const { directory } = await smallLog(t)
      const file = join(directory, 'data.mdb')
      const bytes = readFileSync(file)
      bytes.fill(0x5a, page * PAGE_BYTES, page * PAGE_BYTES + 512)
      writeFileSync(file, bytes)
      await assert.rejects(openRecorded(t, { directory }), { code: 'log-corrupt', message: /restore it/ })
    },
  })),
  {
    what: 'a flipped bit in a message',
    outcome: 'flags what was committed with it, says so once, and the others are read as they are',
    run: async (t) => {
      const { directory } = await smallLog(t)
      damage(directory, 'payload 7', (bytes, at) => bytes.writeUInt8(bytes.readUInt8(at + 3) ^ 4, at + 3))
      const { log, lines } = await openRecorded(t, { directory, writer: false })
      for (let round = 0; round < 2; round++) {
        const { batches, payloads } = await readAll(log)
        assert.deepEqual(payloads.toSpliced(7, 1), payloadsOf([0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11]))
        assert.deepEqual(damagedOf(batches), [{ offset: 7, device: entry(7).device, payload: 'payhoad 7' }])
      }
      assert.equal(lines.filter(({ msg }) => /gave a commit of the log back changed/.test(msg)).length, 1)
      assert((await log.ledger(INGEST_READER)).balanced)
      assert.equal((await log.deviceLedger(INGEST_READER, entry(7).device)).balanced, true)
    },
  },
  {
    what: 'a flipped bit in the length of a message',
    outcome: 'keeps the bytes of what was committed with it, and the others are read as they are',
    run: async (t) => {
      const { directory } = await smallLog(t, 2)
      damage(directory, 'payload 8', (bytes, at) => {
        const { device, stream } = entry(8)
        bytes.writeUInt8(0xff, at - device.length - stream.length - ENTRY_HEADER_BYTES)
      })
      const { log } = await openRecorded(t, { directory, writer: false })
      const { batches, payloads } = await readAll(log)
      assert.deepEqual(payloads.toSpliced(8, 2), payloadsOf([0, 1, 2, 3, 4, 5, 6, 7, 10, 11]))
      const [first, second, ...more] = damagedOf(batches)
      assert.match(first?.payload ?? '', /payload 8.*payload 9/s)
      assert.deepEqual(
        [first?.offset, first?.device, second, more],
        [8, '', { offset: 9, device: '', payload: '' }, []],
      )
    },
  },
  {
    what: 'a damaged commit that is stored or old',
    outcome: 'goes by retention like any other',
    run: async (t) => {
      const { directory } = await smallLog(t)
      damage(directory, 'payload 3', (bytes, at) => bytes.writeUInt8(0, at))
      const { log } = await openRecorded(t, { directory, retentionMs: 1 })
      await until(async () => {
        const [first] = readEntries((await only(log).read(await only(log).first())) ?? NOTHING)
        return first?.payload.toString() === 'payload 8'
      })
    },
  },
  {
    what: 'a flipped bit in the newest message',
    outcome: 'is like one in any other, and the log goes on',
    run: async (t) => {
      const { directory } = await smallLog(t)
      damage(directory, 'payload 11', (bytes, at) => bytes.writeUInt8(0x50, at))
      const { log } = await openRecorded(t, { directory })
      await append(log, entry(12))
      const { batches, payloads } = await readAll(log)
      assert.deepEqual(damagedOf(batches), [{ offset: 11, device: entry(11).device, payload: 'Payload 11' }])
      assert.equal(payloads.at(-1), 'payload 12')
    },
  },
  {
    what: 'a flipped bit in the length of the newest message',
    outcome: 'fails the start and says what to do: nobody knows where the log ends',
    run: async (t) => {
      const { directory } = await smallLog(t)
      damage(directory, 'payload 11', (bytes, at) => {
        const { device, stream } = entry(11)
        bytes.writeUInt8(0xff, at - device.length - stream.length - ENTRY_HEADER_BYTES)
      })
      await assert.rejects(openRecorded(t, { directory }), { code: 'log-corrupt', message: /offset 11.*restore/ })
    },
  },
  ...[
    { from: 0, to: 1.3e-231, perRun: 4, error: 'the start' },
    { from: 0, to: 2, perRun: 4, error: 'the start' },
    { from: 8, to: 10, perRun: 4, error: 'the reading' },
    { from: 4, to: 2, perRun: 4, error: 'the reading' },
  ].map(({ from, to, perRun, error }) => ({
    what: `a flipped bit in the key of a commit, ${to} for ${from}`,
    outcome: `fails ${error}: nothing is read at an offset that is not its own`,
    run: async (t: TestContext) => {
      const { directory } = await smallLog(t, perRun)
      const environment = await openEnvironment(directory)
      const value = environment.commits.getBinary(from)
      assert(value !== undefined)
      await environment.commits.remove(from)
      await environment.commits.put(to, value)
      await environment.root.close()
      const read = openRecorded(t, { directory, writer: false }).then(({ log }) => readAll(log))
      await assert.rejects(read, { code: 'log-corrupt', message: /was written elsewhere|is due/ })
    },
  })),
  {
    what: 'a flipped bit anywhere in the pages in use',
    outcome: 'is an error, or what is read is what was appended',
    run: flipEverywhere,
  },
  {
    what: 'a page in use that holds zeros, or the bytes of another one',
    outcome: 'fails the start and names the page',
    run: async (t) => {
      const { image, pages } = await compactedLog(t)
      const directory = scratchDirectory(t)
      const bytes = readFileSync(image)
      for (let page = META_PAGES; page < pages; page++) {
        const at = page * PAGE_BYTES
        const other = (page + 1 < pages ? page + 1 : META_PAGES) * PAGE_BYTES
        for (const instead of [Buffer.alloc(PAGE_BYTES), bytes.subarray(other, other + PAGE_BYTES)]) {
          const damaged = Buffer.from(bytes)
          instead.copy(damaged, at)
          writeFileSync(join(directory, 'data.mdb'), damaged)
          const message = new RegExp(`page, number ${page} .*restore it`)
          await assert.rejects(openRecorded(t, { directory }), { code: 'log-corrupt', message })
        }
      }
    },
  },
  {
    what: 'a log that another process appends to',
    outcome: 'is not taken for a damaged one, however often it is opened meanwhile',
    run: async (t) => {
      const directory = scratchDirectory(t)
      // So many that several commits are made while they are looked through.
      const environment = await openEnvironment(directory)
      const run = new CommitBuilder()
      run.add(entry(0))
      const value = Buffer.from(run.finish())
      await Promise.all(Array.from({ length: 50_000 }, (_, offset) => environment.commits.put(offset, value)))
      await environment.root.close()
      const child = spawnScript('writer.ts', [directory], 'inherit')
      t.after(() => child.kill('SIGKILL'))
      await once(child.stdout.resume(), 'data')
      for (let opened = 0; opened < 50; opened++) {
        checkDataFile(directory)
        // What the child says has to be taken, or it waits.
        await turn()
      }
      assert.equal(child.exitCode, null)
    },
  },
  {
    what: 'a second process that appends',
    outcome: 'of four that start at once one is first, and the others name it',
    run: async (t) => {
      for (let round = 0; round < 2; round++) {
        const directory = join(scratchDirectory(t), 'log')
        const children = Array.from({ length: 4 }, () => spawnScript('opener.ts', [directory], 'inherit'))
        t.after(() => children.map((child) => child.kill('SIGKILL')))
        const said = await Promise.all(
          children.map(async ({ stdout }) => String((await once(stdout, 'data'))[0]).trim()),
        )
        assert.deepEqual(said.sort(), ['log-locked', 'log-locked', 'log-locked', 'open'])
        for (const child of children) child.kill('SIGKILL')
      }
    },
  },
  {
    what: 'a process that was killed, and whose parent has not asked for it',
    outcome: 'holds no lock',
    run: async (t) => {
      const directory = scratchDirectory(t)
      // The second sleep is the parent of the first, and waits for nothing.
      const parent = spawn('bash', ['-c', 'sleep 60 & echo $!; exec sleep 60'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      t.after(() => parent.kill('SIGKILL'))
      const pid = Number(String((await once(parent.stdout, 'data'))[0]))
      const stat = () => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
      const environment = await openEnvironment(directory)
      await environment.meta.put('writer', JSON.stringify({ pid, startedAt: `${boot}/${stat()[19]}` }))
      await environment.root.close()
      await assert.rejects(openRecorded(t, { directory }), { code: 'log-locked' })
      process.kill(pid, 'SIGKILL')
      await until(() => stat()[0] === 'Z')
      const { log } = await openRecorded(t, { directory })
      await append(log, entry(0))
    },
  },
  {
    what: 'the id of a process that is gone, given to another',
    outcome: 'is no lock',
    run: async (t) => {
      const directory = scratchDirectory(t)
      const environment = await openEnvironment(directory)
      await environment.meta.put('writer', JSON.stringify({ pid: process.pid, startedAt: 'an earlier boot/1' }))
      await environment.root.close()
      const { log } = await openRecorded(t, { directory })
      await append(log, entry(0))
    },
  },
  {
    what: 'a killed reader',
    outcome: 'leaves no slot that keeps pages from being used again',
    run: async (t) => {
      const directory = scratchDirectory(t)
      const child = spawnScript('opener.ts', [directory], 'inherit')
      await once(child.stdout, 'data')
      child.kill('SIGKILL')
      await once(child, 'exit')
      const { log } = await openRecorded(t, { directory })
      await append(log, entry(0))
      const environment = await openEnvironment(directory)
      assert(!String(environment.root.readerList()).includes(String(child.pid)))
      await environment.root.close()
    },
  },
]

for (const { what, outcome, run } of CASES) test(`${what}: ${outcome}`, run)

/** Root may write anywhere: while `run` runs this process is nobody. */
async function asNobody(run: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) return run()
  process.seteuid?.(NOBODY)
  try {
    await run()
  } finally {
    process.seteuid?.(0)
  }
}

function spawnScript(name: string, args: readonly string[], stderr: 'pipe' | 'inherit') {
  const script = new URL(`./${name}`, import.meta.url).pathname
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...args], { stdio: ['ignore', 'pipe', stderr] })
  const { stdout } = child
  assert(stdout !== null)
  return Object.assign(child, { stdout })
}

/** A closed log of twelve entries, so many a run, the books of eight of them kept. */
async function smallLog(t: TestContext, perRun = 1): Promise<{ directory: string; lastPage: number }> {
  const directory = scratchDirectory(t)
  const { log } = await openRecorded(t, { directory })
  for (let number = 0; number < 12; number += perRun) {
    await append(log, ...Array.from({ length: perRun }, (_, index) => entry(number + index)))
  }
  const next = at(8)
  await only(log).advance(INGEST_READER, { next, stored: 8, readings: 8, deadLetters: [] })
  await log.stop()
  const environment = await openEnvironment(directory)
  const { lastPageNumber: lastPage } = environment.root.getStats() as { lastPageNumber: number }
  await environment.root.close()
  return { directory, lastPage }
}

/** Changes the bytes of a log's file wherever `text` stands: pages that are not in use any more may hold it too. */
function damage(directory: string, text: string, change: (bytes: Buffer, at: number) => void): void {
  const file = join(directory, 'data.mdb')
  const bytes = readFileSync(file)
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) change(bytes, at)
  writeFileSync(file, bytes)
}

const payloadsOf = (numbers: readonly number[]) => numbers.map((number) => `payload ${number}`)

function damagedOf(batches: readonly Batch[]) {
  const entries = batches.flatMap((batch) => readEntries(batch))
  return entries
    .filter(({ flags }) => (flags & DAMAGED) !== 0)
    .map(({ offset, device, payload }) => ({ offset, device, payload: payload.toString('latin1') }))
}

interface Image {
  readonly bytes: Buffer
  readonly payloads: readonly string[]
  readonly ledger: unknown
}

/** The file as it was after each of some commits of several kinds, and what it held then. */
async function commitImages(t: TestContext): Promise<Image[]> {
  const directory = scratchDirectory(t)
  const { log } = await openRecorded(t, { directory })
  const images: Image[] = []
  for (let step = 0; step < 12; step++) {
    if (step % 4 === 3) {
      const { pending } = await log.ledger(INGEST_READER)
      const progress = { next: await only(log).end(), stored: pending, readings: pending, deadLetters: [] }
      await only(log).advance(INGEST_READER, progress)
    } else {
      const length = step % 3 === 0 ? 60_000 : 50
      await append(log, entry(step, { payload: Buffer.alloc(length, `${step} `) }), entry(step))
    }
    const { payloads } = await readAll(log)
    const bytes = readFileSync(join(directory, 'data.mdb'))
    images.push({ bytes, payloads, ledger: await log.ledger(INGEST_READER) })
  }
  return images
}

/**
 * `before`, with some of the pages that `after` has otherwise: whole, or their first half. Without the meta pages: LMDB
 * writes one when all else has been flushed, within one sector.
 */
function tear(before: Buffer, after: Buffer, kept: Iterable<string>, isLonger: boolean): Buffer {
  const torn = Buffer.alloc(isLonger ? after.length : before.length)
  before.copy(torn)
  const choices = kept[Symbol.iterator]()
  for (let at = META_PAGES * PAGE_BYTES; at < torn.length; at += PAGE_BYTES) {
    if (after.compare(torn, at, at + PAGE_BYTES, at, at + PAGE_BYTES) === 0) continue
    const choice = choices.next().value
    if (choice !== 'none') after.copy(torn, at, at, at + (choice === 'all' ? PAGE_BYTES : PAGE_BYTES / 2))
  }
  return torn
}

/** The file of a small log with no pages but those in use. */
async function compactedLog(t: TestContext): Promise<{ image: string; pages: number }> {
  const { directory } = await smallLog(t)
  const copy = join(scratchDirectory(t), 'image')
  mkdirSync(copy)
  const environment = await openEnvironment(directory)
  await environment.root.backup(copy, true)
  await environment.root.close()
  const image = join(copy, 'data.mdb')
  return { image, pages: statSync(image).size / PAGE_BYTES }
}

async function flipEverywhere(t: TestContext): Promise<void> {
  const { image, pages } = await compactedLog(t)
  const copy = scratchDirectory(t)
  const seed = Number(process.env.TELLTALE_TEST_SEED ?? Date.now() % 2 ** 31)
  t.diagnostic(`seed ${seed} (TELLTALE_TEST_SEED)`)
  // Headers and pointers stand first in a page, and are a small part of it.
  const inPage = fc.oneof(fc.integer({ min: 0, max: 63 }), fc.integer({ min: 0, max: PAGE_BYTES - 1 }))
  const page = fc.integer({ min: 0, max: pages - 1 })
  const at = fc.tuple(page, inPage).map(([number, offset]) => number * PAGE_BYTES + offset)
  const position = fc.tuple(at, fc.integer({ min: 0, max: 7 }))
  const flips = fc.sample(position, { numRuns: FLIPS, seed }).map(([at, bit]) => `${at}.${bit}`)
  const counts = { right: 0, refused: 0, died: 0 }
  for (let next = 0; next < flips.length; ) {
    copyFileSync(image, join(copy, 'data.mdb'))
    const child = spawnScript('flipper.ts', [copy, ...flips.slice(next)], 'pipe')
    child.stderr?.resume()
    const timer = setTimeout(() => child.kill('SIGKILL'), HANG_MS)
    const start = next
    for await (const line of createInterface({ input: child.stdout })) {
      timer.refresh()
      const result = line.slice(line.indexOf(' ') + 1)
      if (!result.endsWith('}')) break
      next++
      const { entries, error } = JSON.parse(result) as { entries?: [number, string][]; error?: string }
      counts[error === undefined ? 'right' : 'refused']++
      for (const [offset, payload] of entries ?? [])
        assert.equal(payload, `payload ${offset}`, `flip ${flips[next - 1]}`)
    }
    clearTimeout(timer)
    if (next < flips.length) {
      counts.died++
      next++
    }
    assert(next > start)
  }
  t.diagnostic(`of ${FLIPS} flips ${JSON.stringify(counts)}`)
  assert.equal(counts.died, 0, 'LMDB ended the process')
}
