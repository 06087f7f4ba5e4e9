import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { Lifecycle, type Part } from '../../platform/lifecycle.ts'
import { silentLogger } from '../../platform/logger.ts'

function part(name: string, events: string[], failing = false): Part {
  return {
    name,
    start: async () => {
      events.push(`start ${name}`)
      if (failing) throw new Error(`${name} cannot start`)
    },
    stop: async () => {
      events.push(`stop ${name}`)
    },
  }
}

test('parts stop in the reverse order, once', async () => {
  const events: string[] = []
  const lifecycle = new Lifecycle(silentLogger())
  for (const name of ['a', 'b', 'c']) await lifecycle.start(part(name, events))
  await Promise.all([lifecycle.stop(), lifecycle.stop()])
  assert.deepEqual(events, ['start a', 'start b', 'start c', 'stop c', 'stop b', 'stop a'])
})

test('a part that cannot start is stopped, and those before it', async () => {
  const events: string[] = []
  const lifecycle = new Lifecycle(silentLogger())
  await lifecycle.start(part('a', events))
  await assert.rejects(lifecycle.start(part('b', events, true)), /b cannot start/)
  assert.deepEqual(events, ['start a', 'start b', 'stop b', 'stop a'])
})

test('a second signal ends the process at once', async () => {
  const url = new URL('../../platform/lifecycle.ts', import.meta.url).href
  const script = `
    const { untilSignal } = await import('${url}')
    const signal = untilSignal()
    setInterval(() => {}, 1000)
    console.log('waiting')
    console.log(await signal)`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  const [name] = await once(child.stdout, 'data')
  assert.equal(String(name).trim(), 'SIGTERM')
  child.kill('SIGINT')
  const [code] = await once(child, 'exit')
  assert.equal(code, 130)
})
