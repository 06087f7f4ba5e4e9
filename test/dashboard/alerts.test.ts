/** What a person sees of the alerts: how many are firing, on every view; which, of whom and since when; who was not told; and how a rule is made. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPage, PHONE } from '../browser.ts'
import { Receiver } from '../gateway/alerts/receiver.ts'
import { environment, SERVERS, startPlatform } from '../gateway/platform.ts'
import { until } from '../until.ts'

const [SERVER = 'node'] = SERVERS

test('what is firing is counted on every view, listed with its device and rule, and over when it is', async (t) => {
  const platform = await startPlatform(t, SERVER)
  const receiver = await Receiver.start(t)
  receiver.answers = (response) => response.writeHead(503).end()
  const page = await openPage(t, `${platform.url}/#access_token=${platform.token}`)
  if (page === undefined) return
  const ways = page.getByRole('navigation', { name: 'Views' })
  await ways.getByRole('link', { name: 'Alerts' }).click()
  await page.getByText('Nothing is firing').waitFor()
  await page.getByText('config/rules/', { exact: true }).waitFor()

  const rule = (name: string, device: string, value: number) =>
    `- name: ${name}\n  above: { devices: ${device}, field: environment.temperature, value: ${value} }\n  to: [ ${receiver.url}/x ]\n`
  const text = rule('too-hot', 'devices/truck-+', 60) + rule('warm', 'devices/+', 50)
  platform.rules.use([{ file: 'yard.yaml', text }])
  const send = async (device: string, temperature: number) => {
    platform.clock.time += 1_000
    await platform.publish(device, 'environment', environment(platform.clock.time, temperature))
  }
  await send('truck-7', 61)
  await send('car-1', 55)
  await until(() => receiver.told.length > 0)

  // By itself.
  const rows = page.getByRole('listitem').filter({ has: page.getByRole('link', { name: /^Alerts of the rule/ }) })
  await page.getByText('truck-7: environment.temperature is 61 Cel, above 60').waitFor()
  assert.equal(await rows.count(), 3)
  await page.getByText('1 target takes nothing').click()
  await page.getByText(`webhook ${receiver.url}`).waitFor()
  await ways.getByRole('link', { name: 'Devices' }).click()
  await ways.getByRole('link', { name: 'Alerts , 3 firing' }).click()

  await page.getByRole('link', { name: 'too-hot 1' }).click()
  assert.match(page.url(), /#\/alerts\?rule=too-hot$/)
  assert.equal(await rows.count(), 1)
  assert.equal(await rows.getByRole('link', { name: 'truck-7' }).getAttribute('href'), '#/devices/truck-7')
  await rows.getByRole('link', { name: 'truck-7' }).click()
  await page.getByText('truck-7: environment.temperature is 61 Cel, above 60').waitFor()
  assert.equal(await page.getByRole('link', { name: '2 alerts' }).getAttribute('href'), '#/alerts?device=truck-7')
  await page.goBack()
  await page.goBack()
  await page.getByRole('searchbox').fill('car')
  await rows.filter({ hasText: 'car-1' }).waitFor()
  assert.equal(await rows.count(), 1)
  await page.reload()
  await rows.filter({ hasText: 'car-1' }).waitFor()
  assert.equal(await rows.count(), 1, 'the address says which')

  await send('car-1', 20)
  await page.getByText('car-1: environment.temperature is 20 Cel, no longer above 50').waitFor()
  await ways.getByRole('link', { name: 'Alerts , 2 firing' }).waitFor()
})

test('alerts of one device are seen on a phone by a link to them, and nothing is wider than it', async (t) => {
  const platform = await startPlatform(t, SERVER)
  const text =
    'name: hot\nabove: { devices: devices/+, field: environment.temperature, value: 1 }\nto: [ http://127.0.0.1:9/x ]'
  platform.rules.use([{ file: 'hot.yaml', text }])
  for (const device of ['truck-1', `truck-1${'0'.repeat(50)}`]) {
    await platform.publish(device, 'environment', environment(platform.clock.time, 20))
  }
  const page = await openPage(t, `${platform.url}/#access_token=${platform.token}`, { ...PHONE, width: 360 })
  await page?.getByRole('link', { name: 'Alerts , 2 firing' }).waitFor()
  await page?.goto(`${platform.url}/#/alerts?device=truck-1`)
  await page?.getByText('truck-1: environment.temperature is 20 Cel').waitFor()
  assert.equal(await page?.getByRole('link', { name: /^Alerts of the rule/ }).count(), 1)
  await page?.getByRole('link', { name: 'show all devices' }).click()
  await page?.getByText(`truck-1${'0'.repeat(50)}: environment`).waitFor()
  assert.equal(await page?.evaluate('document.documentElement.scrollWidth'), 360)
})
