import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Lifecycle, type Part, SIGNAL_ECHO_MS } from '../../platform/lifecycle.ts'
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

/** A process that waits for a signal, says which came, and then does what `then` says. */
async function waiting(t: TestContext, then: string) {
  const url = new URL('../../platform/lifecycle.ts', import.meta.url).href
  const script = `
    const { untilSignal } = await import('${url}')
    const signal = untilSignal()
    setInterval(() => {}, 1000)
    console.log('waiting')
    console.log(await signal)
    ${then}`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

test('a second signal ends the process at once', async (t) => {
  const child = await waiting(t, '')
  child.kill('SIGTERM')
  const [name] = await once(child.stdout, 'data')
  assert.equal(String(name).trim(), 'SIGTERM')
  await delay(2 * SIGNAL_ECHO_MS)
  child.kill('SIGINT')
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGINT'])
})

test('the echo of the first signal is not a second one', async (t) => {
  const child = await waiting(t, 'setTimeout(() => process.exit(7), 500)')
  child.kill('SIGINT')
  await once(child.stdout, 'data')
  child.kill('SIGINT')
  assert.deepEqual(await once(child, 'exit'), [7, null])
})
