/**
 * Owns how the tests run a real server: a child process on free loopback ports in a temp directory of its own, which is
 * gone when `stop()` resolves. Always true: a server that does not become ready within `READY_MS` is killed and its
 * last words are in the error.
 *
 *   const influx = await requireServer(t, startInfluxdb2)   // skips, or fails when CI=true, if it is not installed
 *   if (influx === undefined) return
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

const READY_MS = 300_000
const LAST_WORDS_CHARS = 2_000

export interface TestServer {
  readonly url: string
  /** Kills the process, waits for its end, removes its directory. Idempotent. */
  stop(): Promise<void>
}

/** What is not installed, and where it would be found. */
export class MissingServer extends Error {}

/**
 * Starts a server for the test `t`, which stops it when it ends. When it is not installed the test is skipped and the
 * answer is undefined; with CI=true the test fails instead.
 */
export async function requireServer<S extends TestServer>(
  t: Pick<TestContext, 'skip' | 'after'>,
  start: () => Promise<S>,
): Promise<S | undefined> {
  try {
    const server = await start()
    t.after(() => server.stop())
    return server
  } catch (error) {
    return skipIfMissing(t, error)
  }
}

/** The path of a program that the test `t` runs itself; undefined, and the test skipped or failed, if it is not installed. */
export function requireProgram(t: Pick<TestContext, 'skip'>, name: string, hint: string): string | undefined {
  try {
    return findProgram(name, hint)
  } catch (error) {
    return skipIfMissing(t, error)
  }
}

/** Skips the test, or fails it with CI=true; rethrows what says nothing of a missing server. */
export function skipIfMissing(t: Pick<TestContext, 'skip'>, error: unknown): undefined {
  if (!(error instanceof MissingServer) || process.env.CI === 'true') throw error
  t.skip(error.message)
  return undefined
}

/**
 * The answer of `find`; undefined, and the test skipped, in CI too, if it throws a `MissingServer`: for what comes from no package of
 * Debian's, or is too large to be fetched for one test.
 */
export function findOrSkip<T>(t: Pick<TestContext, 'skip'>, find: () => T): T | undefined {
  try {
    return find()
  } catch (error) {
    if (!(error instanceof MissingServer)) throw error
    t.skip(error.message)
    return undefined
  }
}

/** The path of an installed program; throws `MissingServer` if there is none. Looks in the sbin folders as well. */
export function findProgram(name: string, hint: string): string {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  for (const folder of folders) {
    const path = join(folder, name)
    if (isExecutable(path)) return path
  }
  throw new MissingServer(`needs ${name} (${hint})`)
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const givenPorts = new Set<number>()

/**
 * A loopback port that nobody listens on just now, and that this process was not given before. It is from below the
 * ports that Linux gives to who connects or listens on 0 (`ip_local_port_range`, from 32,768 on): one of those may go to
 * another process while its server is down.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000)
    if (givenPorts.has(port) || !(await canListen(port))) continue
    givenPorts.add(port)
    return port
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false)
      else reject(error)
    })
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

export interface RunOptions {
  readonly program: string
  /** Arguments and environment, once the directory is known. */
  readonly args: (directory: string) => Promise<readonly string[]> | readonly string[]
  readonly env?: (directory: string) => NodeJS.ProcessEnv
  readonly ready: () => Promise<boolean>
  /** Use and keep this directory, instead of a new one: for a server that is stopped and started again. */
  readonly directory?: string
}

/** Runs a program until `ready` says so. */
export async function run(options: RunOptions): Promise<{ readonly pid: number; stop(): Promise<void> }> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'telltale-server-')))
  const child = spawn(options.program, await options.args(directory), {
    cwd: directory,
    env: { ...process.env, ...options.env?.(directory) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let lastWords = ''
  const listen = (chunk: Buffer) => {
    lastWords = (lastWords + chunk.toString()).slice(-LAST_WORDS_CHARS)
  }
  child.stdout.on('data', listen)
  child.stderr.on('data', listen)
  child.on('error', (error) => listen(Buffer.from(error.message)))

  // A test process that ends without its hooks having run leaves no server behind.
  const onExit = () => child.kill('SIGKILL')
  process.once('exit', onExit)
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= end(child).then(async () => {
      process.off('exit', onExit)
      if (options.directory === undefined) await rm(directory, { recursive: true, force: true, maxRetries: 3 })
    })
    return stopped
  }
  const deadline = performance.now() + READY_MS
  while (!(await options.ready().catch(() => false))) {
    if (child.exitCode !== null || child.pid === undefined || performance.now() > deadline) {
      await stop()
      throw new Error(`${options.program} did not become ready: ${lastWords}`)
    }
    await pause(25)
  }
  return { pid: child.pid ?? 0, stop }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

/** True when `url` answers with the status. */
export async function answers(url: string, status = 200): Promise<boolean> {
  const response = await fetch(url)
  await response.arrayBuffer()
  return response.status === status
}
