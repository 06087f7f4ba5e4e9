import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { LogOutput } from '../../platform/log-output.ts'
import { scratchDirectory } from '../scratch.ts'

const clock = { now: () => 0 }
const LINES = 20_000

/** Both ends of a pipe, as open files. */
function pipe(t: TestContext): { reading: number; writing: number } {
  const path = join(scratchDirectory(t), 'pipe')
  execFileSync('mkfifo', [path])
  const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writing = openSync(path, constants.O_WRONLY)
  t.after(() => closeSync(reading))
  return { reading, writing }
}

function readAll(file: number): string {
  const chunks: Buffer[] = []
  for (;;) {
    const chunk = Buffer.alloc(65_536)
    try {
      const length = readSync(file, chunk)
      if (length === 0) break
      chunks.push(chunk.subarray(0, length))
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN')
      break
    }
  }
  return Buffer.concat(chunks).toString()
}

test('a pipe that nobody reads stops nothing; what was dropped is told when it is read again, and every line is whole', (t) => {
  const { reading, writing } = pipe(t)
  const logger = pino({}, new LogOutput(writing, { clock }))
  for (let line = 0; line < LINES; line++) logger.info({ line, filling: 'x'.repeat(line % 500) }, 'said')
  const before = readAll(reading)
  logger.info('after')
  const lines = (before + readAll(reading)).trimEnd().split('\n')
  const said = lines.map((line) => JSON.parse(line) as { msg: string; dropped?: number })
  const [report, last] = said.slice(-2)
  assert.equal(last?.msg, 'after')
  assert.equal(report?.dropped, LINES - (said.length - 2))
  assert(said.length > 100 && said.length < LINES)
})

test('a disk that is full stops nothing', () => {
  const logger = pino({}, new LogOutput(openSync('/dev/full', 'w'), { clock }))
  for (let line = 0; line < LINES; line++) logger.info({ line }, 'said')
})

test('a file has every line', (t) => {
  const path = join(scratchDirectory(t), 'log')
  const logger = pino({}, new LogOutput(openSync(path, 'a'), { clock }))
  for (let line = 0; line < LINES; line++) logger.info({ line }, 'said')
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  assert.deepEqual([lines.length, JSON.parse(lines.at(-1) ?? '').line], [LINES, LINES - 1])
})

test('a token that somebody put where a name belongs is in no line', (t) => {
  const { reading, writing } = pipe(t)
  const logger = pino({ base: null, timestamp: false }, new LogOutput(writing, { clock }))
  const token = `eyJhbGciOiJIUzI1NiJ9.${'a'.repeat(80)}.${'b'.repeat(43)}`
  logger.info({ client: token, topic: `devices/${token}/errors` }, `the user name is "${token}"`)
  logger.info({ client: token.slice(0, 100) }, 'cut short')
  const text = readAll(reading)
  assert(!/a{20}|b{20}/.test(text), text)
  assert.equal(text.match(/eyJ\*\*\*/g)?.length, 4)
  for (const line of text.trim().split('\n')) JSON.parse(line)
})
