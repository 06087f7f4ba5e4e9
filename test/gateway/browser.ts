/** Owns a headless Chromium that shows a page until the test ends. Its profile is gone with it. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { scratchDirectory } from '../scratch.ts'
import { requireProgram } from '../servers/server.ts'

/** Shows the page to run `whileShown`, and ends the browser. The test is skipped, or failed, if there is none. */
export async function showPage(t: TestContext, url: string, whileShown: () => Promise<void>): Promise<void> {
  const chromium = requireProgram(t, 'chromium', 'apt install chromium')
  if (chromium === undefined) return
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', `--user-data-dir=${scratchDirectory(t)}`]
  const browser = spawn(chromium, [...flags, '--remote-debugging-port=0', url], { stdio: 'ignore', detached: true })
  const gone = once(browser, 'exit')
  try {
    await whileShown()
  } finally {
    process.kill(-(browser.pid ?? 0), 'SIGKILL')
    await gone
  }
}
