/** A run folder of which something was cut or lost later is refused with the file's name: it is not told as what a platform did. */

import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { keptFiles } from '../../../../devices/simulator/kept/kept-files.ts'
import { MessageLog } from '../../../../devices/simulator/kept/message-log.ts'
import { writeReports } from '../../../../devices/simulator/report/run-files.ts'
import { verifyRun } from '../../../../devices/simulator/verify/verify.ts'
import { systemClock } from '../../../../platform/clock.ts'
import { scratchDirectory } from '../../../scratch.ts'
import { GOOD, RECORD } from '../report/finished-run.ts'

const MESSAGES = 4
const MESSAGES_FILE = 'messages-0.tsv'

/** At another broker than ours: verified without asking anybody. */
function runFolder(t: TestContext, { isKilled = false } = {}): string {
  const directory = scratchDirectory(t)
  const log = new MessageLog(join(directory, MESSAGES_FILE))
  const live: string[] = []
  for (let number = 0; number < MESSAGES; number++) {
    const payloadHash = `000000000000000${number}`
    const about = { device: 'sim-1', topic: 'devices/sim-1/telemetry/environment', qos: 1, payloadHash }
    log.sent({ ...about, number, at: number, dueAt: number, fault: undefined, outcome: 'stored', rows: [] })
    log.acknowledged(number, number + 0.5, 0)
    live.push(`message\t${number}.000\t${about.topic}\t${payloadHash}\t\n`)
  }
  log.close()
  writeFileSync(join(directory, 'live.tsv'), live.join(''))
  const run = { url: 'mqtt://127.0.0.1:1', beganAt: 0, endedAt: isKilled ? undefined : 10_000, processes: 1 }
  const files = isKilled ? undefined : keptFiles(directory, ['messages', 'live', 'store'])
  writeFileSync(join(directory, 'run.json'), JSON.stringify({ ...run, files }))
  return directory
}

const verify = (directory: string) => verifyRun({ directory }, { token: async () => '', clock: systemClock })
const isBadRun = (message: RegExp) => (error: { code?: string; message: string }) =>
  error.code === 'bad-run' && message.test(error.message)

/** What the folder of a run that came to its end has lost, and how that is said. */
const LOSSES: readonly {
  readonly name: string
  readonly file: string
  readonly left: (lines: string[]) => string[] | undefined
  readonly said: RegExp
}[] = [
  {
    name: 'half of the messages',
    file: MESSAGES_FILE,
    left: (lines) => lines.slice(0, MESSAGES),
    said: /messages-0\.tsv has \d+ bytes, and the run has left \d+ bytes in it/,
  },
  {
    name: 'one acknowledgement',
    file: MESSAGES_FILE,
    left: (lines) => lines.toSpliced(1, 1),
    said: /messages-0\.tsv has \d+ bytes/,
  },
  { name: 'all messages', file: MESSAGES_FILE, left: () => undefined, said: /messages-0\.tsv is missing/ },
  { name: 'what came live', file: 'live.tsv', left: () => undefined, said: /live\.tsv is missing/ },
  {
    name: 'half of what came live',
    file: 'live.tsv',
    left: (lines) => lines.slice(2),
    said: /live\.tsv has \d+ bytes/,
  },
]

for (const { name, file, left, said } of LOSSES) {
  test(`${name} is missing from the folder of a run: it is a bad run, with the file's name`, async (t) => {
    const directory = runFolder(t)
    assert.deepEqual((await verify(directory)).findings, [])
    const path = join(directory, file)
    const lines = left(readFileSync(path, 'utf8').trimEnd().split('\n'))
    if (lines === undefined) rmSync(path)
    else writeFileSync(path, `${lines.join('\n')}\n`)
    await assert.rejects(verify(directory), isBadRun(said))
  })
}

test('a run that was killed has noted no sizes: a number that does not follow is told with its file', async (t) => {
  const directory = runFolder(t, { isKilled: true })
  await verify(directory)
  const path = join(directory, MESSAGES_FILE)
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  writeFileSync(path, `${lines.toSpliced(2, 1).join('\n')}\n`)
  await assert.rejects(verify(directory), isBadRun(/messages-0\.tsv is damaged: message 1 was never sent/))
  writeFileSync(path, `${lines.toSpliced(2, 2).join('\n')}\n`)
  await assert.rejects(verify(directory), isBadRun(/message 2 stands where message 1 should/))
})

test('run.json that is no record of a run is told as such', async (t) => {
  const directory = runFolder(t)
  writeFileSync(join(directory, 'run.json'), 'null')
  await assert.rejects(verify(directory), isBadRun(/run\.json does not say when the run began/))
})

test('without seconds.csv and latency.hgrm a report is written all the same', (t) => {
  const directory = scratchDirectory(t)
  writeReports(directory, RECORD, GOOD)
  assert.match(readFileSync(join(directory, 'report.html'), 'utf8'), /two thousand trucks/)
})
