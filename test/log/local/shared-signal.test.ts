import assert from 'node:assert/strict'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SharedSignal } from '../../../log/tables/shared-signal.ts'
import { scratchDirectory } from '../../scratch.ts'

function signalAt(t: TestContext, path: string): SharedSignal {
  const signal = new SharedSignal(path)
  // What is watched keeps no process alive.
  const alive = setInterval(() => {}, 1_000)
  t.after(() => {
    clearInterval(alive)
    signal.close()
  })
  return signal
}

test('who listens is woken by another process, without a look of its own', async (t) => {
  const path = join(scratchDirectory(t), 'appended')
  const listening = signalAt(t, path)
  assert(listening.listen())
  const telling = signalAt(t, path)
  for (let times = 0; times < 3; times++) {
    const woken = listening.wait(listening.raised)
    telling.tell()
    await woken
  }
})

test('a file that is removed is not made again: whoever waits looks by itself', async (t) => {
  const path = join(scratchDirectory(t), 'appended')
  const listening = signalAt(t, path)
  assert(listening.listen())
  rmSync(path)
  for (let seen = listening.raised; listening.listen(); seen = listening.raised) await listening.wait(seen)
  assert(!existsSync(path))
  await listening.waitOrLook(listening.raised, 0)
})

test('where no file can be, whoever waits looks, and telling hurts nobody', async (t) => {
  const blocked = join(scratchDirectory(t), 'file')
  writeFileSync(blocked, '')
  const signal = signalAt(t, join(blocked, 'appended'))
  assert.equal(signal.listen(), false)
  signal.tell()
  await signal.waitOrLook(signal.raised, 0)
  const woken = signal.wait(signal.raised)
  signal.tell()
  await woken
})

test('whoever waits is woken when it is closed', async (t) => {
  const signal = signalAt(t, join(scratchDirectory(t), 'appended'))
  assert(signal.listen())
  const woken = signal.wait(signal.raised)
  signal.close()
  await woken
})
