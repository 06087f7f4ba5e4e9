/** The page of a device in a real browser: what is wrong with it, what happened to it, and how it was. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import axe from 'axe-core'
import { connectAsync } from 'mqtt'
import type { Page } from 'playwright-core'
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

  await t.test('is sent commands by who may, and by nobody else', async (t) => {
    const commander = await platform.telltale(
      'token',
      'app',
      '--filter',
      'devices/+/telemetry/#',
      '--command',
      'devices/truck-+',
    )
    const page = await openPage(t, `${url}/#access_token=${commander.trim()}`)
    if (page === undefined) return
    await page.goto(`${url}/#/devices/truck-7`)
    const commands = page.getByRole('region', { name: 'Commands' })
    const payload = commands.getByLabel('Payload, as JSON')
    await payload.fill('{"lamp": tru}')
    await commands.getByRole('button', { name: 'Send' }).click()
    await commands.getByText('The payload is no JSON').waitFor()
    await payload.fill('{"lamp": true}')
    await commands.getByRole('button', { name: 'Send' }).click()
    const sent = commands.getByRole('listitem').filter({ hasText: '{"lamp":true}' })
    await sent.filter({ hasText: 'Waits for the device' }).waitFor()
    await sent.getByRole('button', { name: 'Take back' }).click()
    await sent.filter({ hasText: 'Taken back' }).waitFor()

    await page.goto(`${url}/#access_token=${token}`)
    await page.goto(`${url}/#/devices/truck-7`)
    await commands.getByText('npx telltale token app --command devices/truck-7').waitFor()
    await commands.getByText('Taken back').waitFor()
    assert.equal(await payload.count(), 0)
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    await t.test(`is for all, in the ${colorScheme}`, async (t) => {
      const page = await openPage(t, `${url}/#access_token=${token}`, { ...PHONE, colorScheme })
      if (page === undefined) return
      await page.goto(`${url}/#/devices/truck-7`)
      await page.getByRole('region', { name: 'Facts' }).getByText('invalid-reading').waitFor()
      await page.getByRole('region', { name: 'Commands' }).waitFor()
      assert.deepEqual(await violations(page), [])
    })
  }
})

/** Of WCAG 2.2 AA, as far as a program sees them. */
async function violations(page: Page): Promise<unknown[]> {
  // The page's policy allows no script but its own: the debugger's way in asks it not.
  await page.evaluate(axe.source)
  const tags = JSON.stringify(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'])
  const found: { id: string; nodes: { html: string }[] }[] = await page.evaluate(
    `axe.run({ runOnly: ${tags} }).then(({ violations }) => violations)`,
  )
  return found.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])
}
