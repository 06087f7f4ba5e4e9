/** The dashboard's view of the platform in a browser: how it is in one sentence, and books that balance, while a store goes away and comes back. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { connectAsync } from 'mqtt'
import type { Page } from 'playwright-core'
import { openPage, PHONE } from '../browser.ts'
import { RunningPlatform } from '../e2e/platform.ts'
import { type Fault, startFaultServer } from '../ingest/influx/fault-server.ts'

const MESSAGES = 20
const CUT_OFF: Fault = { status: 0 }

async function startDevice(t: TestContext, platform: RunningPlatform): Promise<() => Promise<void>> {
  const password = await platform.deviceToken('d')
  const client = await connectAsync({ port: platform.mqttPort, clientId: 'd', username: 'd', password })
  t.after(() => client.endAsync(true))
  let ts = Date.now() - 60_000
  return async () => {
    for (let sent = 0; sent < MESSAGES; sent++) {
      const body = { ts: ts++, temperature: 21.3, humidity: 40, pressure: 1013, battery: 90, rssi: -61 }
      await client.publishAsync('devices/d/telemetry/environment', JSON.stringify(body), { qos: 1 })
    }
  }
}

/** Waits until the books have these numbers. */
async function untilBooks(page: Page, books: Readonly<Record<string, number>>): Promise<void> {
  for (const [label, number] of Object.entries(books)) {
    const term = page.locator('.books .term').filter({ hasText: label })
    await term.getByText(String(number), { exact: true }).waitFor()
  }
  await page.getByText('Every message that was acknowledged is accounted for').waitFor()
}

test('a store that goes away is told, in the sentence and in the navigation, with what waits; and that it is back', async (t) => {
  const server = await startFaultServer(t)
  let fault: Fault | undefined
  server.decide = () => fault
  const store = { kind: 'influx', url: server.url, token: 't', org: 'o', bucket: 'b', api: 'v2' } as const
  const platform = await RunningPlatform.start(t, { store })
  const send = await startDevice(t, platform)
  await send()
  const page = await openPage(t, `${platform.url}/#access_token=${await platform.appToken()}`, PHONE)
  if (page === undefined) return
  const navigation = page.getByRole('navigation', { name: 'Views' })
  await navigation.getByRole('link', { name: 'Platform', exact: true }).click()
  await page.getByText(/^All is well: /).waitFor()
  await untilBooks(page, { accepted: MESSAGES, stored: MESSAGES, 'dead-lettered': 0, pending: 0 })

  fault = CUT_OFF
  await send()
  const away = `The store is away since .*; ${MESSAGES} messages wait, nothing is lost.`
  await page.getByText(new RegExp(away)).waitFor()
  await untilBooks(page, { accepted: 2 * MESSAGES, stored: MESSAGES, 'dead-lettered': 0, pending: MESSAGES })
  await navigation.getByRole('link', { name: /^Platform ?, not well$/ }).waitFor()
  assert.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true)

  fault = undefined
  await page.getByText(/^All is well: /).waitFor()
  await untilBooks(page, { accepted: 2 * MESSAGES, stored: 2 * MESSAGES, 'dead-lettered': 0, pending: 0 })
  await navigation.getByRole('link', { name: 'Platform', exact: true }).waitFor()
})

test('a gateway that does not answer is not called well', async (t) => {
  const platform = await RunningPlatform.start(t)
  const page = await openPage(t, `${platform.url}/#access_token=${await platform.appToken()}`)
  if (page === undefined) return
  await page.getByRole('link', { name: 'Platform', exact: true }).click()
  await page.getByText(/^All is well: /).waitFor()
  await platform.kill()
  await page.getByText(/^The gateway does not answer; it was last heard at /).waitFor()
  await page.getByText(/^All is well: /).waitFor({ state: 'hidden' })
  await platform.start()
  await page.getByText(/^All is well: /).waitFor()
})
