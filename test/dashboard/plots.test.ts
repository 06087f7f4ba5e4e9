/** What the plots of a device draw, in a real browser: what the store has, and what comes, without a seam. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { connectAsync } from 'mqtt'
import type { Page } from 'playwright-core'
import { openPage } from '../browser.ts'
import { RunningPlatform } from '../e2e/platform.ts'
import { until } from '../until.ts'

/** Of a quarter of an hour of one there are too many readings to be drawn one by one, and not of the other. */
const EVERY_MS = { quick: 200, slow: 2_000 }

interface Point {
  readonly ts: number
  readonly value: number
}

/** Sends at QoS 1 as long as the test goes on, and keeps what it cannot send. */
async function startTruck(t: TestContext, platform: RunningPlatform, device: string, everyMs: number) {
  const client = await connectAsync({
    port: platform.mqttPort,
    clientId: device,
    username: device,
    password: await platform.deviceToken(device),
    protocolVersion: 4,
    reconnectPeriod: 100,
  })
  // Nobody listens while the platform is away.
  client.on('error', () => {})
  const sends: Promise<unknown>[] = []
  const send = () => {
    const temperature = Math.round(200 + 50 * Math.sin(sends.length / 9)) / 10
    const reading = { ts: Date.now(), temperature, humidity: 40, pressure: 1013, battery: 90, rssi: -60 }
    sends.push(client.publishAsync(`devices/${device}/telemetry/environment`, JSON.stringify(reading), { qos: 1 }))
  }
  const timer = setInterval(send, everyMs)
  t.after(() => {
    clearInterval(timer)
    client.end(true)
  })
  return {
    sent: () => sends.length,
    isConnected: () => client.connected,
    /** Resolves when all is acknowledged. */
    async stop() {
      clearInterval(timer)
      await Promise.all(sends)
    },
  }
}

/** The page of a device, with the points of its temperature as a table. */
async function openPlot(t: TestContext, platform: RunningPlatform, device: string): Promise<Page | undefined> {
  const expects = /ERR_CONNECTION|ERR_EMPTY_RESPONSE|WebSocket|503/
  const page = await openPage(t, `${platform.url}/#access_token=${await platform.appToken()}`, {
    height: 1600,
    expects,
  })
  await page?.goto(`${platform.url}/#/devices/${device}?range=15m`)
  await page?.getByRole('figure', { name: 'temperature' }).getByText('As a table').click()
  return page
}

async function drawnIn(page: Page): Promise<Point[]> {
  const rows = page.getByRole('figure', { name: 'temperature' }).locator('tbody tr')
  const texts: [string, string][] = await rows.evaluateAll((all) =>
    all.map((row) => [
      row.querySelector('time')?.getAttribute('datetime') ?? '',
      row.querySelector('data')?.getAttribute('value') ?? '',
    ]),
  )
  return texts.map(([time, value]) => ({ ts: Date.parse(time), value: Number(value) }))
}

async function storedOf(platform: RunningPlatform, device: string, more: string): Promise<Point[]> {
  const filter = `filter=devices/${device}/telemetry/environment&limit=100000&${more}`
  return (await platform.readings(filter)).map(({ ts, values }) => ({ ts, value: Number(values.temperature) }))
}

/** Until the plot has just these. A mean is not the same to the last bit, in whatever order it is made. */
async function untilDrawn(page: Page, points: readonly Point[]): Promise<void> {
  let drawn: Point[] = []
  const isSame = ({ ts, value }: Point, index: number) =>
    ts === points[index]?.ts && Math.abs(value - points[index].value) < 1e-5
  await until(
    async () => {
      drawn = await drawnIn(page)
      return drawn.length === points.length && drawn.every(isSame)
    },
    () => `drawn are\n${JSON.stringify(drawn)}\nand stored\n${JSON.stringify(points)}`,
  )
}

test('a plot across a reconnect and a kill -9 of the platform has no hole that the store has not', async (t) => {
  const platform = await RunningPlatform.start(t)
  const quick = await startTruck(t, platform, 'quick', EVERY_MS.quick)
  const slow = await startTruck(t, platform, 'slow', EVERY_MS.slow)
  for (const device of ['quick', 'slow']) {
    await until(async () => {
      const { streams } = await platform.get<{ streams: { intervalMs?: number }[] }>(`/v1/devices/${device}`)
      return streams.some(({ intervalMs }) => intervalMs !== undefined)
    })
  }
  const plotOfQuick = await openPlot(t, platform, 'quick')
  const plotOfSlow = await openPlot(t, platform, 'slow')
  if (plotOfQuick === undefined || plotOfSlow === undefined) return
  const sent = slow.sent()
  await until(async () => (await drawnIn(plotOfSlow)).length > sent && (await drawnIn(plotOfQuick)).length > 3)

  const before = slow.sent()
  await platform.kill()
  await until(() => !quick.isConnected() && slow.sent() > before + 1)
  await platform.start()
  await until(() => quick.isConnected() && slow.isConnected() && slow.sent() > before + 4)
  await Promise.all([quick.stop(), slow.stop()])
  await platform.settled()

  const each = await storedOf(platform, 'slow', 'from=-15m')
  assert(each.length >= slow.sent(), `${each.length} of ${slow.sent()} are stored`)
  await untilDrawn(plotOfSlow, each)
  await untilDrawn(plotOfQuick, await storedOf(platform, 'quick', 'from=-15m&every=2s&fn=mean'))

  // Of a month it asks for no single reading.
  const asked: string[] = []
  plotOfQuick.on('request', (request) => {
    if (request.url().includes('/v1/readings')) asked.push(request.url())
  })
  await plotOfQuick.getByRole('link', { name: '30 d' }).click()
  await untilDrawn(plotOfQuick, await storedOf(platform, 'quick', 'from=-30d&every=2h&fn=mean'))
  assert(asked.length > 0)
  for (const url of asked) assert.match(url, /every=7200000ms/)
})
