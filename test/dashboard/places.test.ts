/** Where and when: "back" leads to where the list was left, and times are by the clock that was chosen, in sentences too. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPage, PHONE } from '../browser.ts'
import { NOW, SERVERS, startPlatform } from '../gateway/platform.ts'

const [SERVER = 'node'] = SERVERS

test('back leads to where the list was left; times are by the clock that was chosen', async (t) => {
  const platform = await startPlatform(t, SERVER, {
    prepare: async (log) => {
      for (let number = 10; number < 70; number++) {
        await log.presence.update(`truck-${number}`, () => ({ online: false, since: NOW }))
      }
    },
  })
  const look = { ...PHONE, timezoneId: 'Asia/Tokyo' }
  const page = await openPage(t, `${platform.url}/#access_token=${platform.token}`, look)
  if (page === undefined) return
  await page.getByRole('link', { name: /^truck-10/ }).waitFor()
  await page.evaluate('scrollTo(0, 2500)')
  const row = page.getByRole('link', { name: /^truck-45/ })
  await row.click()
  await page.getByRole('heading', { name: 'truck-45' }).waitFor()
  assert.equal(await page.evaluate('scrollY'), 0)
  const times = page.getByLabel('Times are shown in')
  await page.getByText('truck-45 is offline since 2025-11-23 11:13:20').waitFor()
  await times.selectOption('UTC')
  await page.getByText('truck-45 is offline since 2025-11-23 02:13:20Z').waitFor()
  await page.goBack()
  await row.waitFor()
  assert.equal(await page.evaluate('scrollY'), 2500)
  await page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name: 'Alerts' }).click()
  await page.getByText('How to make a rule').waitFor()
  assert.deepEqual(await page.evaluate('[scrollY, document.documentElement.scrollWidth]'), [0, PHONE.width])
})
