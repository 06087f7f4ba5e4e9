/** The list of devices in a real browser, over a real platform in which one device of each trouble was planted. */

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Page } from 'playwright-core'
import { openPage } from '../browser.ts'
import { RunningPlatform } from '../e2e/platform.ts'
import { MESSAGES_PER_SECOND, PLANTED, Site } from '../e2e/why/planted.ts'
import { scratchDirectory } from '../scratch.ts'
import { until } from '../until.ts'

/** As the list has them: what is worst comes first. By the name of what is planted (`planted.ts`). */
const ROWS = [
  ['truck-client', 'a client id that is not the device id', 'Refused', /^Is not let in: .*client id/],
  // The name that it gave itself is seen, too.
  ['truck-client.modem', undefined, 'Refused', /^Is not let in: .*client id/],
  ['truck-token', 'a token that is none', 'Refused', /^Is not let in: .*token/],
  ['truck-twice', 'two devices with one id', 'Two devices', /^Connects again and again.*two devices have this id/],
  ['truck-letters', 'JSON that is none', 'Dead-lettering', /^Sends, and what it sends is set aside, the newest/],
  ['truck-silent', 'silent while it is connected', 'Silent', /^Is connected and silent since/],
  ['truck-clock', 'a clock that is half an hour ahead', 'Wrong clock', /^The clock of truck-clock is 30 min ahead/],
  ['truck-fast', 'more than it may send', 'Slowed', /^Sends more than it may/],
  ['truck-lost', 'its network lost', 'Offline', /^Is offline since/],
  ['truck-9', 'all well', 'Online', /^temperature \d+ °C.*battery/],
  ['truck-10', 'all well', 'Online', /^temperature \d+ °C.*battery/],
] as const
const NAMES = ROWS.map(([device]) => device)
const PROBLEMS = ROWS.filter(([, , label]) => label !== 'Online').length

const DECLARED = `
- { device: truck-9, site: yard, labels: { fleet: north } }
- { device: truck-twice, site: yard, labels: { fleet: south } }
- { device: truck-letters, site: depot, labels: { fleet: north } }
`

async function startFleet(t: TestContext): Promise<RunningPlatform> {
  const config = scratchDirectory(t)
  mkdirSync(join(config, 'devices'))
  writeFileSync(join(config, 'devices/fleet.yaml'), DECLARED)
  const environment = {
    TELLTALE_CONFIG_DIR: config,
    TELLTALE_DEVICE_MESSAGES_PER_SECOND: String(MESSAGES_PER_SECOND),
  }
  const platform = await RunningPlatform.start(t, { environment })
  const site = await Site.of(platform)
  t.after(() => site.stop())
  await Promise.all(
    ROWS.map(async ([device, name]) => {
      if (name === undefined) return
      const planted = PLANTED.find((each) => each.name === name) ?? assert.fail(name)
      await planted.plant(site, device)
      await site.answers(device, planted)
    }),
  )
  return platform
}

const names = (page: Page) => page.locator('.device-row b').allTextContents()
async function shows(page: Page, wanted: readonly string[]): Promise<void> {
  let shown: readonly string[] = []
  await until(
    async () => {
      shown = await names(page)
      return String(shown) === String(wanted)
    },
    () => `the list has ${wanted}, and not ${shown}`,
  )
}
const chip = (page: Page, label: string) => page.getByLabel('By state').getByRole('link', { name: label })
const choice = (page: Page, name: string) => page.getByRole('combobox', { name })
const queryOf = (page: Page) => Object.fromEntries(new URLSearchParams(page.url().split('?')[1]))

test('the list of devices, with one of each trouble', async (t) => {
  const platform = await startFleet(t)
  const page = await openPage(t, `${platform.url}/#access_token=${await platform.appToken()}`)
  if (page === undefined) return
  const home = `${platform.url}/#/devices`

  await t.test('problems come first, the worst before all, each in its words', async () => {
    await shows(page, NAMES)
    for (const [device, , label, words] of ROWS) {
      const row = page.locator('.device-row').filter({ has: page.getByText(device, { exact: true }) })
      assert.equal(await row.locator('.state').textContent(), label)
      await row.locator('.sentence, .values').filter({ hasText: words }).waitFor()
    }
    assert.equal(await page.locator('.device-row .good').count(), ROWS.length - PROBLEMS)
  })

  await t.test('a chip counts its devices, and shows them alone; "back" shows the others again', async () => {
    assert.equal(await chip(page, 'All').textContent(), `All ${ROWS.length}`)
    assert.equal(await chip(page, 'Problems').textContent(), `Problems ${PROBLEMS}`)
    await chip(page, 'Problems').click()
    await shows(page, NAMES.slice(0, PROBLEMS))
    await chip(page, 'Refused 3').click()
    await shows(page, ['truck-client', 'truck-client.modem', 'truck-token'])
    assert.equal(await chip(page, 'Refused').getAttribute('aria-current'), 'true')
    await page.goBack()
    await shows(page, NAMES.slice(0, PROBLEMS))
    await page.goBack()
    await shows(page, NAMES)
    await page.goForward()
    await shows(page, NAMES.slice(0, PROBLEMS))
  })

  await t.test('it is searched by name, site and label, ordered, and filtered by site, label and stream', async () => {
    await page.goto(home)
    const find = page.getByRole('searchbox')
    await find.fill('TRUCK-1')
    await shows(page, ['truck-10'])
    await find.fill('depot')
    await shows(page, ['truck-letters'])
    await find.fill('fleet:north')
    await shows(page, ['truck-letters', 'truck-9'])
    assert.equal(await chip(page, 'All').textContent(), 'All 2')
    await find.fill('no such truck')
    await page.getByText('No device fits.').waitFor()
    await page.getByRole('link', { name: 'Show all' }).click()
    await shows(page, NAMES)
    await choice(page, 'Order').selectOption('By name')
    await shows(page, ['truck-9', 'truck-10', ...NAMES.slice(0, -2).sort()])
    await choice(page, 'Site').selectOption('yard')
    await shows(page, ['truck-9', 'truck-twice'])
    await choice(page, 'Label').selectOption('fleet:north')
    await shows(page, ['truck-9'])
    await choice(page, 'Site').selectOption('')
    await shows(page, ['truck-9', 'truck-letters'])
    assert.deepEqual(await choice(page, 'Stream').locator('option').allTextContents(), ['All streams', 'environment'])
    assert.deepEqual(queryOf(page), { sort: 'name', label: 'fleet:north' })
  })

  await t.test(
    'what is chosen stands in the address: a reload shows the same, and so does "back" from a device',
    async () => {
      await page.goto(`${home}?find=truck&label=fleet%3Anorth&state=online`)
      await shows(page, ['truck-9'])
      await page.reload()
      await shows(page, ['truck-9'])
      assert.equal(await page.getByRole('searchbox').inputValue(), 'truck')
      assert.equal(await choice(page, 'Label').inputValue(), 'fleet:north')
      assert.equal(await chip(page, 'Online').getAttribute('aria-current'), 'true')
      await page.locator('.device-row').click()
      await page.waitForURL(/#\/devices\/truck-9$/)
      await page.goBack()
      await shows(page, ['truck-9'])
      assert.deepEqual(queryOf(page), { find: 'truck', label: 'fleet:north', state: 'online' })
    },
  )

  await t.test('arrows go from row to row, and Enter opens', async () => {
    await page.goto(home)
    await shows(page, NAMES)
    const focused = () => page.locator(':focus b').textContent()
    await page.locator('.device-row a').first().focus()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowDown')
    assert.equal(await focused(), NAMES[2])
    await page.keyboard.press('ArrowUp')
    assert.equal(await focused(), NAMES[1])
    await page.keyboard.press('Enter')
    await page.waitForURL(/#\/devices\/truck-client\.modem$/)
  })
})
