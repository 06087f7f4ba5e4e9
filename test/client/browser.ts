/**
 * Owns a headless Chromium with one page, and what a test asks of it (Chrome DevTools Protocol). Always true: the browser and its
 * profile are gone after the test.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { requireProgram } from '../servers/server.ts'
import { until } from '../until.ts'

interface Answer {
  readonly id: number
  readonly result?: {
    readonly result: { readonly value?: unknown }
    readonly data?: string
    readonly exceptionDetails?: object
  }
}

export class Browser {
  readonly #socket: WebSocket
  #asked = 0

  private constructor(socket: WebSocket) {
    this.#socket = socket
  }

  /** Undefined, and the test skipped or failed, if there is no Chromium. */
  static async open(t: TestContext, url: string): Promise<Browser | undefined> {
    const chromium = requireProgram(t, 'chromium', 'apt install chromium')
    if (chromium === undefined) return undefined
    const profile = mkdtempSync(join(tmpdir(), 'telltale-test-'))
    const flags = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      `--user-data-dir=${profile}`,
      '--window-size=1000,700',
    ]
    const child = spawn(chromium, [...flags, '--remote-debugging-port=0', url], { stdio: 'ignore', detached: true })
    t.after(async () => {
      const gone = once(child, 'exit')
      process.kill(-(child.pid ?? 0), 'SIGKILL')
      await gone
      // Its other processes are killed too, but not waited for.
      rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    })
    const portFile = join(profile, 'DevToolsActivePort')
    await until(() => existsSync(portFile) && readFileSync(portFile, 'utf8') !== '')
    const [port] = readFileSync(portFile, 'utf8').split('\n')
    let debuggerUrl = ''
    await until(async () => {
      const response = await fetch(`http://127.0.0.1:${port}/json`)
      const pages = (await response.json()) as { type: string; webSocketDebuggerUrl: string }[]
      debuggerUrl = pages.find(({ type }) => type === 'page')?.webSocketDebuggerUrl ?? ''
      return debuggerUrl !== ''
    })
    const socket = new WebSocket(debuggerUrl)
    await once(socket, 'open')
    t.after(() => socket.terminate())
    return new Browser(socket)
  }

  /** What an expression comes to in the page, as JSON has it; undefined while it throws, as before the page is there. */
  async evaluate<T>(expression: string): Promise<T | undefined> {
    const { result } = await this.#ask('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true })
    return result?.exceptionDetails === undefined ? (result?.result.value as T | undefined) : undefined
  }

  /** Resolves when the expression is true, with what `value` is then. */
  async until(expression: string): Promise<void> {
    await until(
      async () => Boolean(await this.evaluate<boolean>(expression)),
      () => expression,
    )
  }

  async screenshot(): Promise<Buffer> {
    const { result } = await this.#ask('Page.captureScreenshot', { format: 'png' })
    return Buffer.from(result?.data ?? '', 'base64')
  }

  async #ask(method: string, params: object): Promise<Answer> {
    const id = ++this.#asked
    this.#socket.send(JSON.stringify({ id, method, params }))
    for (;;) {
      const [data] = await once(this.#socket, 'message')
      const answer = JSON.parse(String(data)) as Answer
      if (answer.id === id) return answer
    }
  }
}
