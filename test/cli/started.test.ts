/** What `up` says when it is ready: to a person on a terminal, and to whatever collects a service's output. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageVersion } from '../../platform/package.ts'
import { plainEnvironment, RunningPlatform } from '../e2e/platform.ts'
import { scratchDirectory } from '../scratch.ts'
import { freePort, requireProgram } from '../servers/server.ts'
import { ROOT } from '../tree.ts'

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
  if (requireProgram(t, 'script', 'apt install bsdutils') === undefined) return
  const [mqtt, gateway] = [await freePort(), await freePort()]
  const env = {
    ...plainEnvironment(),
    TELLTALE_DATA_DIR: scratchDirectory(t),
    TELLTALE_MQTT_PORT: String(mqtt),
    TELLTALE_GATEWAY_PORT: String(gateway),
  }
  const command = `${process.execPath} ${join(ROOT, 'cli/telltale.js')} up`
  const child = spawn('script', ['-qefc', command, '/dev/null'], { env })
  t.after(() => child.kill('SIGKILL'))
  let printed = ''
  child.stdout.on('data', (chunk) => {
    printed += chunk
  })
  while (!printed.includes('Ctrl-C')) await once(child.stdout, 'data')
  assert.match(printed, new RegExp(`^ {2}http://127.0.0.1:${gateway}/#access_token=eyJ\\S+\\r$`, 'm'))
  assert.doesNotMatch(printed, /[?&]access_token=/)
  const exited = once(child, 'exit')
  child.stdin.write('\x03')
  assert.deepEqual(await exited, [0, null])
})
