/** What `up` says when it is ready: to a person on a terminal, and to whatever collects a service's output. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { packageVersion } from '../../platform/package.ts'
import { plainEnvironment, RunningPlatform } from '../e2e/platform.ts'
import { scratchDirectory } from '../scratch.ts'
import { freePort, requireProgram } from '../servers/server.ts'
import { ROOT } from '../tree.ts'
import { until } from '../until.ts'

/** How every JWT begins: `{"` in base64url. */
const TOKEN = /eyJ/

test('in a pipe or a file there is one line of JSON, and no token', async (t) => {
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_LOG_LEVEL: 'debug' } })
  assert.equal(await platform.stop(), 0)
  assert.doesNotMatch(platform.output, TOKEN)
  const [started = '', ...more] = platform.output
    .split('\n')
    .filter((line) => line.includes('"msg":"started","version"'))
  assert.deepEqual(more, [])
  const { msg, version, listeners, store, time } = JSON.parse(started)
  assert.deepEqual([msg, version], ['started', packageVersion()])
  assert.deepEqual(listeners, [`mqtt://127.0.0.1:${platform.mqttPort}`, `http://127.0.0.1:${platform.gatewayPort}`])
  assert.match(store, /embedded/)
  assert(Number.isFinite(Date.parse(time)))
})

test('on a terminal there is a link to the dashboard, whose token no server is sent', async (t) => {
  const run = await onTerminal(t)
  if (run === undefined) return
  const { terminal, printed, gateway } = run
  assert.match(printed, new RegExp(`^ {2}http://127.0.0.1:${gateway}/#access_token=eyJ\\S+\\r$`, 'm'))
  assert.doesNotMatch(printed, /[?&]access_token=/)
  const exited = once(terminal, 'exit')
  terminal.stdin.write('\x03')
  assert.deepEqual(await exited, [0, null])
})

test('a platform whose terminal is closed stops: nobody is left to press Ctrl-C', async (t) => {
  const run = await onTerminal(t)
  if (run === undefined) return
  run.terminal.kill('SIGKILL')
  // Not `fetch`: Node 20's may never settle when the server goes.
  const answers = async () => {
    const socket = connect(run.gateway, '127.0.0.1')
    const hasConnected = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    return hasConnected
  }
  await until(async () => !(await answers()))
})

/** `telltale up` on a terminal, and what it has printed once it is ready; undefined where no terminal can be had. */
async function onTerminal(t: TestContext) {
  if (requireProgram(t, 'script', 'apt install bsdutils') === undefined) return
  const [mqtt, gateway] = [await freePort(), await freePort()]
  const env = {
    ...plainEnvironment(),
    TELLTALE_DATA_DIR: scratchDirectory(t),
    TELLTALE_MQTT_PORT: String(mqtt),
    TELLTALE_GATEWAY_PORT: String(gateway),
  }
  const command = `exec ${process.execPath} ${join(ROOT, 'cli/telltale.js')} up`
  const terminal = spawn('script', ['-qefc', command, '/dev/null'], { env })
  t.after(() => terminal.kill('SIGKILL'))
  let printed = ''
  terminal.stdout.on('data', (chunk) => {
    printed += chunk
  })
  await until(
    () => printed.includes('Ctrl-C'),
    () => `it is ready; what it printed: ${printed}`,
  )
  return { terminal, printed, gateway }
}
