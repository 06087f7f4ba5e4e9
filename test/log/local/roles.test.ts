import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { LocalRoles } from '../../../log/local/roles.ts'
import { openEnvironment } from '../../../log/tables/environment.ts'
import { thisProcess } from '../../../log/tables/lock.ts'
import { scratchDirectory } from '../../scratch.ts'

test('a role is played by each process that began it, until it ends it or is gone, which is noted once', async (t) => {
  const environment = await openEnvironment(scratchDirectory(t))
  t.after(() => environment.root.close())
  const clock = { time: 1_000, now: () => clock.time }
  const roles = new LocalRoles(environment, clock)
  const other = spawn('sleep', ['60'])
  t.after(() => other.kill('SIGKILL'))
  await once(other, 'spawn')
  const kept = { ...thisProcess(other.pid), role: 'gateway', since: 500 }
  await environment.meta.put(`role gateway ${other.pid}`, JSON.stringify(kept))
  await roles.begin('gateway')
  const names = (pid: number | undefined) => ({ member: `process ${pid}`, process: `process ${pid}` })
  const own = { role: 'gateway', ...names(process.pid), since: 1_000, isRunning: true }
  const others = { role: 'gateway', ...names(other.pid), since: 500, isRunning: true }
  const byTime = () => roles.all().toSorted((one, another) => one.since - another.since)
  assert.deepEqual(byTime(), [others, own])
  assert.deepEqual(await roles.noteGone(), [])

  other.kill('SIGKILL')
  await once(other, 'exit')
  assert.deepEqual(byTime(), [{ ...others, isRunning: false }, own])
  clock.time = 2_000
  const gone = { ...others, isRunning: false, goneAt: 2_000 }
  assert.deepEqual(await roles.noteGone(), [gone])
  clock.time = 3_000
  assert.deepEqual(await roles.noteGone(), [])
  assert.deepEqual(byTime(), [gone, own])
  await roles.begin('ingest')
  assert.equal(roles.all().length, 3)
  await roles.begin('gateway')
  assert.deepEqual(
    roles.all().map(({ role, isRunning }) => [role, isRunning]),
    [
      ['gateway', true],
      ['ingest', true],
    ],
  )
  for (const role of ['gateway', 'ingest'] as const) await roles.end(role)
  assert.deepEqual(roles.all(), [])
})
