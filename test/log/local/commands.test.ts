import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scratchDirectory } from '../../scratch.ts'
import { until } from '../../until.ts'
import { add, testCommands } from '../command-contract.ts'
import { openAgain, openLocal } from './open-local.ts'

testCommands((t) => openAgain(t, scratchDirectory(t)))

test('when all there may be are there, what is over longest goes; if nothing is, one more is refused', async (t) => {
  const { commands } = await openLocal(t, { directory: scratchDirectory(t), commandsMax: 3 })
  const first = await add(commands, 'a', '1')
  for (const device of ['b', 'c']) await add(commands, device)
  await assert.rejects(add(commands, 'd'), { code: 'commands-full' })
  await commands.change('a', [{ id: first.id, state: 'cancelled' }])
  await add(commands, 'd')
  assert.deepEqual(commands.of('a'), [])
  assert.equal(commands.counts().cancelled, 1, 'it is counted for ever')
})

test('a reader of the log adds commands beside the process that appends, which is told', async (t) => {
  const directory = scratchDirectory(t)
  const broker = await openLocal(t, { directory })
  const gateway = await openLocal(t, { directory, writer: false })
  const ending = new AbortController()
  const told: (string | undefined)[] = []
  const following = (async () => {
    for await (const device of broker.commands.follow(ending.signal)) told.push(device)
  })()
  const { id } = await add(gateway.commands, 'a')
  await until(() => told.length === 1)
  await broker.commands.change('a', [{ id, state: 'sent' }])
  assert.equal(gateway.commands.of('a')[0]?.state, 'sent')
  ending.abort()
  await following
})

test('a follower that is far behind is told that it missed some', async (t) => {
  const { commands } = await openLocal(t, { directory: scratchDirectory(t) })
  const ending = new AbortController()
  const following = commands.follow(ending.signal)[Symbol.asyncIterator]()
  const first = following.next()
  await add(commands, 'first')
  assert.equal((await first).value, 'first')
  const many = Array.from({ length: 1_001 }, (_, index) => add(commands, `d${index % 50}`))
  await Promise.all(many)
  assert.equal((await following.next()).value, undefined)
  assert.equal((await following.next()).value, 'd1')
  ending.abort()
  await following.return?.(undefined)
})
