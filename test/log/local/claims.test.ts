import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { openEnvironment } from '../../../log/tables/environment.ts'
import { acquireClaim, releaseClaim } from '../../../log/tables/lock.ts'
import { scratchDirectory } from '../../scratch.ts'

test('a claim is one process its own until it gives it up, or was killed', async (t) => {
  const environment = await openEnvironment(scratchDirectory(t))
  t.after(() => environment.root.close())
  const other = spawn('sleep', ['60'])
  t.after(() => other.kill('SIGKILL'))
  await once(other, 'spawn')
  const stat = readFileSync(`/proc/${other.pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  const held = JSON.stringify({ pid: other.pid, startedAt: `${boot}/${stat[19]}` })
  await environment.meta.put('claim alerts', held)
  assert.equal(await acquireClaim(environment, 'alerts'), false)
  assert.equal(await acquireClaim(environment, 'others'), true)
  await releaseClaim(environment, 'alerts')
  assert.equal(environment.meta.get('claim alerts'), held, 'nobody gives up what is not his')
  other.kill('SIGKILL')
  await once(other, 'exit')
  for (let asked = 0; asked < 2; asked++) assert.equal(await acquireClaim(environment, 'alerts'), true)
  await releaseClaim(environment, 'alerts')
  assert.equal(environment.meta.get('claim alerts'), undefined)
})
