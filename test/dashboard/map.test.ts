/** The dashboard's map in a browser: devices are where they say, live, and no one is asked for tiles but who is configured. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { cpSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Page } from 'playwright-core'
import { SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { DESKTOP, type Look, openPage, PHONE } from '../browser.ts'
import { HOUR_MS, startPlatform, type TestPlatform, type TestPlatformOptions } from '../gateway/platform.ts'
import { scratchDirectory } from '../scratch.ts'
import { until } from '../until.ts'

/** Centre and zoom of the map. */
const VIEW = { latitude: 48.15, longitude: 11.5, zoom: 12 }
const AT = `at=${VIEW.latitude},${VIEW.longitude},${VIEW.zoom}`
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

async function openMap(t: TestContext, look: Look, options: TestPlatformOptions = {}, query = AT) {
  const platform = await startPlatform(t, 'node', options)
  // Readings come at most once in five seconds, by the platform's clock.
  platform.clock.now = Date.now
  await isAt(platform, 'truck-7', 48.16, 11.48)
  await isAt(platform, 'truck-8', -33.9, 18.4)
  await platform.publish('yard-1', 'environment', { ts: Date.now(), temperature: 21 })
  const open = async (hash: string, filter = 'devices/+/telemetry/#') => {
    const token = await platform.identity.signApp([filter], HOUR_MS)
    const page = await openPage(t, `${platform.url}/#access_token=${token}`, look)
    await page?.goto(`${platform.url}/${hash}`)
    return page
  }
  const page = await open(`#/map?${query}`)
  return page && { page, platform, open }
}

function isAt(platform: TestPlatform, device: string, latitude: number, longitude: number): Promise<void> {
  const still = { elevation: 500, velocity: 10, heading: 0, grade: 0, fuel_consumption: 1 }
  return platform.publish(device, 'vehicle', { ts: Date.now(), latitude, longitude, ...still })
}

/** Where a place must be on the page, by the Mercator projection of web maps (EPSG 3857). */
async function placeOf(page: Page, latitude: number, longitude: number): Promise<{ x: number; y: number }> {
  const box = (await page.locator('.leaflet').boundingBox()) ?? assert.fail('there is no map')
  const across = (degrees: number) => ((degrees + 180) / 360) * 256 * 2 ** VIEW.zoom
  const down = (degrees: number) => {
    const radians = (degrees * Math.PI) / 180
    return ((1 - Math.asinh(Math.tan(radians)) / Math.PI) / 2) * 256 * 2 ** VIEW.zoom
  }
  return {
    x: box.x + box.width / 2 + across(longitude) - across(VIEW.longitude),
    y: box.y + box.height / 2 + down(latitude) - down(VIEW.latitude),
  }
}

async function untilMarked(page: Page, device: RegExp, latitude: number, longitude: number): Promise<void> {
  const mark = page.getByRole('img', { name: device })
  await until(async () => {
    const [place, found] = await Promise.all([placeOf(page, latitude, longitude), mark.boundingBox()])
    if (found === null) return false
    // The label is beside the ring, 14 px from its centre.
    return Math.abs(found.x - 14 - place.x) < 2 && Math.abs(found.y + found.height / 2 - place.y) < 2
  })
}

for (const [name, look] of Object.entries({ desk: DESKTOP, phone: PHONE })) {
  test(`a truck that moves is where it says, and its name leads to its page [${name}]`, async (t) => {
    const opened = await openMap(t, look)
    if (opened === undefined) return
    const { page, platform } = opened
    await page.getByRole('link', { name: /^truck-7/ }).waitFor()
    const { x, y } = await placeOf(page, 48.16, 11.48)
    await page.mouse.click(x, y)
    await untilMarked(page, /^truck-7: /, 48.16, 11.48)
    await page.getByText('48.16000° N, 11.48000° E').waitFor()
    await isAt(platform, 'truck-7', 48.14, 11.51)
    await untilMarked(page, /^truck-7: /, 48.14, 11.51)
    await page.getByText('48.14000° N, 11.51000° E').waitFor()
    const last = page.url()
    await page.getByText('1 device has no position').click()
    await page.getByRole('link', { name: /^yard-1/ }).waitFor()
    await page.getByRole('heading').getByRole('link', { name: 'truck-7' }).click()
    assert.equal(new URL(page.url()).hash, '#/devices/truck-7')
    await page.goBack()
    assert.equal(page.url(), last)
    await page.getByRole('region', { name: 'truck-7' }).waitFor()
  })
}

test('all are in sight at first; who moves the map has a link to what it shows', async (t) => {
  const opened = await openMap(t, DESKTOP, {}, '')
  if (opened === undefined) return
  const { page, open } = opened
  await page.getByRole('link', { name: /^truck-8/ }).waitFor()
  await page.getByRole('link', { name: /^truck-7/ }).waitFor()
  await page.getByRole('button', { name: 'Zoom in' }).click()
  await page.waitForURL(/#\/map\?at=-?[\d.]+%2C-?[\d.]+%2C[\d.]+$/)
  const copy = await open(new URL(page.url()).hash)
  await copy?.getByRole('heading', { name: /^In sight/ }).waitFor()
  assert.equal(copy?.url(), page.url())
})

test('a token for one device has a map of it', async (t) => {
  const opened = await openMap(t, DESKTOP)
  if (opened === undefined) return
  const page = await opened.open('#/map', 'devices/truck-7/telemetry/#')
  await page?.getByRole('heading', { name: 'In sight 1' }).waitFor()
  await page?.getByRole('link', { name: /^truck-7/ }).waitFor()
})

test('tiles come from the configured server; the page may ask its origin, and no other', async (t) => {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.writeHead(200, { 'Content-Type': 'image/png' }).end(PIXEL)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  const origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  const mapTiles = { template: `${origin}/a"b/{z}/{x}/{y}.png?key=1&v=2`, attribution: '© "People" & <b>others</b>' }
  const opened = await openMap(t, { ...DESKTOP, asks: [origin] }, { options: { mapTiles } })
  if (opened === undefined) return
  const { page, platform } = opened
  await page.getByText(mapTiles.attribution).waitFor()
  await until(
    () => asked.some((path) => /^\/a%22b\/12\/\d+\/\d+\.png\?key=1&v=2$/.test(path)),
    () => asked.join(' '),
  )
  const policy = (await fetch(platform.url)).headers.get('content-security-policy') ?? ''
  assert.match(policy, new RegExp(`; img-src data: ${origin};`))
})

test('without tiles the page may ask nobody for images', async (t) => {
  const platform = await startPlatform(t, 'node')
  const response = await fetch(platform.url)
  assert.match(response.headers.get('content-security-policy') ?? '', /; img-src data:;/)
  assert.doesNotMatch(await response.text(), /map-tiles" content/)
})

test('where no stream has positions there is no way to a map, and a link to one says what a stream needs', async (t) => {
  const schemasDir = scratchDirectory(t)
  cpSync(join(SHIPPED_SCHEMAS_DIR, 'environment'), join(schemasDir, 'environment'), { recursive: true })
  const platform = await startPlatform(t, 'node', { schemasDir })
  const page = await openPage(t, `${platform.url}/#access_token=${platform.token}`)
  if (page === undefined) return
  await page.goto(`${platform.url}/#/map`)
  await page.getByRole('heading', { name: 'No stream has positions' }).waitFor()
  await page.getByText('both with the unit deg').waitFor()
  assert.equal(await page.getByRole('link', { name: 'Map' }).count(), 0)
})
