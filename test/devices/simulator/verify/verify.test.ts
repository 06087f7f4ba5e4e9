/** A run made by hand against a real platform is verified: all is right, and each wrong thing is told with its code and stage. */

import assert from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { booksAfter } from '../../../../devices/simulator/verify/books.ts'
import { verifyRun } from '../../../../devices/simulator/verify/verify.ts'
import { systemClock } from '../../../../platform/clock.ts'
import { RunningPlatform } from '../../../e2e/platform.ts'
import { scratchDirectory } from '../../../scratch.ts'
import { HandRun, tokenOf } from './hand-run.ts'

const TRUCKS = ['truck-1', 'truck-2']
const MESSAGES = 10

/** Twenty good messages, a replaced reading, one that is cut off, one to another's topic. */
async function runOf(t: TestContext, platform: RunningPlatform): Promise<HandRun> {
  const run = await HandRun.start(t, platform)
  const from = run.beganAt - 60_000
  for (let index = 0; index < MESSAGES; index++) {
    for (const truck of TRUCKS) await run.publish(truck, [{ ts: from + index * 1_000, temperature: index }])
  }
  await run.publish('truck-1', [{ ts: from + 3_000, temperature: 33 }])
  await run.publish('truck-2', [], { payload: Buffer.from('{"ts":'), outcome: 'dead:malformed-json' })
  await run.publish('truck-1', [{ ts: from, temperature: 99 }], {
    topic: 'devices/truck-2/telemetry/environment',
    outcome: 'dropped',
  })
  await run.end(TRUCKS.length * MESSAGES + 1)
  return run
}

const verify = ({ platform }: HandRun, directory: string) =>
  verifyRun({ directory, patienceMs: 60_000, lateMs: 60_000 }, { token: tokenOf(platform), clock: systemClock })

/** What the folder says otherwise than it was: as if the platform had done it. */
interface Damage {
  readonly name: string
  readonly file: 'messages-0.tsv' | 'live.tsv'
  readonly change: (lines: string[]) => string[]
  /** Codes and stages, all of them. */
  readonly told: readonly string[]
}

const without = (index: number) => (lines: string[]) => lines.toSpliced(index, 1)
const doubled = (index: number) => (lines: string[]) => lines.toSpliced(index, 0, lines[index] ?? '')
const changed = (index: number, from: string | RegExp, to: string) => (lines: string[]) =>
  lines.with(index, (lines[index] ?? '').replace(from, to))
/** Sent lines stand at even indices, acknowledgements at odd ones. */
const sentLine = (message: number) => message * 2
const HASH = /=[0-9a-f]{16}/
const ALTERED = '=0123456789abcdef'
const DEAD = TRUCKS.length * MESSAGES + 1
const NEVER_SENT = (lines: string[]): string[] => {
  const [first = ''] = lines
  const number = lines.length / 2
  // Long after the others: whatever was slow then is no reason.
  const at = Date.now() + 600_000
  const fields = first
    .replace(/^s\t0\t[\d.]+/, `s\t${number}\t${at}`)
    .replace(/\/(\d+)=/, (_, ts) => `/${Number(ts) + 500}=`)
  return [...lines, fields, `a\t${number}\t${at}\t0`]
}

const DAMAGES: readonly Damage[] = [
  { name: 'acknowledged and never taken', file: 'messages-0.tsv', change: NEVER_SENT, told: ['lost broker'] },
  {
    name: 'other values in the store and live',
    file: 'messages-0.tsv',
    change: changed(sentLine(4), HASH, ALTERED),
    told: ['altered broker'],
  },
  {
    name: 'an outcome that was to be a dead letter is stored',
    file: 'messages-0.tsv',
    change: changed(sentLine(DEAD), 'dead:malformed-json', 'dead:malformed-avro'),
    told: ['wrong-code ingest'],
  },
  {
    name: 'a good message is a dead letter',
    file: 'messages-0.tsv',
    change: changed(sentLine(DEAD), 'dead:malformed-json', 'stored'),
    told: ['set-aside ingest'],
  },
  { name: 'a live line is lost', file: 'live.tsv', change: without(5), told: ['live-lost live'] },
  { name: 'a live line is doubled', file: 'live.tsv', change: doubled(5), told: ['live-duplicated live'] },
  {
    name: 'a live line has other values',
    file: 'live.tsv',
    change: changed(5, /\t[0-9a-f]{16}\t/, '\t0123456789abcdef\t'),
    told: ['live-altered live'],
  },
  {
    name: 'two live lines of one device are swapped',
    file: 'live.tsv',
    change: (lines) => lines.with(4, lines[6] ?? '').with(6, lines[4] ?? ''),
    told: ['out-of-order live'],
  },
  {
    name: 'a line that was lost, and a gap that says so',
    file: 'live.tsv',
    change: (lines) => lines.with(5, 'gap\t1\t1\tslow'),
    told: [],
  },
]

test('a run: each message is stored, replaced or set aside as intended, and each wrong thing is told, and where', async (t) => {
  const run = await runOf(t, await RunningPlatform.start(t))
  const found = await verify(run, run.directory)
  assert.deepEqual(found.findings, [])
  assert.deepEqual(found, {
    ...found,
    acknowledged: 22,
    expectedReadings: 21,
    stored: 20,
    superseded: 1,
    deadLettered: 1,
    lost: 0,
    storedUnacknowledged: 0,
    live: { expected: 21, came: 21, received: 21, again: 0, unpromised: 0, lost: 0, duplicated: 0, gaps: 0 },
    asked: ['history', 'dead letters', 'live', 'books'],
    ok: true,
  })
  for (const { name, file, change, told } of DAMAGES) {
    await t.test(name, async (inner) => {
      const directory = scratchDirectory(inner)
      cpSync(run.directory, directory, { recursive: true })
      const path = join(directory, file)
      const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
      writeFileSync(path, `${change(lines).join('\n')}\n`)
      const { findings } = await verify(run, directory)
      assert.deepEqual(
        findings.map(({ code, stage }) => `${code} ${stage}`),
        told,
        JSON.stringify(findings, undefined, 1),
      )
      assert(
        findings.every(({ count }) => count === 1),
        JSON.stringify(findings, undefined, 1),
      )
    })
  }
})

test('the platform is killed -9 while it is asked: the answer is the same when it is back', async (t) => {
  const platform = await RunningPlatform.start(t)
  const run = await runOf(t, platform)
  const token = await tokenOf(platform)()
  const steps: string[] = []
  let restarted: Promise<void> | undefined
  const { findings, stored } = await verifyRun(
    { directory: run.directory, patienceMs: 60_000, lateMs: 60_000 },
    {
      token: async () => token,
      clock: systemClock,
      onStep: (step) => {
        steps.push(step)
        if (step === 'comparing the store') restarted = platform.kill().then(() => platform.start())
      },
    },
  )
  await restarted
  assert.deepEqual([findings, stored], [[], 20])
  assert.equal(steps.length, 5)
})

test('of a platform that does not answer it is said so, and no more is waited than is borne with', async (t) => {
  const platform = await RunningPlatform.start(t)
  const run = await runOf(t, platform)
  await platform.kill()
  await assert.rejects(
    verifyRun({ directory: run.directory, patienceMs: 100 }, { token: async () => 'x', clock: systemClock }),
    /did not answer \/v1\/ledger in 0\.1 s: .*ECONNREFUSED/,
  )
})

test('a platform that has taken less than it had before the run is not the platform of the run', async (t) => {
  const run = await HandRun.start(t, await RunningPlatform.start(t))
  await run.publish('truck-1', [{ ts: run.beganAt, temperature: 1 }])
  await run.end(1)
  const path = join(run.directory, 'run.json')
  const record = JSON.parse(readFileSync(path, 'utf8'))
  writeFileSync(path, JSON.stringify({ ...record, booksBefore: { ...record.booksBefore, accepted: 5_000 } }))
  await assert.rejects(verify(run, run.directory), {
    code: 'bad-run',
    message: /is not the platform of the run: it has taken \d+ messages, and had taken 5000 before the run/,
  })
})

test('what a later run of the same devices sent is not told of an earlier one', async (t) => {
  const run = await runOf(t, await RunningPlatform.start(t))
  const directory = scratchDirectory(t)
  cpSync(run.directory, directory, { recursive: true })
  const path = join(directory, 'run.json')
  const record = JSON.parse(readFileSync(path, 'utf8'))
  await run.platform.settled()
  writeFileSync(path, JSON.stringify({ ...record, booksAfter: await booksAfter(run.gateway) }))
  const from = run.beganAt - 60_000
  const sendLater = async () => {
    await run.publish('truck-1', [{ ts: from + 5_000, temperature: -5 }])
    await run.publish('truck-1', [{ ts: from + 5_500, temperature: -5 }])
    await run.publish('truck-1', [], { payload: Buffer.from('{"later'), outcome: 'dead:malformed-json' })
    await run.platform.settled()
  }
  await sendLater()
  const { findings, stored, superseded, deadLettered, ok } = await verify(run, directory)
  assert.deepEqual([findings, stored, superseded, deadLettered, ok], [[], 19, 2, 1, true])
})
