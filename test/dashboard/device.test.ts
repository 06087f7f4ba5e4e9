/** The page of a device in a real browser: what is wrong with it, what happened to it, and how it was. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectAsync } from 'mqtt'
import { openPage, PHONE } from '../browser.ts'
import { RunningPlatform } from '../e2e/platform.ts'

test('the page of a device', async (t) => {
  const platform = await RunningPlatform.start(t)
  const [token, url] = [await platform.appToken(), platform.url]
  const username = 'truck-7'
  const password = await platform.deviceToken(username)
  const port = platform.mqttPort
  const reading = (value: unknown) =>
    JSON.stringify({ ts: Date.now(), temperature: value, humidity: 40, pressure: 1013, battery: 90, rssi: -60 })
  const truck = await connectAsync({ port, clientId: username, username, password, protocolVersion: 4 })
  await truck.publishAsync('devices/truck-7/telemetry/environment', reading('hot'), { qos: 1 })
  await truck.endAsync()
  await platform.settled()

  await t.test('says what is wrong, what mends it, and what shows it', async (t) => {
    const page = await openPage(t, `${url}/#access_token=${token}`, PHONE)
    if (page === undefined) return
    await page.goto(`${url}/#/devices/truck-7`)
    const answer = page.getByRole('region', { name: 'How it is' })
    await answer
      .getByText(/set aside.*temperature is "hot"/)
      .first()
      .waitFor()
    await answer.getByText('Dead-lettering').waitFor()
    await answer.getByText('To mend it:').waitFor()

    const story = page.getByRole('region', { name: 'Its story' })
    const lines = story.getByRole('listitem')
    await lines.filter({ hasText: 'Set aside' }).waitFor()
    const connected = lines.filter({ hasText: /Connected/ })
    await connected.filter({ hasText: 'MQTT 3.1.1 over TCP' }).waitFor()

    await connected.getByRole('link').click()
    await answer.getByText('As it was at').waitFor()
    assert.match(page.url(), /at=2\d{3}-/)
    await answer.getByText(/Dead-lettering/).waitFor({ state: 'hidden' })
    await page.goBack()
    await answer.getByText('Dead-lettering').waitFor()
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 390)
  })

  await t.test('one that nobody knows has links to those with a name near to it', async (t) => {
    const page = await openPage(t, `${url}/#access_token=${token}`, { expects: /404/ })
    if (page === undefined) return
    await page.goto(`${url}/#/devices/truk-7`)
    await page.getByText('no device truk-7 has ever connected').waitFor()
    await page.getByRole('link', { name: 'truck-7' }).click()
    await page
      .getByRole('region', { name: 'How it is' })
      .getByText(/set aside/)
      .first()
      .waitFor()
  })
})
