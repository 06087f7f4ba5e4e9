/** Runs the README: its commands, as written, in a copy of this tree; only the ports are other ones. */

import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { plainEnvironment } from './e2e/platform.ts'
import { freePort, requireProgram } from './servers/server.ts'
import { copyTree, ROOT } from './tree.ts'

const README = readFileSync(join(ROOT, 'README.md'), 'utf8')

/** Run by `.ci/run` itself, or needing a server that is not there. */
const ELSEWHERE = ['npm test', 'npm run check', 'npm run bench']
/** What a terminal makes SIGINT of. */
const CTRL_C = '\x03'
/** The two commands with which everything begins. */
const START = ['npm ci', 'npm start']

const DEPRECATION_IS_AN_ERROR = '--pending-deprecation --throw-deprecation'

/** The shell blocks, in order. */
function blocks(): string[] {
  return [...README.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text]) => text ?? '')
}

test('the commands of the README do what it says', async (t) => {
  if (requireProgram(t, 'mosquitto_pub', 'apt install mosquitto-clients') === undefined) return
  if (requireProgram(t, 'script', 'apt install bsdutils') === undefined) return
  const cwd = copyTree(t)
  const [mqtt, gateway] = [await freePort(), await freePort()]
  const ports = { TELLTALE_MQTT_PORT: String(mqtt), TELLTALE_GATEWAY_PORT: String(gateway) }
  const env = { ...plainEnvironment(), ...ports }
  const onOurPorts = (text: string) => text.replaceAll(':8080', `:${gateway}`).replaceAll('-p 1883', `-p ${mqtt}`)
  const run = async (script: string) =>
    (await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], { cwd, env })).stdout

  assert.deepEqual(blocks()[0]?.trim().split('\n'), START)
  // From npm's own cache where it has them, which is where the dependencies of these tests came from.
  const installed = await install(cwd, { ...env, npm_config_prefer_offline: 'true' })
  assert.match(installed, /^\s*added \d+ packages in \w+\s*$/, 'npm says nothing that a newcomer would wonder about')
  t.diagnostic(`Node ${process.versions.node}, npm ci:${installed.trimEnd()}`)

  const { child, printed } = await npmStart(t, cwd, { ...env, NODE_OPTIONS: DEPRECATION_IS_AN_ERROR })
  assert.match(printed, new RegExp(`http://127.0.0.1:${gateway}/#access_token=`))
  const outputs = new Map<string, string>()
  for (const block of blocks()) {
    const commands = block.split('\n').filter((line) => ![...ELSEWHERE, ...START].includes(line.trim()))
    if (commands.join('').trim() === '' || block.includes('npm start')) continue
    outputs.set(block, await run(onOurPorts(block)))
    t.diagnostic(`Node ${process.versions.node}: ${block.trim().split('\n').join('; ')}`)
  }
  const output = (part: string) => [...outputs].find(([block]) => block.includes(part))?.[1] ?? assert.fail(part)
  const [, sent] = /^sent +([\d,]+) messages/m.exec(output('npm run simulate')) ?? []
  const [, acknowledged] = /^acknowledged +([\d,]+) messages$/m.exec(output('npm run simulate')) ?? []
  assert(sent !== undefined && sent.length >= 3, sent)
  assert.equal(acknowledged, sent)
  assert.match(output('v1/readings'), /"device":"truck-7".*"temperature":21\.3,"humidity":40,"pressure":1013\.2/)
  assert.match(output('v1/readings'), /ts,device,stream,/)
  assert.match(output('telltale ledger'), /accepted\s+stored\s+deadLettered\s+pending\s+balanced/)

  const suggested = printed.split('\n').filter((line) => /^ {2}(\S+='\S+' )*(npm|npx|mosquitto_pub) /.test(line))
  assert.equal(suggested.length, 4, printed)
  for (const line of suggested) await run(line.replace('--duration 60s', '--duration 2s'))
  const page = /http:\S+access_token=\S+/.exec(printed)?.[0] ?? assert.fail('no link')
  assert.equal((await fetch(page)).status, 200)

  const exited = once(child, 'exit')
  child.stdin?.write(CTRL_C)
  const [code] = await exited
  assert.equal(code, 0)
})

/** What `npm ci` prints, on both its outputs. */
async function install(cwd: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)('npm', ['ci'], { cwd, env })
  return stderr + stdout
}

async function npmStart(t: TestContext, cwd: string, env: NodeJS.ProcessEnv) {
  // What `npm start` runs, without npm in between, on a terminal: elsewhere it prints no link.
  const start = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } }).scripts
    .start
  const child: ChildProcess = spawn('script', ['-qefc', start, '/dev/null'], {
    cwd,
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  let printed = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', (chunk) => {
      printed += String(chunk).replaceAll('\r', '')
      if (printed.includes('Ctrl-C')) resolve()
    })
    child.once('exit', (code) => reject(new Error(`npm start ended with ${code}`)))
  })
  return { child, printed }
}

test('the README links to files that are there', () => {
  for (const [, target = ''] of README.matchAll(/\]\(([^)#]+)\)/g)) {
    if (!target.includes('://')) assert(existsSync(join(ROOT, target)), target)
  }
})
