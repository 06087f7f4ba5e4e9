import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { NewJournalEvent } from '../../../log/journal.ts'
import { EVENTS_MAX, STRANGERS_MAX } from '../../../log/tables/journal-records.ts'
import { scratchDirectory } from '../../scratch.ts'
import { until } from '../../until.ts'
import { openLocal } from './open-local.ts'

const CONNECTED = { kind: 'connected', code: 'connected', text: 'over TCP', from: '10.0.0.7' } as const
const LOST = { kind: 'disconnected', code: 'lost', text: 'so' } as const
const refused = (code: string, text = 'so'): NewJournalEvent => ({ kind: 'refused', code, text })

test('equal events in a row are one, the newest are kept, and all are counted, by any process', async (t) => {
  const directory = scratchDirectory(t)
  let now = 1_000
  const log = await openLocal(t, { directory }, { now: () => now })
  const reader = await openLocal(t, { directory, writer: false })
  for (const text of ['one', 'two\u001b[2J']) {
    log.journal.note('d', refused('bad-token', text))
    now++
  }
  await until(() => log.journal.of('d') !== undefined)
  log.journal.note('d', refused('bad-token', 'three'))
  now++
  log.journal.note('d', CONNECTED)
  await until(() => reader.journal.of('d')?.events.length === 2)
  const { events = [], totals } = reader.journal.of('d') ?? {}
  assert.deepEqual(events[0], { ...refused('bad-token', 'three'), firstAt: 1_000, at: 1_002, count: 3 })
  assert.deepEqual(events[1], { ...CONNECTED, firstAt: 1_003, at: 1_003, count: 1 })
  assert.deepEqual(totals, events)
  for (let round = 0; round < 100; round++)
    for (const event of [CONNECTED, LOST]) {
      now++
      log.journal.note('d', event)
    }
  await log.stop()
  const later = await openLocal(t, { directory, writer: false })
  const kept = later.journal.of('d')
  assert.equal(kept?.events.length, EVENTS_MAX)
  assert.deepEqual(
    kept?.totals.map(({ kind, count, firstAt }) => [kind, count, firstAt]),
    [
      ['refused', 3, 1_000],
      ['connected', 101, 1_003],
      ['disconnected', 100, 1_005],
    ],
  )
})

test('names of strangers push out one another, and no device that was let in', async (t) => {
  const directory = scratchDirectory(t)
  const first = await openLocal(t, { directory })
  const named = (name: string, log = first) => log.journal.note(name, refused('bad-token'), { isNamed: true })
  first.journal.note('known', CONNECTED)
  await first.presence.update('seen', () => ({ online: false, since: 1 }))
  for (const name of ['known', 'seen', 's0', 's1']) named(name)
  await first.stop()
  const log = await openLocal(t, { directory })
  for (let number = 2; number < STRANGERS_MAX + 1; number++) named(`s${number}`, log)
  await until(() => log.journal.of(`s${STRANGERS_MAX}`) !== undefined)
  // Was named again, and so is not the oldest.
  named('s1', log)
  await until(() => log.journal.of('s1')?.events[0]?.count === 2)
  for (const name of ['t0', 't1']) named(name, log)
  await until(() => log.journal.of('t1') !== undefined)
  const gone = ['s0', 's2', 's3'].filter((name) => log.journal.of(name) === undefined)
  assert.deepEqual(gone, ['s0', 's2', 's3'])
  assert.deepEqual(
    ['known', 'seen', 's1'].map((name) => log.journal.of(name)?.totals.length),
    [2, 1, 1],
  )
  // A stranger that is let in takes what was known of it along.
  log.journal.note('s1', CONNECTED)
  await until(() => log.journal.of('s1')?.events.length === 2)
  const names = [...log.journal.named()]
  assert.equal(names.length, STRANGERS_MAX - 1)
  assert.equal(new Set(names).size, names.length)
})

test('nobody waits for the journal, and a process that ends without a stop has what was noted before', async (t) => {
  const { spawn } = await import('node:child_process')
  const directory = scratchDirectory(t)
  const program = `
    import { LocalLog } from ${JSON.stringify(new URL('../../../log/local/local-log.ts', import.meta.url).href)}
    import { systemClock } from ${JSON.stringify(new URL('../../../platform/clock.ts', import.meta.url).href)}
    import { silentLogger } from ${JSON.stringify(new URL('../../../platform/logger.ts', import.meta.url).href)}
    import { createMetrics } from ${JSON.stringify(new URL('../../../platform/metrics.ts', import.meta.url).href)}
    const options = { directory: ${JSON.stringify(directory)}, writer: true, maxBytes: 2 ** 30, retentionMs: 3600000 }
    const log = new LocalLog(options, { clock: systemClock, logger: silentLogger(), metrics: createMetrics() })
    await log.start()
    log.journal.note('d', { kind: 'connected', code: 'connected', text: 'so' })
    while (log.journal.of('d') === undefined) await new Promise((resolve) => setTimeout(resolve, 10))
    process.kill(process.pid, 'SIGKILL')`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    stdio: 'inherit',
  })
  await once(child, 'exit')
  const log = await openLocal(t, { directory, writer: false })
  assert.equal(log.journal.of('d')?.events.length, 1)
})
