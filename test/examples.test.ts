/** Runs the examples as their pages say, on an installation whose gateway is killed while they look on. */

import assert from 'node:assert/strict'
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { openPage } from './browser.ts'
import { FILTER, Installation } from './client/installation.ts'
import { ScriptedGateway } from './client/scripted-gateway.ts'
import { pack } from './deploy/package.ts'
import { plainEnvironment } from './e2e/platform.ts'
import { scratchDirectory } from './scratch.ts'
import { findProgram, MissingServer, requireProgram, skipIfMissing } from './servers/server.ts'
import { ROOT } from './tree.ts'
import { until } from './until.ts'

const MESSAGES = 100
const EXAMPLES = join(ROOT, 'examples')

/** An installation that has sent some. */
async function start(t: TestContext): Promise<Installation> {
  const installation = await Installation.start(t)
  await installation.publish(MESSAGES)
  return installation
}

/** The gateway is killed while a device goes on, and comes back. */
async function restart(installation: Installation): Promise<void> {
  await installation.gateway.kill()
  await installation.publish(MESSAGES)
  await installation.gateway.start()
}

async function environmentOf({ gateway }: Installation): Promise<Record<string, string>> {
  return { ...plainEnvironment(), TELLTALE_URL: gateway.url, TELLTALE_TOKEN: await gateway.appToken() }
}

/** An example that runs until the test ends it, with what it has printed. */
class Example {
  readonly #child: ChildProcess
  printed = ''

  constructor(
    t: TestContext,
    program: string,
    args: readonly string[],
    options: { env: Record<string, string>; cwd?: string },
  ) {
    // A group of its own: a shell has children.
    this.#child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    this.#child.stdout?.on('data', (chunk) => {
      this.printed += chunk
    })
    this.#child.stderr?.on('data', (chunk) => t.diagnostic(String(chunk).trim()))
    t.after(() => this.end('SIGKILL'))
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    process.kill(-(this.#child.pid ?? 0), signal)
    await gone
  }

  /** The code that it ends with by itself. */
  async ended(): Promise<number | null> {
    await until(() => this.#child.exitCode !== null || this.#child.signalCode !== null)
    return this.#child.exitCode
  }

  async until(state: () => boolean): Promise<void> {
    const isSo = () => {
      if (state()) return true
      assert(this.#child.exitCode === null, `it ended with ${this.#child.exitCode}: ${this.printed}`)
      return false
    }
    await until(isSo, () => `${state}; what it printed: ${this.printed}`)
  }
}

/** From 0, in order, and each once. */
function assertWhole(numbers: readonly (number | undefined)[], count: number): void {
  assert.deepEqual(numbers, [...Array(count).keys()])
}

test('chart.html: a page that is left open through a restart of the gateway shows a chart without a hole', async (t) => {
  const installation = await start(t)
  // As it lies in a checkout whose SDK is built.
  const directory = scratchDirectory(t)
  mkdirSync(join(directory, 'examples'))
  copyFileSync(join(EXAMPLES, 'chart.html'), join(directory, 'examples/chart.html'))
  execFileSync(process.execPath, [join(ROOT, 'client/build.js'), join(directory, 'client/dist')])
  const { TELLTALE_URL: url = '', TELLTALE_TOKEN: token = '' } = await environmentOf(installation)
  const fragment = new URLSearchParams({ url, access_token: token, filter: FILTER })
  const page = await openPage(t, `${pathToFileURL(join(directory, 'examples/chart.html'))}#${fragment}`, {
    asks: [url],
  })
  if (page === undefined) return
  const points = `[...lines.values()].flatMap(({ points }) => points.map(({ value }) => value))`
  await page.waitForFunction(
    `${points}.length === ${MESSAGES} && document.getElementById('state').textContent === 'live'`,
  )
  await restart(installation)
  await installation.publish(MESSAGES)
  await page.waitForFunction(`${points}.length >= ${3 * MESSAGES}`)
  assertWhole(await page.evaluate<number[]>(points), 3 * MESSAGES)
  assert.deepEqual(await page.evaluate('[lines.size, gaps.length]'), [1, 0])
  // Something is drawn, in the colour of the line.
  const drawn = `(() => {
    const { width, height } = document.querySelector('canvas')
    const { data } = document.querySelector('canvas').getContext('2d').getImageData(0, 0, width, height)
    let pixels = 0
    for (let at = 0; at < data.length; at += 4) if (data[at] === 13 && data[at + 1] === 139 && data[at + 2] === 123) pixels++
    return pixels
  })()`
  await page.waitForFunction(`${drawn} > 200`)
  if (process.env.TELLTALE_SCREENSHOT) await page.screenshot({ path: process.env.TELLTALE_SCREENSHOT })
})

test('keep.js: killed with its gateway, it goes on where its file ends', async (t) => {
  const installation = await start(t)
  const cwd = join(scratchDirectory(t), 'app')
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'package.json'), '{ "type": "module" }')
  copyFileSync(join(EXAMPLES, 'keep.js'), join(cwd, 'keep.js'))
  const env = { ...(await environmentOf(installation)), npm_config_prefer_offline: 'true' }
  await promisify(execFile)('npm', ['install', '--no-audit', pack(join(ROOT, 'client'), join(cwd, '..'))], { cwd, env })
  // On Node 20 there is no WebSocket without it.
  if (!existsSync(join(cwd, 'node_modules/ws')))
    symlinkSync(join(ROOT, 'node_modules/ws'), join(cwd, 'node_modules/ws'))
  const file = join(cwd, 'readings.csv')
  const kept = () => {
    const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
    return text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => Number(line.split(',')[2]))
  }
  const keep = () => new Example(t, process.execPath, ['keep.js', file], { cwd, env })
  writeFileSync(file, 'of another\nprogram')
  assert.equal(await keep().ended(), 1)
  assert.equal(readFileSync(file, 'utf8'), 'of another\nprogram')
  writeFileSync(file, 'truck-7,1,5\ntruck-7,2,') // A first write that was torn: it has no cursor yet.
  const first = keep()
  await first.until(() => kept().length >= MESSAGES)
  await Promise.all([first.end('SIGKILL'), installation.publish(MESSAGES)])
  writeFileSync(file, `${readFileSync(file, 'utf8')}truck-7,1,`, { flag: 'w' }) // Half a line, as a power cut leaves it.
  const second = keep()
  await second.until(() => kept().length >= 2 * MESSAGES)
  await restart(installation)
  await second.until(() => kept().length >= 3 * MESSAGES)
  assertWhole(kept(), 3 * MESSAGES)
})

/** A Python that has the library; throws `MissingServer`. */
function pythonWithWebsockets(): string {
  const programs = [...new Set([findProgram('python3', 'apt install python3'), '/usr/bin/python3'])]
  for (const program of programs) {
    try {
      execFileSync(program, ['-c', 'import websockets'], { stdio: 'ignore' })
      return program
    } catch {
      // Perhaps the other one.
    }
  }
  throw new MissingServer("needs Python's websockets (apt install python3-websockets, or pip install websockets)")
}

test('follow.py: goes on where it was when the gateway comes back', async (t) => {
  let python: string
  try {
    python = pythonWithWebsockets()
  } catch (error) {
    return skipIfMissing(t, error)
  }
  const installation = await start(t)
  const follow = new Example(t, python, [join(EXAMPLES, 'follow.py'), FILTER], {
    env: await environmentOf(installation),
  })
  const numbers = () =>
    [...follow.printed.matchAll(/^truck-7 \d+ \{"temperature": (\d+)/gm)].map(([, text]) => Number(text))
  await follow.until(() => numbers().length >= MESSAGES)
  await restart(installation)
  await installation.publish(MESSAGES)
  await follow.until(() => numbers().length >= 3 * MESSAGES)
  assertWhole(numbers(), 3 * MESSAGES)
})

test('follow.py: comes back from what passes, and ends at what does not', async (t) => {
  let python: string
  try {
    python = pythonWithWebsockets()
  } catch (error) {
    return skipIfMissing(t, error)
  }
  const gateway = await ScriptedGateway.start(t)
  const refusals = [
    { status: 503, code: 'too-busy' },
    'cut',
    { status: 429, code: 'too-many-sockets' },
    undefined,
    { status: 502, code: 'bad-gateway' },
    undefined,
  ] as const
  let asked = 0
  gateway.refuse = () => (asked < refusals.length ? refusals[asked++] : { status: 401, code: 'token-expired' })
  const env = { ...plainEnvironment(), TELLTALE_URL: gateway.url, TELLTALE_TOKEN: 'x' }
  const follow = new Example(t, python, [join(EXAMPLES, 'follow.py'), FILTER], { env })
  const app = await gateway.app()
  await app.subscribe('s1', 'c1')
  app.readings('c2', 2)
  app.send({ type: 'error', code: 'store-unavailable', message: 'not now', retry: true })
  const again = await gateway.app()
  assert.deepEqual((await again.subscribe()).start, { after: 'c2' })
  again.socket.terminate()
  assert.equal(await follow.ended(), 1)
  assert.equal(asked, refusals.length)
  assert.match(follow.printed, /^truck-7 \d+ \{"temperature": 2\}\n$/)
})

test('follow.sh: comes back from what passes, and ends when its token has expired', async (t) => {
  if (requireProgram(t, 'curl', 'apt install curl') === undefined) return
  const gateway = await ScriptedGateway.start(t)
  let asked = 0
  const refusals = [{ status: 503, code: 'too-busy' }, 'cut', { status: 429, code: 'too-many-sockets' }] as const
  gateway.refuse = () => refusals[asked++] ?? { status: 401, code: 'token-expired' }
  const env = { ...plainEnvironment(), TELLTALE_URL: gateway.url, TELLTALE_TOKEN: 'x' }
  const follow = new Example(t, 'bash', [join(EXAMPLES, 'follow.sh'), FILTER], { env })
  assert.equal(await follow.ended(), 1)
  assert.equal(asked, refusals.length + 1)
})

test('follow.sh: goes on where it was when the gateway comes back', async (t) => {
  if (requireProgram(t, 'curl', 'apt install curl') === undefined) return
  const installation = await start(t)
  const env = await environmentOf(installation)
  const follow = new Example(t, 'bash', [join(EXAMPLES, 'follow.sh'), FILTER], { env })
  const numbers = () => {
    const lines = follow.printed.split('\n').slice(0, -1)
    const frames = lines.map((line) => JSON.parse(line) as { readings?: { values: { temperature: number } }[] })
    return frames.flatMap(({ readings = [] }) => readings.map(({ values }) => values.temperature))
  }
  await follow.until(() => numbers().length >= MESSAGES)
  await restart(installation)
  await installation.publish(MESSAGES)
  await follow.until(() => numbers().length >= 3 * MESSAGES)
  assertWhole(numbers(), 3 * MESSAGES)
})

test('what the page says of the examples is there', () => {
  const page = readFileSync(join(EXAMPLES, 'README.md'), 'utf8')
  for (const [, file = ''] of page.matchAll(/\]\((?!https?:)([^)]+)\)/g)) assert(existsSync(join(EXAMPLES, file)), file)
})
