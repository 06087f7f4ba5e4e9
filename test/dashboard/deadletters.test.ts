/** What a person does with dead letters in the page: finds who and why, sees the bytes and where they break, and replays or purges them, if the token may. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Page } from 'playwright-core'
import { openPage, PHONE } from '../browser.ts'
import { duckdb } from '../gateway/live/aged.ts'
import { environment, HOUR_MS, SERVERS, startPlatform, type TestPlatform } from '../gateway/platform.ts'
import { until } from '../until.ts'

const [SERVER = 'node'] = SERVERS
const HOT = { ts: 1_763_864_000_000, temperature: 'hot' }

/** A platform on which so many messages were set aside. */
async function begin(t: TestContext, messages: readonly [device: string, payload: Buffer | object][]) {
  const platform = await startPlatform(t, SERVER, { store: duckdb })
  for (const [device, payload] of messages) await platform.publish(device, 'environment', payload)
  await held(platform, messages.length)
  const mayRemove = await platform.identity.signApp(['devices/+/telemetry/#'], HOUR_MS, { deadLetters: true })
  return { platform, mayRemove }
}

const held = (platform: TestPlatform, count: number) =>
  until(async () => (await platform.log.deadLetterCounts()).held === count)

/** With a token that is taken out of the address, then the view. */
async function view(page: Page, platform: TestPlatform, hash: string): Promise<void> {
  await page.getByRole('navigation', { name: 'Views' }).waitFor()
  await page.goto(`${platform.url}/#/deadletters${hash}`)
}

const lettersOf = (page: Page) => page.getByRole('region', { name: 'Letters' }).getByRole('listitem')

test('an engineer finds the messages of a device with a hot payload, sees the bytes and why, and purges them', async (t) => {
  const { platform, mayRemove } = await begin(t, [
    ['truck-7', HOT],
    ['truck-7', HOT],
    ['truck-8', Buffer.from('{"ts":')],
  ])
  const page = await openPage(t, `${platform.url}/#access_token=${mayRemove}`)
  if (page === undefined) return
  await page.getByRole('link', { name: 'Dead letters' }).click()
  const rows = page.getByRole('table').getByRole('row')
  await rows.filter({ hasText: 'truck-7' }).filter({ hasText: 'invalid-reading' }).filter({ hasText: '2' }).waitFor()
  assert.match(await rows.nth(1).textContent().then(String), /truck-7/, 'the most first')
  const heading = page.getByRole('columnheader', { name: 'Device' })
  await heading.getByRole('link').click()
  await heading.and(page.locator('[aria-sort=ascending]')).waitFor()
  await heading.getByRole('link').click()
  await rows.nth(1).filter({ hasText: 'truck-8' }).waitFor()

  await page.getByRole('table').getByRole('link', { name: 'truck-7' }).click()
  assert.match(page.url(), /device=truck-7&code=invalid-reading/)
  await page.getByText('2 messages').waitFor()
  const letters = lettersOf(page)
  assert.equal(await letters.count(), 2)
  await letters.first().getByRole('link').click()
  const opened = page.getByRole('article', { name: /Dead letter/ })
  await opened.getByRole('heading', { name: 'temperature is "hot"' }).waitFor()
  await opened.getByText('let it send what the schema says').waitFor()
  const hex = String(await opened.getByRole('region', { name: 'The bytes' }).textContent())
  assert.match(hex, /^0000 {2}7b 22 74 73 22 3a 31 37 36 33 38 36 34 30 30 30 {2}\{"ts":1763864000\n0010/)
  await opened.getByText('it is set aside again, for the same reason').waitFor()

  await opened.getByRole('button', { name: 'Purge' }).click()
  const question = page.getByRole('dialog', { name: 'Purge 1 dead letter?' })
  await question.getByText('truck-7; invalid-reading').waitFor()
  await question.waitFor()
  await page.keyboard.press('Escape')
  await question.waitFor({ state: 'hidden' })
  await opened.getByRole('button', { name: 'Purge' }).click()
  await question.getByRole('button', { name: 'Purge 1' }).click()
  await page.getByRole('status').getByText('1 dead letter purged.').waitFor()
  await page.getByText('1 message', { exact: true }).waitFor()
  assert.equal(await letters.count(), 1)
  assert.doesNotMatch(page.url(), /id=/)

  await page.getByRole('button', { name: 'Purge it' }).click()
  await page.getByRole('button', { name: 'Purge 1' }).click()
  await page.getByText('None fits.').waitFor()
  await page.getByRole('link', { name: 'Device truck-7' }).click()
  await page.getByRole('link', { name: 'All 1' }).click()
  await page.getByText('the JSON is malformed').waitFor()
  assert.deepEqual((await platform.log.deadLetterCounts()).purged, 2)
})

test('those that are chosen are replayed, then all that are listed, and what cannot be stored comes back', async (t) => {
  const { platform, mayRemove } = await begin(t, [
    ['truck-7', HOT],
    ['truck-7', HOT],
    ['truck-7', HOT],
  ])
  const page = await openPage(t, `${platform.url}/#access_token=${mayRemove}`)
  if (page === undefined) return
  await view(page, platform, '?device=truck-7')
  await page.getByRole('checkbox', { name: 'Choose 1' }).check()
  await page.getByRole('checkbox', { name: 'Choose 3' }).check()
  await page.getByText('2 chosen').waitFor()
  await page.getByRole('button', { name: 'Replay them' }).click()
  await page.getByRole('dialog', { name: 'Replay 2 dead letters?' }).getByRole('button', { name: 'Replay 2' }).click()
  await page.getByText('2 dead letters replayed. What cannot be stored comes back here.').waitFor()
  await page.getByRole('checkbox', { name: 'Choose 5' }).waitFor()
  assert.equal(await page.getByRole('checkbox', { checked: true }).count(), 0)

  await page.getByText('3 messages').waitFor()
  await page.getByRole('button', { name: 'Replay all' }).click()
  await page.getByRole('button', { name: 'Replay 3' }).click()
  await page.getByText('3 dead letters replayed').waitFor()
  await page.getByRole('checkbox', { name: 'Choose 8' }).waitFor()
  assert.deepEqual(await platform.log.deadLetterCounts().then(({ replayed, held }) => [replayed, held]), [5, 3])
})

test('a token that may only read sees on a phone where the bytes break, and how to get one that may more', async (t) => {
  const { platform } = await begin(t, [])
  const whole = platform.registry.encode('environment', environment(platform.clock.time))
  const long = `gw-${'0'.repeat(60)}`
  await platform.publish(long, 'environment', whole.subarray(0, whole.length - 2))
  for (let left = 119; left > 0; left--) await platform.publish(long, 'environment', HOT)
  await held(platform, 120)
  const page = await openPage(t, `${platform.url}/#access_token=${platform.token}`, {
    ...PHONE,
    width: 360,
    expects: /404 \(Not Found\)/,
  })
  if (page === undefined) return
  await view(page, platform, '')
  const letters = lettersOf(page)
  // As a person does, again if the newest came meanwhile.
  await until(async () => {
    const older = page.getByRole('button', { name: 'Older ones' })
    if ((await letters.count()) < 120 && (await older.isVisible()))
      await older.click({ timeout: 1_000 }).catch(() => undefined)
    return (await letters.count()) === 120
  })
  await page.getByText('telltale token app --filter').waitFor()
  assert.equal(await page.getByRole('button', { name: /Replay|Purge/ }).count(), 0)
  assert.equal(await page.getByRole('checkbox').count(), 0)

  await letters.last().getByRole('link').click()
  const said = await page.getByText(/It breaks at byte \d+/).textContent()
  const byte = whole.subarray(Number(/\d+/.exec(said ?? '')?.[0])).subarray(0, 1)
  assert.equal(
    await page.getByRole('region', { name: 'The bytes' }).locator('mark').first().textContent(),
    byte.toString('hex'),
  )
  assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 360)
  await page.getByRole('link', { name: 'Newer' }).click()
  await page.getByRole('heading', { name: 'temperature is "hot"' }).waitFor()
  await page.goBack()
  await page.goBack()
  await letters.last().waitFor()
  await page.goto(`${platform.url}/#/deadletters?id=4711`)
  await page.getByText('there is no dead letter "4711": it may have been replayed or purged').waitFor()
})
