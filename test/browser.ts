/**
 * Owns a headless Chromium, Debian's own, and its pages as the tests see them.
 *
 * Always true: the browser and its profile are gone after the test; and a page that threw, wrote an error to its console, was refused
 * something by its Content Security Policy, or asked anybody but its own origin, fails the test. That a server is gone is no fault of a page.
 */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { requireProgram } from './servers/server.ts'

/** How a page is looked at: by default on a desktop, in the light. */
export interface Look extends Pick<BrowserContextOptions, 'colorScheme' | 'hasTouch' | 'isMobile' | 'timezoneId'> {
  readonly width?: number
  readonly height?: number
  /** Errors in the console that this test is about; by default none. */
  readonly expects?: RegExp
  /** Origins that the page may ask beside its own. */
  readonly asks?: readonly string[]
  /** Is done before the page is opened. */
  readonly before?: (page: Page) => Promise<void>
}

/** Chromium writes these itself, whatever the page does about it; 426 is the answer to the SDK's question why a WebSocket was refused. */
const SERVER_GONE =
  /net::ERR_(CONNECTION_|EMPTY_RESPONSE|SOCKET_|INCOMPLETE_CHUNKED|NETWORK_CHANGED)|WebSocket connection to .* failed|status of 426/
/** As `until` waits, within the runner's limit: of a machine that does other work, too. */
const STATE_MS = 120_000

/** As a phone that a field engineer has. */
export const PHONE: Look = { width: 390, height: 844, hasTouch: true, isMobile: true }
export const DESKTOP: Look = { width: 1280, height: 800 }

const browsers = new WeakMap<TestContext, Promise<Browser>>()

/** Undefined, and the test skipped or failed, if there is no Chromium. */
export async function openPage(t: TestContext, url: string, look: Look = DESKTOP): Promise<Page | undefined> {
  const executablePath = requireProgram(t, 'chromium', 'apt install chromium')
  if (executablePath === undefined) return undefined
  const browser = await browserOf(t, executablePath)
  const { width = 1280, height = 800, expects, asks = [], before, ...rest } = look
  const context = await browser.newContext({ viewport: { width, height }, reducedMotion: 'reduce', ...rest })
  const page = await context.newPage()
  page.setDefaultTimeout(STATE_MS)
  const origins = [new URL(url).origin, ...asks.map((asked) => new URL(asked).origin)]
  const wrong: string[] = []
  page.on('pageerror', (error) => wrong.push(String(error.stack ?? error)))
  page.on('console', (message) => {
    const text = message.text()
    if (message.type() === 'error' && !SERVER_GONE.test(text) && !expects?.test(text)) wrong.push(text)
  })
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url())
    if (protocol !== 'data:' && protocol !== 'blob:' && !origins.includes(origin)) wrong.push(request.url())
  })
  t.after(() => assert.deepEqual(wrong, [], 'the page had errors'))
  await before?.(page)
  await page.goto(url)
  return page
}

function browserOf(t: TestContext, executablePath: string): Promise<Browser> {
  let browser = browsers.get(t)
  if (browser === undefined) {
    browser = chromium.launch({ executablePath, args: ['--no-sandbox'] })
    browsers.set(t, browser)
    t.after(async () => (await browser)?.close())
  }
  return browser
}
