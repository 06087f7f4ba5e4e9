/**
 * Owns a fleet that is the same in each run, and the views of the page that show it. Always true: what the page shows of it depends on
 * nothing but the page, for all of it stands at one time, which is the time of the page's clock, too.
 */

import type { TestContext } from 'node:test'
import type { Page } from 'playwright-core'
import type { AlertsPage } from '../../gateway/alerts/listing.ts'
import { INGEST_READER } from '../../log/log.ts'
import { type Look, openPage } from '../browser.ts'
import { duckdb } from '../gateway/live/aged.ts'
import { environment, NOW, startPlatform, type TestPlatform, vibration } from '../gateway/platform.ts'
import { until } from '../until.ts'

const MINUTE_MS = 60_000
/** More than a screen has rows. */
const WELL = 30
/** Of those that are well. */
const DRIVING = 5
/** So many that a plot has a line. */
const READINGS = 15

const DECLARED = `
- { device: truck-1, site: Rotterdam yard, labels: { fleet: north, model: FH16 }, interval: 1m }
- { device: truck-absent, site: Antwerp, labels: { fleet: south } }
`

/** One that fires, and whom nobody can tell it to. */
const RULES = `
- name: garbage
  dead: { devices: devices/+, above: 10, over: 1h }
  to: [ { ntfy: 'http://127.0.0.1:9/yard' } ]
`

const vehicle = (ts: number, index: number) => ({
  ...{ ts, fleet: 'north', driver: 'Ada', latitude: 51.9 + index / 50, longitude: 4.4 + index / 40, elevation: 3 },
  ...{ velocity: 12.5, heading: 90, grade: 0, fuel_consumption: 21.5 },
})

export async function startFixedFleet(t: TestContext): Promise<TestPlatform> {
  const platform = await startPlatform(t, 'node', {
    devices: DECLARED,
    store: duckdb,
  })
  const { log, clock, publish, rules } = platform
  rules.use([{ file: 'rules.yaml', text: RULES }])
  const at = (minutesAgo: number) => {
    clock.time = NOW - minutesAgo * MINUTE_MS
    return clock.time
  }
  const connect = async (device: string) => {
    log.journal.note(device, {
      kind: 'connected',
      code: 'connected',
      text: 'connected by MQTT 3.1.1',
      from: '10.0.0.7',
    })
    await log.presence.update(device, () => ({ online: true, since: clock.now() }))
  }
  const well = Array.from({ length: WELL }, (_, index) => `truck-${index + 1}`)
  const bad = 'truck-with-a-long-name-that-sends-what-nobody-can-read'
  at(READINGS + 1)
  for (const device of [...well, bad]) await connect(device)
  for (let minute = READINGS; minute >= 0; minute--) {
    const ts = at(minute)
    await Promise.all([
      ...well.map((device, index) => publish(device, 'environment', environment(ts, 20 + ((minute + index) % 5)))),
      ...well.slice(0, DRIVING).map((device, index) => publish(device, 'vehicle', vehicle(ts, index))),
      publish(well[0] ?? '', 'vibration', vibration(ts)),
      publish(bad, 'environment', { ts, temperature: 'warm' }),
    ])
  }
  const refusal = { kind: 'refused', code: 'expired-token', text: 'the token has expired', from: '10.0.0.9' } as const
  log.journal.note('truck-expired', refusal, { isNamed: true })
  clock.time = NOW
  await until(async () => (await log.ledger(INGEST_READER)).pending === 0)
  await until(async () => {
    const { alerts, targets } = (await (await platform.get('/v1/alerts')).json()) as AlertsPage
    return alerts.length > 0 && targets.some(({ problem }) => problem !== undefined)
  })
  await until(() => [...log.journal.named()].length > 0 && log.journal.of(bad) !== undefined)
  return platform
}

export interface View {
  /** `devices`, `devices-one`. */
  readonly name: string
  /** Behind the `#`. */
  readonly link: string
}

/** The page at the time of the fleet. */
export async function openFixedFleet(t: TestContext, platform: TestPlatform, look: Look): Promise<Page | undefined> {
  const before = (page: Page) => page.clock.setFixedTime(NOW)
  return openPage(t, `${platform.url}/#access_token=${platform.token}`, { ...look, before, timezoneId: 'UTC' })
}

/** Those that the page leads to: each of its navigation, and of each the first thing that is opened from it. */
export async function viewsOf(page: Page): Promise<readonly View[]> {
  await page.locator('header nav a').first().waitFor()
  const links = await linksIn(page, 'header nav a')
  const views: View[] = []
  for (const link of links) {
    const name = link.replace(/^#\//, '')
    await show(page, { name, link })
    views.push({ name, link })
    const opened = (await linksIn(page, 'main a')).find((each) => isWithin(each, link))
    if (opened !== undefined) views.push({ name: `${name}-one`, link: opened })
  }
  // The first device has a problem, and no plots.
  return [...views, { name: 'devices-plots', link: '#/devices/truck-1' }]
}

const isWithin = (link: string, view: string) =>
  link.startsWith(`${view}/`) || (link.startsWith(`${view}?`) && /[?&]id=/.test(link))

async function linksIn(page: Page, selector: string): Promise<string[]> {
  return page.locator(selector).evaluateAll((links) => links.map((link) => link.getAttribute('href') ?? ''))
}

/** Resolves when what is shown stands still: nothing is asked for, and nothing moves. */
export async function show(page: Page, { link }: View): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(link)}`)
  let last = ''
  let same = 0
  await until(async () => {
    const now = await page.evaluate<string>(SHAPE)
    same = now === last ? same + 1 : 0
    last = now
    return same >= STILL_LOOKS
  })
}

/** Two frames each, and as many turns of the network. */
const STILL_LOOKS = 10
const SHAPE = `new Promise((resolve) => {
  const shape = () => [...document.querySelectorAll('main, main *')].map((element) => {
    const { left, top, width, height } = element.getBoundingClientRect()
    return [left, top, width, height].map(Math.round)
  }).join(' ')
  setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => resolve(location.hash + shape()))), 50)
})`
