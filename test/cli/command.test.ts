import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { openLocal } from '../log/local/open-local.ts'
import { scratchDirectory } from '../scratch.ts'
import { telltale } from './telltale.ts'

test('a command is sent, listed and taken back beside the process that has the log', async (t) => {
  const directory = scratchDirectory(t)
  const { commands } = await openLocal(t, { directory: join(directory, 'log') })
  const run = (...args: string[]) => telltale(directory, ['command', ...args])
  const sent = await run('truck-7', '{ "lamp": true }', '--expires-in', '10m')
  assert.deepEqual([sent.code, sent.stderr], [0, ''])
  const [command = assert.fail()] = commands.of('truck-7')
  assert.equal(sent.stdout, `${command.id}\n`)
  assert.deepEqual(
    [`${Buffer.from(command.payload)}`, command.expiresAt - command.createdAt < 600_001],
    ['{"lamp":true}', true],
  )
  assert.match(
    (await run('truck-7')).stdout,
    new RegExp(`^${command.id}\\s+waiting\\s+\\S+Z\\s+-\\s+-\\s+{"lamp":true}$`, 'm'),
  )
  const cancelled = JSON.parse((await run('truck-7', '--cancel', command.id, '--json')).stdout)
  assert.deepEqual([cancelled.state, cancelled.payload], ['cancelled', { lamp: true }])

  const wrong: [args: string[], message: RegExp][] = [
    [['truck 7'], /Allowed are 1 to 64/],
    [['truck-7', 'on'], /no JSON; a text is '"on"'/],
    [['truck-7', '1', '--expires-in', '31d'], /from 1s to 30d/],
    [['truck-7', '--cancel', command.id], /cancelled already/],
    [['truck-8', '--cancel', command.id], /has no command/],
    [['truck-7', '1', '--cancel', command.id], /one is meant/],
  ]
  for (const [args, message] of wrong) {
    const { code, stderr } = await run(...args)
    assert.equal(code, 2, stderr)
    assert.match(stderr, message)
  }
})
