import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { test } from 'node:test'
import { scratchDirectory } from '../scratch.ts'
import { RunningPlatform } from './platform.ts'

test('a copy of the data directory, put back, is the platform of then: tokens, ledger, readings; and it goes on', async (t) => {
  const platform = await RunningPlatform.start(t)
  const args = ['--devices', '3', '--rate', '0', '--stream', 'environment']
  await platform.simulate(...args, '--messages', '30')
  const then = await platform.settled()
  assert.equal(await platform.stop(), 0)
  const copy = `${scratchDirectory(t)}/copy`
  cpSync(platform.directory, copy, { recursive: true, preserveTimestamps: true })

  await platform.start()
  await platform.simulate(...args, '--messages', '60')
  assert.equal((await platform.settled()).accepted, 90)
  await platform.kill()
  rmSync(platform.directory, { recursive: true })
  cpSync(copy, platform.directory, { recursive: true, preserveTimestamps: true })

  await platform.start()
  // Asked with the token of then.
  assert.deepEqual(await platform.ledger(), then)
  assert.equal(await platform.countStored('environment', 'temperature'), 30)
  await platform.simulate(...args, '--messages', '15')
  const after = await platform.settled()
  assert.deepEqual([after.accepted, after.stored, after.balanced], [45, 45, true])
})
