/** Who is let into the page, what it says to who is not, where the token goes, and what stands there while the gateway is away. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { DESKTOP, openPage, PHONE } from '../browser.ts'
import { RunningPlatform } from '../e2e/platform.ts'
import { environment, HOUR_MS, SERVERS, startPlatform } from '../gateway/platform.ts'
import { freePort } from '../servers/server.ts'

const [SERVER = 'node'] = SERVERS
const NOTHING_IS_WIDER = 'document.documentElement.scrollWidth <= innerWidth'

test('without a token the page asks for one, and says what is wrong with one that is bad or has expired', async (t) => {
  const platform = await startPlatform(t, SERVER)
  await platform.publish('truck-7', 'environment', environment(platform.clock.time))
  const old = await platform.identity.signApp(['devices/+/telemetry/#'], HOUR_MS)
  platform.clock.time += 2 * HOUR_MS
  const good = await platform.identity.signApp(['devices/+/telemetry/#'], HOUR_MS)
  for (const look of [DESKTOP, PHONE]) {
    const page = await openPage(t, `${platform.url}/#/devices?find=truck`, { ...look, expects: /401/ })
    if (page === undefined) return
    await page.getByRole('heading', { name: 'A token is needed' }).waitFor()
    await page.getByText("telltale token app --filter 'devices/+/telemetry/#'").waitFor()
    for (const [bad, why] of [
      ['nonsense', 'The token is not valid: it does not have three parts.'],
      [old, 'The token has expired. It was good until '],
    ] as const) {
      await page.getByLabel('Token').fill(bad)
      await page.keyboard.press('Enter')
      await page.getByRole('alert').getByText(why).waitFor()
    }
    await page.getByRole('heading', { name: 'The gateway does not take this token' }).waitFor()
    assert(await page.evaluate(NOTHING_IS_WIDER))
    await page.getByLabel('Token').fill(` ${good}\n`)
    await page.getByRole('button', { name: 'Open' }).click()
    await page.getByRole('link', { name: 'truck-7' }).waitFor()
    assert.match(page.url(), /#\/devices\?find=truck$/, 'the link is kept')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'A token is needed' }).waitFor()
    assert.equal(await page.evaluate('localStorage.length'), 0)
  }
})

test('a token that a link brought is in no address after that, and in no target of a request', async (t) => {
  const platform = await startPlatform(t, SERVER)
  await platform.publish('truck-7', 'environment', environment(platform.clock.time))
  const { token } = platform
  for (const link of ['/#access_token=', '/?access_token=']) {
    const targets: string[] = []
    const page = await openPage(t, `${platform.url}${link}${token}`, {
      before: async (page) => {
        page.on('request', (request) => targets.push(request.url()))
        page.on('websocket', (socket) => targets.push(socket.url()))
      },
    })
    if (page === undefined) return
    await page.getByRole('link', { name: 'truck-7' }).waitFor()
    // The values are live.
    await page.getByText('21.3').waitFor()
    assert(targets.some((target) => target.startsWith('ws:')))
    for (const way of ['Alerts', 'Dead letters', 'Devices']) {
      await page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name: way }).click()
      assert(!page.url().includes(token), page.url())
    }
    await page.reload()
    await page.getByRole('link', { name: 'truck-7' }).waitFor()
    assert.equal(await page.evaluate('history.state'), null)
    // Of a link with it in the query the browser itself asks for the page.
    const withToken = targets.filter((target) => target.includes(token))
    assert.equal(withToken.length, link.startsWith('/?') ? 1 : 0, withToken.join())
  }
})

test('while the gateway is away the page says so, and what it said last stays', async (t) => {
  const port = await freePort()
  const platform = await startPlatform(t, SERVER, { options: { port } })
  await platform.publish('truck-7', 'environment', environment(platform.clock.time))
  const pages: (Page | undefined)[] = []
  // So the SDK learns why a socket was not opened: browsers do not say it.
  const expects = /426 \(Upgrade Required\)/
  for (const look of [DESKTOP, PHONE]) {
    pages.push(await openPage(t, `${platform.url}/#access_token=${platform.token}`, { ...look, expects }))
  }
  for (const page of pages) await page?.getByRole('link', { name: 'truck-7' }).waitFor()
  await platform.gateway.stop()
  for (const page of pages) {
    await page?.getByRole('status').getByText('The gateway does not answer').waitFor()
    assert.equal(await page?.getByRole('link', { name: 'truck-7' }).count(), 1)
    assert(await page?.evaluate(NOTHING_IS_WIDER))
  }
  await platform.restart(port)
  for (const page of pages) await page?.locator('.banner').waitFor({ state: 'hidden' })
})

test('where the gateway lets in anybody, the page asks for no token', async (t) => {
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_AUTH: 'off' } })
  await platform.simulate('--devices', '1', '--messages', '1')
  const page = await openPage(t, platform.url)
  if (page === undefined) return
  await page.getByRole('link', { name: /sim-/ }).waitFor()
  assert.equal(await page.getByRole('button', { name: 'Sign out' }).count(), 0)
})
